"""Curves over seeds: a thin line per seed, a thick one for their mean, a band for its 95 % Student-t interval.

The band begins at three seeds: of two the interval is nine standard deviations either way, a fog over the whole panel.
"""

from collections.abc import Callable, Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes

from oyster.report.figures.style import PAPER, curve_of, looks, of
from oyster.report.read.results import TRIAL, Results
from oyster.report.statistics.intervals import summarise

SEEDS_OF_A_BAND = 3


def curves(
    axes: Axes,
    frame: pd.DataFrame,
    encoders: Sequence[str],
    x: str,
    y: str,
    step: str,
    place: Callable[[str, int], str] | None = None,
) -> None:
    """Draw every agent of a frame: encoder, seed, status, `step` (what is averaged at), `x`, `y`.

    Failed trials are dotted up to their failure and stay out of mean and band, which are drawn where every finished
    seed has a value, at the mean of their x. The lines, not the band, set the y-axis. place: agent and seed → the
    anchor of the trial, for lines that a page should lead to.
    """
    middles = {}
    for encoder, look in looks(encoders).items():
        rows = frame[frame.encoder == encoder]
        for status, dash in (("finished", "-"), ("failed", ":")):
            for seed, line in rows[rows.status == status].dropna(subset=[x, y]).groupby("seed"):
                (drawn,) = axes.plot(line[x], line[y], color=look.colour, linewidth=0.9, alpha=0.55, linestyle=dash)
                of(encoder, drawn) if place is None else curve_of(encoder, place(encoder, seed), drawn)
        middles[encoder] = middle = _middle(rows[rows.status == "finished"], x, y, step)
        (thick,) = axes.plot(
            middle.x, middle["mean"], color=look.colour, linewidth=2.2, marker=look.mark, markersize=4.5,
            markevery=max(1, len(middle) // 10), markeredgecolor=PAPER, markeredgewidth=0.6,
        )  # fmt: skip
        of(encoder, thick)
    axes.set_ylim(axes.get_ylim())
    for encoder, look in looks(encoders).items():
        band = middles[encoder].dropna()
        of(encoder, axes.fill_between(band.x, band.low, band.high, color=look.colour, alpha=0.1, linewidth=0, zorder=1))


def told(results: Results, failures: bool = False) -> str:
    """What a caption says of the lines; `failures`: whether failed trials are drawn."""
    finished = results.trials[results.trials.status == "finished"].groupby(TRIAL[:2]).size()
    words = "Thin: one seed. Thick, with marks: the mean of the finished seeds."
    if finished.max() >= SEEDS_OF_A_BAND:
        words += " The band, from three seeds on, is its 95 % Student-t interval, cut at the panel's edges."
    if failures and (results.progress.status == "failed").any():
        words += " Dotted: a failed trial up to its failure, which no mean counts."
    return words


def count_axis(axes: Axes, whole: bool = True) -> None:
    """Ticks of an x-axis that counts."""
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(nbins=5, integer=whole))
    if whole:
        axes.xaxis.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:,.0f}"))


def _middle(rows: pd.DataFrame, x: str, y: str, step: str) -> pd.DataFrame:
    """x, mean, low, high at each step that every seed has reached."""
    seeds = rows.seed.nunique()
    found = []
    for _, group in rows.groupby(step):
        if len(group) == seeds:
            summary = summarise(group[y])
            band = (summary.low, summary.high) if seeds >= SEEDS_OF_A_BAND else (float("nan"),) * 2
            found.append((group[x].mean(), summary.mean, *band))
    return pd.DataFrame(found, columns=["x", "mean", "low", "high"], dtype=float)
