"""The answer drawn: the return of every seed, with mean and interval, and what others published."""

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from oyster.report import published, tables
from oyster.report.best_fixed import fixed_returns
from oyster.report.figures.style import INK, PAPER, RULE, Svg, dot, figure, gid, key, label, looks, note, of, panel
from oyster.report.read.results import Results
from oyster.report.statistics.intervals import interval
from oyster.report.statistics.words import number

LEADERBOARD, EARLIER = "published leaderboard", "published earlier run"
FIXED, DASHES = "Best fixed", (2, 1.5)
BEYOND = 0.6  # of the range of all points: how far an interval may widen the axis to either side


def returns(results: Results) -> dict[str, Svg]:
    """A dot per seed, a bar at their mean, a whisker over its interval; what needs no context; published numbers where
    they compare."""
    fixed = fixed_returns(results)
    return {name: _returns(results, name, fixed.get(name)) for name in results.grid.environments}


def _returns(results: Results, environment: str, fixed: float | None) -> Svg:
    encoders = results.grid.encoders
    trials = results.trials.query("status == 'finished' and environment == @environment")
    if len(trials) == 0:
        return note(environment, "no finished trial yet")
    marks, entries = _published(results, environment)

    def draw(axes: Axes) -> None:
        axes.set_xlim(*_limits(trials, marks, entries, fixed))
        if fixed is not None:
            axes.axvline(fixed, color=INK, linewidth=1, dashes=DASHES, zorder=1.5)
        for row, (encoder, look) in enumerate(looks(encoders).items()):
            ours = trials[trials.encoder == encoder]
            for trial in ours.itertuples():
                value = trial.meta_test_return
                dot(axes, value, row, look, gid(encoder, environment, trial.seed, value))
            if len(ours):
                of(encoder, *_mean_and_interval(axes, ours.meta_test_return, row))
            theirs = marks[marks.encoder == encoder]
            for source, mark, size in ((LEADERBOARD, "D", 5), (EARLIER, "o", 3.5)):
                values = theirs.value[theirs.source == source]
                others = axes.plot(
                    values, [row + 0.36] * len(values), mark, color=PAPER, markeredgecolor=INK, markersize=size,
                    markeredgewidth=0.9,
                )  # fmt: skip
                of(encoder, *others)
        if len(entries):
            heights = [len(encoders) + 0.2 * (place % 3 - 1) for place in range(len(entries))]
            axes.plot(
                entries, heights, "d", color=PAPER, markeredgecolor=INK, markersize=4, markeredgewidth=0.7, alpha=0.8
            )
        rows = [label(encoder) for encoder in encoders] + ["published entries"] * bool(len(entries))
        axes.axhline(len(encoders) - 0.42, color=RULE, linewidth=0.8, visible=bool(len(entries)))
        axes.set(ylim=(len(rows) - 0.4, -0.6), xlabel="meta-test return", ylabel="")
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(nbins=5))
        names = axes.set_yticks(range(len(rows)), rows)
        for encoder, tick in zip(encoders, names, strict=False):
            of(encoder, tick.label1)
        axes.grid(axis="y", visible=False)

    keys = [
        key("one seed", "o"),
        key("mean of seeds", "|", markersize=11, markeredgewidth=2.2),
        key("95 % interval", "_", markersize=11),
    ]
    if fixed is not None:
        keys.append(key(FIXED, None, linestyle=(0, DASHES), linewidth=1))
    if len(marks):
        keys.append(key(LEADERBOARD, "D", color=PAPER, markeredgecolor=INK))
        keys.append(key(EARLIER, "o", color=PAPER, markeredgecolor=INK, markersize=3.5))
    return panel(environment, draw, keys, height=1.3 + 0.42 * (len(encoders) + bool(len(entries))))


def _mean_and_interval(axes: Axes, values: pd.Series, row: int) -> list[Line2D]:
    """A bar at the mean, a line over its interval; an arrowhead where that runs on beyond the axes."""
    drawn = axes.plot([values.mean()] * 2, [row - 0.27, row + 0.27], color=INK, linewidth=2.2, zorder=2.5)
    low, high, _ = interval(values)  # NaN, hence nothing drawn, where the seeds have no spread
    left, right = axes.get_xlim()
    drawn += axes.plot([max(low, left), min(high, right)], [row, row], color=INK, linewidth=1, zorder=2)
    for cut, end, mark in ((low < left, left, "<"), (high > right, right, ">")):
        if cut:
            drawn += axes.plot([end], [row], mark, color=INK, markersize=4, clip_on=False, zorder=4)
    return drawn


def _limits(trials: pd.DataFrame, marks: pd.DataFrame, entries: pd.Series, fixed: float | None) -> tuple[float, float]:
    """Of the x-axis: all points, and the intervals as far as they leave the points legible."""
    points = pd.concat([trials.meta_test_return, marks.value, entries, pd.Series(fixed, dtype=float)])
    low, high = points.min(), points.max()
    room = BEYOND * (high - low) or 1.0
    intervals = [interval(values) for _, values in trials.groupby("encoder").meta_test_return]
    widest = pd.DataFrame(intervals, columns=["low", "high", "method"])
    low, high = max(min(low, widest.low.min()), low - room), min(max(high, widest.high.max()), high + room)
    margin = 0.04 * (high - low) or 0.5
    return low - margin, high + margin


def _published(results: Results, environment: str) -> tuple[pd.DataFrame, pd.Series]:
    """source, encoder, value of published baselines; and the values of all other leaderboard entries.

    Both empty where the budgets differ: a mark beside the dots would invite a comparison that means nothing.
    """
    board = published.leaderboard().query("environment == @environment").dropna(subset=["value"])
    board = board.assign(encoder=board.model.str.removesuffix("_encoder"), source=LEADERBOARD)
    earlier = published.by_seed().query("environment == @environment").assign(source=EARLIER)
    baseline = board.type == "baseline"
    marks = pd.concat([board[baseline], earlier])[["source", "encoder", "value"]]
    marks = marks[marks.encoder.isin(results.grid.encoders)]
    entries = board.value[~baseline]
    return (marks, entries) if tables.comparable(results) else (marks.head(0), entries.head(0))


def alt(results: Results, environment: str) -> str:
    trials = results.trials.query("status == 'finished' and environment == @environment")
    parts = []
    for encoder in results.grid.encoders:
        values = trials.meta_test_return[trials.encoder == encoder]
        low, high, method = interval(values)
        if len(values):
            between = method if pd.isna(low) else f"95 % interval {number(low)} to {number(high)}"
            seeds = "1 seed" if len(values) == 1 else f"{len(values)} seeds"
            parts.append(f"{encoder} mean {number(values.mean())} of {seeds}, {between}")
    if parts and environment in (fixed := fixed_returns(results)):
        parts.append(f"{FIXED} {number(fixed[environment])}")
    return f"Meta-test return of every seed on {environment}: {'; '.join(parts) or 'no finished trial yet'}."


def caption(results: Results) -> str:
    words = """One dot per finished seed, a bar at their mean, and a line over the 95 % interval of that mean. The
        interval is Student's t below ten seeds and the bootstrap from ten on; there is none where all seeds agree. An
        arrowhead marks an interval that runs on beyond the panel. Each environment has its own scale."""
    if fixed_returns(results):
        words += " Dashed: Best fixed, the reference policy that gives all test tasks one answer."
    published_marks = [_published(results, name) for name in results.grid.environments]
    if any(len(marks) for marks, _ in published_marks):
        words += """ Open marks are published numbers: a diamond for the leaderboard's mean of the same agent, small
            circles for the seeds of the earlier published run."""
    if any(len(entries) for _, entries in published_marks):
        words += " The lowest row holds all other entries of the leaderboard."
    return words


FIGURES = [
    figure("returns", "answer", "Meta-test return of every seed", caption, returns, alt),
]
