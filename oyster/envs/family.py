"""What a task family is: rows of tasks stepped together, with a reward that is a pure function of arrays and task.

A new family is one file in this folder, named as the environment is in params.yaml, that defines one subclass of
`TaskFamily`. Shapes: row is the position in the batch; each row acts in a task of its own.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import numpy as np

TASK_SEED = 1337  # task lists are fixed, whatever the trial's seed


class Step(NamedTuple):
    """What one step returned, a row each."""

    observation: np.ndarray  # (row, observation_dim) float32, after the step
    reward: np.ndarray  # (row,) float32, the dense reward
    sparse_reward: np.ndarray  # (row,) float32, equal to the dense one where the family has no other
    terminal: np.ndarray  # (row,) bool: the episode ended by itself (a cut at max_path_length is none)
    trace: np.ndarray  # (row, …) float32: what a picture of the trajectory needs


class TaskFamily(ABC):
    """`num_rows` simulations side by side."""

    observation_dim: ClassVar[int]
    action_dim: ClassVar[int]
    parameter_names: ClassVar[tuple[str, ...]]  # columns that name a task's true parameters
    trace_name: ClassVar[str]  # key of `Step.trace` in trajectories.npz
    trace_at_reset: ClassVar[bool] = False  # whether a trajectory's trace begins with its start state

    def __init__(self, num_rows: int):
        self.num_rows = num_rows

    @staticmethod
    @abstractmethod
    def draw_tasks(count: int) -> np.ndarray:
        """The fixed list of `count` tasks, (task, parameter) float64, as the reference draws it."""

    @abstractmethod
    def reset(self, tasks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Start an episode in every row. `tasks` (row, parameter). Returns observations (row, observation_dim)."""

    @abstractmethod
    def step(self, action: np.ndarray) -> Step:
        """Act in every row. `action` (row, action_dim) in [-1, 1]; what lies outside is clipped."""

    def trace(self) -> np.ndarray:
        """The trace at the present state, (row, …); needed where `trace_at_reset`."""
        raise NotImplementedError


def split_tasks(tasks: np.ndarray, num_train: int, num_test: int) -> tuple[np.ndarray, np.ndarray]:
    """Training tasks are the first `num_train` of the list, test tasks the last `num_test`, in order."""
    return tasks[:num_train], tasks[len(tasks) - num_test :]
