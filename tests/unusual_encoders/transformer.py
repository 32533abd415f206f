"""PyTorch's own transformer layer, with dropout, and the mean over the context beside each transition."""

import torch
from torch import nn

from rlkit.torch.core import PyTorchModule


class Encoder(PyTorchModule):
    def __init__(self, hidden_sizes, input_size, output_size, **kwargs):
        self.save_init_params(locals())
        super().__init__()
        self.output_size = output_size
        self.hidden_layer = nn.Linear(input_size, hidden_sizes[0])
        self.block = nn.TransformerEncoderLayer(hidden_sizes[0], 4, 2 * hidden_sizes[0], batch_first=True)
        self.last_fc = nn.Linear(2 * hidden_sizes[0], output_size)

    def forward(self, input, return_preactivations=False):
        h = self.block(self.hidden_layer(input))
        output = self.last_fc(torch.cat([h, h.mean(dim=-2, keepdim=True).expand_as(h)], dim=-1))
        return (output, output) if return_preactivations else output

    def reset(self, num_tasks=1):
        pass
