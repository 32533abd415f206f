"""A fixed random projection, kept as a buffer; noise on the input while training."""

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
        self.register_buffer("projection", torch.randn(input_size, input_size) / input_size**0.5)

    def forward(self, input, return_preactivations=False):
        if self.training:
            input = input + 0.01 * torch.randn_like(input)
        output = self.last_fc(torch.relu(self.hidden_layer(input @ self.projection)))
        return (output, output) if return_preactivations else output

    def reset(self, num_tasks=1):
        pass
