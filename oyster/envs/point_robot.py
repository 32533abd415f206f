"""point-robot: a point on the plane walks to a goal that it cannot see; reward is minus the distance to it."""

import numpy as np

from oyster.envs.family import TASK_SEED, Step, TaskFamily
from oyster.envs.reference_policies import walk

MAX_MOVE = 0.1  # action 1 moves the point by this much along an axis
STARTS = 200  # that the return of a fixed answer is averaged over


class PointRobot(TaskFamily):
    horizon = 20
    observation_dim = 2
    action_dim = 2
    parameter_names = ("goal_x", "goal_y")
    trace_name = "positions"
    trace_columns = ("x", "y")
    trace_at_reset = True
    target = "place"

    @staticmethod
    def draw_tasks(count: int, seed: int = TASK_SEED) -> np.ndarray:
        return np.random.RandomState(seed).uniform(-1.0, 1.0, size=(count, 2))

    def reset(self, tasks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        self._goals = tasks
        self._position = rng.uniform(-1.0, 1.0, size=(self.num_rows, 2))
        return self._position.astype(np.float32)

    def step(self, action: np.ndarray) -> Step:
        self._position = self._position + MAX_MOVE * np.clip(action, -1.0, 1.0)
        reward = dense_reward(self._position, self._goals).astype(np.float32)
        observation = self._position.astype(np.float32)
        return Step(observation, reward, reward, np.zeros(self.num_rows, bool), observation)

    def trace(self) -> np.ndarray:
        return self._position.astype(np.float32)

    def oracle_action(self) -> np.ndarray:
        return np.clip((self._goals - self._position) / MAX_MOVE, -1.0, 1.0)  # straight to the goal, then stay

    @classmethod
    def best_fixed(cls, tasks: np.ndarray) -> np.ndarray:
        """One place to walk to and stay at, on a grid of tenths round the origin."""
        along = np.arange(-0.5, 0.51, 0.1)
        places = np.stack(np.meshgrid(along, along, indexing="ij"), axis=-1).reshape(-1, 1, 2)  # (place, 1, axis)
        starts = np.random.default_rng(TASK_SEED).uniform(-1.0, 1.0, size=(len(tasks) * STARTS, 2))
        goals = np.repeat(tasks, STARTS, axis=0)
        returns = np.zeros((len(places), len(goals)))
        for position in walk(starts, places, MAX_MOVE, cls.horizon):
            returns += dense_reward(position, goals).astype(np.float32)
        returns = returns.reshape(len(places), len(tasks), STARTS).mean(axis=2)
        return returns[returns.mean(axis=1).argmax()]


def dense_reward(position: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Minus the distance after the move. (…, 2), (…, 2) → (…)."""
    return -np.linalg.norm(position - goal, axis=-1)
