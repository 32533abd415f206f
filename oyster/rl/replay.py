"""Replay: every transition is stored once; the RL buffer and the context buffers are lists of positions in that store.

A position stays valid for the whole trial, since nothing is overwritten. An observation is stored once too: the next
observation of a transition is that of the row after it, and a trajectory ends with a row that holds nothing else.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from oyster.rl.rollout import Trajectories
from oyster.runtime.device import to_device


class Layout(NamedTuple):
    """Columns of a stored row: [observation | action | context reward | terminal | reward].

    A context transition is a prefix of the row.
    """

    observation_dim: int
    action_dim: int

    @property
    def widths(self) -> list[int]:
        return [self.observation_dim, self.action_dim, 1, 1, 1]

    @property
    def context_width(self) -> int:
        return sum(self.widths[:3])


class Transitions(NamedTuple):
    """Each (task, transition, width)."""

    observation: torch.Tensor
    action: torch.Tensor
    context_reward: torch.Tensor
    next_observation: torch.Tensor
    terminal: torch.Tensor
    reward: torch.Tensor


class TransitionStore:
    """All trajectories of a trial, (row, column), on the device. Memory is touched only as it fills."""

    def __init__(self, layout: Layout, capacity: int, device: torch.device):
        """`capacity` in rows: one per transition, one more per trajectory; where it does not do, the store grows."""
        self.layout = layout
        self.rows = torch.empty(capacity, sum(layout.widths), device=device)
        self.size = 0

    def append(self, trajectories: Trajectories, row: int, sparse_context: bool) -> int:
        """Store one row's trajectory. Returns its first position; the others follow it."""
        length = int(trajectories.length[row])
        context_reward = trajectories.sparse_reward if sparse_context else trajectories.reward
        columns = [
            trajectories.observation[row, :length],
            trajectories.action[row, :length],
            context_reward[row, :length, None],
            trajectories.terminal[row, :length, None],
            trajectories.reward[row, :length, None],
        ]
        stored = np.zeros((length + 1, self.rows.shape[1]), np.float32)
        stored[:length] = np.concatenate(columns, axis=1, dtype=np.float32)
        stored[length, : self.layout.observation_dim] = trajectories.next_observation[row, length - 1]
        start = self.size
        self.extend(torch.from_numpy(stored))
        return start

    def extend(self, rows: torch.Tensor) -> None:
        """Put rows, as they are stored, behind those that there are."""
        needed = self.size + len(rows)
        if needed > len(self.rows):
            grown = self.rows.new_empty(max(needed, 2 * len(self.rows)), self.rows.shape[1])
            grown[: self.size] = self.rows[: self.size]
            self.rows = grown
        self.rows[self.size : needed] = rows.to(self.rows.device)
        self.size = needed

    def gather(self, positions: np.ndarray) -> Transitions:
        """The transitions at `positions` (task, transition)."""
        observation, action, context_reward, terminal, reward = self._at(self.rows, positions).split(
            self.layout.widths, dim=-1
        )
        return Transitions(observation, action, context_reward, self._next(positions), terminal, reward)

    def gather_context(self, positions: np.ndarray, next_observation: bool) -> torch.Tensor:
        """Context transitions at `positions` (task, transition): (task, transition, feature)."""
        context = self._at(self.rows[:, : self.layout.context_width], positions)
        return torch.cat([context, self._next(positions)], dim=-1) if next_observation else context

    def _next(self, positions: np.ndarray) -> torch.Tensor:
        return self._at(self.rows[:, : self.layout.observation_dim], positions + 1)

    @staticmethod
    def _at(rows: torch.Tensor, positions: np.ndarray) -> torch.Tensor:
        index = to_device(positions, rows.device)
        return rows.index_select(0, index.flatten()).view(*positions.shape, -1)


class Positions:
    """For each of `num_lists` lists (one per task, or one per row of a collection): its trajectories."""

    def __init__(self, num_lists: int):
        self.sizes = np.zeros(num_lists, np.int64)  # transitions in each list
        self._positions = np.zeros((num_lists, 0), np.int64)  # (list, transition), valid up to sizes
        self.episodes: list[list[tuple[int, int]]] = [[] for _ in range(num_lists)]  # (first position, length)

    @classmethod
    def of(cls, episodes: Sequence[Sequence[tuple[int, int]]]) -> "Positions":
        """Lists of these trajectories, each (first position, length)."""
        positions = cls(len(episodes))
        for which, listed in enumerate(episodes):
            positions.replace(which, listed)
        return positions

    def add(self, which: int, start: int, length: int) -> None:
        """Add the trajectory that is stored at positions start, start + 1, …"""
        size = self.sizes[which] + length
        if size > self._positions.shape[1]:
            grown = np.zeros((len(self.sizes), max(size, 2 * self._positions.shape[1])), np.int64)
            grown[:, : self._positions.shape[1]] = self._positions
            self._positions = grown
        self._positions[which, self.sizes[which] : size] = np.arange(start, start + length)
        self.sizes[which] = size
        self.episodes[which].append((start, length))

    def replace(self, which: int, episodes: list[tuple[int, int]]) -> None:
        """Empty a list and fill it anew."""
        self.sizes[which] = 0
        self.episodes[which] = []
        for start, length in episodes:
            self.add(which, start, length)

    def draw(self, lists: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """`count` positions from each of `lists`, uniformly with replacement: (list, count)."""
        offsets = (rng.random((len(lists), count)) * self.sizes[lists, None]).astype(np.int64)
        return self._positions[lists[:, None], offsets]

    def draw_ordered(self, lists: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """Whole episodes of each of `lists`, drawn with replacement, concatenated and cut to `count`: (list, count)."""
        drawn = np.empty((len(lists), count), np.int64)
        for row, which in enumerate(lists):
            filled = 0
            while filled < count:
                start, length = self.episodes[which][int(rng.integers(len(self.episodes[which])))]
                taken = min(length, count - filled)
                drawn[row, filled : filled + taken] = np.arange(start, start + taken)
                filled += taken
        return drawn
