"""Humanoid: torso, arms and legs, free in space. 376 observations, 17 torques, 0.015 s per step."""

import mujoco
import numpy as np

from oyster.envs.bodies.body import Body, load_asset, upright

RESET_NOISE = 0.01
LARGEST_CONTROL = 0.4  # an action of 1
LOWEST, HIGHEST = 1.0, 2.0  # of a torso that has not fallen, m


class Humanoid(Body):
    """It observes inertias, velocities and forces of its bodies unscaled: some are thousands."""

    horizon = 200
    observation_dim = 376
    action_dim = 17
    trace_name = "positions"
    trace_columns = ("x", "y")
    trace_at_reset = True
    _forces_wanted = True

    def __init__(self, num_rows: int, physics_threads: int = 1):
        super().__init__(num_rows, physics_threads)
        self._derived = [self._batch.bind(name) for name in ("cinert", "cvel", "qfrc_actuator")]
        self._centres = self._batch.bind("xipos")  # (row, body, 3), of mass
        self._torso = self._batch.bind("xpos")[:, self._model.body("torso").id, :2]
        self._share = self._model.body_mass / self._model.body_mass.sum()  # (body,)

    @staticmethod
    def physics_model() -> mujoco.MjModel:
        return load_asset("humanoid.xml")

    def trace(self) -> np.ndarray:
        return self._torso.astype(np.float32)

    def _start(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        qpos_noise = rng.uniform(-RESET_NOISE, RESET_NOISE, size=self._qpos.shape)
        return upright(self._initial_qpos + qpos_noise), rng.uniform(-RESET_NOISE, RESET_NOISE, size=self._qvel.shape)

    def _walk(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One step. Returns the control (row, 17), and how far the centre of mass went on the plane, (row, 2) in m."""
        control = LARGEST_CONTROL * np.clip(action, -1.0, 1.0).astype(np.float64)
        before = self._centre_of_mass()
        self._simulate(control)
        return control, self._centre_of_mass() - before

    def _centre_of_mass(self) -> np.ndarray:
        """On the plane, (row, 2) in m."""
        return (self._share[:, None] * self._centres[..., :2]).sum(axis=1)

    def _observation(self) -> np.ndarray:
        parts = [self._qpos[:, 2:], self._qvel, *self._derived, self._forces]
        return np.concatenate([part.reshape(self.num_rows, -1) for part in parts], axis=1).astype(np.float32)


def fallen(qpos: np.ndarray) -> np.ndarray:
    """Whether the torso is too low or too high. (row, 24) → (row,) bool."""
    return (qpos[:, 2] < LOWEST) | (qpos[:, 2] > HIGHEST)
