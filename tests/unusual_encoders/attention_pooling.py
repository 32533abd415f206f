"""A learned query attends to the context: one Gaussian a task."""

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
        self.key = nn.Linear(hidden_sizes[0], hidden_sizes[0])
        self.query = nn.Parameter(torch.randn(hidden_sizes[0]))

    def forward(self, input, return_preactivations=False):
        h = torch.relu(self.hidden_layer(input))
        weights = torch.softmax(self.key(h) @ self.query / len(self.query) ** 0.5, dim=-1)
        output = self.last_fc((weights.unsqueeze(-1) * h).sum(dim=-2))
        return (output, output) if return_preactivations else output

    def reset(self, num_tasks=1):
        pass
