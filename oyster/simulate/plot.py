"""A plot of trajectories, a panel per task.

Positions on the plane are drawn over the goal or from an arrow on; one number (a velocity) over time, its target too.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from oyster.envs.family import TaskFamily

INK, PALE, BEFORE, AFTER, GOAL = "#1c2024", "#d4d8dd", "#8a9099", "#0072b2", "#d55e00"
COLUMNS = 5  # panels in a row


class Trajectory(NamedTuple):
    """One trajectory of a meta-test run."""

    task: int
    evaluation: int
    number: int  # within the run, from 0
    total: float  # its return
    reward: np.ndarray  # (step,), as the return counts it
    trace: np.ndarray  # (step or step + 1, …)
    qpos: np.ndarray | None  # (step + 1, nq)
    success: float | None = None  # 1.0 where a step solved the task; None where the family does not say


def plot(family: type[TaskFamily], tasks: np.ndarray, trajectories: Sequence[Trajectory], title: str) -> bytes:
    """PNG, a panel per task: the first trajectory and the last of every evaluation. `tasks` (task, parameter).

    Where the target moves within a trajectory, of the first evaluation: each has a way of its own.
    """
    with plain_style():
        return _plot(family, tasks, trajectories, title)


@contextmanager
def plain_style() -> Iterator[None]:
    """Matplotlib's own defaults, whatever the user's matplotlibrc says."""
    with mpl.rc_context({name: value for name, value in mpl.rcParamsDefault.items() if name != "backend"}):
        yield


def _plot(family: type[TaskFamily], tasks: np.ndarray, trajectories: Sequence[Trajectory], title: str) -> bytes:
    shown = sorted({trajectory.task for trajectory in trajectories})
    flat = on_plane(family, trajectories[0])
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(max(2.3 * columns, 4.0), 2.4 * rows + 1.2), dpi=110, layout="constrained")
    alike = "variant" not in family.parameter_names  # else tasks differ in what is drawn, and in its unit
    panels = list(figure.subplots(rows, columns, sharex=True, sharey=alike, squeeze=False).flat)
    for axes, task in zip(panels, shown, strict=False):
        ends = _ends([trajectory for trajectory in trajectories if trajectory.task == task])
        shown_ends = [group if family.target_column() is None else group[:1] for group in ends]
        for group, style in zip(shown_ends, ({"color": BEFORE, "linestyle": "--"}, {"color": AFTER}), strict=True):
            for trajectory in group:
                draw(axes, family, trajectory, style)
        draw_target(axes, family, tasks[task], ends[1][0])
        before, after = (np.mean([trajectory.total for trajectory in group]) for group in ends)
        axes.set_title(f"task {task}: {before:.1f} → {after:.1f}{_parameters(family, tasks[task])}", fontsize=8)
        axes.set_xlabel("" if flat else "step", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.grid(color=PALE, linewidth=0.5)
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    if not flat:
        figure.supylabel((*family.trace_columns, family.trace_name)[0].replace("_", " "), fontsize=8)
    figure.legend(*_keys(family), loc="outside lower center", ncols=3 if columns > 2 else 1, fontsize=8, frameon=False)
    figure.suptitle(f"{title}\ntest tasks: return of the first trajectory → of the last", fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def draw(axes, family: type[TaskFamily], trajectory: Trajectory, style: dict) -> None:
    """Its way on the plane, or what it traces over time."""
    if on_plane(family, trajectory):
        path = trajectory.trace[:, :2]
        axes.plot(*path.T, linewidth=1.2, **style)
        axes.plot(*path[-1], ".", markersize=5, color=style["color"])
        axes.set_aspect("equal")
    else:
        moving, steps = family.target_column(), np.arange(len(trajectory.trace)) + (not family.trace_at_reset)
        values = trajectory.trace.reshape(len(steps), -1)
        axes.plot(steps, values if moving is None else values[:, :1], linewidth=0.9, **style)
        if moving is not None and family.target != "direction":
            axes.step(
                steps, values[:, moving], where="mid", color=GOAL, linewidth=1.0, linestyle=style.get("linestyle")
            )


def draw_target(axes, family: type[TaskFamily], task: np.ndarray, last: Trajectory) -> None:
    """What the task is. A direction that turns: each one in force along the `last` trajectory, from where it turns."""
    if family.target == "place":
        axes.plot(*place(family, task), "*", markersize=11, color=GOAL)
    elif family.target == "direction":
        moving, steps = family.target_column(), last.trace.reshape(len(last.trace), -1)
        directions = np.full(len(steps), task[0]) if moving is None else steps[:, moving]
        for at in (0, *(np.flatnonzero(np.diff(directions)) + 1)):
            if on_plane(family, last):
                _arrow(axes, steps[at, :2], directions[at])
            else:
                _arrow(axes, (at, steps[at, 0]), np.sign(directions[at]) * np.pi / 2)
    elif family.target == "level" and family.target_column() is None:
        axes.axhline(task[0], color=GOAL, linewidth=1.2)


def _arrow(axes, start: np.ndarray, angle: float) -> None:
    """Of one length on paper, whatever the scale: `angle` in rad."""
    along = 30 * np.array([np.cos(angle), np.sin(angle)])  # points
    style = {"arrowstyle": "<-", "color": GOAL, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", xy=start, xytext=along, textcoords="offset points", arrowprops=style)


def place(family: type[TaskFamily], task: np.ndarray) -> np.ndarray:
    """Where the goal of a task is, (x, y): its parameters of that name, or the only two."""
    names = list(family.parameter_names)
    return task[[names.index("goal_x"), names.index("goal_y")]] if "goal_x" in names else task


def _parameters(family: type[TaskFamily], task: np.ndarray) -> str:
    """A line of its own for what no picture shows well: a variant, a direction, a mass."""
    names = [name.replace("_", " ") for name in family.parameter_names]
    if family.target == "place" or not 1 <= len(names) <= 3:
        return ""
    return "\n" + ", ".join(f"{name} {value:.4g}" for name, value in zip(names, task, strict=True))


def _keys(family: type[TaskFamily]) -> tuple[list, list[str]]:
    handles = [Line2D([], [], color=BEFORE, linestyle="--"), Line2D([], [], color=AFTER)]
    labels = ["first trajectory: the task is unknown", "last trajectory"]
    if family.target != "none" or family.target_column() is not None:
        star = {"marker": "*", "linestyle": "", "markersize": 9} if family.target == "place" else {}
        handles.append(Line2D([], [], color=GOAL, **star))
        what = "the task" if family.target_column() is None else "what it should do"
        labels.append(f"{what}, unseen by the agent")
    return handles, labels


def _ends(trajectories: Sequence[Trajectory]) -> tuple[list[Trajectory], list[Trajectory]]:
    """Of every evaluation: the first trajectory, the last one."""
    last = {trajectory.evaluation: trajectory for trajectory in trajectories}
    return [trajectory for trajectory in trajectories if trajectory.number == 0], list(last.values())


def on_plane(family: type[TaskFamily], trajectory: Trajectory) -> bool:
    """A family that names no columns is drawn by the shape of what it traces."""
    if family.trace_columns:
        return family.trace_columns[:2] == ("x", "y")
    return trajectory.trace.shape[1:] == (2,) and len(family.parameter_names) == 2
