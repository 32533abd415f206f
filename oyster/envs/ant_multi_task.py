"""ant-multi-task: the ant runs at a velocity or goes to a place along one of four directions, or jumps.

Variants and ranges are those of MELTS's public code, which fit the counts that the MoSS paper gives.
"""

import numpy as np

from oyster.envs.bodies.ant import Ant
from oyster.envs.family import TASK_SEED, Step
from oyster.envs.variants import variant_tasks

VELOCITY, GOAL, JUMP = range(3)
VARIANTS = {  # name: what it is about, the axis of its target (x, y), lowest and highest target
    "velocity_left": (VELOCITY, 0, -3.0, -1.0),
    "velocity_right": (VELOCITY, 0, 1.0, 3.0),
    "velocity_up": (VELOCITY, 1, 1.0, 3.0),
    "velocity_down": (VELOCITY, 1, -3.0, -1.0),
    "goal_left": (GOAL, 0, -15.0, -5.0),
    "goal_right": (GOAL, 0, 5.0, 15.0),
    "goal_up": (GOAL, 1, 5.0, 15.0),
    "goal_down": (GOAL, 1, -15.0, -5.0),
    "jump": (JUMP, 0, 0.5, 2.0),
}
ABOUT, AXIS = np.array([variant[:2] for variant in VARIANTS.values()]).T


class AntMultiTask(Ant):
    """A task is the number of its variant and a target (x, y); of a jump, x is the speed. Nothing ends an episode."""

    best_return = 0.0
    observation_dim = 29
    parameter_names = ("variant", "target_x", "target_y")
    task_counts = (2 * len(VARIANTS), len(VARIANTS))
    trace_name = "value_and_target"
    trace_columns = ("value", "target")
    trace_at_reset = False
    target = "level"
    _forces_wanted = False

    @classmethod
    def tasks(cls, num_train: int, num_test: int, seed: int = TASK_SEED) -> tuple[np.ndarray, np.ndarray]:
        ranges = [(low, high) for *_, low, high in VARIANTS.values()]
        return tuple(map(_on_their_axes, variant_tasks(ranges, num_train, num_test, seed)))

    def step(self, action: np.ndarray) -> Step:
        action, _ = self._walk(action)
        rows, number, target = np.arange(self.num_rows), self._tasks[:, 0].astype(int), self._tasks[:, 1:]
        about, axis = ABOUT[number], AXIS[number]
        planar = np.where((about == VELOCITY)[:, None], self._qvel[:, :2], self._qpos[:, :2])
        rise = np.abs(self._qvel[:, 2])
        reward = dense_reward(about == JUMP, planar, rise, target, action)
        value = np.where(about == JUMP, rise, planar[rows, axis])
        return self._outcome(reward, None, np.stack([value, target[rows, axis]], axis=1))

    def _observation(self) -> np.ndarray:
        return np.concatenate([self._qpos, self._qvel], axis=1).astype(np.float32)


def dense_reward(
    jumps: np.ndarray, planar: np.ndarray, rise: np.ndarray, target: np.ndarray, action: np.ndarray
) -> np.ndarray:
    """Minus the distance from the target in units of the target, squared on the plane, minus the control cost.

    jumps (row,) bool; planar (row, 2), velocity or position; rise (row,), vertical speed; target (row, 2).
    """
    on_plane = np.square(planar - target).sum(axis=1) / np.square(target).sum(axis=1)
    upwards = np.abs(rise - target[:, 0]) / np.where(jumps, target[:, 0], 1.0)
    return -np.where(jumps, upwards, on_plane) - 0.05 * np.square(action).sum(axis=1)


def _on_their_axes(tasks: np.ndarray) -> np.ndarray:
    """(task, variant and value) → (task, variant, x and y)."""
    targets = np.zeros((len(tasks), 3))
    targets[:, 0] = tasks[:, 0]
    targets[np.arange(len(tasks)), 1 + AXIS[tasks[:, 0].astype(int)]] = tasks[:, 1]
    return targets
