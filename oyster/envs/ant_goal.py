"""ant-goal: the ant walks to a goal on the plane that it cannot see."""

import numpy as np

from oyster.envs.bodies.ant import Ant, contact_cost
from oyster.envs.family import TASK_SEED, Step

RADIUS = 3.0  # of the disc that goals lie on, m


class AntGoal(Ant):
    """It observes its position and its contacts too: 113 numbers. Nothing ends an episode."""

    best_return = 0.0
    observation_dim = 113
    parameter_names = ("goal_x", "goal_y")
    target = "place"

    @staticmethod
    def draw_tasks(count: int, seed: int = TASK_SEED) -> np.ndarray:
        """Uniform by area; all angles are drawn before all radii, so that a shorter list holds other goals."""
        rng = np.random.RandomState(seed)
        angle = rng.uniform(0.0, 2.0 * np.pi, size=count)
        return on_circles(RADIUS * np.sqrt(rng.uniform(size=count)), angle)

    def step(self, action: np.ndarray) -> Step:
        action, _ = self._walk(action)
        return self._outcome(dense_reward(self._torso, self._tasks, action, self._forces), None, self._torso)

    def _observation(self) -> np.ndarray:
        contacts = np.clip(self._forces, -1.0, 1.0).reshape(self.num_rows, -1)
        return np.concatenate([self._qpos, self._qvel, contacts], axis=1).astype(np.float32)


def on_circles(radius: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Goals (task, 2)."""
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def dense_reward(position: np.ndarray, goal: np.ndarray, action: np.ndarray, forces: np.ndarray) -> np.ndarray:
    """Minus the distance to the goal along the axes (m), minus the costs of torques and contacts.

    (row, 2), (row, 2), (row, 8), (row, body, 6) → (row,).
    """
    distance = np.abs(position - goal).sum(axis=1)
    return -distance - 0.1 * np.square(action).sum(axis=1) - contact_cost(forces)
