"""walker-rand-params: a walker learns to walk with masses, inertias, dampings and frictions that it cannot see."""

import mujoco
import numpy as np

from oyster.envs.bodies.planar import Planar, dense_reward, load_planar, random_parameters
from oyster.envs.family import TASK_SEED, Step

LOWEST, HIGHEST = 0.8, 2.0  # of a torso that is up, m
STEEPEST = 1.0  # pitch, rad


class WalkerRandParams(Planar):
    observation_dim = 17
    action_dim = 6
    task_dim = 65

    @staticmethod
    def physics_model() -> mujoco.MjModel:
        return load_planar("walker2d.xml")

    @staticmethod
    def draw_tasks(count: int, seed: int = TASK_SEED) -> np.ndarray:
        return random_parameters(WalkerRandParams.physics_model(), count, seed)

    def step(self, action: np.ndarray) -> Step:
        action, velocity = self._run(action)
        return self._outcome(dense_reward(velocity, action), fallen(self._qpos), velocity)


def fallen(qpos: np.ndarray) -> np.ndarray:
    """Whether the torso is too low, too high or too steep. (row, 9) → (row,) bool."""
    height, pitch = qpos[:, 1], qpos[:, 2]
    return ~((height > LOWEST) & (height < HIGHEST) & (pitch > -STEEPEST) & (pitch < STEEPEST))
