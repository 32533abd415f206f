"""Performance profiles: which share of runs exceeds a score, for every score (Agarwal et al., 2021, section 4.3)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from oyster.report.figures.curves import curves, told
from oyster.report.figures.style import INK, Svg, encoder_keys, figure, panel
from oyster.report.figures.tasks import task_returns
from oyster.report.read.results import Results
from oyster.report.statistics.words import number

ALL = "all environments"
THRESHOLDS = np.arange(-50, 106, 2) / 100  # of the normalised score: 0 is Idle, 1 is Oracle


def profiles(results: Results) -> dict[str, Svg]:
    """The share of runs whose normalised score is above each threshold; a run is one seed on one test task."""
    encoders = results.grid.encoders
    panels = {}
    for name, frame in _shares(results).items():

        def draw(axes: Axes, frame: pd.DataFrame = frame) -> None:
            for bound in (0, 1):
                axes.axvline(bound, color=INK, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
            curves(axes, frame, encoders, "threshold", "share", step="threshold")
            axes.set(
                xlabel="normalised score: 0 Idle, 1 Oracle", ylabel="share of runs above it",
                ylim=(-0.03, 1.03),
            )  # fmt: skip

        panels[name] = panel(name, draw, encoder_keys(encoders))
    return panels


def scores(results: Results, environment: str) -> pd.DataFrame:
    """encoder, seed, task, score: (return - idle) / (oracle - idle), with the task's own bounds.

    Tasks in which knowing the task gains nothing have no such scale and are left out.
    """
    bounds = results.scripted[results.scripted.environment == environment].set_index("task")
    returns = task_returns(results, environment)
    idle, oracle = (returns.task.map(bounds[name]) for name in ("doing_nothing", "task_known"))
    gain = (oracle - idle).where(oracle - idle > 1e-9)
    return returns.assign(score=(returns["return"] - idle) / gain).dropna(subset=["score"])


def _shares(results: Results) -> dict[str, pd.DataFrame]:
    """By panel: encoder, seed, status, threshold, share of a seed's tasks whose score is above the threshold.

    Over all environments a seed's share is the mean of its shares, of the seeds that finished everywhere.
    """
    found = {}
    for environment in results.grid.environments:
        rows = scores(results, environment)
        if len(rows):
            above = rows.score.to_numpy()[:, None] > THRESHOLDS  # (run, threshold)
            wide = pd.DataFrame(above, columns=THRESHOLDS).groupby([rows.encoder.values, rows.seed.values]).mean()
            found[environment] = wide.rename_axis(index=["encoder", "seed"])
    if len(found) == len(results.grid.environments) > 1:
        whole = pd.concat(found)
        everywhere = whole.groupby(["encoder", "seed"]).size() == len(found)
        mean = whole.groupby(["encoder", "seed"]).mean()[everywhere]
        found = ({ALL: mean} if len(mean) else {}) | found
    return {name: _long(wide) for name, wide in found.items()}


def _long(wide: pd.DataFrame) -> pd.DataFrame:
    long = wide.reset_index().melt(id_vars=["encoder", "seed"], var_name="threshold", value_name="share")
    return long.astype({"threshold": float}).assign(status="finished")


def alt(results: Results, panel_name: str) -> str:
    frame = _shares(results).get(panel_name)
    parts = []
    for encoder in results.grid.encoders:
        means = frame[frame.encoder == encoder].groupby("threshold").share.mean() if frame is not None else ()
        if len(means):
            parts.append(
                f"{encoder} {number(means[0.0] * 100, 0)} % above 0 and {number(means[0.5] * 100, 0)} % above 0.5"
            )
    return f"Performance profiles, {panel_name}. Share of runs: {'; '.join(parts)}."


def caption(results: Results) -> str:
    words = f"""For each score, the share of runs that exceed it. A run is one seed on one test task; Idle has the score
        0 on that task, and Oracle 1. A curve that lies above another everywhere is better at every demand.
        {told(results)}"""
    if len(results.grid.environments) > 1:
        words += """ Over all environments each counts the same, and only seeds that finished in every environment are
            counted."""
    return words


FIGURES = [
    figure("profiles", "profiles", "Performance profiles", caption, profiles, alt),
]
