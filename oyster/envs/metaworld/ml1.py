"""What the families of Meta-World's ML1 share: an arm's hand, an object on a table, a goal that is not seen."""

from functools import cache
from typing import ClassVar

import numpy as np

from oyster.envs.family import TASK_SEED, Step, TaskFamily
from oyster.envs.metaworld.process import RESET, STEP, require_installed, worker_of
from oyster.runtime.errors import InputError

LISTED = 50  # tasks of each of the two lists
NEAREST = 0.15  # m on the table, from an object to its goal
HIGHEST_REWARD = 10.0  # per step, of all three


class Ml1(TaskFamily):
    """Meta-World's own code, in another process. A start is a function of the task alone."""

    horizon = 200
    success = True
    starts_vary = False
    best_return = 200 * HIGHEST_REWARD
    files = ("metaworld/requirements.txt", "metaworld/worker.py")
    observation_dim = 39  # hand (3), opening of the gripper, object (14), these of the step before, zeros for the goal
    action_dim = 4  # the hand's way, 0.01 m in x, y and z, and the gripper's effort
    parameter_names = ("object_x", "object_y", "object_z", "goal_x", "goal_y", "goal_z")
    trace_name = "positions"
    trace_columns = ("x", "y")  # of the hand
    trace_at_reset = True
    target = "place"

    _environment: ClassVar[str]  # as Meta-World calls it
    _goal_heights: ClassVar[tuple[float, float]] = (0.05, 0.3)  # m

    def __init__(self, num_rows: int):
        super().__init__(num_rows)
        self._worker = None  # until the first reset

    @classmethod
    def require_installed(cls) -> None:
        require_installed()

    @classmethod
    def tasks(cls, num_train: int, num_test: int, seed: int = TASK_SEED) -> tuple[np.ndarray, np.ndarray]:
        """The first of each list: those that `ML1(name, seed=1337)` has.

        The package's test list of one seed is its training list of the next: another seed has generators of its own.
        """
        if max(num_train, num_test) > LISTED:
            raise InputError(
                f"{cls.__name__} has {LISTED} training and {LISTED} test tasks; expected train_tasks and test_tasks of "
                f"at most {LISTED}, not {num_train} and {num_test}."
            )
        seeds = (seed, seed + 1) if seed == TASK_SEED else ((seed, 0), (seed, 1))
        train, test = (drawn(*cls._goal_heights, generator_seed) for generator_seed in seeds)
        return train[:num_train].copy(), test[:num_test].copy()

    def reset(self, tasks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        self._worker = self._worker or worker_of(self, self._environment)
        answer = self._worker.ask(RESET, tasks)
        self._hand, self._goal = answer[:, :2].astype(np.float32), answer[:, 39:]
        return answer[:, :39].astype(np.float32)

    def step(self, action: np.ndarray) -> Step:
        """The action goes on in float64: what it is rounded to, contacts make much of."""
        answer = self._worker.ask(STEP, np.clip(action, -1.0, 1.0))
        self._hand, self._distance = answer[:, :2].astype(np.float32), answer[:, 41]
        reward = answer[:, 39].astype(np.float32)
        never = np.zeros(self.num_rows, bool)
        return Step(answer[:, :39].astype(np.float32), reward, reward, never, self._hand.copy(), answer[:, 40] > 0.0)

    def trace(self) -> np.ndarray:
        return self._hand.copy()


@cache
def drawn(lowest: float, highest: float, seed: int | tuple[int, int]) -> np.ndarray:
    """One list, (task, 6): object x, y, z, goal x, y, z, the goal's height between `lowest` and `highest`.

    The package draws a task twice per reset and keeps the second.
    """
    rng = np.random.RandomState(seed)
    low, high = np.array([(-0.1, 0.1), (0.6, 0.7), (0.02, 0.02), (-0.1, 0.1), (0.8, 0.9), (lowest, highest)]).T
    return np.array([_far_apart(rng, low, high) for _ in range(2 * LISTED)])[1::2]


def _far_apart(rng: np.random.RandomState, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    while True:
        task = rng.uniform(low, high)
        if np.linalg.norm(task[:2] - task[3:5]) >= NEAREST:
            return task
