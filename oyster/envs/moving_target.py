"""Targets that change within an episode: known to the reward and to the trace, never to the observation."""

from abc import abstractmethod

import numpy as np

from oyster.envs.family import Step, TaskFamily

PERIOD = 100  # steps between two moments at which the target may change
CHANCE = 0.5  # that it does, per row


class MovingTarget(TaskFamily):
    """Put before the family whose `_target()` it moves. A task is the first target, (row, 1).

    The whole schedule of an episode is drawn when it is reset, after the start states, from the same generator. The
    times are those of the MoSS paper. Where a target goes is each family's.
    """

    horizon = 600

    def reset(self, tasks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        observation = super().reset(tasks, rng)
        self._active = self._schedule(tasks[:, 0], rng)
        return observation

    def set_state(self, tasks: np.ndarray, qpos: np.ndarray, qvel: np.ndarray, active: np.ndarray | None = None):
        """`active` (row, step): the target in force at each step; its last one stays. None: the tasks' own, always."""
        self._active = tasks[:, :1] if active is None else active
        self._lived = 0
        return super().set_state(tasks, qpos, qvel)

    def step(self, action: np.ndarray) -> Step:
        target = self._target()
        step = super().step(action)
        self._lived += 1
        return step._replace(trace=np.column_stack([step.trace, target]).astype(np.float32))

    def trace(self) -> np.ndarray:
        return np.column_stack([super().trace(), self._target()]).astype(np.float32)

    @classmethod
    def best_fixed(cls, tasks: np.ndarray) -> None:
        return None  # a task's first target says little of the return

    def _target(self) -> np.ndarray:
        """That which the coming step is rewarded for, (row,)."""
        return self._active[:, min(self._lived, self._active.shape[1] - 1)]

    def _schedule(self, first: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The target of each step, (row, step): it may change before the steps 100, 200, …, counted from 0."""
        targets = [first]
        for _ in range(PERIOD, self.horizon, PERIOD):
            changes = rng.random(len(first)) < CHANCE
            targets.append(np.where(changes, self._other(targets[-1], rng), targets[-1]))
        return np.repeat(np.stack(targets, axis=1), PERIOD, axis=1)[:, : self.horizon]

    @staticmethod
    @abstractmethod
    def _other(target: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """What follows a target that changes, (row,) each."""
