"""Meeting new tasks: explore with z from the prior, infer the posterior from what was seen, act on it.

The context comes from the exploration itself and from nothing else.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch

from oyster.algorithms.algorithm import Transition
from oyster.algorithms.pearl.posterior import Posterior

if TYPE_CHECKING:
    from oyster.algorithms.pearl.agent import Agent


class Adapter:
    """The policy is deterministic; `rng` draws z, a new one for every trajectory."""

    def __init__(self, agent: "Agent", num_rows: int, rng: np.random.Generator):
        self.agent, self.num_rows, self.rng = agent, num_rows, rng
        self.posterior: Posterior | None = None
        self.num_trajectories = 0
        self.context: list[list[np.ndarray]] = [[] for _ in range(num_rows)]  # per row and trajectory (step, feature)
        self.steps: list[tuple[np.ndarray, np.ndarray]] = []  # of the present one: (row, feature), active (row,)

    @torch.no_grad()  # not inference_mode: an encoder may keep a tensor that it later trains with
    def belief(self) -> Posterior:
        """The prior until the exploring trajectories are done, then the posterior given all that each row has seen."""
        self._keep_trajectory()
        if self.posterior is None:
            self.posterior = self.agent.prior(self.num_rows)
        elif self.num_trajectories < self.agent.exploration_trajectories:
            self.posterior = self.agent.prior_again(self.posterior)
        else:
            self.posterior = infer(self.agent, [np.concatenate(seen) for seen in self.context])
        return self.posterior

    def begin(self) -> None:
        self.num_trajectories += 1
        self._act = self.agent.actor(self.agent.draw_latent(self.posterior, self.rng), None)

    @torch.inference_mode()
    def act(self, observation: np.ndarray) -> np.ndarray:
        return self._act(observation)

    def observe(self, transition: Transition, active: np.ndarray) -> None:
        columns = [transition.observation, transition.action, transition.reward[:, None]]
        if self.agent.next_obs_in_context:
            columns.append(transition.next_observation)
        self.steps.append((np.concatenate(columns, axis=1), active))

    def _keep_trajectory(self) -> None:
        """A row is active from a trajectory's start to its end, or not at all."""
        if not self.steps:
            return
        features = np.stack([features for features, _ in self.steps], axis=1)  # (row, step, feature)
        lengths = np.sum([active for _, active in self.steps], axis=0)
        for row, length in enumerate(lengths):
            if length:
                self.context[row].append(features[row, :length])
        self.steps = []


def infer(agent: "Agent", contexts: list[np.ndarray]) -> Posterior:
    """All rows at once where their contexts are equally long, else (where episodes end by themselves) one by one."""
    if len({len(rows) for rows in contexts}) == 1:
        return agent.infer(torch.from_numpy(np.stack(contexts)).to(agent.device))
    alone = [agent.infer(torch.from_numpy(rows[None]).to(agent.device)) for rows in contexts]
    variance = None if alone[0].variance is None else torch.cat([posterior.variance for posterior in alone])
    return Posterior(torch.cat([posterior.mean for posterior in alone]), variance)
