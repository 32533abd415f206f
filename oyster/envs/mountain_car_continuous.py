"""mountain-car-continuous: swing a car of unknown power out of a valley; gymnasium's, rows at once.

One policy solves every power, so this tests exploration more than adaptation. gymnasium charges the action as it is
given, clipped or not. Here a policy acts in [-1, 1]: `step` clips first, and the cost is that of the clipped action.
"""

import numpy as np

from oyster.envs.family import TASK_SEED, Step, TaskFamily

LEFTMOST, RIGHTMOST, GOAL = -1.2, 0.6, 0.45
FASTEST = 0.07  # per step
GRAVITY = 0.0025
ENOUGH = 0.3  # of the full force, in the direction of motion: reaches the goal in every task, at a small cost


class MountainCarContinuous(TaskFamily):
    horizon = 999
    best_return = 100.0
    observation_dim = 2
    action_dim = 1
    parameter_names = ("power",)
    trace_name = "position"

    @staticmethod
    def draw_tasks(count: int, seed: int = TASK_SEED) -> np.ndarray:
        return np.random.RandomState(seed).uniform(0.001, 0.002, size=(count, 1))

    def reset(self, tasks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        position = rng.uniform(-0.6, -0.4, size=self.num_rows)
        return self.set_state(tasks, np.stack([position, np.zeros(self.num_rows)], axis=1))

    def set_state(self, tasks: np.ndarray, state: np.ndarray) -> np.ndarray:
        """Start from positions and velocities (row, 2). Returns observations (row, 2)."""
        self._power, self._state = tasks[:, 0], state.astype(np.float32)
        return self._state.copy()

    def step(self, action: np.ndarray) -> Step:
        return self._step_as_given(np.clip(action, -1.0, 1.0))

    def _step_as_given(self, action: np.ndarray) -> Step:
        """gymnasium's step: the force is clipped, its cost is not."""
        action = action[:, 0].astype(np.float64)
        position, velocity, arrived = moved(*self._state.astype(np.float64).T, self._power, action)
        self._state = np.stack([position, velocity], axis=1).astype(np.float32)  # rounded every step, as gymnasium's
        reward = dense_reward(arrived, action).astype(np.float32)
        return Step(self._state.copy(), reward, reward, arrived, self._state[:, 0].copy())

    def oracle_action(self) -> np.ndarray:
        """Not the best known, but one that needs no planning; it is the same for every power."""
        return np.where(self._state[:, 1:] >= 0.0, ENOUGH, -ENOUGH)


def moved(position: np.ndarray, velocity: np.ndarray, power: np.ndarray, action: np.ndarray) -> tuple:
    """Position, velocity and whether the goal is reached, after one step. (row,) each."""
    velocity = velocity + power * np.clip(action, -1.0, 1.0) - GRAVITY * np.cos(3.0 * position)
    velocity = np.clip(velocity, -FASTEST, FASTEST)
    position = np.clip(position + velocity, LEFTMOST, RIGHTMOST)
    velocity = np.where((position == LEFTMOST) & (velocity < 0.0), 0.0, velocity)  # the wall on the left
    return position, velocity, (position >= GOAL) & (velocity >= 0.0)


def dense_reward(arrived: np.ndarray, action: np.ndarray) -> np.ndarray:
    """100 at the goal, minus a tenth of the squared action. (row,) bool, (row,) → (row,)."""
    return np.where(arrived, 100.0, 0.0) - 0.1 * np.square(action)
