"""Policies that need no training: idle does nothing, best fixed answers every task alike, the oracle knows the task. A
learner's return is read between idle and oracle; one no higher than the best fixed shows no use of the context.

Recorded files call the two ends `doing_nothing` and `task_known`.
"""

from collections.abc import Iterator

import numpy as np

from oyster.envs.family import TASK_SEED, TaskFamily

STEPS = 40_000  # environment steps that each policy's returns are averaged over


def reference_returns(family: type[TaskFamily], tasks: np.ndarray, steps: int = STEPS) -> dict[str, list[float] | None]:
    """Mean undiscounted return per task of idle and of the oracle, under the reported reward, over about `steps` each.

    The scale on which scores of different families can be averaged. The oracle's is None where the family has neither
    such a policy nor a best return.
    """
    return {
        "doing_nothing": _mean_returns(family, tasks, steps, oracle=False),
        "task_known": _mean_returns(family, tasks, steps, oracle=True),
    }


def _mean_returns(family: type[TaskFamily], tasks: np.ndarray, steps: int, oracle: bool) -> list[float] | None:
    episodes = max(1, steps // (len(tasks) * family.horizon)) if family.starts_vary else 1
    rows = family(len(tasks) * episodes)
    rows.reset(np.repeat(tasks, episodes, axis=0), np.random.default_rng(TASK_SEED))
    if oracle and rows.oracle_action() is None:
        return None if family.best_return is None else [family.best_return] * len(tasks)
    total, running = np.zeros(rows.num_rows), np.ones(rows.num_rows, bool)
    for _ in range(family.horizon):
        step = rows.step(rows.oracle_action() if oracle else np.zeros((rows.num_rows, rows.action_dim)))
        total += np.where(running, step.sparse_reward if family.sparse else step.reward, 0.0)
        running &= ~step.terminal
        if not running.any():
            break
    return total.reshape(len(tasks), episodes).mean(axis=1).tolist()


def walk(start: np.ndarray, place: np.ndarray, max_move: float, steps: int) -> Iterator[np.ndarray]:
    """Positions after each step of a point that walks straight to `place` and stays there. Shapes broadcast, (…, 2)."""
    position = start
    for _ in range(steps):
        position = position + max_move * np.clip((place - position) / max_move, -1.0, 1.0)
        yield position
