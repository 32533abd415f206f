"""cheetah-vel-ood: cheetah-vel, tested on velocities between the ones that it was trained on.

The ranges are those of TAVT's public code ("inter").
"""

import numpy as np

from oyster.envs.cheetah_vel import CheetahVel
from oyster.envs.family import TASK_SEED, fixed_test_list

TEST = np.array([[0.75], [1.25], [1.75], [2.25], [2.75]])


class CheetahVelOod(CheetahVel):
    task_counts = (6, 5)

    @classmethod
    def tasks(cls, num_train: int, num_test: int, seed: int = TASK_SEED) -> tuple[np.ndarray, np.ndarray]:
        """Training velocities from 0-0.5 and 3-3.5 m/s, as likely either way; the test's are fixed."""
        test = fixed_test_list(cls, TEST, num_test, seed)
        drawn = np.random.RandomState(seed).uniform(0.0, 1.0, size=(num_train, 1))
        return np.where(drawn < 0.5, drawn, drawn + 2.5), test
