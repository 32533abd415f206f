"""`rlkit.torch.modules.LayerNorm`: rlkit's own layer normalisation."""

import torch
from torch import nn


class LayerNorm(nn.Module):
    """Normalise over the last dimension by mean and standard deviation (n - 1), epsilon added to the latter.

    With `center` a learned offset is added, with `scale` (rlkit's default: off) a learned factor multiplied.
    """

    def __init__(self, features: int, center: bool = True, scale: bool = False, eps: float = 1e-6):
        super().__init__()
        self.center_param = nn.Parameter(torch.zeros(features)) if center else None
        self.scale_param = nn.Parameter(torch.ones(features)) if scale else None
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output = (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + self.eps)
        if self.scale_param is not None:
            output = output * self.scale_param
        if self.center_param is not None:
            output = output + self.center_param
        return output
