"""humanoid-dir: the humanoid runs in a direction that it cannot see."""

import numpy as np

from oyster.envs.bodies.humanoid import Humanoid, fallen
from oyster.envs.family import TASK_SEED, Step

PHYSICS_STEP = 0.003  # s. The reference divides by it, though a step takes 0.015 s: its velocity is five times as large


class HumanoidDir(Humanoid):
    """A humanoid that falls ends its episode."""

    parameter_names = ("angle",)
    target = "direction"

    @staticmethod
    def draw_tasks(count: int, seed: int = TASK_SEED) -> np.ndarray:
        return np.random.RandomState(seed).uniform(0.0, 2.0 * np.pi, size=(count, 1))

    def step(self, action: np.ndarray) -> Step:
        control, moved = self._walk(action)
        reward = dense_reward(moved, self._tasks[:, 0], control, self._forces)
        return self._outcome(reward, fallen(self._qpos), self._torso)


def dense_reward(moved: np.ndarray, angle: np.ndarray, control: np.ndarray, forces: np.ndarray) -> np.ndarray:
    """How far the centre of mass went in the direction, plus 5 for being up, minus the costs of control and contacts.

    (row, 2) in m, (row,) in rad, (row, 17), (row, body, 6) → (row,).
    """
    forward = 0.25 * (moved[:, 0] * np.cos(angle) + moved[:, 1] * np.sin(angle)) / PHYSICS_STEP
    contact = np.minimum(5e-7 * np.square(forces).reshape(len(forces), -1).sum(axis=1), 10.0)
    return forward - 0.1 * np.square(control).sum(axis=1) - contact + 5.0
