"""oyster as a library: `load` gives a trained agent, which adapts to tasks that it has never met."""

import warnings
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from torch import nn

from oyster.algorithms import algorithm
from oyster.algorithms.settings import Settings
from oyster.envs.family import TaskFamily
from oyster.runtime.errors import InputError
from oyster.runtime.seeds import separate_torch_stream
from oyster.trial.arithmetic import as_in_a_trial
from oyster.trial.run import Trial
from oyster.trial.saved import Saved, find_saved


def load(place: str | PathLike, *, encoder: str | PathLike | None = None, device: str = "cpu") -> "TrainedAgent":
    """A trained agent, ready to meet new tasks.

    place: a result's folder, as results/demo/point-robot/mlp/42, or a file, as agents/point-robot.safetensors.
    encoder: the encoder's name or file. Without it, the file of the recorded name in encoders/.
    device: where the encoder infers, `cpu`, `cuda` or `auto`. The policy always acts on the CPU.

    InputError where the agent, its weights or its encoder's file are not there, or do not fit each other. A warning
    where that file is not the one that was trained. Torch's switches and random state are as before when this returns.
    """
    saved = find_saved(Path(place))
    sources = saved.sources(encoder and str(encoder), lambda line: warnings.warn(line, stacklevel=4))
    with as_in_a_trial(saved.settings.threads), separate_torch_stream(saved.settings.seed):
        trial, module = saved.load(sources, device)
    return TrainedAgent(saved, trial, module.eval())


class Belief(NamedTuple):
    """What an agent believes of each row's task: a Gaussian over its latent variables, or a point."""

    mean: np.ndarray  # (row, latent) float32
    variance: np.ndarray | None  # (row, latent) float32; None where the belief is a point


class TrainedAgent:
    """What `load` returns. It is not changed by acting: each adapter has a memory of its own."""

    settings: Settings
    """All that determined the trial, e.g. `settings.num_iterations`."""
    environment: str
    """The task family's name, as `oyster.envs.make` takes it."""
    family: type[TaskFamily]
    train_tasks: np.ndarray
    """(task, parameter): those that it was trained on."""
    test_tasks: np.ndarray
    """(task, parameter): those that its trial tested it on."""
    meta_test_return: float | None
    """What the trial recorded: the mean return over test tasks, after adapting."""
    module: nn.Module
    """The networks. Of a file of agents/, those alone that act have been trained."""

    def __init__(self, saved: Saved, trial: Trial, module: nn.Module):
        self.settings, self.environment = saved.settings, saved.settings.environment
        self.family, self.train_tasks, self.test_tasks = trial.family, trial.train_tasks, trial.test_tasks
        self.meta_test_return, self.module = saved.meta_test_return, module

    def adapter(self, num_rows: int = 1, seed: int | np.random.Generator = 0) -> "Adapter":
        """One that meets `num_rows` tasks side by side, as the meta-test does, and knows nothing of them yet.

        seed: of what the agent draws, as PEARL's latent variables; or a generator that draws it.
        """
        if not isinstance(num_rows, (int, np.integer)) or num_rows < 1:
            raise InputError(f"num_rows is {num_rows!r}; expected how many tasks are met side by side, 1 or more.")
        rng = np.random.default_rng(seed)
        with as_in_a_trial(self.settings.threads):
            inner = self.module.adapter(num_rows, rng)
        return Adapter(inner, self.family, num_rows, self.settings.threads, rng.spawn(1)[0])

    def __repr__(self) -> str:
        s, value = self.settings, self.meta_test_return
        recorded = "" if value is None else f", meta-test return {value:.2f}"
        return f"<{s.algorithm} agent {s.agent} on {s.environment}: preset {s.preset}, seed {s.seed}{recorded}>"


class Adapter:
    """Acts in tasks that the agent has never met, one per row, and learns from what it sees there.

    For each trajectory: `begin`, then for each step `act` and `observe`. Trajectories of one task follow each other;
    for another task, take another adapter. With one row, arrays may come without the axis of rows; then actions are
    returned without it too.
    """

    def __init__(
        self,
        inner: algorithm.Adapter,
        family: type[TaskFamily],
        num_rows: int,
        threads: int,
        torch_seeds: np.random.Generator,
    ):
        """`torch_seeds` seeds Torch for each belief: an encoder may draw there what it acts on."""
        self.num_rows = num_rows
        self._inner, self._family, self._threads, self._torch_seeds = inner, family, threads, torch_seeds
        self._belief: Belief | None = None
        self._asked = False  # whether `_belief` holds all that was seen
        self._running: np.ndarray | None = None  # (row,) bool: the trajectory goes on; None before the first one
        self._seen = np.zeros(num_rows, bool)  # rows with a step that counted

    def belief(self) -> Belief | None:
        """What was inferred of each row's task so far; None where the algorithm infers nothing.

        PEARL: the prior, until the exploring trajectories are done.
        """
        if not self._asked:
            if self._seen.any() and not self._seen.all():
                idle = np.flatnonzero(~self._seen).tolist()
                raise InputError(f"The rows {idle} have observed nothing yet, while others have. Let all rows begin.")
            with as_in_a_trial(self._threads), separate_torch_stream(int(self._torch_seeds.integers(2**32))):
                belief = self._inner.belief()
            self._belief = None if belief is None else Belief(_array(belief.mean), _array(belief.variance))
            self._asked = True
        return self._belief

    def begin(self) -> None:
        """Start a trajectory, just before the environment is reset. PEARL draws its latent variables here."""
        self.belief()
        with as_in_a_trial(self._threads):
            self._inner.begin()
        self._running = np.ones(self.num_rows, bool)

    def act(self, observation: ArrayLike) -> np.ndarray:
        """(row, observation_dim) → actions (row, action_dim) in [-1, 1]."""
        self._require_begun("act")
        rows = self._rows("observation", observation, self._family.observation_dim)
        with as_in_a_trial(self._threads):
            action = self._inner.act(rows)
        return action[0] if np.ndim(observation) < rows.ndim else action

    def observe(
        self,
        observation: ArrayLike,
        action: ArrayLike,
        reward: ArrayLike,
        next_observation: ArrayLike,
        terminal: ArrayLike,
        ended: ArrayLike,
        active: ArrayLike | None = None,
    ) -> None:
        """Take in one step of every row.

        observation, next_observation: (row, observation_dim), before and after the step; action: (row, action_dim).
        reward: (row,), as the family reports it: the sparse one where it is sparse.
        terminal: (row,) bool, the episode ended by itself. ended: (row,) bool, it ended or was cut at the horizon.
        active: (row,) bool, rows whose step counts. Without it, all; a row that has ended counts no more in any case.
        """
        self._require_begun("observe")
        observed, done = self._family.observation_dim, self._rows("ended", ended, None, bool)
        seen = algorithm.Transition(
            self._rows("observation", observation, observed),
            self._rows("action", action, self._family.action_dim),
            self._rows("reward", reward, None),
            self._rows("next_observation", next_observation, observed),
            self._rows("terminal", terminal, None, bool),
            done,
        )
        counted = self._running if active is None else self._running & self._rows("active", active, None, bool)
        with as_in_a_trial(self._threads):
            self._inner.observe(seen, counted)
        self._running, self._seen = self._running & ~done, self._seen | counted
        self._asked = False

    def _require_begun(self, method: str) -> None:
        if self._running is None:
            raise InputError(f"{method}() was called before begin(). Call begin() before every trajectory.")

    def _rows(self, name: str, value: ArrayLike, width: int | None, kind: type = np.float32) -> np.ndarray:
        """A copy as (row, width), or (row,) without a width. InputError for another shape."""
        array = np.array(value, kind)
        expected = (self.num_rows,) if width is None else (self.num_rows, width)
        if self.num_rows == 1 and array.shape == expected[1:]:
            array = array[None]
        if array.shape != expected:
            raise InputError(f"{name} has the shape {array.shape}; expected {expected}, the rows first.")
        return array


def _array(tensor) -> np.ndarray | None:
    return None if tensor is None else tensor.detach().cpu().numpy().copy()
