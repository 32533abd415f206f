"""Captured and restored, a training is where it was: every tensor, every generator, and the numbers that follow."""

import json
from pathlib import Path

import pytest
import torch

from oyster.grid import load_params, trial_settings
from oyster.reproduce.keep import FOLDER
from oyster.runtime import seeds
from oyster.runtime.checkpoint import Checkpoint, from_bytes, join, split, to_bytes
from oyster.runtime.errors import TrialFailure
from oyster.trial import training as module
from oyster.trial.run import Trial
from oyster.trial.training import Training

REMEMBERS = """
import torch
from torch import nn
from rlkit.torch.core import PyTorchModule


class Remembers(PyTorchModule):
    def __init__(self, hidden_sizes, input_size, output_size, **kwargs):
        self.save_init_params(locals())
        super().__init__()
        self.output_size = output_size
        self.layer = nn.Linear(input_size, output_size)
        self.drop = nn.Dropout(0.2)
        self.calls = 0
        self.register_buffer("seen", torch.zeros(3), persistent=False)

    def forward(self, input, return_preactivations=False):
        if self.training and torch.is_grad_enabled():
            self.calls += 1
            self.seen[self.calls % 3] += 1
        return self.drop(self.layer(input)) * (1 + 0.1 * self.calls + 0.01 * self.seen[0])

    def reset(self, num_tasks=1):
        pass
"""


@pytest.fixture
def assemble(tmp_path):
    """Call it for a training of its own, of one and the same tiny trial."""
    encoder = tmp_path / "remembers.py"
    encoder.write_text(REMEMBERS)
    changes = {"num_iterations": 3, "num_train_steps_per_itr": 4, "batch_size": 8, "evaluations": 1, "train_tasks": 4,
               "num_tasks_sample": 2, "meta_batch": 3}  # fmt: skip

    def make() -> Training:
        settings = trial_settings(
            load_params(FOLDER / "params.yaml"), environment="point-robot", agent="mlp", seed=3, preset="canary"
        ).model_copy(update=changes)
        return Trial(settings, {"encoder": Path(encoder)}, "cpu").assemble()

    return make


def capture(training: Training) -> Checkpoint:
    return split(training.state_dict())


def restore(training: Training, checkpoint: Checkpoint) -> None:
    training.load_state_dict(join(checkpoint))


class Stop(Exception):
    """Raised in the middle of an iteration."""


def train_until(training: Training, iteration: int, step: int) -> None:
    def look(present: Training) -> None:
        if (present.iteration, present.learner.steps_taken) == (iteration, step):
            raise Stop

    with pytest.raises(Stop):
        list(training.run(look))


def alike(one: Checkpoint, two: Checkpoint) -> bool:
    assert json.dumps(one.state) == json.dumps(two.state)
    assert one.tensors.keys() == two.tensors.keys()
    assert one.logs.keys() == two.logs.keys() and all(torch.equal(rows, two.logs[at]) for at, rows in one.logs.items())
    return all(torch.equal(value, two.tensors[name]) for name, value in one.tensors.items())


@pytest.mark.parametrize("iteration, step", [(0, 2), (1, 3)])
def test_a_restored_training_goes_on_to_the_same_numbers(assemble, iteration, step):
    training = assemble()
    train_until(training, iteration, step)
    captured = capture(training)
    stored = from_bytes(to_bytes(captured))._replace(logs={at: rows.clone() for at, rows in captured.logs.items()})
    fresh = assemble()
    torch.manual_seed(99)
    fresh.agent.train(False)
    restore(fresh, stored)
    again = capture(fresh)
    assert again.state.keys() == stored.state.keys() and alike(again, stored)
    assert all(module.training for module in fresh.agent.modules())
    assert fresh.learner.store.size == training.learner.store.size
    for name in ("replay", "context"):
        ours, theirs = getattr(fresh.learner, name), getattr(training.learner, name)
        assert (ours.sizes == theirs.sizes).all() and len(ours.episodes) == 4
    rows = list(fresh.run())
    torch_state = torch.get_rng_state()
    ended = capture(fresh)

    reference = assemble()
    expected = list(reference.run())
    assert rows == expected[iteration:] and fresh.rows == reference.rows == expected
    assert torch.equal(torch_state, torch.get_rng_state())
    assert alike(ended, capture(reference))
    assert fresh.start() == reference.start()
    tasks = {"train_tasks": reference.train_tasks.tolist(), "test_tasks": reference.test_tasks.tolist()}
    assert reference.start() == tasks | reference.learner.start() != tasks


def test_it_tells_how_much_of_an_iteration_is_done(assemble):
    training = assemble()
    assert training.share == 0
    told = {0: [], 1: [], 2: []}
    for row in training.run(lambda present: told[present.iteration].append(present.share)):
        assert training.share == 0 and row is training.rows[-1]
        assert row._fields[3] == "meta_test_return" and row.meta_test_return == training.last_test.meta_test_return()
    for shares in told.values():
        assert shares and sorted(set(shares)) == shares and shares[0] > 0 and shares[-1] <= 1


def test_a_failure_names_its_iteration(assemble):
    training = assemble()
    course = training.run()
    next(course)
    for parameter in training.agent.policy.parameters():
        parameter.data.fill_(torch.nan)
    with pytest.raises(TrialFailure) as caught:
        next(course)
    assert caught.value.iteration == 1


def test_a_meta_test_draws_from_torchs_stream_of_its_iteration(assemble, monkeypatch):
    training = assemble()
    monkeypatch.setattr(module, "meta_test", lambda *_: torch.rand(3))
    training.rows = [()]
    before = torch.get_rng_state()
    drawn = training.meta_test()
    assert torch.equal(torch.get_rng_state(), before)
    with seeds.separate_torch_stream(training.settings.seed, 2):
        assert torch.equal(drawn, torch.rand(3))


def test_everything_that_training_changes_is_held(assemble):
    training = assemble()
    train_until(training, 1, 2)
    tensors, state, logs = capture(training)
    named = {name.partition("/")[0] for name in tensors}
    assert named == {"agent", "learner", "torch"}
    named = {name.split("/")[1] for name in tensors if name.startswith("learner/")}
    assert named == {"optimizers", "loss_sums", "first_losses", "encoder"}
    networks = ("qf1", "qf2", "context_encoder", "vf", "policy")
    counts = {"critic": networks[:3], "actor": networks[3:]}
    for optimizer, owners in counts.items():
        number = sum(len(list(getattr(training.agent, owner).parameters())) for owner in owners)
        held = {name for name in tensors if name.startswith(f"learner/optimizers/{optimizer}/")}
        assert held == {f"learner/optimizers/{optimizer}/{index}/{key}" for index in range(number)
                        for key in ("step", "exp_avg", "exp_avg_sq")}  # fmt: skip
    assert len(logs["learner/store"]) == training.learner.store.size < len(training.learner.store.rows)
    state = state["learner"]
    assert state["iteration"] == 1 and state["steps_taken"] == 2 and state["gradient_steps"] == 6
    assert len([name for name in tensors if name.startswith("learner/first_losses/")]) == 4
    assert state["encoder"]["attributes"][".calls"] == 6 and ".seen" in state["encoder"]["attributes"]


def test_what_an_encoder_raises_while_its_state_is_looked_at_is_its_failure(assemble, monkeypatch):
    training = assemble()
    train_until(training, 0, 1)
    stored = capture(training)
    monkeypatch.setattr(type(training.agent.context_encoder), "named_modules", None)
    with pytest.raises(TrialFailure):
        capture(training)
    with pytest.raises(TrialFailure):
        restore(training, stored)
