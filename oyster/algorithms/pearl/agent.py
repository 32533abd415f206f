"""The PEARL agent: a context encoder and the soft actor-critic that conditions on what it infers."""

from collections.abc import Callable
from contextlib import suppress

import numpy as np
import torch
from torch import nn

from oyster.algorithms.pearl.adapter import Adapter
from oyster.algorithms.pearl.posterior import Posterior, infer_posterior, prior
from oyster.algorithms.pearl.settings import Settings
from oyster.envs.family import TaskFamily
from oyster.rl.fused_mlp import FrozenMlp
from oyster.rl.networks import Mlp, TanhGaussianPolicy
from oyster.rl.state import fit_buffers
from oyster.runtime.errors import TrialFailure, encoder_at_fault

NUM_LAYERS = 3  # hidden layers of every network but the encoder


def encoder_sizes(
    observation_dim: int, action_dim: int, latent_dim: int, information_bottleneck: bool, next_obs_in_context: bool
) -> tuple[int, int]:
    """input_size (features of a context transition) and output_size that the encoder is constructed with."""
    input_size = observation_dim + action_dim + 1 + (observation_dim if next_obs_in_context else 0)
    return input_size, (2 if information_bottleneck else 1) * latent_dim


class Agent(nn.Module):
    def __init__(
        self,
        encoder: nn.Module,
        observation_dim: int,
        action_dim: int,
        latent_dim: int,
        net_size: int,
        information_bottleneck: bool = True,
        *,
        next_obs_in_context: bool = False,
        exploration_trajectories: int = 1,
    ):
        """`exploration_trajectories`: of a meta-test run, those for which z comes from the prior."""
        super().__init__()
        self.latent_dim = latent_dim
        self.input_size = encoder_sizes(
            observation_dim, action_dim, latent_dim, information_bottleneck, next_obs_in_context
        )[0]
        self.information_bottleneck = information_bottleneck
        self.next_obs_in_context = next_obs_in_context
        self.exploration_trajectories = exploration_trajectories
        self.warnings: list[str] = []
        self.context_encoder = encoder
        q_size, v_size = observation_dim + action_dim + latent_dim, observation_dim + latent_dim
        hidden = [net_size] * NUM_LAYERS
        self.qf1 = Mlp(q_size, hidden, 1)
        self.qf2 = Mlp(q_size, hidden, 1)
        self.vf = Mlp(v_size, hidden, 1)
        self.target_vf = Mlp(v_size, hidden, 1)
        self.target_vf.load_state_dict(self.vf.state_dict())
        self.policy = TanhGaussianPolicy(v_size, hidden, action_dim)

    @classmethod
    def from_settings(cls, encoder: nn.Module, settings: Settings, family: type[TaskFamily]) -> "Agent":
        return cls(
            encoder,
            family.observation_dim,
            family.action_dim,
            settings.latent_dim,
            settings.net_size,
            settings.use_information_bottleneck,
            next_obs_in_context=settings.use_next_obs_in_context,
            exploration_trajectories=settings.num_exp_traj_eval,
        )

    def adapter(self, num_rows: int, rng: np.random.Generator) -> Adapter:
        """One that explores with z from the prior, then acts on what it inferred."""
        return Adapter(self, num_rows, rng)

    def encoder_parameters(self) -> int | None:
        with suppress(TrialFailure), encoder_at_fault():
            return sum(parameter.numel() for parameter in self.context_encoder.parameters())
        return None

    @property
    def is_recurrent(self) -> bool:
        """Whether the encoder asks for ordered context."""
        with encoder_at_fault():
            return bool(getattr(self.context_encoder, "IS_RECURRENT", False))

    @property
    def device(self) -> torch.device:
        return self.policy.last_fc.weight.device

    def state_dict(self, *args, **kwargs) -> dict[str, torch.Tensor]:
        """TrialFailure where the encoder's part of it cannot be had."""
        with encoder_at_fault():
            return super().state_dict(*args, **kwargs)

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Take over saved weights; a buffer that the encoder makes anew may have another shape."""
        with encoder_at_fault():
            fit_buffers(self, state)
            super().load_state_dict(state)

    def train(self, mode: bool = True) -> "Agent":
        with encoder_at_fault():
            return super().train(mode)

    def reset_encoder(self, num_tasks: int) -> None:
        """Let the encoder forget. TrialFailure where it raises."""
        with encoder_at_fault():
            self.context_encoder.reset(num_tasks=num_tasks)

    def prior(self, num_tasks: int) -> Posterior:
        """What to act on before anything was seen: N(0, I) per task, or the encoder's own `belief_to_act`."""
        if self.belief_to_act is not None:
            return self.infer(torch.zeros(num_tasks, 0, self.input_size, device=self.device))
        self.reset_encoder(num_tasks)
        return prior(num_tasks, self.latent_dim, self.device, self.information_bottleneck)

    def prior_again(self, belief: Posterior) -> Posterior:
        """For one more trajectory on the prior `belief`: the encoder's own may be drawn, N(0, I) is what it was."""
        return belief if self.belief_to_act is None else self.prior(len(belief.mean))

    def infer(self, context: torch.Tensor) -> Posterior:
        """What to act on given the whole context (task, transition, feature): the posterior, or the encoder's own
        `belief_to_act`. The encoder starts from a fresh state.
        """
        self.reset_encoder(context.shape[0])
        encoder = self.belief_to_act or self.context_encoder
        return infer_posterior(encoder, context, self.latent_dim, self.information_bottleneck)

    @property
    def belief_to_act(self) -> Callable[[torch.Tensor], torch.Tensor] | None:
        """The encoder's own, which it may have beside `forward`. Acting asks it, learning never does."""
        with encoder_at_fault():
            return getattr(self.context_encoder, "belief_to_act", None)

    def draw_latent(self, posterior: Posterior, rng: np.random.Generator) -> torch.Tensor:
        """z (task, latent). Raises TrialFailure where it is not finite."""
        noise = rng.standard_normal(posterior.mean.shape, dtype=np.float32)
        z = posterior.sample(torch.from_numpy(noise).to(self.device))
        if not torch.isfinite(z).all():
            raise TrialFailure("the encoder's posterior is not finite")
        return z

    def actor(self, z: torch.Tensor, rng: np.random.Generator | None) -> Callable[[np.ndarray], np.ndarray]:
        """The policy, as it is now, for trajectories with `z` (row, latent).

        Maps observations (row, observation_dim) to actions (row, action_dim) in [-1, 1]: sampled with `rng`, or without
        one deterministic, tanh(mean). It runs on the CPU wherever the agent is: a step has few rows, and the way to a
        GPU and back costs more than the arithmetic.
        """
        policy, z = FrozenMlp(self.policy), z.cpu()

        def act(observation: np.ndarray) -> np.ndarray:
            mean, log_std = self.policy.split_output(policy(torch.cat([torch.from_numpy(observation), z], dim=1)))
            if rng is not None:
                noise = torch.from_numpy(rng.standard_normal(mean.shape, dtype=np.float32))
                mean = mean + log_std.exp() * noise
            action = torch.tanh(mean).numpy()
            if np.isnan(action).any():
                raise TrialFailure("the policy's actions are no numbers: with the encoder's z its outputs overflow")
            return action

        return act
