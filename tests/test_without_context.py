"""benchmarks/without_context.py: what docs/reproduction.md quotes of it, and its returns where they are known."""

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from oyster.envs.reference_policies import reference_returns

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(ROOT / "benchmarks" / "without_context.py"))


@pytest.mark.parametrize("table", ["summary", "distance_summary"])
def test_the_tables_in_the_text_are_what_the_script_prints(script, table):
    assert script[table]() + "\n" in (ROOT / "docs" / "reproduction.md").read_text()


def test_standing_on_a_sparse_goal_is_knowing_the_task(script):
    s, goals, _ = script["settings_and_tasks"]("sparse-point-robot")
    family = script["load_family"](s.environment)
    known = reference_returns(family, goals)["task_known"]
    stood = [script["walk"](goal, goal[None], s).reported.item() for goal in goals]
    assert stood == pytest.approx(known, rel=1e-5)


def test_a_place_that_feels_no_goal_still_has_a_dense_return(script):
    s, goals, _ = script["settings_and_tasks"]("sparse-point-robot")
    still = script["walk"](np.zeros(2), goals, s)
    assert still.reported.mean() == 0 and still.learned_from == pytest.approx(
        -script["load_family"](s.environment).horizon
    )


def test_returns_are_a_tasks_own(script):
    s, _, goals = script["settings_and_tasks"]("sparse-point-robot")
    alone = [script["walk"](script["polar"](1.0, 90.0), goal[None], s).reported.item() for goal in goals]
    assert script["walk"](script["polar"](1.0, 90.0), goals, s).reported == pytest.approx(alone, rel=1e-5)
    assert 0 < np.count_nonzero(alone) < len(goals)


def test_point_robot_walks_to_its_place_from_wherever_it_starts(script):
    s, _, _ = script["settings_and_tasks"]("point-robot")
    goal = np.array([[0.3, -0.2]])
    known = reference_returns(script["load_family"](s.environment), goal)["task_known"]
    assert script["walk"](goal[0], goal, s).reported == pytest.approx(known, rel=0.1)


def test_a_speed_costs_its_distance_from_each_target(script):
    s, _, _ = script["settings_and_tasks"]("cheetah-vel")
    assert script["run"](np.array([1.0]), np.array([[0.5], [2.0]]), s).reported == pytest.approx([-100.0, -200.0])


def test_the_reports_file_is_what_the_script_computes(script):
    kept, made = pd.read_csv(script["REPORTED"]), script["per_task"]()
    fix = f"{script['REPORTED'].name}, which `python benchmarks/without_context.py` writes anew,"
    pd.testing.assert_frame_equal(kept, made, rtol=1e-5, obj=fix)
    assert set(made.budget) == set(script["load_params"](ROOT / "params.yaml").evaluation)
