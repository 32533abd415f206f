"""hopper-rand-params: a hopper learns to hop with masses, inertias, dampings and frictions that it cannot see."""

import mujoco
import numpy as np

from oyster.envs.bodies.planar import Planar, dense_reward, load_planar, random_parameters
from oyster.envs.family import TASK_SEED, Step

LOWEST = 0.7  # of a torso that is up, m
STEEPEST = 0.2  # pitch, rad
LARGEST = 100.0  # of every other number of the state


class HopperRandParams(Planar):
    observation_dim = 11
    action_dim = 3
    task_dim = 41

    @staticmethod
    def physics_model() -> mujoco.MjModel:
        return load_planar("hopper.xml")

    @staticmethod
    def draw_tasks(count: int, seed: int = TASK_SEED) -> np.ndarray:
        return random_parameters(HopperRandParams.physics_model(), count, seed)

    def step(self, action: np.ndarray) -> Step:
        action, velocity = self._run(action)
        return self._outcome(dense_reward(velocity, action), fallen(self._qpos, self._qvel), velocity)


def fallen(qpos: np.ndarray, qvel: np.ndarray) -> np.ndarray:
    """Whether the torso is too low or too steep, or a number is too large or not finite. (row, 6) twice → (row,)."""
    state = np.concatenate([qpos, qvel], axis=1)
    bounded = np.isfinite(state).all(axis=1) & (np.abs(state[:, 2:]) < LARGEST).all(axis=1)
    return ~(bounded & (qpos[:, 1] > LOWEST) & (np.abs(qpos[:, 2]) < STEEPEST))
