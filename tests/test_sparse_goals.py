"""benchmarks/sparse_goals.py: what docs/reproduction.md quotes of it, and its counts for agents whose mind is known."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks import sparse_goals
from oyster.canary import FOLDER
from oyster.envs import load_family
from oyster.pearl.posterior import Posterior
from oyster.settings import load_params, trial_settings

ROOT = Path(__file__).resolve().parents[1]
UP = torch.tensor([[0.0, 1.0]])


class Walker:
    """Goes straight to the place that z is. Explores upwards; believes in where the context was rewarded most."""

    device = torch.device("cpu")

    def __init__(self, listens: bool):
        self.listens = listens

    def prior(self, num_tasks: int) -> Posterior:
        return Posterior(UP.repeat(num_tasks, 1), None)

    def infer(self, context: torch.Tensor) -> Posterior:
        best = context[..., -1].argmax(dim=1)
        place = context[torch.arange(len(context)), best, :2]
        return Posterior(place if self.listens else -UP.repeat(len(context), 1), None)

    def draw_latent(self, posterior: Posterior, rng) -> torch.Tensor:
        return posterior.mean

    def actor(self, z: torch.Tensor, rng):
        return lambda observation: np.clip((z.numpy() - observation) / 0.1, -1, 1)


@pytest.fixture
def trial_of():
    settings = trial_settings(
        load_params(FOLDER / "params.yaml"), environment="sparse-point-robot", encoder="mlp", seed=0, budget="canary"
    )

    def make(agent):
        return SimpleNamespace(
            training=SimpleNamespace(agent=agent), family=load_family("sparse-point-robot"), settings=settings
        )

    return make


def test_the_table_in_the_text_is_the_recorded_one():
    assert sparse_goals.summary() + "\n" in (ROOT / "docs" / "reproduction.md").read_text()


def test_a_walk_meets_what_lies_within_the_radius_of_its_way(trial_of):
    goals = np.array([[0, 1], [0.19, 1], [0.21, 1], [0.19, 0.5], [-1, 0]])
    met = sparse_goals.goals_met(trial_of(Walker(listens=True)), goals, np.random.default_rng(0))
    assert met.tolist() == [1, 1, 0, 1, 0]


@pytest.mark.parametrize("listens", [True, False])
def test_who_listens_reaches_the_goal_that_he_is_told(trial_of, listens):
    goals = load_family("sparse-point-robot").draw_tasks(50)
    reached = sparse_goals.told(trial_of(Walker(listens)), goals, np.random.default_rng(0))
    assert reached.tolist() == [listens] * 50


def test_a_new_row_takes_the_place_of_the_old_one(tmp_path, monkeypatch):
    monkeypatch.setattr(sparse_goals, "RESULTS", tmp_path / "goals.csv")
    for seed, met in [(7, 1), (3, 2), (7, 40)]:
        row = {"encoder": "mlp", "seed": seed, "met": met, "reached_met": 1, "reached_unmet": 0, "five_walks": 0.25}
        sparse_goals.record(row)
    assert sparse_goals.summary().splitlines()[2:] == [
        "| mlp | 3 | 2 | 1 of 2 | 0 of 48 | 25% |",
        "| mlp | 7 | 40 | 1 of 40 | 0 of 10 | 25% |",
    ]
