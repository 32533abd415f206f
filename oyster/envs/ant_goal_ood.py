"""ant-goal-ood: ant-goal, tested on goals between the near and the far ones that it was trained on.

The ranges are those of TAVT's public code ("inter").
"""

import numpy as np

from oyster.envs.ant_goal import AntGoal, on_circles
from oyster.envs.family import TASK_SEED, fixed_test_list

TEST = np.array([[1.75, 0.0], [0.0, 1.75], [-1.75, 0.0], [0.0, -1.75]])


class AntGoalOod(AntGoal):
    task_counts = (6, 4)

    @classmethod
    def tasks(cls, num_train: int, num_test: int, seed: int = TASK_SEED) -> tuple[np.ndarray, np.ndarray]:
        """Training goals uniform by area on the disc of radius 1 and the ring from 2.5 to 3 m; the test's are fixed."""
        test = fixed_test_list(cls, TEST, num_test, seed)
        rng = np.random.RandomState(seed)
        drawn = rng.uniform(0.0, 3.75, size=num_train)
        radius = np.sqrt(np.where(drawn < 1.0, drawn, drawn + 5.25))
        return on_circles(radius, rng.uniform(0.0, 2.0 * np.pi, size=num_train)), test
