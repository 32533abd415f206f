"""What adaptation looks like: the first and the last trajectory of a handful of test tasks."""

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from oyster.report.figures.parameters import median_trial, parameters, spaced, spread_out
from oyster.report.figures.style import COLOURS, INK, PAPER, Cells, Svg, beneath, figure, grid, key, label
from oyster.report.read.results import Results
from oyster.report.statistics.words import number

TASKS_ON_A_PLANE, TASKS_OVER_TIME = 5, 3  # no more than there are colours
LONGEST = 200  # points of a drawn curve


def trajectories(results: Results) -> dict[str, Svg]:
    """Paths to goals, or the recorded quantity over time: a row an encoder, before and after adaptation."""
    panels = {}
    for environment in results.grid.environments:
        traces = _traces(results, environment)
        dimensions = {trace.shape[4:] for _, _, trace in traces}
        if dimensions == {(2,)}:
            panels[environment] = _on_a_plane(results, environment, traces)
        elif dimensions == {()}:
            panels[environment] = _over_time(results, environment, traces)
    return panels


def _traces(results: Results, environment: str) -> list[tuple[str, int, np.ndarray]]:
    """encoder, seed, (task, evaluation, trajectory, step, …): of each encoder's median seed, where they are known."""
    found = []
    tasks = parameters(results, environment)
    for encoder in results.grid.encoders if len(tasks.columns) else ():
        seed = median_trial(results, environment, encoder)
        trace = None if seed is None else results.trace(environment, encoder, seed)
        if trace is not None and trace.ndim >= 4 and len(trace) > tasks.index.max():
            found.append((encoder, seed, trace))
    return found


def _on_a_plane(results: Results, environment: str, traces: list) -> Svg:
    chosen = spread_out(results, environment, TASKS_ON_A_PLANE)
    goals = parameters(results, environment)
    goals = goals.loc[chosen].to_numpy() if len(goals.columns) == 2 else None
    paths = np.concatenate([path for *_, trace in traces for task in chosen for path in _ends(trace, task)])
    points = paths if goals is None else np.vstack([paths, goals])
    low, high = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
    half = 0.55 * max(high - low) or 1.0

    def draw(cells: Cells) -> None:
        for line, (_, _, trace) in zip(cells.axes, traces, strict=True):
            for place, axes in enumerate(line):
                for colour, task in zip(COLOURS, chosen, strict=False):
                    if goals is not None:
                        goal = goals[chosen.index(task)]
                        axes.plot(*goal, "X", color=colour, markersize=7, markeredgecolor=INK, markeredgewidth=0.6)
                    _path(axes, _ends(trace, task)[place], colour)
                (x, y) = (low + high) / 2
                axes.set(aspect="equal", xlim=(x - half, x + half), ylim=(y - half, y + half))
        _titles(cells, traces)
        beneath(cells, "position")

    return grid(
        environment, len(traces), 2, draw, cell_height=1.7, gap=(0.15, 0.32), left=0.42, bottom=0.45,
        share=(True, True),
    )  # fmt: skip


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


def _over_time(results: Results, environment: str, traces: list) -> Svg:
    chosen = spread_out(results, environment, TASKS_OVER_TIME)
    parameter = parameters(results, environment).iloc[:, 0]
    wanted = str(parameter.name).startswith("target_")

    def draw(cells: Cells) -> None:
        for line, (_, _, trace) in zip(cells.axes, traces, strict=True):
            for place, axes in enumerate(line):
                for colour, task in zip(COLOURS, chosen, strict=False):
                    values = _ends(trace, task)[place]
                    shown = slice(None, None, -(-len(values) // LONGEST))
                    axes.plot(np.arange(len(values))[shown], values[shown], color=colour, linewidth=1)
                    if wanted:
                        axes.axhline(parameter[task], color=colour, linewidth=1.2, linestyle=(0, (4, 2)))
            line[0].set_ylabel(spaced(str(parameter.name).removeprefix("target_")), fontsize=8)
        _titles(cells, traces)
        beneath(cells, "step")

    keys = [
        key(f"{label(spaced(str(parameter.name)))} {number(parameter[task])}", None, color=colour, linestyle="-")
        for colour, task in zip(COLOURS, chosen, strict=False)
    ]
    return grid(
        environment, len(traces), 2, draw, cell_height=1.0, gap=(0.15, 0.32), left=0.5, bottom=0.45,
        share=(True, True), keys=keys,
    )  # fmt: skip


def _titles(cells: Cells, traces: list) -> None:
    for line, (encoder, seed, trace) in zip(cells.axes, traces, strict=True):
        line[0].set_title(f"{label(encoder, 18)}, seed {seed}", loc="left", fontsize=8.5, pad=3)
        line[1].set_title(f"trajectory 1 left, {trace.shape[2]} right", loc="right", fontsize=7.5, pad=3)
        for axes in line:
            axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(nbins=4))
            axes.yaxis.set_major_locator(mpl.ticker.MaxNLocator(nbins=4))


def alt(results: Results, environment: str) -> str:
    traces = _traces(results, environment)
    count = TASKS_ON_A_PLANE if traces and traces[0][2].ndim == 5 else TASKS_OVER_TIME
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


CAPTION = """\
The first and the last trajectory of the last meta-test's first evaluation, of the seed whose return is the median.
Test tasks are taken at even ranks of their parameter or their goal's direction, five on a plane and three over time;
here colour is the task. On a plane: a cross at the goal, an open dot at the start, a filled one at the end. Over
time: the recorded quantity, dashed where the task wants it."""


FIGURES = [
    figure("trajectories", "trajectories", "Trajectories before and after adaptation", CAPTION, trajectories, alt),
]
