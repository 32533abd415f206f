"""cheetah-multi-task: the half-cheetah runs at a velocity, goes to a place, stands on its front or back, or jumps.

Variants and ranges are those of MELTS's public code, which fit the counts that the MoSS paper gives.
"""

import numpy as np

from oyster.envs.bodies.half_cheetah import HalfCheetah, control_cost
from oyster.envs.family import TASK_SEED, Step
from oyster.envs.variants import variant_tasks

VARIANTS = {  # name: what it is about (row of `_measured`), lowest and highest target
    "velocity_forward": (0, 1.0, 5.0),
    "velocity_backward": (0, -5.0, -1.0),
    "goal_forward": (1, 5.0, 25.0),
    "goal_backward": (1, -25.0, -5.0),
    "stand_front": (2, np.pi / 6, np.pi / 2),
    "stand_back": (2, -np.pi / 2, -np.pi / 6),
    "jump": (3, 1.5, 3.0),
}
ABOUT = np.array([about for about, _, _ in VARIANTS.values()])


class CheetahMultiTask(HalfCheetah):
    """A task is the number of its variant and a target. No variant's idle return is far from -1 per step."""

    best_return = 0.0
    parameter_names = ("variant", "target")
    task_counts = (2 * len(VARIANTS), len(VARIANTS))
    trace_name = "value_and_target"
    trace_columns = ("value", "target")
    target = "level"

    @classmethod
    def tasks(cls, num_train: int, num_test: int, seed: int = TASK_SEED) -> tuple[np.ndarray, np.ndarray]:
        return variant_tasks([(low, high) for _, low, high in VARIANTS.values()], num_train, num_test, seed)

    def step(self, action: np.ndarray) -> Step:
        action, _ = self._run(action)
        number, target = self._tasks[:, 0].astype(int), self._tasks[:, 1]
        value = self._measured()[ABOUT[number], np.arange(self.num_rows)]
        return self._outcome(dense_reward(value, target, action), None, np.stack([value, target], axis=1))

    def _measured(self) -> np.ndarray:
        """(4, row), of now: forward velocity (m/s), position (m), pitch (rad, not wrapped), vertical speed (m/s)."""
        return np.stack([self._qvel[:, 0], self._qpos[:, 0], self._qpos[:, 2], np.abs(self._qvel[:, 1])])


def dense_reward(value: np.ndarray, target: np.ndarray, action: np.ndarray) -> np.ndarray:
    """Minus the distance from the target in units of the target, minus the control cost. (row,) twice, (row, 6)."""
    return -np.abs(value - target) / np.abs(target) - control_cost(action)
