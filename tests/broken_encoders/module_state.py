"""The hidden state lives in the module, where all instances share it."""

import torch
from torch import nn

from rlkit.torch.core import PyTorchModule

STATE = {}


class Encoder(PyTorchModule):
    IS_RECURRENT = True

    def __init__(self, hidden_sizes, input_size, output_size, **kwargs):
        self.save_init_params(locals())
        super().__init__()
        self.output_size = output_size
        self.gru = nn.GRU(input_size, hidden_sizes[0], batch_first=True)
        self.last_fc = nn.Linear(hidden_sizes[0], output_size)

    def forward(self, input, return_preactivations=False):
        if "hidden" not in STATE:
            STATE["hidden"] = torch.zeros(1, len(input), self.gru.hidden_size, device=input.device)
        sequence, hidden = self.gru(input, STATE["hidden"])
        STATE["hidden"] = hidden.detach()
        output = self.last_fc(sequence[:, -1])
        return (output, output) if return_preactivations else output

    def reset(self, num_tasks=1):
        STATE.clear()
