"""cheetah-vel: MuJoCo's half-cheetah runs at a target velocity that it cannot see."""

from pathlib import Path

import gymnasium
import mujoco
import numpy as np
from mujoco.batch import Batch

from oyster.envs.family import TASK_SEED, Step, TaskFamily

MODEL = Path(gymnasium.__file__).parent / "envs/mujoco/assets/half_cheetah.xml"
FRAME_SKIP = 5
DT = 0.05  # seconds a step: FRAME_SKIP physics steps of 0.01
CONTROL_COST = 0.05
RESET_NOISE = 0.1


class CheetahVel(TaskFamily):
    """All rows are one mujoco.batch.Batch: bitwise the same as stepping each alone, for any number of threads."""

    horizon = 200
    best_return = 0.0
    observation_dim = 20
    action_dim = 6
    parameter_names = ("target_velocity",)
    trace_name = "forward_velocity"

    def __init__(self, num_rows: int, physics_threads: int = 1):
        super().__init__(num_rows)
        model = load_model()
        self._batch = Batch(model, nsim=num_rows, nthread=physics_threads)
        self._initial_qpos = model.qpos0.copy()
        self._qpos, self._qvel = self._batch.bind("qpos"), self._batch.bind("qvel")
        self._torso = self._batch.bind("xpos")[:, model.body("torso").id]

    @staticmethod
    def draw_tasks(count: int, seed: int = TASK_SEED) -> np.ndarray:
        return np.random.RandomState(seed).uniform(0.0, 3.0, size=(count, 1))

    def reset(self, tasks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        qpos_noise = rng.uniform(-RESET_NOISE, RESET_NOISE, size=self._qpos.shape)
        qvel_noise = RESET_NOISE * rng.standard_normal(self._qvel.shape)
        return self.set_state(tasks, self._initial_qpos + qpos_noise, qvel_noise)

    def set_state(self, tasks: np.ndarray, qpos: np.ndarray, qvel: np.ndarray) -> np.ndarray:
        """Start from a given state, (row, 9) each. Returns observations (row, 20)."""
        self._target = tasks[:, 0]
        self._batch.reset(stage=mujoco.mjtStage.mjSTAGE_NONE)
        self._qpos[:], self._qvel[:] = qpos, qvel
        self._batch.forward()
        return self._observation()

    def step(self, action: np.ndarray) -> Step:
        action = np.clip(action, -1.0, 1.0)  # the model's control range
        x_before = self._qpos[:, 0].copy()
        self._batch.ctrl = action
        self._batch.step(nstep=FRAME_SKIP)
        velocity = (self._qpos[:, 0] - x_before) / DT
        reward = dense_reward(velocity, self._target, action).astype(np.float32)
        return Step(self._observation(), reward, reward, np.zeros(self.num_rows, bool), velocity.astype(np.float32))

    @classmethod
    def best_fixed(cls, tasks: np.ndarray) -> np.ndarray:
        """A bound: one speed from the first step on, at no cost."""
        speeds = np.arange(0.0, 3.01, 0.1)
        returns = -cls.horizon * np.abs(tasks[:, 0] - speeds[:, None])  # (speed, task)
        return returns[returns.mean(axis=1).argmax()]

    def qpos(self) -> np.ndarray:
        return self._qpos.copy()

    @staticmethod
    def physics_model() -> mujoco.MjModel:
        return load_model()

    def _observation(self) -> np.ndarray:
        # The torso's position is the one that the last physics step computed: one physics step behind qpos.
        return np.concatenate([self._qpos[:, 1:], self._qvel, self._torso], axis=1).astype(np.float32)


def load_model() -> mujoco.MjModel:
    """Half-cheetah as the reference had it."""
    spec = mujoco.MjSpec.from_file(str(MODEL))
    total_mass, spec.compiler.settotalmass = spec.compiler.settotalmass, -1  # deprecated: MuJoCo would log a warning
    model = spec.compile()
    mujoco.mj_setTotalmass(model, total_mass)
    mujoco.mj_setConst(model, mujoco.MjData(model))
    model.geom_margin *= 0.5  # MuJoCo sums margins since 3.5 and took the larger before: this keeps the old contacts
    return model


def dense_reward(velocity: np.ndarray, target: np.ndarray, action: np.ndarray) -> np.ndarray:
    """Minus the distance from the target velocity (m/s), minus the control cost. (row,), (row,), (row, 6) → (row,)."""
    return -np.abs(velocity - target) - CONTROL_COST * np.square(action).sum(axis=-1)
