"""For inputs that once failed: encoders written for one fault, the smallest trial, the commands as a person runs."""

import multiprocessing
import os
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from oyster.algorithms.pearl.settings import find_encoder_file
from oyster.cli import main
from oyster.grid import encoder_agent, load_params, trial_settings
from oyster.trial.run import run_trial

TINY = Path(__file__).with_name("tiny.yaml")  # point-robot in two iterations of twenty gradient steps
KILLED = 137
TEMPLATE = """
import torch
import torch.nn.functional as F
from torch import nn
from rlkit.torch.core import PyTorchModule
{top}

class Encoder(PyTorchModule):
    {attributes}

    def __init__(self, hidden_sizes, input_size, output_size, **kwargs):
        self.save_init_params(locals())
        super().__init__()
        self.output_size = output_size
        self.net = nn.Sequential(nn.Linear(input_size, 16), nn.ReLU(), nn.Linear(16, output_size))
{init}

    def forward(self, input, return_preactivations=False):
        out = input
{forward}
        out = self.net(out)
{after}
        return (out, out) if return_preactivations else out

    def reset(self, num_tasks=1):
        pass
{reset}
{methods}
"""


@pytest.fixture
def encoder_file(tmp_path: Path) -> Callable[..., Path]:
    """Write an encoder with the given statements in its parts."""

    def write(
        name: str = "mine", *, top="", attributes="", init="", forward="", after="", reset="", methods=""
    ) -> Path:
        def indented(code: str, depth: int) -> str:
            return textwrap.indent(textwrap.dedent(code).strip("\n"), " " * depth)

        parts = {"top": textwrap.dedent(top), "attributes": attributes or "pass", "methods": indented(methods, 4)}
        parts |= {"init": indented(init, 8), "forward": indented(forward, 8), "after": indented(after, 8)}
        path = tmp_path / f"{name}.py"
        path.write_text(TEMPLATE.format(**parts, reset=indented(reset, 8)), encoding="utf-8")
        return path

    return write


def oyster(*arguments: str | Path) -> Result:
    """`python -m oyster ARGUMENTS` in this process. A traceback fails the test that asked."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def train(encoder: str | Path, out: Path, *options: str | Path, params: Path = TINY) -> Result:
    names = ("--env", "point-robot", "--encoder", encoder, "--seed", "1", "--preset", "tiny")
    return oyster("train", *names, "--params", params, "--out", out, "--device", "cpu", *options)


def check(encoder: str | Path, params: Path = TINY) -> Result:
    return oyster("check", encoder, "--env", "point-robot", "--preset", "tiny", "--params", params)


def train_killed(encoder: Path, out: Path) -> None:
    """A trial whose process ends, as by SIGKILL, at the first gradient step after iteration 1's checkpoint."""
    assert _in_child(_run, encoder, out, True) == KILLED


def train_in_child(encoder: Path, out: Path) -> None:
    """A trial in a process of its own, so that nothing but its files can reach the next one."""
    assert _in_child(_run, encoder, out, False) == 0


def _run(encoder: Path, out: Path, kill: bool) -> None:
    def end(training, row) -> None:
        if kill and row is None and training.iteration == 1:
            os._exit(KILLED)

    file = find_encoder_file(str(encoder))
    params = load_params(TINY)
    agent = encoder_agent(params, str(file))
    settings = trial_settings(params, environment="point-robot", agent=agent, seed=1, preset="tiny")
    run_trial(settings, {"encoder": file}, out, device="cpu", on_progress=end)


def _in_child(function: Callable, *arguments) -> int:
    child = multiprocessing.get_context("fork").Process(target=function, args=arguments)
    child.start()
    child.join()
    return child.exitcode


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole result, weights included. Copy it before changing it."""
    out = tmp_path_factory.mktemp("trained") / "result"
    assert train("mlp", out).exit_code == 0
    return out
