"""What a task family is: rows of tasks stepped together, with a reward that is a pure function of arrays and task.

A new family is one file in this folder that defines one subclass of `TaskFamily`: my_family.py is `my-family`.
Shapes: row is the position in the batch; each row acts in a task of its own.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np

from oyster.runtime.errors import InputError

TASK_SEED = 1337  # of the benchmark's task lists: fixed, whatever the trial's seed
TARGETS = {
    "place": "its parameters are the x and y of a goal",
    "direction": "its parameter is an angle on the plane, rad; along one axis a sign, 1 or -1",
    "level": "what the trace shows should equal its parameter",
    "none": "nothing that a picture could show",
}


class Step(NamedTuple):
    """What one step returned, a row each."""

    observation: np.ndarray  # (row, observation_dim) float32, after the step
    reward: np.ndarray  # (row,) float32, the dense reward
    sparse_reward: np.ndarray  # (row,) float32, equal to the dense one where the family has no other
    terminal: np.ndarray  # (row,) bool: the episode ended by itself (a cut at the horizon is none)
    trace: np.ndarray  # (row, …) float32: what a picture of the trajectory needs
    success: np.ndarray | None = None  # (row,) bool, where the family declares it

    def parts(self) -> tuple[np.ndarray, ...]:
        """The arrays that there are, in order."""
        return tuple(part for part in self if part is not None)


class TaskFamily(ABC):
    """`num_rows` simulations side by side."""

    horizon: ClassVar[int]  # steps after which a trajectory is cut
    sparse: ClassVar[bool] = False  # whether context and reported return hold `Step.sparse_reward`; critics never do
    success: ClassVar[bool] = False  # whether Step.success says that the task is solved
    starts_vary: ClassVar[bool] = (
        True  # whether `reset` draws; else one episode says all of a policy that draws nothing
    )
    files: ClassVar[tuple[str, ...]] = ()  # data that the family reads, beside its file
    best_return: ClassVar[float | None] = None  # which no policy exceeds; asked where there is no oracle_action
    observation_dim: ClassVar[int]
    action_dim: ClassVar[int]
    parameter_names: ClassVar[tuple[str, ...]]  # columns that name a task's true parameters
    task_dim: ClassVar[int | None] = None  # numbers of a task, where they are too many for a column each
    task_counts: ClassVar[tuple[int, int]] = (6, 4)  # training and test tasks that `tasks` can give: what checks ask
    trace_name: ClassVar[str]  # key of `Step.trace` in trajectories.npz
    trace_columns: ClassVar[tuple[str, ...]] = ()  # of the trace's last axis; "target…" is the target in force
    trace_at_reset: ClassVar[bool] = False  # whether a trajectory's trace begins with its start state
    target: ClassVar[str] = "none"  # what a task is in a picture: one of TARGETS

    def __init__(self, num_rows: int):
        self.num_rows = num_rows

    @classmethod
    def target_column(cls) -> int | None:
        """The column of the trace that holds the target in force, where it may move within a trajectory."""
        return next((k for k, name in enumerate(cls.trace_columns) if name.startswith("target")), None)

    @classmethod
    def require_installed(cls) -> None:
        """NotInstalled where this machine lacks what the family needs beside the engine. Asked before any training."""
        return  # most need nothing

    @classmethod
    def task_width(cls) -> int:
        """How many numbers a task is."""
        return cls.task_dim or len(cls.parameter_names)

    @staticmethod
    def draw_tasks(count: int, seed: int = TASK_SEED) -> np.ndarray:
        """The list of `count` tasks, (task, parameter) float64, as the reference draws it. Each seed has its own."""
        raise NotImplementedError

    @classmethod
    def tasks(cls, num_train: int, num_test: int, seed: int = TASK_SEED) -> tuple[np.ndarray, np.ndarray]:
        """Training and test tasks, (task, parameter) each: the first of the list, and its last. Each seed has its own.

        A family whose test tasks are drawn otherwise (from other ranges, or a list that is fixed) overrides this
        instead of draw_tasks. InputError where it has no such list.
        """
        drawn = cls.draw_tasks(num_train + num_test, seed)
        return drawn[:num_train], drawn[num_train:]

    @abstractmethod
    def reset(self, tasks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Start an episode in every row. `tasks` (row, parameter). Returns observations (row, observation_dim)."""

    @abstractmethod
    def step(self, action: np.ndarray) -> Step:
        """Act in every row. `action` (row, action_dim) in [-1, 1]; what lies outside is clipped."""

    def trace(self) -> np.ndarray:
        """The trace at the present state, (row, …); needed where `trace_at_reset`."""
        raise NotImplementedError

    def oracle_action(self) -> np.ndarray | None:
        """What who knows every row's task does now, (row, action_dim). None where no such policy is known: then
        `best_return` takes its place, and where that is None too, no score is normalised.
        """
        return None

    @classmethod
    def best_fixed(cls, tasks: np.ndarray) -> np.ndarray | None:
        """What the best policy that answers all `tasks` (task, parameter) alike returns on each, (task,): it needs no
        context. Best by their mean. None where it is not known.
        """
        return None

    def qpos(self) -> np.ndarray | None:
        """MuJoCo's generalised positions, (row, nq), which `physics_model` can render. None without such physics."""
        return None

    @staticmethod
    def physics_model() -> Any:
        """The mujoco.MjModel behind `qpos`, or None."""
        return None


def fixed_list(
    family: type[TaskFamily], listed: np.ndarray, num_train: int, num_test: int, seed: int = TASK_SEED
) -> tuple[np.ndarray, np.ndarray]:
    """The same few tasks for training and test. InputError where other counts or another seed are asked."""
    if (num_train, num_test, seed) != (len(listed), len(listed), TASK_SEED):
        raise InputError(
            f"{family.__name__} has {len(listed)} tasks, the same for training and test; expected train_tasks and "
            f"test_tasks {len(listed)} and task_seed {TASK_SEED}, not {num_train}, {num_test} and {seed}."
        )
    return listed, listed


def fixed_test_list(family: type[TaskFamily], listed: np.ndarray, num_test: int, seed: int = TASK_SEED) -> np.ndarray:
    """The first of the test tasks that do not depend on a seed. InputError where more, or another seed, are asked."""
    if num_test > len(listed) or seed != TASK_SEED:
        raise InputError(
            f"{family.__name__} has {len(listed)} test tasks, which are fixed; expected test_tasks of at most "
            f"{len(listed)} and task_seed {TASK_SEED}, not {num_test} and {seed}."
        )
    return listed[:num_test]
