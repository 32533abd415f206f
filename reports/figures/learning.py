"""Learning curves: meta-test return against what it cost to get there."""

import pandas as pd
from matplotlib.axes import Axes

from reports.figures.curves import count_axis, curves
from reports.figures.style import Svg, encoder_keys, figure, panel
from reports.results import Results
from reports.words import number


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


FIGURES = [
    figure("learning_environment_steps", "learning", "Return against environment steps", environment_steps, alt),
    figure("learning_gradient_steps", "learning", "Return against gradient steps", gradient_steps, alt),
    figure("learning_wall_time", "learning", "Return against wall time", wall_time, alt),
]
