"""Networks of actors and critics: a perceptron, and the tanh-Gaussian policy."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

LOG_STD_MIN, LOG_STD_MAX = -20.0, 2.0
TANH_EPSILON = 1e-6
HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)


class Mlp(nn.Module):
    """ReLU layers fc0, fc1, …, then a linear one. Inputs are concatenated: (*, a), (*, b) → (*, output_size)."""

    def __init__(self, input_size: int, hidden_sizes: Sequence[int], output_size: int, init_w: float = 3e-3):
        super().__init__()
        self.depth = len(hidden_sizes)
        for number, (wide, next_wide) in enumerate(pairwise([input_size, *hidden_sizes])):
            self.add_module(f"fc{number}", _hidden_layer(wide, next_wide))
        self.last_fc = _output_layer(hidden_sizes[-1], output_size, init_w)

    def hidden_layers(self) -> list[nn.Linear]:
        return [self._modules[f"fc{number}"] for number in range(self.depth)]

    def hidden(self, *inputs: torch.Tensor) -> torch.Tensor:
        h = torch.cat(inputs, dim=-1)
        for layer in self.hidden_layers():
            h = F.relu(layer(h))
        return h

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.last_fc(self.hidden(*inputs))

    def output_parameters(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight and bias of the output layer."""
        return self.last_fc.weight, self.last_fc.bias


class TanhGaussianPolicy(Mlp):
    """A Gaussian squashed by tanh. Inputs: observation (*, o) and task latent (*, z)."""

    def __init__(self, input_size: int, hidden_sizes: Sequence[int], action_dim: int):
        super().__init__(input_size, hidden_sizes, action_dim, init_w=1e-3)
        self.last_fc_log_std = _output_layer(hidden_sizes[-1], action_dim, 1e-3)

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log standard deviation before the tanh, (*, action_dim) each."""
        h = self.hidden(*inputs)
        return self.split_output(torch.cat([self.last_fc(h), self.last_fc_log_std(h)], dim=-1))

    def output_parameters(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight and bias of both heads as one layer."""
        heads = self.last_fc, self.last_fc_log_std
        return torch.cat([head.weight for head in heads]), torch.cat([head.bias for head in heads])

    @staticmethod
    def split_output(output: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Both heads' output, (*, 2 · action_dim), as mean and clamped log standard deviation."""
        mean, log_std = output.chunk(2, dim=-1)
        return mean, log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)


def squashed_sample(
    mean: torch.Tensor, log_std: torch.Tensor, noise: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The reparametrised action tanh(mean + std · noise), (*, action_dim), and its log-probability, (*, 1)."""
    action = torch.tanh(mean + log_std.exp() * noise)
    # (pre_tanh - mean) / std is the noise itself.
    normal_log_prob = -0.5 * noise.square() - log_std - HALF_LOG_TWO_PI
    correction = torch.log(1.0 - action.square() + TANH_EPSILON)
    return action, (normal_log_prob - correction).sum(dim=-1, keepdim=True)


def _hidden_layer(in_features: int, out_features: int) -> nn.Linear:
    layer = nn.Linear(in_features, out_features)
    bound = 1.0 / math.sqrt(out_features)  # the reference's "fan-in" is out_features
    nn.init.uniform_(layer.weight, -bound, bound)
    nn.init.constant_(layer.bias, 0.1)
    return layer


def _output_layer(in_features: int, out_features: int, init_w: float) -> nn.Linear:
    layer = nn.Linear(in_features, out_features)
    nn.init.uniform_(layer.weight, -init_w, init_w)
    nn.init.uniform_(layer.bias, -init_w, init_w)
    return layer
