"""ant-dir: the ant walks forward or backward, whichever it is rewarded for.

Papers call two families ant-dir: this one of two directions, and ant-dir-uniform.
"""

import numpy as np

from oyster.envs.bodies.ant import Ant, contact_cost, unhealthy
from oyster.envs.family import TASK_SEED, Step, fixed_list

ANGLES = np.array([[0.0], [np.pi]])


class AntDir(Ant):
    """Two tasks, the same for training and test. An ant that falls over or jumps too high ends its episode."""

    parameter_names = ("angle",)
    task_counts = (2, 2)
    target = "direction"

    @classmethod
    def tasks(cls, num_train: int, num_test: int, seed: int = TASK_SEED) -> tuple[np.ndarray, np.ndarray]:
        return fixed_list(cls, ANGLES, num_train, num_test, seed)

    def step(self, action: np.ndarray) -> Step:
        action, velocity = self._walk(action)
        reward = dense_reward(velocity, self._target(), action, self._forces)
        return self._outcome(reward, unhealthy(self._qpos, self._qvel), self._torso)

    def _target(self) -> np.ndarray:
        """The angle that the present step is rewarded for, (row,) in rad."""
        return self._tasks[:, 0]


def dense_reward(velocity: np.ndarray, angle: np.ndarray, action: np.ndarray, forces: np.ndarray) -> np.ndarray:
    """Velocity (m/s) in the direction, plus 1 for being up, minus the costs of torques and contacts.

    (row, 2), (row,), (row, 8), (row, body, 6) → (row,).
    """
    forward = velocity[:, 0] * np.cos(angle) + velocity[:, 1] * np.sin(angle)
    return forward - 0.5 * np.square(action).sum(axis=1) - contact_cost(forces) + 1.0
