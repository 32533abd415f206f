"""reward_pooling.py without the learned score: the ablation of docs/encoder.md. What follows describes that file.

`forward`: weighted means of the raw transitions, which differ in how much a high reward counts (from not at all to
hardly anything else), and a small network from these to one Gaussian per task. In train mode every other context is cut
to a random few of its transitions, if these still differ in reward: dropout, to learn from contexts of every length.

`belief_to_act`: where all rewards are equal, z comes from a mixture that has learned, by maximum likelihood, where the
posteriors of other contexts lie; or, as often, from far around the prior. The last feature is taken to be the reward.
"""

import math

import torch
from torch import nn

from rlkit.torch.core import PyTorchModule

FAR = 3.0  # standard deviations of the prior
SOFTPLUS_ONE = math.log(math.expm1(1.0))  # whose softplus is 1: the variance starts as the prior's


class UnscoredEncoder(PyTorchModule):
    def __init__(
        self,
        hidden_sizes,
        input_size,
        output_size,
        sharpness=(0.0, 4.0, 32.0, 256.0),  # of each mean, to start with: the best reward's logit over the worst's
        cut=0.5,  # share of the contexts that forward cuts to a few transitions, in train mode
        far=0.5,  # share of the z without a telling context that come from far around the prior
        num_components=32,
        explores=True,  # False: without belief_to_act
        **kwargs,
    ):
        self.save_init_params(locals())
        super().__init__()
        self.output_size, self.latent, width = output_size, (output_size + 1) // 2, hidden_sizes[-1]
        self.cut, self.far, num_means = cut, far, len(sharpness)
        self.sharpness = nn.Parameter(torch.tensor(sharpness))
        self.head = nn.Sequential(
            nn.Linear(num_means * input_size, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, output_size),
        )
        self.component_mean = nn.Parameter(torch.randn(num_components, self.latent))
        self.component_logit = nn.Parameter(torch.zeros(num_components))
        self.log_std = nn.Parameter(torch.zeros(self.latent))  # of every component
        if not explores:
            self.belief_to_act = None

    def forward(self, input, return_preactivations=False):
        """(task, transition, input_size), or one task's (transition, input_size) → (task, output_size)"""
        seen = _some_of(input, self.cut) if self.training else input
        output = self._infer(seen)
        if seen.dim() == 3:
            output = _AlsoMinimise.apply(output, self._surprise(output[..., : self.latent].detach(), _tells(seen)))
        return (output, output) if return_preactivations else output

    def belief_to_act(self, input):
        """(task, transition, input_size), of 0 transitions before anything was seen → (task, output_size)"""
        num_tasks = len(input)
        component = self.component_logit.softmax(-1).expand(num_tasks, -1).multinomial(1)[:, 0]
        known = self._gaussian(self.component_mean[component], self.log_std.exp())
        far = self._gaussian(torch.zeros_like(known[:, : self.latent]), torch.full_like(self.log_std, FAR))
        unknown = torch.where(torch.rand_like(known[:, :1]) < self.far, far, known)
        return torch.where(_tells(input), self._infer(input), unknown) if input.shape[1] else unknown

    def reset(self, num_tasks=1):
        pass

    def _infer(self, seen):
        reward = seen[..., -1:]
        low, high = reward.amin(-2, keepdim=True), reward.amax(-2, keepdim=True)
        rank = (reward - low) / (high - low).clamp(min=1e-6)  # 0 the worst that was seen, 1 the best
        weight = (self.sharpness * rank).softmax(-2)
        means = torch.einsum("...nm,...nf->...mf", weight, seen).flatten(-2)
        mean, raw_variance = self.head(means).tensor_split([self.latent], -1)
        return torch.cat([mean, raw_variance + SOFTPLUS_ONE], -1)

    def _surprise(self, z, tells):
        """Minus the log-likelihood of z (task, latent) in the mixture, summed over the tasks whose contexts tell."""
        distance = ((z[:, None] - self.component_mean) / self.log_std.exp()).square().sum(-1)
        log_density = self.component_logit.log_softmax(-1) - 0.5 * distance - self.log_std.sum()
        return -(log_density.logsumexp(-1) * tells[:, 0]).sum()

    def _gaussian(self, mean, std):
        raw_variance = std.square().expm1().log().expand(len(mean), -1)
        return torch.cat([mean, raw_variance], -1)[:, : self.output_size]


def _tells(context):
    """Whether the rewards differ: (…, transition, feature) → (…, 1) bool. If not, they say nothing of the task."""
    reward = context[..., -1]
    return reward.amax(-1, keepdim=True) > reward.amin(-1, keepdim=True)


def _some_of(context, cut):
    """As many, drawn with replacement: of a share `cut` of the tasks from a few that tell, log-uniform in number."""
    length = context.shape[-2]
    few = length ** torch.rand_like(context[..., :1, 0])
    size = torch.where(torch.rand_like(few) < cut, few, length)
    rows = (torch.rand_like(context[..., 0]) * size).long().clamp(max=length - 1)
    some = context.gather(-2, rows[..., None].expand(context.shape))
    return torch.where(_tells(some)[..., None], some, context)


class _AlsoMinimise(torch.autograd.Function):
    """The output as it is. In the backward pass the loss beside it gets the gradient 1, as if it were in the total."""

    @staticmethod
    def forward(ctx, output, loss):
        return output.view_as(output)

    @staticmethod
    def backward(ctx, gradient):
        return gradient, gradient.new_ones(())
