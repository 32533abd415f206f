"""See a result move: its saved weights roll out on the test tasks once more, adapting as in the meta-test.

Without a seed of its own a simulation draws what the trial's last meta-test drew, so that it shows the very
trajectories behind the recorded returns; the comparison with them is told.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from oyster.algorithms.settings import Settings
from oyster.envs.family import Step, TaskFamily
from oyster.runtime import seeds
from oyster.runtime.destination import filling, require_free
from oyster.runtime.errors import InputError
from oyster.runtime.records import write_csv
from oyster.simulate.plot import Trajectory, plot
from oyster.simulate.video import animate, require_renderer, still
from oyster.trial.meta_test import MetaTest, meta_test
from oyster.trial.run import Trial
from oyster.trial.saved import find_saved

TABLES = ("trajectories.csv", "returns.csv")
PLOT = "trajectories.png"
VIDEO, STILL = "task-{}.gif", "task-{}.png"


class Simulation(NamedTuple):
    """One meta-test of saved weights, all test tasks of it."""

    settings: Settings
    family: type[TaskFamily]
    tasks: np.ndarray  # (task, parameter), the test tasks
    trajectories: list[Trajectory]  # tasks in order, evaluations within, then in time
    recorded: list[float] | None  # the recorded returns, in the same order; None with a seed of one's own

    def difference(self) -> float | None:
        """The largest difference from a recorded return; None where there is nothing to compare."""
        if self.recorded is None:
            return None
        if len(self.recorded) != len(self.trajectories):  # episodes that end by themselves ended otherwise
            return math.inf
        return max(abs(t.total - value) for t, value in zip(self.trajectories, self.recorded, strict=True))

    def in_words(self) -> str:
        difference = self.difference()
        if difference is None:
            return "new draws: these returns are others than the recorded ones"
        if difference == 0:
            return "the recorded meta-test once more: every return is the recorded one, to the last bit"
        return (
            f"returns differ by up to {difference:.3g} from the recorded ones: other hardware, versions, code or "
            "encoder than recorded (`python -m oyster verify` tells more of a result)"
        )


def simulate(
    place: Path,
    *,
    weights: Path | None = None,
    encoder: str | None = None,
    seed: int | None = None,
    device: str = "auto",
    video: bool = False,
    warn: Callable[[str], None] = lambda message: None,
) -> Simulation:
    """Roll out what `place` holds, a result's folder or a file of agents/, on all of its test tasks.

    weights, encoder: where they are not found beside the result and in encoders/. seed: draw start states and z anew.
    InputError where something is missing or does not fit, or, for `video`, where nothing could be rendered.
    """
    saved = find_saved(place, weights)
    settings = saved.settings
    trial, agent = saved.load(saved.sources(encoder, warn), device)
    if video:
        require_renderer(trial.family)
    rows = recording(trial.family)(len(trial.test_tasks) * settings.evaluations)
    test = _meta_test(trial, agent, rows, seed)
    recorded = saved.returns if seed is None else None
    trajectories = list(_trajectories(test, rows, settings))
    return Simulation(settings, trial.family, trial.test_tasks, trajectories, recorded)


def _meta_test(trial: Trial, agent: nn.Module, rows: TaskFamily, seed: int | None) -> MetaTest:
    """As after the trial's last iteration; with a seed, from streams that no training used."""
    s = trial.settings
    of_seed, after = (s.seed, s.num_iterations - 1) if seed is None else (seed, s.num_iterations)
    rng = seeds.generator(of_seed, "meta_test", after)
    with seeds.separate_torch_stream(of_seed, 1 + after):
        return meta_test(agent, rows, trial.test_tasks, s, rng)


# --- recording --------------------------------------------------------------------------------------------------------


class _Episode(NamedTuple):
    """What every row did between two resets, a step each."""

    steps: list[Step]
    qpos: list[np.ndarray | None]  # one more: before the first step too


def recording(family: type[TaskFamily]) -> type[TaskFamily]:
    """The family, with a memory: `episodes` of every row, and MuJoCo's positions in them."""

    class Recording(family):
        def __init__(self, num_rows: int):
            super().__init__(num_rows)
            self.episodes: list[_Episode] = []

        def reset(self, tasks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
            observation = super().reset(tasks, rng)
            self.episodes.append(_Episode([], [_copy(self.qpos())]))
            return observation

        def step(self, action: np.ndarray) -> Step:
            step = super().step(action)
            self.episodes[-1].steps.append(Step(*map(_copy, step)))
            self.episodes[-1].qpos.append(_copy(self.qpos()))
            return step

    return Recording


def _copy(array: np.ndarray | None) -> np.ndarray | None:
    """A family may fill the same arrays in every step."""
    return None if array is None else np.array(array)


def _trajectories(test: MetaTest, rows: TaskFamily, settings: Settings) -> Iterator[Trajectory]:
    """What the meta-test counted, and no steps beyond the end of a row's trajectory."""
    for row, run in enumerate(test.runs):
        for number, (total, trace) in enumerate(zip(run.returns, run.traces, strict=True)):
            episode, length = rows.episodes[number], len(trace) - rows.trace_at_reset
            steps = episode.steps[:length]
            rewards = [(step.sparse_reward if rows.sparse else step.reward)[row] for step in steps]
            qpos = None if episode.qpos[0] is None else np.stack([each[row] for each in episode.qpos[: length + 1]])
            success = float(any(step.success[row] for step in steps)) if rows.success else None
            yield Trajectory(run.task, run.evaluation, number, total, np.array(rewards), trace, qpos, success)


# --- writing ----------------------------------------------------------------------------------------------------------


def default_folder(settings: Settings) -> Path:
    s = settings
    return Path("simulations", s.preset, s.environment, s.agent, str(s.seed))


def choose_tasks(text: str | None, num_tasks: int) -> list[int]:
    """`0,3,7` → their numbers, in order; None: all. InputError for what is no test task."""
    if text is None:
        return list(range(num_tasks))
    parts = [part.strip() for part in text.split(",")]
    odd = [part for part in parts if not part.isdecimal() or int(part) >= num_tasks]
    if odd:
        raise InputError(f"--tasks {text}: '{odd[0]}' is no test task. They are 0 to {num_tasks - 1}, as in 0,3.")
    return sorted({int(part) for part in parts})


def write_simulation(
    simulation: Simulation, tasks: Sequence[int], out: Path, *, video: bool, say: Callable[[str], None] = print
) -> list[Path]:
    """Write tables, plot and, with `video`, a GIF and a frame of it per task to the folder `out`, whole or not at all.

    An earlier simulation there is replaced. InputError where `out` holds anything else.
    """
    require_free("--out", out, (*TABLES, PLOT, VIDEO.format("*"), STILL.format("*")))
    with filling(out) as staged:
        _write(simulation, tasks, staged, video, say)
    return sorted(out.iterdir())


def _write(simulation: Simulation, tasks: Sequence[int], folder: Path, video: bool, say: Callable[[str], None]) -> None:
    family, s = simulation.family, simulation.settings
    title = f"{s.preset}: {s.environment}, {s.agent}, seed {s.seed}"
    shown = [trajectory for trajectory in simulation.trajectories if trajectory.task in tasks]
    _write_trajectories(folder / TABLES[0], simulation, shown)
    _write_returns(folder / TABLES[1], simulation, shown)
    (folder / PLOT).write_bytes(plot(family, simulation.tasks, shown, title))
    for number, task in enumerate(tasks if video else ()):
        say(f"drawing task {task} ({number + 1} of {len(tasks)})")
        run = [trajectory for trajectory in shown if trajectory.task == task and trajectory.evaluation == 0]
        gif = animate(family, simulation.tasks[task], run, title)
        (folder / VIDEO.format(task)).write_bytes(gif)
        (folder / STILL.format(task)).write_bytes(still(family, gif))


def _write_trajectories(path: Path, simulation: Simulation, shown: Iterable[Trajectory]) -> None:
    """One row per step; step 0, without a reward, where the trace knows the start state."""
    family, first = simulation.family, 0 if simulation.family.trace_at_reset else 1
    width = int(np.prod(simulation.trajectories[0].trace.shape[1:]))
    columns = [family.trace_name] if width == 1 else list(_trace_columns(family, width))
    header = ["task", *family.parameter_names, "evaluation", "trajectory", "step", *columns, "reward"]
    rows = (
        [*_identity(simulation, t), first + k, *at.reshape(-1), t.reward[first + k - 1] if first + k else ""]
        for t in shown
        for k, at in enumerate(t.trace)
    )
    write_csv(path, header, rows)


def _write_returns(path: Path, simulation: Simulation, shown: Iterable[Trajectory]) -> None:
    success = simulation.family.success
    header = ["task", *simulation.family.parameter_names, "evaluation", "trajectory", "steps", "return"]
    rows = ([*_identity(simulation, t), len(t.reward), t.total] + [t.success] * success for t in shown)
    write_csv(path, header + ["success"] * success, rows)


def _identity(simulation: Simulation, trajectory: Trajectory) -> list[Any]:
    parameters = simulation.tasks[trajectory.task, : len(simulation.family.parameter_names)].tolist()
    return [trajectory.task, *parameters, trajectory.evaluation, trajectory.number]


def _trace_columns(family: type[TaskFamily], width: int) -> Iterator[str]:
    """`positions_x`, `forward_velocity`: axes alone would not say of what."""
    axes = "xyz"[:width] if width <= 3 else [str(axis) for axis in range(width)]
    for name in family.trace_columns or axes:
        name = f"{family.trace_name}_{name}" if name in axes else name
        yield f"{name}_in_force" if name in family.parameter_names else name
