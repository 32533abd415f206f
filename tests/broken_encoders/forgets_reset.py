"""A recurrent encoder that goes on from the hidden state of the last call, whatever reset says."""

import torch
from torch import nn

from rlkit.torch.core import PyTorchModule


class Encoder(PyTorchModule):
    IS_RECURRENT = True

    def __init__(self, hidden_sizes, input_size, output_size, **kwargs):
        self.save_init_params(locals())
        super().__init__()
        self.output_size = output_size
        self.gru = nn.GRU(input_size, hidden_sizes[0], batch_first=True)
        self.last_fc = nn.Linear(hidden_sizes[0], output_size)
        self.hidden = None

    def forward(self, input, return_preactivations=False):
        if self.hidden is None or self.hidden.shape[1] != len(input):
            self.hidden = torch.zeros(1, len(input), self.gru.hidden_size, device=input.device)
        sequence, hidden = self.gru(input, self.hidden)
        self.hidden = hidden.detach()
        output = self.last_fc(sequence[:, -1])
        return (output, output) if return_preactivations else output

    def reset(self, num_tasks=1):
        pass
