"""REINFORCE through a GRU: one episode per training task and iteration, then several updates on them."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from oyster.algorithms.algorithm import Belief, Transition
from oyster.rl.adam import Adam


class Row(NamedTuple):
    iteration: int
    environment_steps: int
    gradient_steps: int
    loss: float
    train_return: float


class Agent(nn.Module):
    """What the GRU reads of a step: observation, action, reward, ended."""

    def __init__(self, observation_dim: int, action_dim: int, hidden_size: int):
        super().__init__()
        self.gru = nn.GRUCell(observation_dim + action_dim + 2, hidden_size)
        self.head = nn.Linear(observation_dim + hidden_size, action_dim)
        self.warnings: list[str] = []

    def mean(self, observation: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.head(torch.cat([observation, hidden], dim=-1)))

    def adapter(self, num_rows: int, rng: np.random.Generator) -> "Adapter":
        return Adapter(self, num_rows)

    def encoder_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.gru.parameters())


class Adapter:
    """Memory goes on from episode to episode; a row that idles along keeps its own."""

    def __init__(self, agent: Agent, num_rows: int):
        self.agent, self.hidden = agent, torch.zeros(num_rows, agent.gru.hidden_size)

    def belief(self) -> Belief:
        return Belief(self.hidden, None)

    def begin(self) -> None:
        pass

    @torch.no_grad()
    def act(self, observation: np.ndarray) -> np.ndarray:
        return self.agent.mean(torch.from_numpy(observation), self.hidden).numpy()

    @torch.no_grad()
    def observe(self, transition: Transition, active: np.ndarray) -> None:
        seen = torch.from_numpy(_features(transition))
        self.hidden = torch.where(torch.from_numpy(active)[:, None], self.agent.gru(seen, self.hidden), self.hidden)


def _features(t: Transition) -> np.ndarray:
    return np.concatenate([t.observation, t.action, t.reward[:, None], t.ended[:, None]], axis=1, dtype=np.float32)


def load_sources(settings, sources) -> None:
    return None


def make_agent(settings, family, loaded, device) -> Agent:
    return Agent(family.observation_dim, family.action_dim, settings.hidden_size)


class Learner:
    def __init__(self, settings, agent: Agent, family, train_tasks: np.ndarray, streams):
        self.settings, self.agent, self.tasks, self.streams = settings, agent, train_tasks, streams
        self.rows = family(len(train_tasks))
        self.parameters = list(agent.parameters())
        self.optimizer = Adam(self.parameters, 1e-2)
        self.iteration = self.updates = self.environment_steps = self.gradient_steps = 0
        self.losses: list[float] = []
        self.batch: dict[str, torch.Tensor] = {}  # of the present iteration, (step, row, …)
        self.first_losses: list[float] = []

    def train(self) -> Iterator[Row | float]:
        while self.iteration < self.settings.num_iterations:
            if self.updates == 0:
                self._collect()
            while self.updates < self.settings.num_updates:
                self._update()
                yield self.updates / self.settings.num_updates
            returns = (self.batch["reward"] * self.batch["alive"]).sum(0).mean()
            row = Row(
                self.iteration, self.environment_steps, self.gradient_steps, float(np.mean(self.losses)), float(returns)
            )
            self.iteration, self.updates, self.losses, self.batch = self.iteration + 1, 0, [], {}
            yield row

    @torch.no_grad()
    def _collect(self) -> None:
        """Rows that have ended idle along, and are not learned from."""
        hidden = torch.zeros(self.rows.num_rows, self.settings.hidden_size)
        observation = self.rows.reset(self.tasks, self.streams["resets"])
        running, kept = np.ones(self.rows.num_rows, bool), []
        for t in range(self.rows.horizon):
            mean = self.agent.mean(torch.from_numpy(observation), hidden).numpy()
            action = mean + 0.3 * self.streams["actions"].standard_normal(mean.shape, dtype=np.float32)
            step = self.rows.step(action)
            ended = step.terminal | (t + 1 == self.rows.horizon)
            seen = Transition(observation, action, step.reward, step.observation, step.terminal, ended)
            kept.append((observation, action, step.reward, hidden.numpy().copy(), running.astype(np.float32)))
            hidden = torch.where(
                torch.from_numpy(running)[:, None], self.agent.gru(torch.from_numpy(_features(seen)), hidden), hidden
            )
            self.environment_steps += int(running.sum())
            observation, running = step.observation, running & ~step.terminal
        names = ("observation", "action", "reward", "hidden", "alive")
        self.batch = {
            name: torch.from_numpy(np.stack(part)) for name, part in zip(names, zip(*kept, strict=True), strict=True)
        }

    def _update(self) -> None:
        b = self.batch
        to_go = (b["reward"] * b["alive"]).flip(0).cumsum(0).flip(0)
        mean = self.agent.mean(b["observation"], b["hidden"])
        log_prob = -((b["action"] - mean) ** 2).sum(-1) / (2 * 0.3**2)
        loss = -(log_prob * (to_go - to_go.mean()) * b["alive"]).sum() / b["alive"].sum()
        self.optimizer.step(torch.autograd.grad(loss, self.parameters, allow_unused=True))
        self.losses.append(float(loss.detach()))
        self.first_losses = [*self.first_losses, self.losses[-1]][:3]
        self.gradient_steps += 1
        self.updates += 1

    def start(self) -> dict[str, Any]:
        return {"first_losses": self.first_losses}

    NAMES = ("iteration", "updates", "environment_steps", "gradient_steps", "losses", "first_losses")

    def state_dict(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in self.NAMES}
        return {"plain": plain, "optimizer": self.optimizer.state_dict(), "batch": self.batch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in state["plain"].items():
            setattr(self, name, value)
        self.optimizer.load_state_dict(state["optimizer"])
        self.batch = state["batch"]
