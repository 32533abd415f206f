"""What a task family is: rows of tasks stepped together, with a reward that is a pure function of arrays and task; and
the two scripts, one that does nothing and one that knows the task, between whose returns a learner's is to be read.

A new family is one file in this folder, named as grids name the environment, that defines one subclass of `TaskFamily`.
Shapes: row is the position in the batch; each row acts in a task of its own.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np

TASK_SEED = 1337  # of the benchmark's task lists: fixed, whatever the trial's seed
SCRIPTED_STEPS = 40_000  # environment steps that each script's returns are averaged over


class Step(NamedTuple):
    """What one step returned, a row each."""

    observation: np.ndarray  # (row, observation_dim) float32, after the step
    reward: np.ndarray  # (row,) float32, the dense reward
    sparse_reward: np.ndarray  # (row,) float32, equal to the dense one where the family has no other
    terminal: np.ndarray  # (row,) bool: the episode ended by itself (a cut at the horizon is none)
    trace: np.ndarray  # (row, …) float32: what a picture of the trajectory needs


class TaskFamily(ABC):
    """`num_rows` simulations side by side."""

    horizon: ClassVar[int]  # steps after which a trajectory is cut
    sparse: ClassVar[bool] = False  # whether context and reported return hold `Step.sparse_reward`; critics never do
    files: ClassVar[tuple[str, ...]] = ()  # data that the family reads, beside its file
    observation_dim: ClassVar[int]
    action_dim: ClassVar[int]
    parameter_names: ClassVar[tuple[str, ...]]  # columns that name a task's true parameters
    trace_name: ClassVar[str]  # key of `Step.trace` in trajectories.npz
    trace_at_reset: ClassVar[bool] = False  # whether a trajectory's trace begins with its start state

    def __init__(self, num_rows: int):
        self.num_rows = num_rows

    @staticmethod
    @abstractmethod
    def draw_tasks(count: int, seed: int = TASK_SEED) -> np.ndarray:
        """The list of `count` tasks, (task, parameter) float64, as the reference draws it. Each seed has its own."""

    @abstractmethod
    def reset(self, tasks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Start an episode in every row. `tasks` (row, parameter). Returns observations (row, observation_dim)."""

    @abstractmethod
    def step(self, action: np.ndarray) -> Step:
        """Act in every row. `action` (row, action_dim) in [-1, 1]; what lies outside is clipped."""

    def trace(self) -> np.ndarray:
        """The trace at the present state, (row, …); needed where `trace_at_reset`."""
        raise NotImplementedError

    def informed_action(self) -> np.ndarray | None:
        """What who knows every row's task does now, (row, action_dim). None where no script is known: zero is then
        taken for the best return, the bound of a reward that is a cost.
        """
        return None

    def qpos(self) -> np.ndarray | None:
        """MuJoCo's generalised positions, (row, nq), which `physics_model` can render. None without such physics."""
        return None

    @staticmethod
    def physics_model() -> Any:
        """The mujoco.MjModel behind `qpos`, or None."""
        return None


def split_tasks(tasks: np.ndarray, num_train: int, num_test: int) -> tuple[np.ndarray, np.ndarray]:
    """Training tasks are the first `num_train` of the list, test tasks the last `num_test`, in order."""
    return tasks[:num_train], tasks[len(tasks) - num_test :]


def scripted_returns(family: type[TaskFamily], tasks: np.ndarray) -> dict[str, list[float]]:
    """Mean undiscounted return a task of doing nothing and of acting with the task known, under the reported reward.

    The scale on which scores of different families can be averaged: it needs no training and no trial's seed.
    """
    return {
        "doing_nothing": _mean_returns(family, tasks, informed=False),
        "task_known": _mean_returns(family, tasks, informed=True),
    }


def _mean_returns(family: type[TaskFamily], tasks: np.ndarray, informed: bool) -> list[float]:
    episodes = max(1, SCRIPTED_STEPS // (len(tasks) * family.horizon))
    rows = family(len(tasks) * episodes)
    rows.reset(np.repeat(tasks, episodes, axis=0), np.random.default_rng(TASK_SEED))
    total, running = np.zeros(rows.num_rows), np.ones(rows.num_rows, bool)
    for _ in range(family.horizon):
        action = rows.informed_action() if informed else np.zeros((rows.num_rows, rows.action_dim))
        if action is None:
            break
        step = rows.step(action)
        total += np.where(running, step.sparse_reward if family.sparse else step.reward, 0.0)
        running &= ~step.terminal
    return total.reshape(len(tasks), episodes).mean(axis=1).tolist()
