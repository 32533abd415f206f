"""The answer drawn: the return of every seed, with mean and interval, and what others published."""

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from reports import tables
from reports.figures.style import INK, PAPER, RULE, FigureSpec, Svg, dot, gid, key, label, looks, note, number, panel
from reports.results import Results
from reports.statistics import summarise

BEYOND = 0.6  # of the range of all points: how far an interval may widen the axis to either side


def returns(results: Results) -> dict[str, Svg]:
    """A dot a seed, a bar at their mean, a whisker over its interval; published figures where they compare."""
    return {name: _returns(results, name) for name in results.grid.environments}


def _returns(results: Results, environment: str) -> Svg:
    encoders = results.grid.encoders
    trials = results.trials.query("status == 'finished' and environment == @environment")
    if len(trials) == 0:
        return note(environment, "no finished trial yet")
    published, entries = _published(results, environment)

    def draw(axes: Axes) -> None:
        axes.set_xlim(*_limits(trials, published, entries))
        for row, (encoder, look) in enumerate(looks(encoders).items()):
            ours = trials[trials.encoder == encoder]
            for trial in ours.itertuples():
                value = trial.meta_test_return
                dot(axes, value, row, look, gid(encoder, environment, trial.seed, value))
            _mean_and_interval(axes, ours.meta_test_return, row)
            theirs = published[published.encoder == encoder]
            for source, mark, size in ((tables.LEADERBOARD, "D", 5), (tables.EARLIER, "o", 3.5)):
                values = theirs.value[theirs.source == source]
                axes.plot(
                    values, [row + 0.36] * len(values), mark, color=PAPER, markeredgecolor=INK, markersize=size,
                    markeredgewidth=0.9,
                )  # fmt: skip
        if len(entries):
            sns.stripplot(
                x=entries, y=[len(encoders)] * len(entries), orient="h", native_scale=True, jitter=0.22, marker="d",
                color=PAPER, edgecolor=INK, linewidth=0.7, size=4, ax=axes,
            )  # fmt: skip
        rows = [label(encoder) for encoder in encoders] + ["published entries"] * bool(len(entries))
        axes.axhline(len(encoders) - 0.42, color=RULE, linewidth=0.8, visible=bool(len(entries)))
        axes.set(ylim=(len(rows) - 0.4, -0.6), xlabel="meta-test return", ylabel="")
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(nbins=5))
        axes.set_yticks(range(len(rows)), rows)
        axes.grid(axis="y", visible=False)

    keys = [
        key("one seed", "o"),
        key("mean of seeds", "|", markersize=11, markeredgewidth=2.2),
        key("95 % interval", "_", markersize=11),
    ]
    if len(published):
        keys.append(key("published leaderboard", "D", color=PAPER, markeredgecolor=INK))
        keys.append(key("published earlier run", "o", color=PAPER, markeredgecolor=INK, markersize=3.5))
    return panel(environment, draw, keys, height=1.3 + 0.42 * (len(encoders) + bool(len(entries))))


def _mean_and_interval(axes: Axes, values: pd.Series, row: int) -> None:
    """A bar at the mean, a whisker over the t-interval; an arrowhead where that runs on beyond the axes."""
    if len(values) == 0:
        return
    summary = summarise(values)
    axes.plot([summary.mean] * 2, [row - 0.27, row + 0.27], color=INK, linewidth=2.2, zorder=2.5)
    if summary.n > 1:
        low, high = axes.get_xlim()
        ends = max(summary.low, low), min(summary.high, high)
        axes.plot(ends, [row, row], color=INK, linewidth=1, zorder=2)
        for cut, end, mark in ((summary.low < low, low, "<"), (summary.high > high, high, ">")):
            if cut:
                axes.plot([end], [row], mark, color=INK, markersize=4, clip_on=False, zorder=4)


def _limits(trials: pd.DataFrame, published: pd.DataFrame, entries: pd.Series) -> tuple[float, float]:
    """Of the x-axis: all points, and the intervals as far as they leave the points legible."""
    points = pd.concat([trials.meta_test_return, published.value, entries])
    low, high = points.min(), points.max()
    room = BEYOND * (high - low) or 1.0
    intervals = [summarise(values) for _, values in trials.groupby("encoder").meta_test_return]
    low = max(min([low, *(i.low for i in intervals if i.n > 1)]), low - room)
    high = min(max([high, *(i.high for i in intervals if i.n > 1)]), high + room)
    margin = 0.04 * (high - low) or 0.5
    return low - margin, high + margin


def _published(results: Results, environment: str) -> tuple[pd.DataFrame, pd.Series]:
    """source, encoder, value of published baselines; and the values of all other leaderboard entries.

    Both empty where the budgets differ: a mark beside the dots would invite a comparison that means nothing.
    """
    cells = tables.published_cells()
    cells = cells[cells.environment == environment]
    cells = cells[cells.encoder.isin(results.grid.encoders)]
    if not tables.comparable(results):
        cells = cells.head(0)
    rows = [(tables.LEADERBOARD, c.encoder, c.mean) for c in cells.itertuples() if c.source == tables.LEADERBOARD]
    earlier = [cell for cell in cells.itertuples() if cell.source == tables.EARLIER]
    rows += [(tables.EARLIER, cell.encoder, value) for cell in earlier for _, value in cell.seeds]
    leaderboard = pd.read_csv(tables.PUBLISHED / "leaderboard.csv").query("type != 'baseline'")
    column = f"{tables.METRIC}_{environment.replace('-', '_')}"
    entries = leaderboard[column].dropna() if column in leaderboard else pd.Series(dtype=float)
    if not tables.comparable(results):
        entries = entries.head(0)
    return pd.DataFrame(rows, columns=["source", "encoder", "value"]).astype({"value": float}), entries


def alt(results: Results, environment: str) -> str:
    trials = results.trials.query("status == 'finished' and environment == @environment")
    parts = []
    for encoder in results.grid.encoders:
        summary = summarise(trials.meta_test_return[trials.encoder == encoder])
        if summary.n > 1:
            parts.append(
                f"{encoder} mean {number(summary.mean)} over {summary.n} seeds, 95 % interval "
                f"{number(summary.low)} to {number(summary.high)}"
            )
        elif summary.n:
            parts.append(f"{encoder} {number(summary.mean)}, one seed")
    return f"Meta-test return of every seed on {environment}: {'; '.join(parts) or 'no finished trial yet'}."


FIGURES = [
    FigureSpec(
        "returns", "answer", "Meta-test return of every seed",
        "A dot a finished seed, a bar at their mean, a line over the 95 % Student-t interval of that mean (an "
        "arrowhead where it runs on beyond the panel). Open marks are published figures, drawn only where the "
        "budget is theirs: a diamond for the leaderboard's mean of the same encoder, small circles for the seeds "
        "of the earlier published run, and a row of all other leaderboard entries. Each environment has its own "
        "scale.",
        returns, alt,
    ),
]  # fmt: skip
