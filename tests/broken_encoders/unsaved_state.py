"""A call leaves a count where no checkpoint looks."""

import itertools

import torch
from torch import nn

from rlkit.torch.core import PyTorchModule


class Encoder(PyTorchModule):
    def __init__(self, hidden_sizes, input_size, output_size, **kwargs):
        self.save_init_params(locals())
        super().__init__()
        self.output_size = output_size
        self.hidden_layer = nn.Linear(input_size, hidden_sizes[0])
        self.last_fc = nn.Linear(hidden_sizes[0], output_size)
        self._calls = itertools.count()

    def forward(self, input, return_preactivations=False):
        next(self._calls)
        output = self.last_fc(torch.relu(self.hidden_layer(input)))
        return (output, output) if return_preactivations else output

    def reset(self, num_tasks=1):
        pass
