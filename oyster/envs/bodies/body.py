"""What all MuJoCo bodies share: rows stepped as one mujoco.batch.Batch, and states that can be set."""

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

import gymnasium
import mujoco
import numpy as np
from mujoco.batch import Batch

from oyster.envs.family import Step, TaskFamily

ASSETS = Path(gymnasium.__file__).parent / "envs/mujoco/assets"


class Body(TaskFamily):
    """Rows are bitwise the same as each stepped alone, for any number of threads.

    What the engine derives from the state (positions of bodies, forces) is left as the last physics step computed it:
    no forward pass follows a step. The reference had it so.
    """

    _substeps: ClassVar[int] = 5  # physics steps per step
    _forces_wanted: ClassVar[bool] = False  # whether there is `_forces`

    def __init__(self, num_rows: int, physics_threads: int = 1):
        super().__init__(num_rows)
        self._model = self.physics_model()
        self._batch = Batch(self._model, nsim=num_rows, nthread=physics_threads, persistent=self._forces_wanted)
        self._initial_qpos = self._model.qpos0.copy()
        self._qpos, self._qvel = self._batch.bind("qpos"), self._batch.bind("qvel")
        self._data = mujoco.MjData(self._model)  # made once: a new one per call takes a hundred times as long
        self._forces = np.zeros(
            (num_rows, self._model.nbody, 6)
        )  # contact torque and force on each body, the world first

    def reset(self, tasks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return self.set_state(tasks, *self._start(rng))

    def set_state(self, tasks: np.ndarray, qpos: np.ndarray, qvel: np.ndarray) -> np.ndarray:
        """Start from a given state, (row, nq) and (row, nv). Returns observations (row, observation_dim)."""
        self._tasks = tasks
        self._batch.reset(stage=mujoco.mjtStage.mjSTAGE_NONE)
        self._qpos[:], self._qvel[:] = qpos, qvel
        self._batch.forward()
        self._note_forces()
        return self._observation()

    def qpos(self) -> np.ndarray:
        return self._qpos.copy()

    @abstractmethod
    def _start(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A start state per row: qpos (row, nq), qvel (row, nv)."""

    @abstractmethod
    def _observation(self) -> np.ndarray:
        """(row, observation_dim) float32."""

    def _simulate(self, control: np.ndarray) -> None:
        """One step of the task, under a control (row, nu) in the model's own units."""
        self._batch.ctrl = control
        self._batch.step(nstep=self._substeps)
        self._note_forces()

    def _outcome(self, reward: np.ndarray, terminal: np.ndarray | None, trace: np.ndarray) -> Step:
        """The Step that led to the present state; `terminal` None where episodes never end by themselves."""
        reward = reward.astype(np.float32)
        terminal = np.zeros(self.num_rows, bool) if terminal is None else terminal
        return Step(self._observation(), reward, reward, terminal, trace.astype(np.float32))

    def _note_forces(self) -> None:
        for row in range(self.num_rows if self._forces_wanted else 0):
            self._batch.get_data(row, self._data)
            mujoco.mj_rnePostConstraint(self._model, self._data)  # else they are all zero
            self._forces[row] = self._data.cfrc_ext


def keep_old_contacts(model: mujoco.MjModel) -> mujoco.MjModel:
    """The model, with contacts as they were when MuJoCo took the larger of two margins: since 3.5 it sums them."""
    model.geom_margin *= 0.5
    return model


def load_asset(name: str) -> mujoco.MjModel:
    """A model of gymnasium's."""
    return keep_old_contacts(mujoco.MjModel.from_xml_path(str(ASSETS / name)))


def upright(qpos: np.ndarray) -> np.ndarray:
    """States with a free root joint, (row, nq), its quaternion made a rotation again after noise."""
    qpos[:, 3:7] /= np.linalg.norm(qpos[:, 3:7], axis=1, keepdims=True)
    return qpos
