"""The best fixed policy: asked for the very test tasks, and what a report says of encoders by it."""

from pathlib import Path

import numpy as np
import pytest

from oyster.envs import load_family
from oyster.report import answer, best_fixed, paper
from oyster.report.figures.returns import FIXED, alt, returns
from oyster.report.read.grid import read_grid
from oyster.report.read.results import load
from oyster.report.statistics.words import MINUS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def results(new_tree):
    tree = new_tree(environments=["point-robot", "cheetah-vel"], encoders=["mlp", "recurrent"], seeds=[1, 2])
    for seed in (1, 2):
        tree.write_trial("point-robot", "mlp", seed, final=-15.0 - seed)
        tree.write_trial("point-robot", "recurrent", seed, final=-9.0 - seed)
        tree.write_trial("cheetah-vel", "mlp", seed, final=-200.0)
        tree.write_trial("cheetah-vel", "recurrent", seed, final=-210.0)
    return load(tree.results, tree.read_grid())


@pytest.fixture
def known(results, monkeypatch):
    """Families that know what is best fixed; call it with their returns."""

    def say(point_robot=-14.0, cheetah_vel=-150.0) -> None:
        for name, value in {"point-robot": point_robot, "cheetah-vel": cheetah_vel}.items():
            fixed = None if value is None else value + np.arange(4) - 1.5  # tasks differ, their mean is what was given
            monkeypatch.setattr(load_family(name), "best_fixed", classmethod(lambda cls, tasks, fixed=fixed: fixed))

    say(None, None)
    return say


def test_each_task_has_its_return(results, known):
    known()
    frame = best_fixed.scripted(results)
    assert frame.query("environment == 'point-robot'").best_fixed.tolist() == [-15.5, -14.5, -13.5, -12.5]
    assert best_fixed.fixed_returns(results) == {"point-robot": -14.0, "cheetah-vel": -150.0}
    assert frame.drop(columns="best_fixed").equals(results.scripted)


def test_it_is_asked_for_the_tasks_that_were_met(results, monkeypatch):
    asked = []
    monkeypatch.setattr(load_family("point-robot"), "best_fixed", classmethod(lambda cls, tasks: asked.append(tasks)))
    best_fixed.scripted(results)
    goals = results.scripted.query("environment == 'point-robot'")[["goal_x", "goal_y"]]
    np.testing.assert_array_equal(asked, [goals.to_numpy()])


def test_tasks_of_another_shape_leave_it_unknown(results, monkeypatch):
    monkeypatch.setattr(load_family("point-robot"), "parameter_names", ("angle",))
    assert set(best_fixed.fixed_returns(results)) == {"cheetah-vel"}


def said(environment: str, words: str) -> dict[str, str]:
    return {"environment": environment, "text": f"On {environment} the mean return of {words}."}


def test_agents_that_return_no_more_are_named(results, known):
    known()
    assert answer.no_better(results) == [
        said("point-robot", f"mlp is not above that of the reference policy Best fixed ({MINUS}14.00)"),
        said("cheetah-vel", f"no agent is above that of the reference policy Best fixed ({MINUS}150.00)"),
    ]
    known(point_robot=-18.0, cheetah_vel=-205.0)
    assert answer.no_better(results) == [
        said("cheetah-vel", f"recurrent is not above that of the reference policy Best fixed ({MINUS}205.00)")
    ]


def test_the_answer_has_it_between_idle_and_oracle(results, known):
    known()
    references = answer.answer(results)["references"]
    assert list(references) == ["Idle", "Best fixed", "Oracle"]
    ends = [references[name]["all environments"] for name in ("Idle", "Oracle")]
    assert ends == pytest.approx([0.0, 1.0])
    assert references["Best fixed"]["all environments"] == pytest.approx((8 / 16 + 170 / 320) / 2)
    known(point_robot=None)
    references = answer.answer(results)["references"]
    assert references["Best fixed"] == {"cheetah-vel": -150.0}


def test_without_it_nothing_is_said(results, known):
    assert "Best fixed" not in answer.answer(results)["references"]
    assert answer.no_better(results) == [] and FIXED not in alt(results, "point-robot")


def test_figure_and_table_have_it(results, known):
    assert FIXED not in returns(results)["point-robot"]
    known()
    panels = returns(results)
    assert FIXED in panels["point-robot"] and f"{FIXED} {MINUS}14.00" in alt(results, "point-robot")
    (axes,) = panels["point-robot"].figure.axes
    assert any(set(line.get_xdata()) == {-14.0} and len(line.get_xdata()) == 2 for line in axes.lines)
    (table,) = (table for table in paper.all_tables(results) if table.name == "scripted")
    assert table.frame.best_fixed.notna().all() and "best_fixed" in table.printed


def test_the_benchmarks_own_tasks_are_known():
    results = load(ROOT / "results" / "benchmark", read_grid(ROOT / "params.yaml", "benchmark"))
    found = best_fixed.fixed_returns(results)
    assert found == pytest.approx(
        {"cheetah-vel": -166.85, "sparse-point-robot": 4.40, "point-robot": -13.72}, abs=0.005
    )
