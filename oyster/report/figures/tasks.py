"""Which tasks fail: the return of every test task against what the task is."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from oyster.report.figures.adaptation import BOUNDS, bound_keys, told_bounds
from oyster.report.figures.parameters import along, are_goals, parameters, spaced
from oyster.report.figures.style import (
    INK,
    Cells,
    Svg,
    all_of,
    colour_bar,
    encoder_keys,
    figure,
    grid,
    label,
    looks,
    of,
    panel,
)
from oyster.report.read.results import Results
from oyster.report.statistics.words import number

REGRET = "viridis_r"  # dark where much is lost


def tasks(results: Results) -> dict[str, Svg]:
    """Against the task's one true parameter, or the angle of its goal; as a map where goals lie on a plane."""
    panels = {}
    for environment in results.grid.environments:
        returns = task_returns(results, environment)
        found = along(results, environment)
        if len(returns) == 0:
            continue
        if found is not None:
            panels[environment] = _against(results, environment, returns, found.values, found.words)
        elif are_goals(results, environment) and _known(results, environment):
            panels[environment] = _map(results, environment, returns)
    return panels


def task_returns(results: Results, environment: str) -> pd.DataFrame:
    """encoder, seed, task, return: of finished trials, as it counts."""
    rows = results.task_returns[results.task_returns.environment == environment]
    return rows[["encoder", "seed", "task", "return"]].sort_values(["encoder", "seed", "task"], ignore_index=True)


def regret(results: Results, environment: str) -> pd.DataFrame:
    """`task_returns` with what Oracle returns beyond them, as `regret`."""
    bounds = results.scripted[results.scripted.environment == environment].set_index("task")
    returns = task_returns(results, environment)
    return returns.assign(regret=returns.task.map(bounds.task_known) - returns["return"]).dropna(subset=["regret"])


def _against(results: Results, environment: str, returns: pd.DataFrame, values: pd.Series, words: str) -> Svg:
    encoders = results.grid.encoders
    bounds = results.scripted[results.scripted.environment == environment]
    bounds = bounds.assign(x=bounds.task.map(values)).sort_values("x")
    frame = returns.assign(x=returns.task.map(values))

    def draw(axes: Axes) -> None:
        for name, (_, dashes) in BOUNDS.items():
            axes.plot(bounds.x, bounds[name], color=INK, linewidth=1, dashes=dashes, zorder=1.5)
        for encoder, look in looks(encoders).items():
            rows = frame[frame.encoder == encoder]
            if len(rows) == 0:
                continue
            dots = axes.scatter(
                rows.x, rows["return"], color=look.colour, marker=look.mark, s=16, alpha=0.7, linewidth=0
            )
            middle = rows.groupby("x", as_index=False)["return"].mean()
            of(encoder, dots, *axes.plot(middle.x, middle["return"], color=look.colour, linewidth=1.6))
        axes.set(xlabel=words, ylabel="return")
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(nbins=6))

    return panel(environment, draw, encoder_keys(encoders) + bound_keys(bounds))


def _map(results: Results, environment: str, returns: pd.DataFrame) -> Svg:
    """A small map per agent, a disc per task at its goal, coloured by what it loses; under it a dot per seed."""
    frame = regret(results, environment)
    goals = parameters(results, environment)
    drawn = [encoder for encoder in results.grid.encoders if (frame.encoder == encoder).any()]
    columns = min(3, len(drawn))
    norm = mpl.colors.Normalize(min(0.0, frame.regret.min()), frame.regret.max())
    x, y = (goals[column] for column in goals)
    reach = 1.3 * max(x.abs().max(), y.abs().max())

    def draw(cells: Cells) -> None:
        for index, axes in enumerate(cells.axes.flat):
            axes.set(aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach))
            if index >= len(drawn):
                axes.set_visible(False)
                continue
            axes.set_title(label(drawn[index], 20), loc="left", fontsize=8.5)
            rows = frame[frame.encoder == drawn[index]]
            means = rows.groupby("task").regret.mean()
            axes.scatter(
                x[means.index], y[means.index], c=means, s=46, cmap=REGRET, norm=norm, edgecolors=INK, linewidths=0.5
            )
            offsets = rows.groupby("task").cumcount() - (rows.groupby("task").seed.transform("size") - 1) / 2
            axes.scatter(
                rows.task.map(x) + offsets * 0.1 * reach, rows.task.map(y) - 0.15 * reach, c=rows.regret, s=9,
                cmap=REGRET, norm=norm, edgecolors=INK, linewidths=0.3,
            )  # fmt: skip
            axes.plot([0], [0], "+", color=INK, markersize=5, markeredgewidth=0.8)
            all_of(drawn[index], axes)
            if index % columns:
                axes.set_yticklabels([])
        _names(cells, goals)
        colour_bar(cells, REGRET, norm.vmin, norm.vmax, "return lost against Oracle")

    rows = -(-len(drawn) // columns)
    return grid(environment, rows, columns, draw, cell_height=1.15, gap=(0.14, 0.34), left=0.5, bottom=0.95)


def _names(cells: Cells, goals: pd.DataFrame) -> None:
    cells.axes[0, 0].set_ylabel(spaced(goals.columns[1]), fontsize=8)
    cells.axes[-1, 0].set_xlabel(spaced(goals.columns[0]), fontsize=8, labelpad=1)


def _known(results: Results, environment: str) -> bool:
    return len(regret(results, environment)) > 0


def alt(results: Results, environment: str) -> str:
    returns = task_returns(results, environment)
    parts = []
    for encoder in results.grid.encoders:
        means = returns[returns.encoder == encoder].groupby("task")["return"].mean()
        if len(means):
            worst, best = (_told(results, environment, task) for task in (means.idxmin(), means.idxmax()))
            parts.append(
                f"{encoder} between {number(means.min())} (task {means.idxmin():.0f}{worst}) and "
                f"{number(means.max())} (task {means.idxmax():.0f}{best})"
            )
    return f"Return of each test task on {environment}, means of seeds: {'; '.join(parts)}."


def _told(results: Results, environment: str, task: float) -> str:
    values = parameters(results, environment).loc[task]
    return "".join(f", {spaced(name)} {number(float(np.round(value, 3)))}" for name, value in values.items())


def caption(results: Results) -> str:
    words = """The return of the last meta-test, task by task: which tasks fail. It is that of the trajectories which
        count, in the benchmark the last one."""
    places = [name for name in results.grid.environments if len(task_returns(results, name))]
    if any(along(results, name) is not None for name in places):
        words += f""" Where one number says what a task is (a target velocity, the angle of a goal), a dot is one seed
            on one task. A line joins the means of the seeds. {told_bounds(results)}"""
    if any(along(results, name) is None and _known(results, name) for name in places):
        words += """ Where goals lie on a plane, a disc stands at each goal. Its colour is the mean return lost against
            Oracle; the small dots under it are the seeds, and the cross is the origin."""
    return words


FIGURES = [
    figure("tasks", "tasks", "Return against the task's true parameter", caption, tasks, alt),
]
