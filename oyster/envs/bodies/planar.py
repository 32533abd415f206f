"""Walker and hopper: legs in a plane whose masses, inertias, dampings and frictions are the task. 0.016 s per step."""

import mujoco
import numpy as np

from oyster.envs.bodies.body import Body, load_asset

TIMESTEP = 0.004  # s; the models' files say 0.002
DT = 0.016  # seconds per step: 4 physics steps
RESET_NOISE = 0.005
FASTEST = 10.0  # that an observed velocity can be
SPREAD = {  # field of the model: the base that is raised to a power in [-3, 3], in the order in which tasks are drawn
    "body_mass": 1.5,
    "body_inertia": 1.5,
    "dof_damping": 1.3,
    "geom_friction": 1.5,
}


class Planar(Body):
    """A task is all numbers of the four fields, one after the other, as they are written to the model.

    Nothing is derived from them anew: the reference did not either.
    """

    horizon = 200
    parameter_names = ()
    trace_name = "forward_velocity"
    _substeps = 4

    def __init__(self, num_rows: int, physics_threads: int = 1):
        super().__init__(num_rows, physics_threads)
        self._fields = [self._batch.expand(name) for name in SPREAD]  # (row, …) each, live

    def set_state(self, tasks: np.ndarray, qpos: np.ndarray, qvel: np.ndarray) -> np.ndarray:
        ends = np.cumsum([field[0].size for field in self._fields])
        for field, numbers in zip(self._fields, np.split(tasks, ends[:-1], axis=1), strict=True):
            field[:] = numbers.reshape(field.shape)
        return super().set_state(tasks, qpos, qvel)

    def _start(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        qpos_noise, qvel = (
            rng.uniform(-RESET_NOISE, RESET_NOISE, size=part.shape) for part in (self._qpos, self._qvel)
        )
        return self._initial_qpos + qpos_noise, qvel

    def _run(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One step. Returns the action within the torques' range (row, nu), and the forward velocity (row,) in m/s."""
        action = np.clip(action, -1.0, 1.0).astype(np.float64)
        x_before = self._qpos[:, 0].copy()
        self._simulate(action)
        return action, (self._qpos[:, 0] - x_before) / DT

    def _observation(self) -> np.ndarray:
        velocities = np.clip(self._qvel, -FASTEST, FASTEST)
        return np.concatenate([self._qpos[:, 1:], velocities], axis=1).astype(np.float32)


def load_planar(name: str) -> mujoco.MjModel:
    model = load_asset(name)
    model.opt.timestep = TIMESTEP
    return model


def random_parameters(model: mujoco.MjModel, count: int, seed: int) -> np.ndarray:
    """Tasks (task, number): each number of the model times its field's base to a power uniform in [-3, 3]."""
    rng = np.random.RandomState(seed)
    initial = {name: getattr(model, name) for name in SPREAD}
    tasks = [
        np.concatenate([
            (value * np.power(SPREAD[name], rng.uniform(-3.0, 3.0, size=value.shape))).ravel()
            for name, value in initial.items()
        ])
        for _ in range(count)
    ]  # fmt: skip
    return np.array(tasks)


def dense_reward(velocity: np.ndarray, action: np.ndarray) -> np.ndarray:
    """Forward velocity (m/s), plus 1 for being up, minus the control cost. (row,), (row, nu) → (row,)."""
    return velocity + 1.0 - 0.001 * np.square(action).sum(axis=-1)
