"""Two policies that need no training: idle does nothing, the oracle knows the task. A learner's return is read between
theirs. They need no trial's seed.

Recorded files call them `doing_nothing` and `task_known`.
"""

import numpy as np

from oyster.envs.family import TASK_SEED, TaskFamily

STEPS = 40_000  # environment steps that each policy's returns are averaged over


def reference_returns(family: type[TaskFamily], tasks: np.ndarray) -> dict[str, list[float]]:
    """Mean undiscounted return per task of idle and of the oracle, under the reported reward.

    The scale on which scores of different families can be averaged.
    """
    return {
        "doing_nothing": _mean_returns(family, tasks, oracle=False),
        "task_known": _mean_returns(family, tasks, oracle=True),
    }


def _mean_returns(family: type[TaskFamily], tasks: np.ndarray, oracle: bool) -> list[float]:
    episodes = max(1, STEPS // (len(tasks) * family.horizon))
    rows = family(len(tasks) * episodes)
    rows.reset(np.repeat(tasks, episodes, axis=0), np.random.default_rng(TASK_SEED))
    total, running = np.zeros(rows.num_rows), np.ones(rows.num_rows, bool)
    for _ in range(family.horizon):
        action = rows.oracle_action() if oracle else np.zeros((rows.num_rows, rows.action_dim))
        if action is None:
            break
        step = rows.step(action)
        total += np.where(running, step.sparse_reward if family.sparse else step.reward, 0.0)
        running &= ~step.terminal
    return total.reshape(len(tasks), episodes).mean(axis=1).tolist()
