"""What makes a meta-test honest: nothing of training in it, and nothing of it in training."""

from pathlib import Path

import numpy as np
import pytest
import torch

from oyster.algorithms.pearl.settings import Settings, find_encoder_file
from oyster.envs import load_family
from oyster.grid import load_params, trial_settings
from oyster.reproduce.keep import FOLDER
from oyster.trial import training as training_module
from oyster.trial.meta_test import MetaTest, Run
from oyster.trial.run import Trial

ROOT = Path(__file__).resolve().parents[1]
CASES = [("cheetah-vel", "mlp"), ("point-robot", "attention"), ("sparse-point-robot", "recurrent")]

DROPOUT_ENCODER = '''
import torch
from torch import nn
from rlkit.torch.core import PyTorchModule

class CustomContextEncoder(PyTorchModule):
    """Dropout in training; in evaluation it still draws from Torch's generator, to no effect."""

    def __init__(self, hidden_sizes, input_size, output_size, **kwargs):
        self.save_init_params(locals())
        super().__init__()
        self.output_size = output_size
        self.net = nn.Sequential(nn.Linear(input_size, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, output_size))

    def forward(self, input, return_preactivations=False):
        torch.rand(3)
        output = self.net(input)
        return (output, output) if return_preactivations else output

    def reset(self, num_tasks=1):
        pass
'''


def settings(environment: str, encoder: str, **changes) -> Settings:
    params = load_params(FOLDER / "params.yaml")
    resolved = trial_settings(params, environment=environment, agent=encoder, seed=5, preset="canary")
    return resolved.model_copy(update={"num_train_steps_per_itr": 10, **changes})


@pytest.mark.parametrize("budget", ["demo", "benchmark", "paper"])
@pytest.mark.parametrize("environment", ["cheetah-vel", "point-robot", "sparse-point-robot"])
def test_train_and_test_tasks_are_disjoint(environment, budget):
    s = trial_settings(load_params(ROOT / "params.yaml"), environment=environment, agent="mlp", seed=0, preset=budget)
    train, test = load_family(environment).tasks(s.train_tasks, s.test_tasks)
    assert (len(train), len(test)) == (s.train_tasks, s.test_tasks)
    distances = np.linalg.norm(train[:, None] - test[None], axis=-1)
    assert distances.min() > 0


@pytest.mark.parametrize("environment, encoder", CASES)
def test_poisoned_replay_changes_nothing_in_a_meta_test(environment, encoder):
    training = Trial(settings(environment, encoder), {"encoder": find_encoder_file(encoder)}, "cpu").assemble()
    next(training.run())
    clean = training.meta_test()
    training.learner.store.rows.fill_(float("nan"))
    for buffer in (training.learner.replay, training.learner.context):
        for which in range(len(buffer.sizes)):
            buffer.replace(which, [])
    poisoned = training.meta_test()
    assert [run.returns for run in poisoned.runs] == [run.returns for run in clean.runs]
    for ours, theirs in zip(poisoned.runs, clean.runs, strict=True):
        for (mean, _), (other, _) in zip(ours.posteriors, theirs.posteriors, strict=True):
            np.testing.assert_array_equal(mean, other)


def _after_training(trial: Trial) -> tuple[list[tuple], dict[str, torch.Tensor]]:
    training = trial.assemble()
    rows = [row._replace(meta_test_return=0.0) for row in training.run()]
    return rows, training.agent.state_dict()


@pytest.mark.parametrize("environment, encoder", [*CASES, ("point-robot", "dropout")])
def test_testing_does_not_disturb_training(environment, encoder, monkeypatch, tmp_path):
    if encoder == "dropout":
        file = tmp_path / "dropout.py"
        file.write_text(DROPOUT_ENCODER)
    else:
        file = find_encoder_file(encoder)
    trial = settings(environment, encoder if encoder != "dropout" else "mlp", evaluations=1)
    with_test = _after_training(Trial(trial, {"encoder": file}, "cpu"))
    nothing = MetaTest([Run(0, 0, [0.0], [], [])])
    monkeypatch.setattr(training_module, "meta_test", lambda *arguments: nothing)
    without = _after_training(Trial(trial, {"encoder": file}, "cpu"))
    assert without[0] == with_test[0]
    for name, weight in with_test[1].items():
        assert torch.equal(weight, without[1][name]), name


def test_sparse_rewards_reach_the_context_and_the_reported_return_only():
    training = Trial(settings("sparse-point-robot", "mlp"), {"encoder": find_encoder_file("mlp")}, "cpu").assemble()
    next(training.run())
    store, stored = training.learner.store, training.learner.replay.episodes
    whose = [(task, start, length) for task, episodes in enumerate(stored) for start, length in episodes]
    everything = np.concatenate([np.arange(start, start + length) for _, start, length in whose])[None]
    tasks = np.concatenate([np.tile(training.train_tasks[task], (length, 1)) for task, _, length in whose])
    drawn = store.gather(everything)
    next_observation, reward = drawn.next_observation[0], drawn.reward[0, :, 0]
    context_reward = store.gather_context(everything, next_observation=False)[0, :, -1]
    distance = np.linalg.norm(next_observation.numpy() - tasks, axis=-1)
    np.testing.assert_allclose(reward, -distance, atol=1e-6)  # what the critics learn from is dense
    np.testing.assert_allclose(context_reward, np.where(distance <= 0.2, 1 - distance, 0), atol=1e-6)
    assert all(value >= 0 for run in training.last_test.runs for value in run.returns)  # what is reported is sparse
    assert min(training.learner.train_returns) >= 0
