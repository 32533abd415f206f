"""The meta-test, for every algorithm: an agent meets each test task anew and adapts to it while it acts."""

from typing import NamedTuple

import numpy as np
from torch import nn

from oyster.algorithms.algorithm import Belief, Transition
from oyster.algorithms.settings import Length, Settings
from oyster.envs.family import TaskFamily
from oyster.rl.rollout import undiscounted
from oyster.runtime.errors import TrialFailure


class Run(NamedTuple):
    """One test task, met once."""

    task: int
    evaluation: int
    returns: list[float]  # one per trajectory; the last one is the result
    posteriors: list[tuple[np.ndarray, np.ndarray | None]]  # before each trajectory and after the last: mean, variance
    traces: list[np.ndarray]  # one per trajectory
    successes: list[bool] | None = None  # whether a step of each trajectory succeeded, where the family says so


class MetaTest(NamedTuple):
    runs: list[Run]  # tasks in order, evaluations within
    counted: tuple[int, int] = (-1, -1)  # first and last trajectory of a run that count; negative: from its end

    def meta_test_return(self) -> float:
        """The counted trajectories' return, averaged over these, then over evaluations, then over tasks."""
        return float(np.mean(self.task_returns()))

    def task_returns(self) -> list[float]:
        return self._by_task([run.returns for run in self.runs])

    def success_rate(self) -> float:
        """The share of the counted trajectories that succeeded, averaged as the return."""
        return float(np.mean(self._by_task([run.successes for run in self.runs])))

    def trajectory_returns(self) -> list[float]:
        """Mean over all runs at each adaptation trajectory that every run has."""
        shared = min(len(run.returns) for run in self.runs)
        return [float(np.mean([run.returns[k] for run in self.runs])) for k in range(shared)]

    def _by_task(self, values: list[list]) -> list[float]:
        """Of each run a value per trajectory → of each task the counted ones' mean, over its runs."""
        by_task: dict[int, list[float]] = {}
        for run, lived in zip(self.runs, values, strict=True):
            first, last = (place % len(lived) if place < 0 else place for place in self.counted)
            by_task.setdefault(run.task, []).append(float(np.mean(lived[first : last + 1])))
        return [float(np.mean(means)) for means in by_task.values()]


def meta_test(
    agent: nn.Module, family: TaskFamily, tasks: np.ndarray, settings: Settings, rng: np.random.Generator
) -> MetaTest:
    """Meet every test task `evaluations` times, all at once: `family` has len(tasks) · evaluations rows. `rng` draws
    resets, and what the agent draws. Leaves the agent in the mode (train or eval) in which it was.
    """
    was_training = agent.training
    agent.train(False)
    rows_task = np.repeat(np.arange(len(tasks)), settings.evaluations)  # (row,)
    runs = [
        Run(int(task), row % settings.evaluations, [], [], [], [] if family.success else None)
        for row, task in enumerate(rows_task)
    ]
    adapter = agent.adapter(len(runs), rng)
    _note(adapter.belief(), runs, range(len(runs)))
    steps, lived = np.zeros(len(runs), int), np.zeros(len(runs), int)
    while (todo := _unfinished(settings.test_length, steps, lived)).any():  # a row that is finished idles along
        rewards, length, traces, succeeded = _trajectory(adapter, family, tasks[rows_task], rng, todo)
        returns = undiscounted(rewards, length)
        steps[todo] += length[todo]
        lived[todo] += 1
        for row in np.flatnonzero(todo):
            runs[row].returns.append(float(returns[row]))
            runs[row].traces.append(traces[row, : length[row] + family.trace_at_reset])
            if family.success:
                runs[row].successes.append(bool(succeeded[row]))
        _note(adapter.belief(), runs, np.flatnonzero(todo))
    agent.train(was_training)
    return MetaTest(runs, settings.counted)


def _unfinished(length: Length, steps: np.ndarray, trajectories: np.ndarray) -> np.ndarray:
    """The rows that have not had their test length yet, (row,) bool."""
    return trajectories < length.trajectories if length.steps is None else steps < length.steps


def _trajectory(
    adapter, family: TaskFamily, tasks: np.ndarray, rng: np.random.Generator, todo: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """One in every row: reported rewards (row, step), lengths (row,), traces (row, step or step + 1, …), and whether
    one of its own steps succeeded (row,).
    """
    adapter.begin()
    observation = family.reset(tasks, rng)
    traces = [family.trace()] if family.trace_at_reset else []
    rewards = np.empty((family.num_rows, family.horizon), np.float32)
    length = np.full(family.num_rows, family.horizon)
    running, succeeded = np.ones(family.num_rows, bool), np.zeros(family.num_rows, bool)
    for t in range(family.horizon):
        action = adapter.act(observation)
        step = family.step(action)
        rewards[:, t] = step.sparse_reward if family.sparse else step.reward
        ended = step.terminal | (t + 1 == family.horizon)
        seen = Transition(observation, action, rewards[:, t].copy(), step.observation, step.terminal, ended)
        adapter.observe(seen, active=todo & running)
        traces.append(step.trace.copy())  # a family may give views of what its next step changes
        observation = step.observation.copy()
        if family.success:
            succeeded |= running & step.success
        length[running & step.terminal] = t + 1
        running &= ~step.terminal
        if not running.any():
            break
    return rewards[:, : t + 1], length, np.stack(traces, axis=1), succeeded


def _note(belief: Belief | None, runs: list[Run], rows) -> None:
    if belief is None:
        return
    mean = belief.mean.cpu().numpy()
    variance = None if belief.variance is None else belief.variance.cpu().numpy()
    if not all(np.isfinite(part).all() for part in (mean, variance) if part is not None):
        raise TrialFailure("the encoder's posterior is not finite")
    for row in rows:
        runs[row].posteriors.append((mean[row], None if variance is None else variance[row]))
