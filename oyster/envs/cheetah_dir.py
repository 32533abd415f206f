"""cheetah-dir: the half-cheetah runs forward or backward, whichever it is rewarded for."""

import numpy as np

from oyster.envs.bodies.half_cheetah import HalfCheetah, control_cost
from oyster.envs.family import TASK_SEED, Step, fixed_list

DIRECTIONS = np.array([[-1.0], [1.0]])


class CheetahDir(HalfCheetah):
    """Two tasks, the same for training and test."""

    parameter_names = ("direction",)
    target = "direction"  # one number is traced, so it is up or down
    task_counts = (2, 2)

    @classmethod
    def tasks(cls, num_train: int, num_test: int, seed: int = TASK_SEED) -> tuple[np.ndarray, np.ndarray]:
        return fixed_list(cls, DIRECTIONS, num_train, num_test, seed)

    def step(self, action: np.ndarray) -> Step:
        action, velocity = self._run(action)
        return self._outcome(dense_reward(velocity, self._target(), action), None, velocity)

    def _target(self) -> np.ndarray:
        """The direction that the present step is rewarded for, (row,): -1 or 1."""
        return self._tasks[:, 0]


def dense_reward(velocity: np.ndarray, direction: np.ndarray, action: np.ndarray) -> np.ndarray:
    """Velocity (m/s) in the direction, minus the control cost. (row,), (row,), (row, 6) → (row,)."""
    return direction * velocity - control_cost(action)
