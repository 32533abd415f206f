"""Half-cheetah: two legs that run in a plane. 20 observations, 6 torques, 0.05 s per step."""

import mujoco
import numpy as np

from oyster.envs.bodies.body import ASSETS, Body, keep_old_contacts

DT = 0.05  # seconds per step: 5 physics steps of 0.01
RESET_NOISE = 0.1
CONTROL_COST = 0.05


class HalfCheetah(Body):
    """It never ends an episode by itself: lying on its back it can go on."""

    horizon = 200
    observation_dim = 20
    action_dim = 6
    trace_name = "forward_velocity"

    def __init__(self, num_rows: int, physics_threads: int = 1):
        super().__init__(num_rows, physics_threads)
        self._torso = self._batch.bind("xpos")[:, self._model.body("torso").id]

    @staticmethod
    def physics_model() -> mujoco.MjModel:
        return load_model()

    def _start(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        qpos_noise = rng.uniform(-RESET_NOISE, RESET_NOISE, size=self._qpos.shape)
        return self._initial_qpos + qpos_noise, RESET_NOISE * rng.standard_normal(self._qvel.shape)

    def _run(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One step. Returns the action within the torques' range (row, 6), and the forward velocity (row,) in m/s."""
        action = np.clip(action, -1.0, 1.0)
        x_before = self._qpos[:, 0].copy()
        self._simulate(action)
        return action, (self._qpos[:, 0] - x_before) / DT

    def _observation(self) -> np.ndarray:
        # The torso's position is the one that the last physics step computed: one physics step behind qpos.
        return np.concatenate([self._qpos[:, 1:], self._qvel, self._torso], axis=1).astype(np.float32)


def load_model() -> mujoco.MjModel:
    """Half-cheetah as the reference had it."""
    spec = mujoco.MjSpec.from_file(str(ASSETS / "half_cheetah.xml"))
    total_mass, spec.compiler.settotalmass = spec.compiler.settotalmass, -1  # deprecated: MuJoCo would log a warning
    model = spec.compile()
    mujoco.mj_setTotalmass(model, total_mass)
    mujoco.mj_setConst(model, mujoco.MjData(model))
    return keep_old_contacts(model)


def control_cost(action: np.ndarray) -> np.ndarray:
    """(row, 6) → (row,)."""
    return CONTROL_COST * np.square(action).sum(axis=-1)
