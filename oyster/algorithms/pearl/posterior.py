"""q(z|c): from an encoder's outputs to a Gaussian over the task latent (Rakelly et al. 2019, section 4.1)."""

import torch
import torch.nn.functional as F
from torch import nn

from oyster.algorithms.algorithm import Belief
from oyster.runtime.errors import TrialFailure, encoder_at_fault

MIN_VARIANCE = 1e-7


class Posterior(Belief):
    """One diagonal Gaussian per task. Without the information bottleneck there is no variance: z is the mean."""

    __slots__ = ()

    def sample(self, noise: torch.Tensor) -> torch.Tensor:
        """z (task, latent) from standard normal noise of that shape."""
        return self.mean if self.variance is None else self.mean + self.variance.sqrt() * noise

    def kl_to_prior(self) -> torch.Tensor:
        """KL(q(z|c) || N(0, I)), summed over tasks and latent dimensions: a scalar."""
        return 0.5 * (self.variance + self.mean.square() - 1.0 - self.variance.log()).sum()


def prior(num_tasks: int, latent_dim: int, device: torch.device, information_bottleneck: bool = True) -> Posterior:
    """N(0, I) for every task; without the information bottleneck, z = 0."""
    mean = torch.zeros(num_tasks, latent_dim, device=device)
    return Posterior(mean, torch.ones_like(mean) if information_bottleneck else None)


def infer_posterior(
    encoder: nn.Module, context: torch.Tensor, latent_dim: int, information_bottleneck: bool = True
) -> Posterior:
    """The posterior given the context, (task, transition, feature).

    Raises TrialFailure where the encoder raises or returns a shape that is not (task, -1, output_size) when viewed so.
    """
    with encoder_at_fault():
        output = encoder(context)
    output_size = 2 * latent_dim if information_bottleneck else latent_dim
    output = _as_gaussians(output, context, output_size).to(context.dtype)
    if not information_bottleneck:
        return Posterior(output.mean(dim=1), None)
    mean, raw_variance = output.split(latent_dim, dim=-1)
    return Posterior(*product_of_gaussians(mean, F.softplus(raw_variance)))


def product_of_gaussians(mean: torch.Tensor, variance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Fuse one Gaussian per transition into one per task: (task, transition, latent) each → (task, latent) each."""
    precision = variance.clamp(min=MIN_VARIANCE).reciprocal()
    fused_variance = precision.sum(dim=1).reciprocal()
    return fused_variance * (mean * precision).sum(dim=1), fused_variance


def _as_gaussians(output: object, context: torch.Tensor, output_size: int) -> torch.Tensor:
    num_tasks, num_transitions = context.shape[:2]
    if not isinstance(output, torch.Tensor):
        raise TrialFailure(f"the encoder returned a {type(output).__name__}; expected a tensor (*, {output_size})")
    fits = output.dim() > 0 and output.shape[-1] == output_size and output.numel() % (num_tasks * output_size) == 0
    per_task = output.numel() // (num_tasks * output_size) if fits else 0
    if per_task not in (1, num_transitions) or not per_task:
        raise TrialFailure(
            f"the encoder returned shape {tuple(output.shape)} for a context of shape {tuple(context.shape)}; "
            f"expected one Gaussian per transition, ({num_tasks}, {num_transitions}, {output_size}), or one per task, "
            f"({num_tasks}, {output_size})"
        )
    return output.reshape(num_tasks, -1, output_size)
