"""Learning curves: meta-test return against what it cost to get there."""

from collections.abc import Callable
from functools import partial

import pandas as pd
from matplotlib.axes import Axes

from oyster.report.figures.curves import count_axis, curves, told
from oyster.report.figures.style import FigureSpec, Svg, encoder_keys, figure, panel
from oyster.report.read.results import Results, anchor
from oyster.report.statistics.words import number


def environment_steps(results: Results) -> dict[str, Svg]:
    """Against the environment steps of meta-training; the figure that links to a seed's curve lead to."""
    return _learning(results, "environment_steps", "environment steps (meta-training)", linked=True)


def gradient_steps(results: Results) -> dict[str, Svg]:
    """Against gradient steps."""
    return _learning(results, "gradient_steps", "gradient steps")


def wall_time(results: Results) -> dict[str, Svg]:
    """Against the wall time since the trial's start, in minutes."""
    return _learning(results, "wall_seconds", "wall time (minutes)", scale=1 / 60)


def _learning(results: Results, x: str, words: str, scale: float = 1.0, linked: bool = False) -> dict[str, Svg]:
    encoders = results.grid.encoders
    progress = results.progress.assign(x=results.progress[x] * scale).dropna(subset=["x"])

    def draw(axes: Axes, frame: pd.DataFrame, environment: str) -> None:
        place = (lambda encoder, seed: anchor(environment, encoder, seed)) if linked else None
        curves(axes, frame, encoders, "x", "meta_test_return", "iteration", place)
        axes.set(xlabel=words, ylabel="meta-test return")
        count_axis(axes, whole=scale == 1.0)

    panels = {}
    for environment in results.grid.environments:
        frame = progress[progress.environment == environment]
        if len(frame):
            keys = encoder_keys(encoders)
            panels[environment] = panel(environment, partial(draw, frame=frame, environment=environment), keys)
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


BEFORE = {
    "learning_environment_steps": """\
The meta-test return after each iteration, against the environment steps of meta-training: what it costs in data. Steps
of the meta-test are not counted.""",
    "learning_gradient_steps": "The same returns against gradient steps: what they cost in optimisation.",
    "learning_wall_time": """\
The same returns against wall time, which depends on the machine and on what else ran there. Compare only trials of like
hardware and load. A mean stands at the mean time of its seeds.""",
}


def _spec(kind: str, title: str, draw: Callable[[Results], dict[str, Svg]]) -> FigureSpec:
    return figure(kind, "learning", title, lambda results: f"{BEFORE[kind]} {told(results, failures=True)}", draw, alt)


FIGURES = [
    _spec("learning_environment_steps", "Return against environment steps", environment_steps),
    _spec("learning_gradient_steps", "Return against gradient steps", gradient_steps),
    _spec("learning_wall_time", "Return against wall time", wall_time),
]
