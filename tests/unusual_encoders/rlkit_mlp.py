"""rlkit's own perceptron with another activation and rlkit's constructor, which takes no **kwargs."""

import torch

from rlkit.torch.networks import MlpEncoder


class CustomContextEncoder(MlpEncoder):
    def forward(self, *inputs, **kwargs):
        return super().forward(*(torch.tanh(each) for each in inputs), **kwargs)
