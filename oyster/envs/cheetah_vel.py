"""cheetah-vel: MuJoCo's half-cheetah runs at a target velocity that it cannot see."""

import numpy as np

from oyster.envs.bodies.half_cheetah import HalfCheetah, control_cost
from oyster.envs.bodies.half_cheetah import load_model as load_model  # callers found it here before bodies were apart
from oyster.envs.family import TASK_SEED, Step


class CheetahVel(HalfCheetah):
    best_return = 0.0
    parameter_names = ("target_velocity",)
    target = "level"

    @staticmethod
    def draw_tasks(count: int, seed: int = TASK_SEED) -> np.ndarray:
        return np.random.RandomState(seed).uniform(0.0, 3.0, size=(count, 1))

    def step(self, action: np.ndarray) -> Step:
        action, velocity = self._run(action)
        return self._outcome(dense_reward(velocity, self._target(), action), None, velocity)

    def _target(self) -> np.ndarray:
        """The velocity that the present step is rewarded for, (row,) in m/s."""
        return self._tasks[:, 0]

    @classmethod
    def best_fixed(cls, tasks: np.ndarray) -> np.ndarray | None:
        """A bound: one speed from the first step on, at no cost."""
        speeds = np.arange(0.0, 3.01, 0.1)
        returns = -cls.horizon * np.abs(tasks[:, 0] - speeds[:, None])  # (speed, task)
        return returns[returns.mean(axis=1).argmax()]


def dense_reward(velocity: np.ndarray, target: np.ndarray, action: np.ndarray) -> np.ndarray:
    """Minus the distance from the target velocity (m/s), minus the control cost. (row,), (row,), (row, 6) → (row,)."""
    return -np.abs(velocity - target) - control_cost(action)
