"""What a return costs: speed, wall time and size of each trial against its return."""

from collections.abc import Callable

import matplotlib as mpl
from matplotlib.axes import Axes

from oyster.report.figures.style import FigureSpec, Svg, dot, encoder_keys, figure, gid, looks, panel
from oyster.report.read.results import Results
from oyster.report.statistics.words import number

# Column of the trials frame: what its axis says, and by what a value is multiplied.
COSTS = {
    "gradient_steps_per_second": ("gradient steps per second", 1.0),
    "wall_seconds": ("wall time (minutes)", 1 / 60),
    "parameters": ("encoder parameters", 1.0),
}


def _against(column: str) -> Callable[[Results], dict[str, Svg]]:
    words, scale = COSTS[column]

    def draw_all(results: Results) -> dict[str, Svg]:
        panels = {}
        for environment in results.grid.environments:
            trials = results.trials.query("status == 'finished' and environment == @environment")
            trials = trials.dropna(subset=[column])
            if len(trials) == 0:
                continue

            def draw(axes: Axes, trials=trials, environment=environment) -> None:
                shown = looks(results.grid.encoders)
                for trial in trials.itertuples():
                    value = trial.meta_test_return
                    about = gid(trial.encoder, environment, trial.seed, value)
                    dot(axes, getattr(trial, column) * scale, value, shown[trial.encoder], about)
                axes.set(xlabel=words, ylabel="meta-test return")
                axes.margins(0.08)
                axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(nbins=5))
                axes.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda x, _: f"{x:,.6g}"))

            panels[environment] = panel(environment, draw, encoder_keys(results.grid.encoders, line=False), height=2.6)
        return panels

    return draw_all


def _alt(column: str) -> Callable[[Results, str], str]:
    words, scale = COSTS[column]

    def alt(results: Results, environment: str) -> str:
        trials = results.trials.query("status == 'finished' and environment == @environment").dropna(subset=[column])
        parts = []
        for encoder in results.grid.encoders:
            ours = trials[trials.encoder == encoder]
            if len(ours):
                cost = number((ours[column] * scale).mean(), 0 if column == "parameters" else 1)
                parts.append(f"{encoder} {cost} at a mean return of {number(ours.meta_test_return.mean())}")
        return f"Meta-test return against {words} on {environment}, one dot per trial. Means: {'; '.join(parts)}."

    return alt


CAPTIONS = {
    "cost_speed": """\
One dot per finished trial: its return against the gradient steps that it made per second. Speed depends on the machine
and its load: compare only trials of like hardware.""",
    "cost_wall_time": """\
One dot per finished trial: its return against the wall time of the whole trial, rollouts and meta-tests included. It
depends on the machine and its load.""",
    "cost_parameters": """\
One dot per finished trial: its return against the number of parameters of its encoder.""",
}


def _spec(kind: str, column: str, title: str) -> FigureSpec:
    return figure(kind, "cost", title, CAPTIONS[kind], _against(column), _alt(column))


FIGURES = [
    _spec("cost_speed", "gradient_steps_per_second", "Return against speed"),
    _spec("cost_wall_time", "wall_seconds", "Return against wall time"),
    _spec("cost_parameters", "parameters", "Return against the encoder's size"),
]
