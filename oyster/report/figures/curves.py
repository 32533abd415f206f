"""Curves over seeds: a thin line a seed, a thick one their mean, a band its 95 % Student-t interval.

The band begins at three seeds: of two the interval is nine standard deviations either way, a fog over the whole panel.
"""

from collections.abc import Sequence

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from oyster.report.figures.style import PAPER, looks
from oyster.report.statistics.intervals import summarise

SEEDS_OF_A_BAND = 3


def curves(axes: Axes, frame: pd.DataFrame, encoders: Sequence[str], x: str, y: str, step: str) -> None:
    """Draw every encoder of a frame: encoder, seed, status, `step` (what is averaged at), `x`, `y`.

    Failed trials are dotted up to their failure and stay out of mean and band, which are drawn where every finished
    seed has a value, at the mean of their x. The lines, not the band, set the y-axis.
    """
    middles = {}
    for encoder, look in looks(encoders).items():
        rows = frame[frame.encoder == encoder]
        for status, dash in (("finished", "-"), ("failed", ":")):
            lines = rows[rows.status == status]
            if len(lines) == 0:  # seaborn 0.13 raises on an empty frame with `units`
                continue
            sns.lineplot(
                lines, x=x, y=y, units="seed", estimator=None, errorbar=None, sort=False,
                color=look.colour, linewidth=0.9, alpha=0.55, linestyle=dash, legend=False, ax=axes,
            )  # fmt: skip
        middles[encoder] = middle = _middle(rows[rows.status == "finished"], x, y, step)
        axes.plot(
            middle.x, middle["mean"], color=look.colour, linewidth=2.2, marker=look.mark, markersize=4.5,
            markevery=max(1, len(middle) // 10), markeredgecolor=PAPER, markeredgewidth=0.6,
        )  # fmt: skip
    axes.set_ylim(axes.get_ylim())
    for encoder, look in looks(encoders).items():
        band = middles[encoder].dropna()
        axes.fill_between(band.x, band.low, band.high, color=look.colour, alpha=0.1, linewidth=0, zorder=1)


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
