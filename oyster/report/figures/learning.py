"""Learning curves: meta-test return against what it cost to get there."""

import pandas as pd
from matplotlib.axes import Axes

from oyster.report.figures.curves import count_axis, curves
from oyster.report.figures.style import Svg, encoder_keys, figure, panel
from oyster.report.read.results import Results
from oyster.report.statistics.words import number


def environment_steps(results: Results) -> dict[str, Svg]:
    """Against the environment steps of meta-training."""
    return _learning(results, "environment_steps", "environment steps (meta-training)")


def gradient_steps(results: Results) -> dict[str, Svg]:
    """Against gradient steps."""
    return _learning(results, "gradient_steps", "gradient steps")


def wall_time(results: Results) -> dict[str, Svg]:
    """Against the wall time since the trial's start, in minutes."""
    return _learning(results, "wall_seconds", "wall time (minutes)", scale=1 / 60)


def _learning(results: Results, x: str, words: str, scale: float = 1.0) -> dict[str, Svg]:
    encoders = results.grid.encoders
    progress = results.progress.assign(x=results.progress[x] * scale).dropna(subset=["x"])

    def draw(axes: Axes, frame: pd.DataFrame) -> None:
        curves(axes, frame, encoders, "x", "meta_test_return", step="iteration")
        axes.set(xlabel=words, ylabel="meta-test return")
        count_axis(axes, whole=scale == 1.0)

    panels = {}
    for environment in results.grid.environments:
        frame = progress[progress.environment == environment]
        if len(frame):
            keys = encoder_keys(encoders)
            panels[environment] = panel(environment, lambda axes, frame=frame: draw(axes, frame), keys)
    return panels


def alt(results: Results, environment: str) -> str:
    progress = results.progress.query("status == 'finished' and environment == @environment")
    parts = []
    for encoder in results.grid.encoders:
        means = progress[progress.encoder == encoder].groupby("iteration").meta_test_return.mean()
        if len(means):
            first, last = number(means.iloc[0]), number(means.iloc[-1])
            parts.append(f"{encoder} from {first} after the first iteration to {last} after {len(means)}")
    return f"Learning curves on {environment}, means of seeds: {'; '.join(parts) or 'no finished trial'}."


CAPTIONS = {
    "learning_environment_steps": """\
Meta-test return after each iteration against the environment steps of meta-training (those of the meta-test are not
counted): what a return costs in data. Thin: one seed. Thick, marked: mean of the finished seeds, with its 95 %
Student-t interval as a band from three seeds on, cut at the panel's edges. Dotted: a trial up to its failure, not in
the mean.""",
    "learning_gradient_steps": """\
The same returns against gradient steps: what they cost in optimisation. Thin: one seed. Thick, marked: mean of the
finished seeds, with its 95 % Student-t interval as a band from three seeds on, cut at the panel's edges. Dotted: a
trial up to its failure, not in the mean.""",
    "learning_wall_time": """\
The same returns against wall time, which depends on the machine and on what else ran on it: compare only trials of
like hardware and load. Means are taken at each iteration, at the seeds' mean time. Thin: one seed. Thick, marked:
mean of the finished seeds, with its 95 % Student-t interval as a band from three seeds on, cut at the panel's edges.
Dotted: a trial up to its failure, not in the mean.""",
}


FIGURES = [
    figure(
        "learning_environment_steps",
        "learning",
        "Return against environment steps",
        CAPTIONS["learning_environment_steps"],
        environment_steps,
        alt,
    ),
    figure(
        "learning_gradient_steps",
        "learning",
        "Return against gradient steps",
        CAPTIONS["learning_gradient_steps"],
        gradient_steps,
        alt,
    ),
    figure(
        "learning_wall_time", "learning", "Return against wall time", CAPTIONS["learning_wall_time"], wall_time, alt
    ),
]
