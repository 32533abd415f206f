"""The best single answer: known for the very test tasks alone, and what a report says of encoders by it."""

from pathlib import Path

import pandas as pd
import pytest

from oyster.report import answer, best_fixed, paper
from oyster.report.figures.returns import SINGLE, alt, returns
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
def known(results, tmp_path, monkeypatch):
    """A file that has the tasks these trials were tested on; call it with what makes it another's."""

    def write(point_robot=-14.0, cheetah_vel=-150.0, **changes) -> None:
        listed = results.scripted.assign(budget="demo")
        listed["single_answer"] = listed.environment.map({"point-robot": point_robot, "cheetah-vel": cheetah_vel})
        listed["single_answer"] += listed.task - 1.5  # tasks differ, their mean is what was given
        path = tmp_path / "known.csv"
        listed.assign(**changes).to_csv(path, index=False)
        monkeypatch.setattr(best_fixed, "FILE", path)

    return write


def test_each_task_has_its_return(results, known):
    known()
    frame = best_fixed.scripted(results)
    assert frame.query("environment == 'point-robot'").single_answer.tolist() == [-15.5, -14.5, -13.5, -12.5]
    assert best_fixed.single_answers(results) == {"point-robot": -14.0, "cheetah-vel": -150.0}
    assert frame.drop(columns="single_answer").equals(results.scripted)


@pytest.mark.parametrize("other", [{"goal_x": 0.25}, {"doing_nothing": -22.5}, {"task_known": -7.0}])
def test_another_task_length_or_reward_leaves_it_unknown(results, known, other):
    known()
    listed = pd.read_csv(best_fixed.FILE)
    listed.loc[listed.environment == "point-robot", list(other)] = list(other.values())
    listed.to_csv(best_fixed.FILE, index=False)
    assert best_fixed.single_answers(results) == {"cheetah-vel": -150.0}


def test_fewer_tasks_leave_it_unknown(results, known):
    known()
    pd.read_csv(best_fixed.FILE).query("task < 3").to_csv(best_fixed.FILE, index=False)
    assert best_fixed.single_answers(results) == {}
    assert best_fixed.scripted(results).single_answer.isna().all()


def test_encoders_that_return_no_more_are_named(results, known):
    known()
    assert answer.no_better(results) == [
        f"On point-robot mlp returns no more than the best single answer, {MINUS}14.00.",
        f"On cheetah-vel no encoder returns more than the best single answer, {MINUS}150.00.",
    ]
    known(point_robot=-18.0, cheetah_vel=-205.0)
    assert answer.no_better(results) == [
        f"On cheetah-vel recurrent returns no more than the best single answer, {MINUS}205.00.",
    ]


def test_the_answer_has_it_between_the_other_scripts(results, known):
    known()
    scripted = answer.answer(results)["scripted"]
    assert list(scripted) == ["Doing nothing", "Best single answer", "Task known"]
    ends = [scripted[name]["all environments"] for name in ("Doing nothing", "Task known")]
    assert ends == pytest.approx([0.0, 1.0])
    assert scripted["Best single answer"]["all environments"] == pytest.approx((8 / 16 + 170 / 320) / 2)
    known(goal_x=0.25)
    scripted = answer.answer(results)["scripted"]
    assert scripted["Best single answer"] == {"cheetah-vel": -150.0}


def test_without_it_nothing_is_said(results):
    """These trials' tasks are made up, so the project's own file does not have them."""
    assert "Best single answer" not in answer.answer(results)["scripted"]
    assert answer.no_better(results) == [] and SINGLE not in alt(results, "point-robot")


def test_figure_and_table_have_it(results, known):
    assert SINGLE not in returns(results)["point-robot"]
    known()
    panels = returns(results)
    assert SINGLE in panels["point-robot"] and f"{SINGLE} {MINUS}14.00" in alt(results, "point-robot")
    (axes,) = panels["point-robot"].figure.axes
    assert any(set(line.get_xdata()) == {-14.0} and len(line.get_xdata()) == 2 for line in axes.lines)
    (table,) = (table for table in paper.all_tables(results) if table.name == "scripted")
    assert table.frame.single_answer.notna().all() and "single_answer" in table.printed


def test_the_benchmarks_own_tasks_are_known():
    results = load(ROOT / "results" / "benchmark", read_grid(ROOT / "params.yaml", "benchmark"))
    found = best_fixed.single_answers(results)
    assert found == pytest.approx(
        {"cheetah-vel": -166.85, "sparse-point-robot": 4.40, "point-robot": -13.72}, abs=0.005
    )
