"""benchmarks/sparse_standing.py: what docs/reproduction.md quotes of it, and its returns where they are known."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from oyster.envs import load_family
from oyster.envs.family import scripted_returns

ROOT = Path(__file__).resolve().parents[1]
STEPS = 20


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(ROOT / "benchmarks" / "sparse_standing.py"))


def test_the_table_in_the_text_is_what_the_script_prints(script):
    assert script["summary"]() + "\n" in (ROOT / "docs" / "reproduction.md").read_text()


def test_standing_on_the_goal_is_knowing_the_task(script):
    family = load_family("sparse-point-robot")
    goals = family.draw_tasks(4)
    known = scripted_returns(family, goals, STEPS, sparse=True)["task_known"]
    assert [script["standing"](goal, goal[None], STEPS).sparse for goal in goals] == pytest.approx(known, rel=1e-5)


def test_a_place_that_feels_no_goal_still_has_a_dense_return(script):
    goals = load_family("sparse-point-robot").draw_tasks(10)
    still = script["standing"](np.zeros(2), goals, STEPS)
    assert still.sparse == 0 and still.dense == pytest.approx(-STEPS)


def test_returns_are_means_over_goals(script):
    goals = load_family("sparse-point-robot").draw_tasks(10)
    place = script["at"](1.0, 90.0)
    alone = [script["standing"](place, goal[None], STEPS).sparse for goal in goals]
    assert script["standing"](place, goals, STEPS).sparse == pytest.approx(np.mean(alone), rel=1e-5)
    assert 0 < np.count_nonzero(alone) < len(goals)
