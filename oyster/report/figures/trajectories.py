"""What adaptation looks like: the first and the last trajectory of a handful of test tasks."""

from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from oyster.report.figures.parameters import (
    family_of,
    hue,
    median_trial,
    parameters,
    places,
    spaced,
    spread_out,
    varying,
)
from oyster.report.figures.style import COLOURS, INK, PAPER, Cells, Svg, all_of, beneath, figure, grid, key, label
from oyster.report.read.results import Results
from oyster.report.statistics.words import number

TASKS_ON_A_PLANE, TASKS_OVER_TIME = 5, 3  # no more than there are colours
LONGEST = 200  # points of a drawn curve


class Picture(NamedTuple):
    """What a family's traces show, and how its tasks are drawn with them."""

    on_plane: bool  # the first two columns are x and y; else the first, or the only one, is drawn over time
    target: str  # one of oyster.envs.family.TARGETS
    moving: int | None  # the column that holds the target in force, where it may change within a trajectory
    words: str  # what is drawn over time


def trajectories(results: Results) -> dict[str, Svg]:
    """Paths on the plane, or the recorded quantity over time: a row per agent, before and after adaptation."""
    panels = {}
    for environment in results.grid.environments:
        traces = _traces(results, environment)
        picture = _picture(results, environment, traces)
        if picture is not None:
            draw = _on_a_plane if picture.on_plane else _over_time
            panels[environment] = draw(results, environment, traces, picture)
    return panels


def _traces(results: Results, environment: str) -> list[tuple[str, int, np.ndarray]]:
    """encoder, seed, (task, evaluation, trajectory, step, …): of each encoder's median seed, where they are known."""
    found = []
    tasks = parameters(results, environment)
    for encoder in results.grid.encoders if hue(results, environment) is not None else ():
        seed = median_trial(results, environment, encoder)
        trace = None if seed is None else results.traces.get((environment, encoder, seed))
        if trace is not None and trace.ndim >= 4 and len(trace) > tasks.index.max():
            found.append((encoder, seed, trace))
    return found


def _picture(results: Results, environment: str, traces: list) -> Picture | None:
    """What the family says; where it is not known, or the traces are of another shape, what the shapes say."""
    shapes = {trace.shape[4:] for _, _, trace in traces}
    if len(shapes) != 1:
        return None
    family, names, shape = family_of(results, environment), results.parameter_names(environment), shapes.pop()
    level = bool(names) and names[0].startswith("target_") and shape == ()
    words = spaced(names[0].removeprefix("target_")) if names else ""
    if family is not None and shape == ((len(family.trace_columns),) if family.trace_columns else ()):
        columns = family.trace_columns or (family.trace_name,)
        on_plane, words = columns[:2] == ("x", "y"), words if level else spaced(columns[0])
        return Picture(on_plane, family.target, family.target_column(), words)
    if shape == (2,):
        return Picture(True, "place" if len(names) == 2 else "none", None, "")
    return Picture(False, "level" if level else "none", None, words) if shape == () else None


def _on_a_plane(results: Results, environment: str, traces: list, picture: Picture) -> Svg:
    chosen = spread_out(results, environment, TASKS_ON_A_PLANE)
    tasks = parameters(results, environment).loc[chosen]
    goals = places(tasks) if picture.target == "place" else None
    paths = np.concatenate([path for *_, trace in traces for task in chosen for path in _ends(trace, task)])[:, :2]
    reach = 0.5 * (np.nanmax(paths, axis=0) - np.nanmin(paths, axis=0)).max()  # of an arrow
    angles = tasks.to_numpy()[:, 0] if picture.target == "direction" and picture.moving is None else None
    points = [paths] if goals is None else [paths, goals]
    if angles is not None:
        starts = (
            (path[0], angle)
            for *_, trace in traces
            for task, angle in zip(chosen, angles, strict=True)
            for path in _ends(trace, task)
        )
        points += [(start + reach * _towards(angle))[None] for start, angle in starts]
    low, high = np.nanmin(np.vstack(points), axis=0), np.nanmax(np.vstack(points), axis=0)
    half = 0.55 * max(high - low) or 1.0

    def draw(cells: Cells) -> None:
        for line, (_, _, trace) in zip(cells.axes, traces, strict=True):
            for place, axes in enumerate(line):
                for colour, task in zip(COLOURS, chosen, strict=False):
                    path = _ends(trace, task)[place]
                    if goals is not None:
                        goal = goals[chosen.index(task)]
                        axes.plot(*goal, "X", color=colour, markersize=7, markeredgecolor=INK, markeredgewidth=0.6)
                    if angles is not None:
                        _arrow(axes, path[0], reach * _towards(angles[chosen.index(task)]), colour)
                    if picture.moving is not None:
                        for at in _changes(path[:, picture.moving]):
                            _arrow(axes, path[at, :2], 0.4 * reach * _towards(path[at, picture.moving]), colour)
                    _path(axes, path[:, :2], colour)
                (x, y) = (low + high) / 2
                axes.set(aspect="equal", xlim=(x - half, x + half), ylim=(y - half, y + half))
        _titles(cells, traces)
        beneath(cells, "position")

    arrows = "the task's direction" if angles is not None else "the direction, where it turns"
    stroke = {"linestyle": (0, (4, 2)), "linewidth": 1.2, "markersize": 4}
    keys = [key(arrows, ">", **stroke)] if angles is not None or picture.moving is not None else []
    return grid(
        environment, len(traces), 2, draw, cell_height=1.7, gap=(0.15, 0.32), left=0.42, bottom=0.45,
        share=(True, True), keys=keys,
    )  # fmt: skip


def _towards(angle: np.ndarray) -> np.ndarray:
    """(…) in rad → (…, 2), of length 1."""
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _arrow(axes: Axes, start: np.ndarray, along: np.ndarray, colour: str) -> None:
    style = {
        "arrowstyle": "->",
        "color": colour,
        "linewidth": 1.2,
        "linestyle": (0, (4, 2)),
        "shrinkA": 0,
        "shrinkB": 0,
    }
    axes.annotate("", xy=start + along, xytext=start, arrowprops=style)


def _changes(target: np.ndarray) -> list[int]:
    """The first step, and each at which another target is in force."""
    target = target[np.isfinite(target)]
    return [0, *(np.flatnonzero(np.diff(target)) + 1)] if len(target) else []


def _ends(trace: np.ndarray, task: float) -> tuple[np.ndarray, np.ndarray]:
    """The first and the last trajectory of a task's first run, (step, …) each."""
    run = trace[int(task), 0]
    begun = np.isfinite(run[:, 0]).reshape(len(run), -1).all(axis=1)
    return run[0], run[np.flatnonzero(begun)[-1]]


def _path(axes: Axes, path: np.ndarray, colour: str) -> None:
    """path (step, 2): a line from an open dot to a filled one."""
    path = path[np.isfinite(path).all(axis=1)]
    if len(path):
        axes.plot(*path.T, color=colour, linewidth=1.3)
        axes.plot(*path[0], "o", color=PAPER, markersize=3.5, markeredgecolor=INK, markeredgewidth=0.7, zorder=4)
        axes.plot(*path[-1], "o", color=colour, markersize=3.5, markeredgecolor=INK, markeredgewidth=0.5, zorder=4)


def _over_time(results: Results, environment: str, traces: list, picture: Picture) -> Svg:
    chosen = spread_out(results, environment, TASKS_OVER_TIME)
    table = varying(parameters(results, environment))
    drawn = np.concatenate([_ends(trace, task)[place].reshape(trace.shape[3], -1)[:, 0]
                            for _, _, trace in traces for task in chosen for place in (0, 1)])  # fmt: skip
    reach = np.nanmax(drawn) - np.nanmin(drawn)  # of an arrow

    def draw(cells: Cells) -> None:
        for line, (_, _, trace) in zip(cells.axes, traces, strict=True):
            for place, axes in enumerate(line):
                for colour, task in zip(COLOURS, chosen, strict=False):
                    lived = _ends(trace, task)[place].reshape(trace.shape[3], -1)
                    values = lived[:, 0]
                    shown = slice(None, None, -(-len(values) // LONGEST))
                    axes.plot(np.arange(len(values))[shown], values[shown], color=colour, linewidth=1)
                    dashes = {"color": colour, "linewidth": 1.2, "linestyle": (0, (4, 2))}
                    if picture.target == "direction":
                        signs = np.full(len(values), table.loc[task].iloc[0])
                        signs = signs if picture.moving is None else lived[:, picture.moving]
                        for at in _changes(signs):
                            _arrow(axes, (at, values[at]), np.array([0, 0.3 * reach * np.sign(signs[at])]), colour)
                    elif picture.moving is not None:
                        axes.step(np.arange(len(values)), lived[:, picture.moving], where="mid", **dashes)
                    elif picture.target == "level":
                        axes.axhline(table.loc[task].iloc[0], **dashes)
            line[0].set_ylabel(picture.words, fontsize=8)
        _titles(cells, traces)
        beneath(cells, "step")

    keys = [
        key(_named(table, task), None, color=colour, linestyle="-")
        for colour, task in zip(COLOURS, chosen, strict=False)
    ]
    return grid(
        environment, len(traces), 2, draw, cell_height=1.0, gap=(0.15, 0.32), left=0.5, bottom=0.45,
        share=(True, True), keys=keys,
    )  # fmt: skip


def _named(table: pd.DataFrame, task: float) -> str:
    """What a legend calls a task."""
    parts = [f"{label(spaced(name))} {_shown(table[name], value)}" for name, value in table.loc[task].items()]
    return ", ".join(parts) or f"task {task:.0f}"


def _shown(values: pd.Series, value: float) -> str:
    """One of a parameter's values: whole where all are, and never 0.00 for what is small."""
    if (values % 1 == 0).all():
        return f"{value:.0f}"
    return number(value) if abs(values).max() >= 0.1 else f"{value:.2g}"


def _titles(cells: Cells, traces: list) -> None:
    for line, (encoder, seed, trace) in zip(cells.axes, traces, strict=True):
        line[0].set_title(f"{label(encoder, 18)}, seed {seed}", loc="left", fontsize=8.5, pad=3)
        line[1].set_title(f"trajectory 1 left, {trace.shape[2]} right", loc="right", fontsize=7.5, pad=3)
        all_of(encoder, *line)
        for axes in line:
            axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(nbins=4))
            axes.yaxis.set_major_locator(mpl.ticker.MaxNLocator(nbins=4))


def alt(results: Results, environment: str) -> str:
    traces = _traces(results, environment)
    picture = _picture(results, environment, traces)
    count = TASKS_ON_A_PLANE if picture is not None and picture.on_plane else TASKS_OVER_TIME
    names = ", ".join(f"{task:.0f}" for task in spread_out(results, environment, count))
    rows = results.adaptation.query("status == 'finished' and environment == @environment")
    parts = []
    for encoder, seed, _ in traces:
        means = rows[(rows.encoder == encoder) & (rows.seed == seed)].groupby("trajectory")["return"].mean()
        if len(means):
            parts.append(
                f"{encoder} (seed {seed}) {number(means.iloc[0])} in the first, {number(means.iloc[-1])} in the last"
            )
    return (
        f"First and last trajectory of test tasks {names} on {environment}. Mean returns over all test tasks: "
        f"{'; '.join(parts) or 'not known'}."
    )


def caption(results: Results) -> str:
    words = """The first and the last trajectory of the last meta-test's first evaluation, of the seed whose return is
        the median. Test tasks stand at even ranks of their parameter or their goal's direction. Here colour is the
        task."""
    pictures = [_picture(results, name, _traces(results, name)) for name in results.grid.environments]
    pictures = [picture for picture in pictures if picture is not None]
    plane = [picture for picture in pictures if picture.on_plane]
    if plane:
        words += f""" On a plane ({TASKS_ON_A_PLANE} tasks at most) a path runs from an open dot to a filled one."""
    if any(picture.target == "place" for picture in plane):
        words += " A cross marks the goal."
    if any(picture.target == "direction" and picture.moving is None for picture in plane):
        words += " A dashed arrow shows the direction that the task wants."
    if any(picture.moving is not None for picture in plane):
        words += " Where the direction turns on the way, a dashed arrow shows each new one at the place of the turn."
    over_time = [picture for picture in pictures if not picture.on_plane]
    if over_time:
        words += f" Over time ({TASKS_OVER_TIME} tasks at most) a solid line is the recorded quantity."
    if any(picture.target == "level" and picture.moving is None for picture in over_time):
        words += " A dashed line is the level that the task wants."
    if any(picture.target == "direction" for picture in over_time):
        words += " An arrow up or down is the direction that the task wants, from where it turns on."
    if any(picture.moving is not None and picture.target != "direction" for picture in over_time):
        words += " Dashed steps are a target that moves within the trajectory."
    return words


FIGURES = [
    figure("trajectories", "trajectories", "Trajectories before and after adaptation", caption, trajectories, alt),
]
