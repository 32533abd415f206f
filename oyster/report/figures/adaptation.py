"""How fast an agent adapts: return by adaptation trajectory, between Idle and Oracle."""

import pandas as pd
from matplotlib.axes import Axes

from oyster.report.figures.curves import count_axis, curves, told
from oyster.report.figures.style import INK, Svg, encoder_keys, figure, key, panel
from oyster.report.read.results import Results
from oyster.report.statistics.words import number

BOUNDS = {"task_known": ("Oracle", (4, 2)), "doing_nothing": ("Idle", (1, 1.5))}  # name, dashes


def adaptation(results: Results) -> dict[str, Svg]:
    """Return of the last meta-test at each adaptation trajectory; tasks and evaluations are averaged."""
    encoders = results.grid.encoders
    panels = {}
    for environment in results.grid.environments:
        frame = _by_seed(results, environment)
        bounds = results.scripted[results.scripted.environment == environment]
        if len(frame) == 0:
            continue

        def draw(axes: Axes, frame: pd.DataFrame = frame, bounds: pd.DataFrame = bounds) -> None:
            for name, (_, dashes) in BOUNDS.items():
                if bounds[name].notna().any():
                    axes.axhline(bounds[name].mean(), color=INK, linewidth=1, dashes=dashes, zorder=1.5)
            curves(axes, frame, encoders, "number", "return", step="trajectory")
            axes.set(xlabel="adaptation trajectory", ylabel="return, mean over test tasks")
            count_axis(axes)

        panels[environment] = panel(environment, draw, encoder_keys(encoders) + bound_keys(bounds))
    return panels


def bound_keys(bounds: pd.DataFrame) -> list:
    """The legend's entries of Idle and Oracle, those that are known. bounds: `Results.scripted` of an environment."""
    known = [look for name, look in BOUNDS.items() if bounds[name].notna().any()]
    return [key(words, None, linestyle=(0, dashes), linewidth=1) for words, dashes in known]


def _by_seed(results: Results, environment: str) -> pd.DataFrame:
    frame = results.adaptation[results.adaptation.environment == environment]
    frame = frame.groupby(["encoder", "seed", "status", "trajectory"], as_index=False)["return"].mean()
    return frame.assign(number=frame.trajectory + 1)


def alt(results: Results, environment: str) -> str:
    frame = _by_seed(results, environment).query("status == 'finished'")
    parts = []
    for encoder in results.grid.encoders:
        means = frame[frame.encoder == encoder].groupby("number")["return"].mean()
        if len(means):
            first, last = number(means.iloc[0]), number(means.iloc[-1])
            parts.append(f"{encoder} {first} in the first, {last} in trajectory {len(means)}")
    bounds = results.scripted[results.scripted.environment == environment]
    known = [name for name in BOUNDS if bounds[name].notna().any()]
    ends = "".join(f"; {BOUNDS[name][0]} {number(bounds[name].mean())}" for name in known)
    return f"Return by adaptation trajectory on {environment}, means of seeds: {'; '.join(parts)}{ends}."


def caption(results: Results) -> str:
    words = """The last meta-test, trajectory by trajectory. In the first one an agent knows nothing of its task; later
        ones use what it saw before (some environments let it explore for several). Every value is a mean over test
        tasks and evaluations."""
    return f"{words} {told(results)} {told_bounds(results)}"


def told_bounds(results: Results) -> str:
    """What a caption says of the lines of Idle and Oracle, those that are known."""
    stroke = {
        "task_known": "Dashed: Oracle, which knows the task.",
        "doing_nothing": "Dotted: Idle, which does nothing.",
    }
    return " ".join(stroke[name] for name in BOUNDS if results.scripted[name].notna().any())


FIGURES = [
    figure("adaptation", "adaptation", "Return by adaptation trajectory", caption, adaptation, alt),
]
