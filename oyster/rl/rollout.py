"""One trajectory in every row of a task family, all rows stepped together."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from oyster.envs.family import TaskFamily


class Trajectories(NamedTuple):
    """A trajectory a row; what lies beyond a row's length is not part of it."""

    observation: np.ndarray  # (row, step, observation_dim)
    action: np.ndarray  # (row, step, action_dim)
    reward: np.ndarray  # (row, step), dense
    sparse_reward: np.ndarray  # (row, step)
    next_observation: np.ndarray  # (row, step, observation_dim)
    terminal: np.ndarray  # (row, step) bool
    length: np.ndarray  # (row,) int
    trace: np.ndarray  # (row, step or step + 1, …)

    def trace_of(self, row: int) -> np.ndarray:
        """A row's trace, cut where its trajectory ends."""
        start_state = self.trace.shape[1] - self.reward.shape[1]  # 1 where the trace begins with it, else 0
        return self.trace[row, : self.length[row] + start_state]

    def returns(self, sparse: bool) -> np.ndarray:
        """Undiscounted sums of the rewards that are reported, (row,)."""
        return undiscounted(self.sparse_reward if sparse else self.reward, self.length)


def undiscounted(reward: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Sums over a trajectory's own steps: (row, step), (row,) → (row,) float64."""
    counted = np.arange(reward.shape[1]) < length[:, None]
    return np.where(counted, reward, 0.0).sum(axis=1, dtype=np.float64)


@torch.inference_mode()
def rollout(
    family: TaskFamily,
    tasks: np.ndarray,
    act: Callable[[np.ndarray], np.ndarray],
    horizon: int,
    resets: np.random.Generator,
) -> Trajectories:
    """Run every row until it ends or is cut. `tasks` (row, parameter); `act` maps observations to actions."""
    rows = family.num_rows
    observations = np.empty((rows, horizon + 1, family.observation_dim), np.float32)
    action = np.empty((rows, horizon, family.action_dim), np.float32)
    reward, sparse_reward = np.empty((2, rows, horizon), np.float32)
    terminal = np.zeros((rows, horizon), bool)
    length = np.full(rows, horizon)
    running = np.ones(rows, bool)

    observations[:, 0] = family.reset(tasks, resets)
    traces = [family.trace()] if family.trace_at_reset else []
    for t in range(horizon):
        action[:, t] = act(observations[:, t])
        step = family.step(action[:, t])
        observations[:, t + 1], reward[:, t], sparse_reward[:, t] = step.observation, step.reward, step.sparse_reward
        terminal[:, t] = step.terminal
        traces.append(step.trace)
        ended = running & step.terminal
        length[ended] = t + 1
        running &= ~ended
        if not running.any():
            break
    steps = t + 1
    return Trajectories(
        observations[:, :steps],
        action[:, :steps],
        reward[:, :steps],
        sparse_reward[:, :steps],
        observations[:, 1 : steps + 1],
        terminal[:, :steps],
        length,
        np.stack(traces, axis=1),
    )
