"""What stands between a trial and an algorithm: all that the one knows of the other.

An algorithm's folder has presets.yaml, a module `settings` (see Algorithm in __init__.py), and a module `learner`:

    load_sources(settings, sources) -> Any                  what they define; InputError where they cannot be used
    make_agent(settings, family, loaded, device) -> Agent   TrialFailure where a user's code fails
    Learner(settings, agent, family, train_tasks, streams)  with the methods below
    Row                                                     a NamedTuple that begins iteration, environment_steps,
                                                            gradient_steps

Shapes: row is the position in a batch of tasks that are met side by side, each row in a task of its own.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch


class Transition(NamedTuple):
    """One step of every row. Nothing else of the environment reaches an agent that is tested."""

    observation: np.ndarray  # (row, observation_dim) float32
    action: np.ndarray  # (row, action_dim) float32
    reward: np.ndarray  # (row,) float32, as it is reported: sparse where the family is
    next_observation: np.ndarray  # (row, observation_dim) float32
    terminal: np.ndarray  # (row,) bool: the episode ended by itself
    ended: np.ndarray  # (row,) bool: it ended, or was cut at the horizon


class Belief(NamedTuple):
    """What is inferred of each row's task: a diagonal Gaussian over the latent, or a point."""

    mean: torch.Tensor  # (row, latent)
    variance: torch.Tensor | None  # (row, latent)


class Adapter(Protocol):
    """Acts in tasks that it has never seen, one per row."""

    def belief(self) -> Belief | None:
        """What was inferred from all that was seen, for all rows at once; None where the algorithm infers nothing.

        Asked once before the first trajectory and after every one.
        """

    def begin(self) -> None:
        """Just before every reset: PEARL draws z here, MAML takes its inner step."""

    def act(self, observation: np.ndarray) -> np.ndarray:
        """(row, observation_dim) → (row, action_dim) in [-1, 1]"""

    def observe(self, transition: Transition, active: np.ndarray) -> None:
        """`active` (row,) bool: rows whose step counts; the others idle along, and are not to be learned from."""


class Agent(Protocol):
    """A torch.nn.Module; its state_dict is weights.safetensors."""

    warnings: list[str]  # what the algorithm's checks saw that is no breach

    def adapter(self, num_rows: int, rng: np.random.Generator) -> Adapter:
        """`rng` draws what the adapter draws; the trial's resets come from the same generator."""

    def encoder_parameters(self) -> int | None:
        """Numbers in what infers the task, for the report; None where there is no such part."""


class Learner(Protocol):
    """Meta-trains an agent. Counters advance before a row is yielded, so that no row comes twice after a load."""

    environment_steps: int
    gradient_steps: int

    def train(self) -> Iterator[Any]:
        """From wherever the state stands: a Row when the agent is to be tested, else the share of the iteration done,
        a float, where a checkpoint may be written: never with a rollout half done, and at most ten seconds apart.
        """

    def state_dict(self) -> dict[str, Any]:
        """Tensors, plain values, and Logs: nested. What the streams and Torch's generator hold, the trial keeps."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Then train() goes on inside the iteration where it stood; the agent's weights are loaded already."""

    def start(self) -> dict[str, Any]:
        """What start.json records after the task lists: by what other hardware is told to have begun alike."""
