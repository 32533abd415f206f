"""It trains by drifting, and acts by drawing around where it has drifted to."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from oyster.algorithms.algorithm import Transition


class Row(NamedTuple):
    iteration: int
    environment_steps: int
    gradient_steps: int
    train_return: float


class Agent(nn.Module):
    def __init__(self, action_dim: int):
        super().__init__()
        self.drift = nn.Parameter(0.1 * torch.randn(action_dim), requires_grad=False)
        self.warnings: list[str] = []

    def adapter(self, num_rows: int, rng: np.random.Generator) -> "Adapter":
        return Adapter(self.drift.numpy(), num_rows, rng)

    def encoder_parameters(self) -> None:
        return None


class Adapter:
    def __init__(self, drift: np.ndarray, num_rows: int, rng: np.random.Generator):
        self.drift, self.num_rows, self.rng = drift, num_rows, rng

    def belief(self) -> None:
        return None

    def begin(self) -> None:
        pass

    def act(self, observation: np.ndarray) -> np.ndarray:
        noise = self.rng.standard_normal((self.num_rows, len(self.drift)), dtype=np.float32)
        return np.tanh(self.drift + 0.1 * noise)

    def observe(self, transition: Transition, active: np.ndarray) -> None:
        pass


def load_sources(settings, sources) -> None:
    return None


def make_agent(settings, family, loaded, device) -> Agent:
    return Agent(family.action_dim)


class Learner:
    def __init__(self, settings, agent: Agent, family, train_tasks: np.ndarray, streams):
        self.settings, self.agent, self.tasks, self.streams = settings, agent, train_tasks, streams
        self.rows = family(len(train_tasks))
        self.iteration = self.chunk = self.environment_steps = self.gradient_steps = 0
        self.total = 0.0
        self.first_rewards: list[float] = []

    def train(self) -> Iterator[Row | float]:
        while self.iteration < self.settings.num_iterations:
            while self.chunk < self.settings.num_chunks:
                self._drift()
                yield self.chunk / self.settings.num_chunks
            row = Row(self.iteration, self.environment_steps, self.gradient_steps, self.total / self.chunk)
            self.iteration, self.chunk, self.total = self.iteration + 1, 0, 0.0
            yield row

    def _drift(self) -> None:
        with torch.no_grad():
            self.agent.drift += 0.1 * torch.randn(self.agent.drift.shape)
        self.rows.reset(self.tasks, self.streams["resets"])
        step = self.rows.step(np.tile(self.agent.drift.numpy(), (self.rows.num_rows, 1)))
        self.first_rewards = self.first_rewards or step.reward.tolist()
        self.total += float(step.reward.mean())
        self.environment_steps += self.rows.num_rows
        self.gradient_steps += 1
        self.chunk += 1

    def start(self) -> dict[str, Any]:
        return {"first_rewards": self.first_rewards}

    def state_dict(self) -> dict[str, Any]:
        names = ("iteration", "chunk", "environment_steps", "gradient_steps", "total", "first_rewards")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
