"""How tasks of each family are drawn: as it says itself, and, where it is not known, as the shapes say."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from oyster.envs import families, load_family
from oyster.report.figures import FIGURES, parameters, trajectories
from oyster.report.inline import inline_svg
from oyster.report.read.results import load
from tests.reports import trees

SPECS = {spec.kind: spec for spec in FIGURES}
KINDS = ("tasks", "posterior_means", "posterior_projection", "trajectories")
STEPS, TASKS = 20, 4


@pytest.fixture
def results_of_family(tmp_path, monkeypatch):
    """Call it with a family's name for Results of one trial in it, with as many test tasks as it has, at most four."""

    def make(name: str):
        family = load_family(name)
        width = len(family.parameter_names)
        tasks = family.tasks(*family.task_counts)[1][:TASKS, :width]
        monkeypatch.setattr(trees, "_tasks", lambda kind, count: (list(family.parameter_names), tasks.tolist()))
        monkeypatch.setattr(trees, "_trace", lambda kind, *_: {family.trace_name: trace_of(family, tasks)})
        grid = {"environments": [name], "encoders": ["mlp"], "seeds": [1]}
        tree = trees.Tree(tmp_path / name, "demo", grid, trees.Shape(tasks=len(tasks), evaluations=2, trajectories=3))
        tree.write_trial(name, "mlp", 1)
        return load(tree.results, tree.read_grid())

    return make


def trace_of(family, tasks: np.ndarray) -> np.ndarray:
    """(task, evaluation, trajectory, step, …): a walk that ends early in the second task, its target turning once."""
    rng = np.random.default_rng(0)
    count = len(family.trace_columns) or 1
    trace = rng.normal(size=(len(tasks), 2, 3, STEPS, count)).cumsum(axis=3)
    if family.trace_columns and family.trace_columns[-1].startswith("target"):
        trace[..., -1] = np.where(np.arange(STEPS) < 12, -1.0, np.pi)
    trace[1, :, :, STEPS // 2 :] = np.nan
    return (trace if family.trace_columns else trace[..., 0]).astype(np.float32)


def drawn(results, name):
    """The trajectories' panels of axes, and the words of the legend."""
    figure = SPECS["trajectories"].draw(results)[name].figure
    words = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return [axes for axes in figure.axes if axes.lines], words


def caption(results) -> str:
    return SPECS["trajectories"].caption(results)


def dashed(axes) -> int:
    return sum(line.is_dashed() for line in axes.lines)


@pytest.mark.parametrize("name", families())
def test_every_family_is_drawn(name, results_of_family):
    results = results_of_family(name)
    assert parameters.family_of(results, name) is load_family(name)
    for kind in KINDS:
        drawn_kind = SPECS[kind].draw(results)
        assert list(drawn_kind) == [name], kind
        ElementTree.fromstring(inline_svg(drawn_kind[name], kind, kind, {}))  # as the page takes it
        assert name in SPECS[kind].alt(results, name) and "nan" not in SPECS[kind].alt(results, name)
        sentences = re.split(r"(?<=[.?!])\s", SPECS[kind].caption(results))
        assert max(len(sentence.split()) for sentence in sentences) <= 30, kind


def test_directions_are_arrows(results_of_family):
    results = results_of_family("humanoid-dir")
    assert "A dashed arrow shows the direction" in caption(results)
    panels, words = drawn(results, "humanoid-dir")
    assert words == ["the task's direction"]
    assert all(len(axes.texts) == TASKS for axes in panels)  # an arrow is an annotation without words
    scale = parameters.scale(results_of_family("ant-dir"), "ant-dir")
    assert scale.words == "direction (degrees)" and scale.values.tolist() == pytest.approx([0, 180])


def test_a_direction_that_turns_is_an_arrow_at_each_turn(results_of_family):
    results = results_of_family("ant-dir-non-stat")
    assert "a dashed arrow shows each new one" in caption(results) and "that the task wants" not in caption(results)
    panels, words = drawn(results, "ant-dir-non-stat")
    assert words == ["the direction, where it turns"]
    # Two tasks: one with two directions, one that ends before the second.
    assert [len(axes.texts) for axes in panels] == [3, 3]


def test_a_level_is_a_dashed_line_and_one_that_moves_is_dashed_steps(results_of_family):
    names = "cheetah-vel-ood", "cheetah-vel-non-stat", "walker-rand-params"
    fixed, turning, free = (results_of_family(name) for name in names)
    level, _ = drawn(fixed, names[0])
    assert [dashed(axes) for axes in level] == [3, 3]
    moving, words = drawn(turning, names[1])
    assert [dashed(axes) for axes in moving] == [3, 3] and words[0].startswith("first velocity")
    for axes in moving:
        steps = [line for line in axes.lines if line.is_dashed()]
        assert all(line.get_drawstyle() == "steps-mid" for line in steps)
    plain, words = drawn(free, names[2])
    assert [dashed(axes) for axes in plain] == [0, 0] and len(words) == 3
    assert "A dashed line is the level that the task wants." in caption(fixed)
    assert "Dashed steps are a target that moves" in caption(turning) and "ashed" not in caption(free)


@pytest.mark.parametrize(("name", "arrows"), [("cheetah-dir", 2), ("cheetah-dir-non-stat", 3)])
def test_forward_and_backward_are_arrows_up_and_down(name, arrows, results_of_family):
    """Two tasks; where the direction turns once, the second ends before."""
    results = results_of_family(name)
    panels, _ = drawn(results, name)
    assert [(len(axes.texts), dashed(axes)) for axes in panels] == [(arrows, 0)] * 2
    assert {np.sign(text.xy[1] - text.xyann[1]) for axes in panels for text in axes.texts} == {-1, 1}
    assert "An arrow up or down is the direction" in caption(results) and "ashed" not in caption(results)
    assert parameters.scale(results, name).words.endswith("direction")


def test_a_goal_among_other_parameters_is_a_place(results_of_family):
    results = results_of_family("ml1-push")
    panels, _ = drawn(results, "ml1-push")
    marks = [line for line in panels[0].lines if line.get_marker() == "X"]
    goals = parameters.parameters(results, "ml1-push")[["goal_x", "goal_y"]].to_numpy()
    assert {tuple(np.ravel(line.get_xydata())) for line in marks} <= {tuple(goal) for goal in goals} and len(marks) == 4


def test_tasks_without_columns_are_known_by_their_number(results_of_family):
    results = results_of_family("walker-rand-params")
    assert parameters.scale(results, "walker-rand-params") is None
    assert parameters.hue(results, "walker-rand-params").words == "task"
    assert drawn(results, "walker-rand-params")[1] == ["task 0", "task 2", "task 3"]
    assert "(task 0)" in SPECS["tasks"].alt(results, "walker-rand-params")


def test_parameters_that_are_the_same_in_all_tasks_are_left_out(results_of_family):
    results = results_of_family("pendulum")
    assert parameters.scale(results, "pendulum").words == "mass"
    assert drawn(results, "pendulum")[1][0].startswith("mass ")


def test_a_variant_and_a_target_are_no_place(results_of_family):
    results = results_of_family("cheetah-multi-task")
    assert not parameters.are_goals(results, "cheetah-multi-task")
    assert parameters.hue(results, "cheetah-multi-task").words == "variant"
    assert parameters.are_goals(results_of_family("ant-goal"), "ant-goal")


def test_where_there_is_no_such_family_any_more_the_shapes_say(results_of_family, monkeypatch):
    velocity, place = results_of_family("cheetah-vel"), results_of_family("ant-goal")
    monkeypatch.setattr(parameters, "families", list)
    for results, name, on_plane, target in (
        (velocity, "cheetah-vel", False, "level"),
        (place, "ant-goal", True, "place"),
    ):
        picture = trajectories._picture(results, name, trajectories._traces(results, name))
        assert parameters.family_of(results, name) is None
        assert (picture.on_plane, picture.target, picture.moving) == (on_plane, target, None)
        assert SPECS["trajectories"].draw(results)
