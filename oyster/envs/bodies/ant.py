"""Ant: a torso on four legs, free in space. 8 torques, 0.05 s per step."""

import mujoco
import numpy as np

from oyster.envs.bodies.body import Body, load_asset, upright

DT = 0.05  # seconds per step: 5 physics steps of 0.01
RESET_NOISE = 0.1
LOWEST, HIGHEST = 0.2, 1.0  # of a torso that is well, m


class Ant(Body):
    """It observes height, orientation, joints and velocities, but not where it is: 27 numbers."""

    horizon = 200
    observation_dim = 27
    action_dim = 8
    trace_name = "positions"
    trace_columns = ("x", "y")
    trace_at_reset = True
    _forces_wanted = True

    def __init__(self, num_rows: int, physics_threads: int = 1):
        super().__init__(num_rows, physics_threads)
        self._torso = self._batch.bind("xpos")[:, self._model.body("torso").id, :2]  # (row, 2), live

    @staticmethod
    def physics_model() -> mujoco.MjModel:
        return load_asset("ant.xml")

    def trace(self) -> np.ndarray:
        return self._torso.astype(np.float32)

    def _start(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        qpos = self._initial_qpos + rng.uniform(-RESET_NOISE, RESET_NOISE, size=self._qpos.shape)
        return upright(qpos), RESET_NOISE * rng.standard_normal(self._qvel.shape)

    def _walk(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One step. Returns the action within the torques' range (row, 8), and the torso's velocity (row, 2) in m/s."""
        action = np.clip(action, -1.0, 1.0).astype(np.float64)
        before = self._torso.copy()
        self._simulate(action)
        return action, (self._torso - before) / DT

    def _observation(self) -> np.ndarray:
        return np.concatenate([self._qpos[:, 2:], self._qvel], axis=1).astype(np.float32)


def contact_cost(forces: np.ndarray) -> np.ndarray:
    """Of contact forces (row, body, 6), each number clipped to [-1, 1] first. → (row,)."""
    return 0.0005 * np.square(np.clip(forces, -1.0, 1.0)).reshape(len(forces), -1).sum(axis=1)


def unhealthy(qpos: np.ndarray, qvel: np.ndarray) -> np.ndarray:
    """Whether the torso is too low or too high, or anything is not finite. (row, 15), (row, 14) → (row,) bool."""
    finite = np.isfinite(qpos).all(axis=1) & np.isfinite(qvel).all(axis=1)
    return ~(finite & (qpos[:, 2] >= LOWEST) & (qpos[:, 2] <= HIGHEST))
