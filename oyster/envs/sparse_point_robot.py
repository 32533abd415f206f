"""sparse-point-robot: goals on a half circle, felt only within a radius; the point starts in its centre."""

import numpy as np

from oyster.envs.family import TASK_SEED, Step, TaskFamily
from oyster.envs.reference_policies import walk

MAX_MOVE = 0.1  # action 1 moves the point by this much along an axis
GOAL_RADIUS = 0.2


class SparsePointRobot(TaskFamily):
    horizon = 20
    sparse = True
    observation_dim = 2
    action_dim = 2
    parameter_names = ("goal_x", "goal_y")
    trace_name = "positions"
    trace_columns = ("x", "y")
    trace_at_reset = True
    target = "place"

    @staticmethod
    def draw_tasks(count: int, seed: int = TASK_SEED) -> np.ndarray:
        # The reference shuffles evenly spaced goals, seeded anew just before, so what it drew earlier leaves no trace.
        # Another shuffle of these would train on the benchmark's test goals: another seed draws other angles.
        rng = np.random.RandomState(seed)
        angles = np.linspace(0.0, np.pi, num=count) if seed == TASK_SEED else rng.uniform(0.0, np.pi, size=count)
        goals = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        rng.shuffle(goals)
        return goals

    def reset(self, tasks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        self._goals = tasks
        self._position = np.zeros((self.num_rows, 2))
        return self._position.astype(np.float32)

    def step(self, action: np.ndarray) -> Step:
        self._position = self._position + MAX_MOVE * np.clip(action, -1.0, 1.0)
        distance = np.linalg.norm(self._position - self._goals, axis=-1)
        observation = self._position.astype(np.float32)
        no_end = np.zeros(self.num_rows, bool)
        return Step(observation, -distance.astype(np.float32), sparse_reward(distance), no_end, observation)

    def trace(self) -> np.ndarray:
        return self._position.astype(np.float32)

    def oracle_action(self) -> np.ndarray:
        return np.clip((self._goals - self._position) / MAX_MOVE, -1.0, 1.0)  # straight to the goal, then stay

    @classmethod
    def best_fixed(cls, tasks: np.ndarray) -> np.ndarray:
        """One place to walk to and stay at, 0.6 to 1.2 out, by whole degrees."""
        degrees, out = np.radians(np.arange(181)), np.array([0.6, 0.7, 0.8, 0.85, 0.9, 1.0, 1.1, 1.2])
        directions = np.stack([np.cos(degrees), np.sin(degrees)], axis=-1)
        places = (out[:, None, None] * directions).reshape(-1, 1, 2)  # (place, 1, axis)
        returns = np.zeros((len(places), len(tasks)))
        for position in walk(np.zeros((1, 2)), places, MAX_MOVE, cls.horizon):
            returns += sparse_reward(np.linalg.norm(position - tasks, axis=-1))
        return returns[returns.mean(axis=1).argmax()]


def sparse_reward(distance: np.ndarray) -> np.ndarray:
    """1 - distance within the goal's radius, 0 outside. (…) → (…) float32."""
    return np.where(distance <= GOAL_RADIUS, 1.0 - distance, 0.0).astype(np.float32)
