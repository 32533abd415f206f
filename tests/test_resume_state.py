"""What a checkpoint must carry over: an encoder's draws and attributes, the time spent, and whose it is.

test_resume.py kills processes; here a trial stops by an exception, which leaves the same checkpoints.
"""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from oyster.algorithms.pearl import learner
from oyster.algorithms.pearl.gradient_step import GradientStep
from oyster.algorithms.pearl.settings import Settings, find_encoder_file
from oyster.grid import load_params, trial_settings
from oyster.reproduce.keep import FOLDER
from oyster.runtime.destination import scratch_folder
from oyster.runtime.records import DETERMINISTIC
from oyster.trial import run as trial_module
from oyster.trial.run import CarriedKey, Trial, run_trial

ROOT = Path(__file__).resolve().parents[1]
STEPS = 12  # gradient steps an iteration
NEVER = 1e9

ENCODER = """
import torch
from torch import nn
from rlkit.torch.core import PyTorchModule


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        INNER


class Encoder(PyTorchModule):
    def __init__(self, hidden_sizes, input_size, output_size, **kwargs):
        self.save_init_params(locals())
        super().__init__()
        self.output_size = output_size
        self.inner = Inner()
        self.net = nn.Sequential(nn.Linear(input_size, 16), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(16, output_size))
        INIT

    def forward(self, input, return_preactivations=False):
        learning = self.training and torch.is_grad_enabled()
        output = self.net(input)
        FORWARD
        return (output, output) if return_preactivations else output

    def reset(self, num_tasks=1):
        pass
"""
# What its output depends on besides its parameters: constructor, an inner module's constructor, forward.
KINDS = {
    "dropout": ("pass", "pass", "pass"),
    "counter": ("self.steps = 0", "pass", "self.steps += learning; output = output * (1 + self.steps / 100)"),
    "inner counter": (
        "pass",
        "self.steps = 0",
        "self.inner.steps += learning; output = output * (1 + self.inner.steps / 100)",
    ),
    "tensor": (
        "self.mean = torch.zeros(5)",
        "pass",
        "output = output + self.mean.sum();"
        " self.mean = 0.9 * self.mean + input.detach().mean((0, 1)) if learning else self.mean",
    ),
}


class Stopped(BaseException):
    """As good as a kill: nothing catches it."""


def settings(**changes) -> Settings:
    params = load_params(FOLDER / "params.yaml")
    resolved = trial_settings(params, environment="point-robot", agent="mlp", seed=3, preset="canary")
    base = {"num_train_steps_per_itr": STEPS, "evaluations": 1, "use_information_bottleneck": True}
    return resolved.model_copy(update=base | changes)


def encoder_of(kind: str, folder: Path) -> Path:
    init, inner, forward = KINDS[kind]
    text = ENCODER.replace("INIT", init).replace("INNER", inner).replace("FORWARD", forward)
    path = folder / "encoder.py"
    path.write_text(text.replace("DROPOUT", "0.3" if kind == "dropout" else "0"))
    return path


def outputs(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in DETERMINISTIC}


def stop_at(step: int, monkeypatch) -> None:
    """Stop before the gradient step of this number in this process."""
    call, calls = GradientStep.__call__, [0]

    def counted(*arguments):
        calls[0] += 1
        if calls[0] == step:
            raise Stopped
        return call(*arguments)

    monkeypatch.setattr(learner.GradientStep, "__call__", counted)


def stopped_run(step: int, encoder: Path, out: Path, minutes: float) -> None:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stopped):
        stop_at(step, patch)
        run_trial(settings(), {"encoder": encoder}, out, device="cpu", checkpoint_minutes=minutes)


@pytest.mark.parametrize("kind", KINDS)
def test_an_encoders_state_and_its_draws_go_on(kind, tmp_path):
    encoder = encoder_of(kind, tmp_path)
    run_trial(settings(), {"encoder": encoder}, tmp_path / "whole", device="cpu")
    stopped_run(6, encoder, tmp_path / "stopped", minutes=0)  # in the first iteration,
    stopped_run(STEPS, encoder, tmp_path / "stopped", minutes=0)  # and again in the second
    notes = []
    run_trial(settings(), {"encoder": encoder}, tmp_path / "stopped", device="cpu", warn=notes.append)
    assert notes == [f"going on from iteration 1, gradient step {5 + STEPS - 1}"]
    assert outputs(tmp_path / "stopped") == outputs(tmp_path / "whole")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "dropout"])
def test_these_encoders_would_learn_otherwise_without_their_state(kind, tmp_path):
    """Or the test above would show nothing."""
    losses = []
    for start in (0, 40):
        training = Trial(settings(num_iterations=1), {"encoder": encoder_of(kind, tmp_path)}, "cpu").assemble()
        encoder = training.agent.context_encoder
        for module in (encoder, encoder.inner):
            if hasattr(module, "steps"):
                module.steps = start
        if hasattr(encoder, "mean"):
            encoder.mean += start
        losses.append(next(training.run()).qf_loss)
    assert losses[0] != losses[1]


# --- time -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    """A clock that stands still, but for a minute a gradient step."""
    clock = SimpleNamespace(now=1000.0)
    call = GradientStep.__call__

    def slow(*arguments):
        clock.now += 60.0
        return call(*arguments)

    monkeypatch.setattr(learner.GradientStep, "__call__", slow)
    monkeypatch.setattr(trial_module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_a_checkpoint_comes_every_so_many_minutes_and_after_every_iteration(clock, tmp_path, monkeypatch):
    saved, save = [], trial_module.CheckpointFolder.save

    def watched(folder, checkpoint):
        state = checkpoint.state["training"]["learner"]
        saved.append((state["iteration"], state["steps_taken"]))
        return save(folder, checkpoint)

    monkeypatch.setattr(trial_module.CheckpointFolder, "save", watched)
    run_trial(settings(), {"encoder": find_encoder_file("mlp")}, tmp_path / "out", device="cpu", checkpoint_minutes=4.5)
    assert saved == [(0, 5), (0, 10), (1, 0), (1, 5), (1, 10)]
    saved.clear()
    run_trial(
        settings(), {"encoder": find_encoder_file("mlp")}, tmp_path / "seldom", device="cpu", checkpoint_minutes=NEVER
    )
    assert saved == [(1, 0)]


def test_the_time_before_a_stop_counts(clock, tmp_path):
    encoder, out = find_encoder_file("mlp"), tmp_path / "out"
    stopped_run(STEPS + 8, encoder, out, minutes=4.5)
    clock.now += 1e6  # nobody was training
    run_trial(settings(), {"encoder": encoder}, out, device="cpu")
    record = json.loads((out / "provenance.json").read_text())
    again = STEPS - 5  # the checkpoint was taken after five steps of the second iteration
    assert record["wall_seconds"] == 60.0 * (STEPS + 5 + again)
    assert record["iteration_seconds"] == [60.0 * STEPS, 60.0 * 2 * STEPS]
    assert record["gradient_steps"] == 2 * STEPS


# --- whose it is ------------------------------------------------------------------------------------------------------


def trial(**changes) -> Trial:
    return Trial(settings(**changes), {"encoder": find_encoder_file("mlp")}, "cpu")


def test_a_checkpoint_belongs_to_settings_torch_and_device(monkeypatch):
    own = trial().identity()
    assert own == trial().identity()

    def changed(other: dict) -> list[str]:
        return [key for key in own if own[key] != other[key]]

    assert changed(trial(discount=0.5).identity()) == ["settings"]
    on_gpu = trial()
    on_gpu.device = torch.device("cuda")
    assert changed(on_gpu.identity()) == ["device"]
    monkeypatch.setattr(torch, "__version__", "2.99.0")
    assert changed(trial().identity()) == ["torch"]


def test_a_trial_of_another_key_has_a_scratch_of_its_own(tmp_path):
    """So that a checkpoint is never gone on from with other code, and a branch's waits for it."""
    out, encoder = tmp_path / "out", find_encoder_file("mlp")
    stopped_run(6, encoder, out, minutes=0)
    left = sorted(scratch_folder(out).rglob("*.checkpoint"))
    said = []
    run_trial(
        settings(),
        {"encoder": encoder},
        out,
        key=CarriedKey("0123456789abcdef", {}, []),
        device="cpu",
        warn=said.append,
    )
    assert not any("going on" in line for line in said)
    assert left and sorted(scratch_folder(out).rglob("*.checkpoint")) == left


@pytest.mark.parametrize("key", ["settings", "encoder file", "torch", "device"])
def test_a_checkpoint_that_differs_in_one_of_them_is_refused(key, tmp_path, monkeypatch):
    out, encoder = tmp_path / "out", find_encoder_file("mlp")
    stopped_run(6, encoder, out, minutes=0)
    identity = Trial.identity
    monkeypatch.setattr(Trial, "identity", lambda self: identity(self) | {key: "another"})
    with pytest.raises(trial_module.InputError, match=rf"checkpoint of another trial \(other {key}\)"):
        run_trial(settings(), {"encoder": encoder}, out, device="cpu")
    assert scratch_folder(out).exists()
