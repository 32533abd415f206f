"""One PEARL gradient step: the encoder through the critics, then the value function and the policy.

The arithmetic is the reference's (soft actor-critic with a value network; the encoder learns from the critics' loss and
the KL term only).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F

from oyster.algorithms.pearl.agent import Agent
from oyster.algorithms.pearl.posterior import Posterior, infer_posterior
from oyster.algorithms.pearl.settings import Settings
from oyster.rl.adam import Adam
from oyster.rl.fused_mlp import fused_mlp
from oyster.rl.networks import Mlp, squashed_sample
from oyster.runtime.errors import encoder_at_fault

POLICY_MEAN_WEIGHT = POLICY_STD_WEIGHT = 1e-3


class Batch(NamedTuple):
    """What one gradient step learns from; every random draw in it is made by the caller."""

    observation: torch.Tensor  # (task, transition, observation_dim)
    action: torch.Tensor  # (task, transition, action_dim)
    reward: torch.Tensor  # (task, transition, 1), unscaled
    next_observation: torch.Tensor  # (task, transition, observation_dim)
    terminal: torch.Tensor  # (task, transition, 1), 0 or 1
    context: torch.Tensor  # (task, context transition, feature)
    z_noise: torch.Tensor  # (task, latent), standard normal
    action_noise: torch.Tensor  # (task, transition, action_dim), standard normal


class Losses(NamedTuple):
    """Scalars, as the reference logs them: the KL divergence before its weight kl_lambda."""

    qf_loss: torch.Tensor
    vf_loss: torch.Tensor
    policy_loss: torch.Tensor
    kl_divergence: torch.Tensor


class StepResult(NamedTuple):
    losses: Losses
    posterior: Posterior
    z: torch.Tensor  # (task, latent)


class GradientStep:
    """Updates an agent in place. Adam for every network, at the same rate."""

    def __init__(
        self,
        agent: Agent,
        *,
        learning_rate: float,
        discount: float,
        reward_scale: float,
        kl_lambda: float,
        soft_target_tau: float,
        precision: str = "float32",
    ):
        self.agent = agent
        self.discount, self.reward_scale = discount, reward_scale
        self.kl_lambda, self.soft_target_tau = kl_lambda, soft_target_tau
        self.bfloat16 = precision == "bfloat16"
        # Two optimisers serve five networks: Adam works parameter by parameter, so grouping changes no number.
        with encoder_at_fault():
            self.critic_parameters = _trainable(agent.qf1, agent.qf2, agent.context_encoder)
        self.critic_optimizer = Adam(self.critic_parameters, learning_rate)
        self.actor_parameters = _trainable(agent.vf, agent.policy)
        self.actor_optimizer = Adam(self.actor_parameters, learning_rate)

    @classmethod
    def from_settings(cls, agent: Agent, settings: Settings) -> "GradientStep":
        names = ("learning_rate", "discount", "reward_scale", "kl_lambda", "soft_target_tau", "precision")
        return cls(agent, **{name: getattr(settings, name) for name in names})

    def __call__(self, batch: Batch) -> StepResult:
        agent = self.agent
        num_transitions = batch.observation.shape[1]
        observation, action, reward, next_observation, terminal, action_noise = (
            part.flatten(0, 1)
            for part in (
                batch.observation,
                batch.action,
                batch.reward,
                batch.next_observation,
                batch.terminal,
                batch.action_noise,
            )
        )

        # q(z|c), one z per task, repeated over the task's rows of the batch. The encoder is what a trial tests. It must
        # train as its author saw it train: always in float32. Why: docs/explanation/precision.md.
        encoder, context = agent.context_encoder, batch.context
        posterior = infer_posterior(encoder, context, agent.latent_dim, agent.information_bottleneck)
        task_z = posterior.sample(batch.z_noise)
        z = task_z.repeat_interleave(num_transitions, dim=0)
        fixed_z = z.detach()

        # Critics and encoder: the only gradient that reaches the encoder comes through the critics and the KL term.
        q1, q2 = (self._mlp(qf, observation, action, z) for qf in (agent.qf1, agent.qf2))
        with torch.no_grad():
            next_value = self._mlp(agent.target_vf, next_observation, fixed_z)
            target = self.reward_scale * reward + (1.0 - terminal) * self.discount * next_value
        qf_loss = F.mse_loss(q1, target) + F.mse_loss(q2, target)
        kl = posterior.kl_to_prior() if agent.information_bottleneck else torch.zeros_like(qf_loss)
        with encoder_at_fault():
            gradients = torch.autograd.grad(qf_loss + self.kl_lambda * kl, self.critic_parameters, allow_unused=True)
            self.critic_optimizer.step(gradients)

        # Value function and policy, against the updated critics, whose weights get no gradient here.
        mean, log_std = agent.policy.split_output(self._mlp(agent.policy, observation, fixed_z))
        new_action, log_prob = squashed_sample(mean, log_std, action_noise)
        q1, q2 = (self._mlp(qf, observation, new_action, fixed_z, frozen=True) for qf in (agent.qf1, agent.qf2))
        min_q = torch.min(q1, q2)
        value = self._mlp(agent.vf, observation, fixed_z)
        vf_loss = F.mse_loss(value, (min_q - log_prob).detach())
        policy_loss = (
            (log_prob - min_q).mean()
            + POLICY_MEAN_WEIGHT * mean.square().mean()
            + POLICY_STD_WEIGHT * log_std.square().mean()
        )
        gradients = torch.autograd.grad(vf_loss + policy_loss, self.actor_parameters)
        self.actor_optimizer.step(gradients)
        with torch.no_grad():
            for slow, fast in zip(agent.target_vf.parameters(), agent.vf.parameters(), strict=True):
                slow.lerp_(fast, self.soft_target_tau)

        losses = Losses(*(loss.detach() for loss in (qf_loss, vf_loss, policy_loss, kl)))
        detached = Posterior(
            posterior.mean.detach(), None if posterior.variance is None else posterior.variance.detach()
        )
        return StepResult(losses, detached, task_z.detach())

    def _mlp(self, network: Mlp, *inputs: torch.Tensor, frozen: bool = False) -> torch.Tensor:
        return fused_mlp(network, *inputs, frozen=frozen, dtype=torch.bfloat16 if self.bfloat16 else None)

    def optimizers(self) -> dict[str, Adam]:
        """The optimisers by name, for checkpoints."""
        return {"critic": self.critic_optimizer, "actor": self.actor_optimizer}


def _trainable(*networks: torch.nn.Module) -> list[torch.nn.Parameter]:
    return [parameter for network in networks for parameter in network.parameters() if parameter.requires_grad]
