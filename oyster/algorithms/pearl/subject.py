"""An encoder under examination: construct it as a trial does, infer posteriors, compare them."""

import pickle
import random
from copy import deepcopy
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from oyster.algorithms.pearl.agent import encoder_sizes
from oyster.algorithms.pearl.encoder_file import global_switches
from oyster.algorithms.pearl.posterior import Posterior, infer_posterior
from oyster.algorithms.pearl.settings import Settings
from oyster.envs.family import TaskFamily
from oyster.rl.state import load_weights
from oyster.runtime import seeds
from oyster.runtime.errors import TrialFailure, encoder_at_fault
from rlkit.torch import pytorch_util as ptu

TOLERANCE = 1e-4  # relative; float32 sums in another order differ by some 1e-6


class Breach(TrialFailure):
    """The encoder does not keep the contract: what was seen, and how to fix it."""

    def __init__(self, seen: str, fix: str):
        super().__init__(f"{seen}. To fix it: {fix}")
        self.seen, self.fix = seen, fix


class Note(NamedTuple):
    """What a check saw that is neither a pass nor a Breach."""

    verdict: str  # "warning" or "info"
    seen: str
    fix: str = ""


class Subject:
    """An encoder class, and the sizes and arguments that a trial constructs it with."""

    def __init__(self, encoder_class: type[nn.Module], settings: Settings, family: type[TaskFamily]):
        self.encoder_class, self.settings, self.family = encoder_class, settings, family
        self.switches = global_switches()  # before the encoder's code runs
        self.dims = family.observation_dim, family.action_dim
        self.input_size, self.output_size = encoder_sizes(
            *self.dims, settings.latent_dim, settings.use_information_bottleneck, settings.use_next_obs_in_context
        )

    def construct(self, seed: int = 0, state: dict[str, torch.Tensor] | None = None) -> nn.Module:
        """A new instance: initialised from a seed of its own, then loaded from `state`, where that is given."""
        seeds.seed_torch(seed)
        with encoder_at_fault():
            encoder = self.encoder_class(
                hidden_sizes=list(self.settings.encoder_hidden_sizes),
                input_size=self.input_size,
                output_size=self.output_size,
                **deepcopy(self.settings.encoder_arguments),
            ).to(ptu.device)
            if state is not None:
                load_weights(encoder, state)
        return encoder

    def context(self, num_tasks: int, num_transitions: int, seed: int = 0) -> torch.Tensor:
        """Standard normal features, (task, transition, feature): the same for the same seed."""
        rng = np.random.Generator(np.random.PCG64(seed))
        shape = (num_tasks, num_transitions, self.input_size)
        return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)).to(ptu.device)

    def posterior(
        self, encoder: nn.Module, context: torch.Tensor, *, reset: bool = True, seed: int = 0, to_act: bool = False
    ) -> Posterior:
        """q(z|c) as a trial infers it, Torch's generator seeded just before. Breach where it is not finite.

        `to_act`: of the encoder's own `belief_to_act` in place of `forward`.
        """
        seeds.seed_torch(seed)
        with encoder_at_fault():
            if reset:
                encoder.reset(num_tasks=len(context))
            output = encoder.belief_to_act(context) if to_act else encoder(context)
        s = self.settings
        posterior = infer_posterior(lambda _: output, context, s.latent_dim, s.use_information_bottleneck)
        if not all(torch.isfinite(part).all() for part in (output, *posterior) if part is not None):
            raise Breach(
                f"the output is not finite for a context of shape {tuple(context.shape)}",
                "look for a division by zero, a log, an exp or a square root without an epsilon or a clamp",
            )
        return posterior


def gradients(posterior: Posterior, parameters: list[nn.Parameter]) -> list[torch.Tensor | None]:
    """Of a fixed combination of the posterior's numbers, a gradient a parameter; None where none arrives."""
    parts = [posterior.mean] if posterior.variance is None else [posterior.mean, posterior.variance.log()]
    loss = sum((part * torch.linspace(1.0, 2.0, part.numel()).view_as(part).to(part)).sum() for part in parts)
    if not loss.requires_grad:
        return [None] * len(parameters)
    with encoder_at_fault():
        return list(torch.autograd.grad(loss, parameters, allow_unused=True))


@torch.no_grad()
def difference(one: Posterior, other: Posterior) -> float:
    """Largest difference of a mean or variance, relative to the largest there is (of a mean: at least 1% of a std)."""
    mean_scale = torch.maximum(one.mean.abs().max(), other.mean.abs().max())
    if one.variance is None:
        return float((one.mean - other.mean).abs().max() / mean_scale.clamp(min=1e-6))
    variance_scale = torch.maximum(one.variance.max(), other.variance.max())
    mean_scale = torch.maximum(mean_scale, 0.01 * variance_scale.sqrt())
    moved = (one.mean - other.mean).abs().max() / mean_scale
    return float(torch.maximum(moved, (one.variance - other.variance).abs().max() / variance_scale))


def global_generators() -> bytes:
    """The states of Python's and NumPy's global generators, which an encoder has to leave alone."""
    return pickle.dumps((random.getstate(), np.random.get_state()))


def mode_name(training: bool) -> str:
    return "train" if training else "eval"


def listed(names: list[str]) -> str:
    """A few of them."""
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
