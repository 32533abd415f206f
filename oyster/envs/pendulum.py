"""pendulum: swing up a pendulum of unknown mass and hold it there; gymnasium's Pendulum-v1, rows at once."""

import numpy as np

from oyster.envs.family import TASK_SEED, Step, TaskFamily

DT = 0.05  # seconds per step
LARGEST_TORQUE, FASTEST = 2.0, 8.0  # N m, of an action of 1; rad/s
GRAVITY, LENGTH = 10.0, 1.0  # m/s², m


class Pendulum(TaskFamily):
    """Gravity and length are parameters too, and the same in all tasks: motion tells only g / l and m l² apart."""

    horizon = 200
    best_return = 0.0
    observation_dim = 3
    action_dim = 1
    parameter_names = ("gravity", "mass", "length")
    trace_name = "angle"

    @staticmethod
    def draw_tasks(count: int, seed: int = TASK_SEED) -> np.ndarray:
        mass = np.random.RandomState(seed).uniform(0.5, 2.0, size=count)
        return np.stack([np.full(count, GRAVITY), mass, np.full(count, LENGTH)], axis=1)

    def reset(self, tasks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return self.set_state(tasks, rng.uniform([-np.pi, -1.0], [np.pi, 1.0], size=(self.num_rows, 2)))

    def set_state(self, tasks: np.ndarray, state: np.ndarray) -> np.ndarray:
        """Start from angles (rad, 0 is upright) and velocities (rad/s), (row, 2). Returns observations (row, 3)."""
        self._tasks, (self._angle, self._velocity) = tasks, state.T.copy()
        return self._observation()

    def step(self, action: np.ndarray) -> Step:
        torque = LARGEST_TORQUE * np.clip(action[:, 0], -1.0, 1.0).astype(np.float64)
        reward = dense_reward(self._angle, self._velocity, torque).astype(np.float32)
        gravity, mass, length = self._tasks.T
        push = 3.0 * gravity / (2.0 * length) * np.sin(self._angle) + 3.0 / (mass * length**2) * torque
        self._velocity = np.clip(self._velocity + DT * push, -FASTEST, FASTEST)
        self._angle = self._angle + DT * self._velocity
        trace = wrapped(self._angle).astype(np.float32)
        return Step(self._observation(), reward, reward, np.zeros(self.num_rows, bool), trace)

    def _observation(self) -> np.ndarray:
        return np.stack([np.cos(self._angle), np.sin(self._angle), self._velocity], axis=1).astype(np.float32)


def wrapped(angle: np.ndarray) -> np.ndarray:
    """In [-π, π)."""
    return (angle + np.pi) % (2.0 * np.pi) - np.pi


def dense_reward(angle: np.ndarray, velocity: np.ndarray, torque: np.ndarray) -> np.ndarray:
    """Of the state before the step and the torque (N m): minus how far from upright and at rest. (row,) each."""
    return -(np.square(wrapped(angle)) + 0.1 * np.square(velocity) + 0.001 * np.square(torque))
