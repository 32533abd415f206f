"""benchmarks/sparse_places.py: what docs/reproduction.md quotes of it, and its count on places that are known."""

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[1]
NUM_TRAJECTORIES, NUM_STEPS = 4, 3


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(ROOT / "benchmarks" / "sparse_places.py"))


@pytest.fixture
def write_result(tmp_path):
    def write(returns: np.ndarray, ends: np.ndarray) -> Path:
        """`returns` (task, evaluation, trajectory) and where trajectories end, (task, evaluation, trajectory, 2)."""
        index = pd.MultiIndex.from_product(map(range, returns.shape), names=["task", "evaluation", "trajectory"])
        pd.Series(returns.ravel(), index, name="return").reset_index().to_csv(tmp_path / "adaptation.csv", index=False)
        walk = np.linspace(0, 1, NUM_STEPS + 1)[:, None] * ends[..., None, :]  # straight from the centre
        np.savez(tmp_path / "trajectories.npz", positions=walk)
        return tmp_path

    return write


def test_the_table_in_the_text_is_what_the_script_prints(script):
    assert script["summary"]() + "\n" in (ROOT / "docs" / "reproduction.md").read_text()


def test_goals_that_were_explored_are_counted_apart_from_those_that_were_not(script, write_result):
    returns = np.zeros((2, 2, NUM_TRAJECTORIES))
    returns[0, 0, 1] = returns[0, 0, -1] = 5  # explored and kept
    returns[0, 1, 0] = 5  # explored and lost
    returns[1, 0, -1] = 5  # met by chance, after exploring
    ends = np.zeros((2, 2, NUM_TRAJECTORIES, 2))
    ends[:, :, :2] = [0, 0.5]
    ends[1, :, -1] = [-0.6, 0.6]
    ends[0, :, -1] = [1, 0]  # not among those counted
    reach, explored, kept, where, chance = script["row"](write_result(returns, ends), num_exploring=2)
    assert (reach, explored, kept, chance) == ("0.50", "2", "1", "1 of 2")
    assert where == "135° (135° to 135°), 0.85 out"


def test_a_trial_that_always_explores_its_goal_has_no_place_to_go_to(script, write_result):
    result = write_result(np.ones((2, 1, NUM_TRAJECTORIES)), np.ones((2, 1, NUM_TRAJECTORIES, 2)))
    assert script["row"](result, num_exploring=2)[1:] == ["2", "2", "", "0 of 0"]
