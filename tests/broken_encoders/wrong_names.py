"""The constructor calls its arguments by names of its own."""

import torch
from torch import nn

from rlkit.torch.core import PyTorchModule


class Encoder(PyTorchModule):
    def __init__(self, hidden_dims, in_size, out_size, **kwargs):
        self.save_init_params(locals())
        super().__init__()
        self.output_size = out_size
        self.hidden_layer = nn.Linear(in_size, hidden_dims[0])
        self.last_fc = nn.Linear(hidden_dims[0], out_size)

    def forward(self, input, return_preactivations=False):
        output = self.last_fc(torch.relu(self.hidden_layer(input)))
        return (output, output) if return_preactivations else output

    def reset(self, num_tasks=1):
        pass
