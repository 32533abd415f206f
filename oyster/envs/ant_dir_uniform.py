"""ant-dir-uniform: ant-dir with directions from the whole circle, other ones in the test."""

import numpy as np

from oyster.envs.ant_dir import AntDir
from oyster.envs.family import TASK_SEED, TaskFamily


class AntDirUniform(AntDir):
    task_counts = TaskFamily.task_counts

    @staticmethod
    def draw_tasks(count: int, seed: int = TASK_SEED) -> np.ndarray:
        return np.random.RandomState(seed).uniform(0.0, 2.0 * np.pi, size=(count, 1))

    @classmethod
    def tasks(cls, num_train: int, num_test: int, seed: int = TASK_SEED) -> tuple[np.ndarray, np.ndarray]:
        drawn = cls.draw_tasks(num_train + num_test, seed)
        return drawn[:num_train], drawn[num_train:]
