"""The figures: one function each, from tidy frames of one environment to an SVG, the same bytes every time.

Every figure shows every seed. Colours are Okabe and Ito's, which colour-blind readers can tell apart.
"""

import io
import warnings
from collections.abc import Callable

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

INK, PAPER, RULE = "#1c2024", "#ffffff", "#d4d8dd"  # the page swaps these three for its own, light or dark
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
MARKS = ("o", "s", "^", "D", "v", "P", "X")
WIDTH = 4.2  # inches
STYLE = {
    "svg.hashsalt": "reports", "svg.fonttype": "none", "text.parse_math": False,
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 9, "axes.titlesize": 10,
    "axes.labelsize": 9, "legend.fontsize": 9, "legend.frameon": False, "legend.handletextpad": 0.4,
    "legend.columnspacing": 1.2,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True, "axes.grid": True,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.linewidth": 0.8, "xtick.major.width": 0.8, "ytick.major.width": 0.8,
    "grid.color": RULE, "grid.linewidth": 0.6, "figure.facecolor": PAPER, "axes.facecolor": "none",
}  # fmt: skip


def returns_by_seed(trials: pd.DataFrame, published: pd.DataFrame, encoders: tuple[str, ...], title: str) -> str:
    """A dot a seed and a bar at their mean for each encoder; a diamond where a published mean is given.

    trials: encoder, meta_test_return (finished trials). published: encoder, mean (may be empty).
    """

    def draw(axes: Axes) -> None:
        sns.stripplot(
            trials, x="meta_test_return", y="encoder", order=encoders, hue="encoder", hue_order=encoders,
            palette=[_colour(index) for index in range(len(encoders))], jitter=False, size=6, alpha=0.85,
            legend=False, orient="h", ax=axes,
        )  # fmt: skip
        for row, encoder in enumerate(encoders):
            ours = trials.meta_test_return[trials.encoder == encoder]
            theirs = published["mean"][published.encoder == encoder]
            if len(ours):
                axes.plot([ours.mean()] * 2, [row - 0.27, row + 0.27], color=INK, linewidth=2.2)
            axes.plot(theirs, [row + 0.36] * len(theirs), "D", color=PAPER, markeredgecolor=INK, markersize=5)
        axes.set(ylim=(len(encoders) - 0.4, -0.6), xlabel="meta-test return", ylabel="")
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(nbins=5))
        axes.set_yticks(range(len(encoders)), [_label(encoder) for encoder in encoders])
        axes.grid(axis="y", visible=False)

    keys = [_key("one seed", "o"), _key("mean of seeds", "|", markersize=11, markeredgewidth=2.2)]
    if len(published):
        keys.append(_key("published leaderboard", "D", color=PAPER, markeredgecolor=INK))
    return _figure(draw, title, len(trials), keys, height=1.2 + 0.42 * len(encoders))


def learning_curves(progress: pd.DataFrame, encoders: tuple[str, ...], title: str) -> str:
    """Meta-test return against environment steps: a thin line a seed, a thick one their mean.

    progress: encoder, seed, status, iteration, environment_steps, meta_test_return. Failed trials are dotted
    up to their failure and stay out of the mean, which is drawn where every finished seed has a value.
    """
    return _curves(
        progress, encoders, title, x="environment_steps", step="iteration",
        labels={"xlabel": "environment steps (meta-training)", "ylabel": "meta-test return"},
    )  # fmt: skip


def adaptation_curves(adaptation: pd.DataFrame, encoders: tuple[str, ...], title: str) -> str:
    """Return of the last meta-test at each adaptation trajectory: a thin line a seed, a thick one their mean.

    adaptation: encoder, seed, status, trajectory, return; its rows a task and evaluation are averaged.
    """
    by_seed = adaptation.groupby(["encoder", "seed", "status", "trajectory"], as_index=False)["return"].mean()
    by_seed = by_seed.rename(columns={"return": "meta_test_return"}).assign(number=by_seed.trajectory + 1)
    return _curves(
        by_seed, encoders, title, x="number", step="trajectory",
        labels={"xlabel": "adaptation trajectory", "ylabel": "return, mean over test tasks"},
    )  # fmt: skip


def _curves(
    frame: pd.DataFrame, encoders: tuple[str, ...], title: str, x: str, step: str, labels: dict[str, str]
) -> str:
    def draw(axes: Axes) -> None:
        for index, encoder in enumerate(encoders):
            rows = frame[frame.encoder == encoder]
            for status, dash in (("finished", "-"), ("failed", ":")):
                lines = rows[rows.status == status]
                if len(lines) == 0:  # seaborn 0.13 raises on an empty frame with `units`
                    continue
                sns.lineplot(
                    lines, x=x, y="meta_test_return", units="seed", estimator=None,
                    color=_colour(index), linewidth=0.9, alpha=0.55, linestyle=dash, legend=False, ax=axes,
                )  # fmt: skip
            finished = rows[rows.status == "finished"]
            middle = finished.groupby(step).agg({x: "mean", "meta_test_return": ["mean", "size"]})
            middle = middle[middle["meta_test_return", "size"] == finished.seed.nunique()]
            axes.plot(
                middle[x, "mean"], middle["meta_test_return", "mean"], color=_colour(index), linewidth=2.2,
                marker=_mark(index), markersize=4.5, markeredgecolor=PAPER, markeredgewidth=0.6,
            )  # fmt: skip
        axes.set(**labels)
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(nbins=6, integer=True))
        axes.xaxis.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:,.0f}"))

    keys = [
        _key(_label(encoder), _mark(index), color=_colour(index), linestyle="-", linewidth=2.2)
        for index, encoder in enumerate(encoders)
    ]
    return _figure(draw, title, len(frame), keys, height=3.1)


def _figure(draw: Callable[[Axes], None], title: str, rows: int, keys: list[Line2D], height: float) -> str:
    """One panel with its legend below; a panel that says so where there is nothing to draw."""
    buffer = io.StringIO()
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        # Names are text, which the reader's own fonts draw; that matplotlib's lacks a letter does not matter.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        height += 0.17 * -(-len(keys) // _columns(keys))  # room for the legend's rows
        figure = Figure(figsize=(WIDTH, height if rows else 1.2), layout="constrained")
        axes = figure.subplots()
        axes.set_title(_label(title), loc="left", fontweight="bold")
        if rows:
            draw(axes)
            figure.legend(handles=keys, loc="outside lower center", ncols=_columns(keys))
        else:
            axes.set_axis_off()
            axes.text(0.5, 0.5, "no finished trial yet", ha="center", va="center", transform=axes.transAxes)
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _key(label: str, mark: str, **style) -> Line2D:
    """An entry of a legend: a mark in ink, unless `style` says otherwise."""
    style = {"color": INK, "linestyle": "none", "markersize": 5} | style
    return Line2D([], [], label=label, marker=mark, **style)


def _columns(keys: list[Line2D]) -> int:
    """How many columns of a legend fit: one row if it can be, else as many as the longest label allows."""
    widths = [0.45 + 0.066 * len(key.get_label()) for key in keys]  # inches of a mark and of each letter
    return len(keys) if sum(widths) <= WIDTH else max(1, int(WIDTH / max(widths)))


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _mark(index: int) -> str:
    return MARKS[index % len(MARKS)]


def _label(name: str) -> str:
    """A name short enough for an axis and legal in XML; the tables beside the figure have it whole."""
    name = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)
    return name if len(name) <= 26 else f"{name[:25]}…"
