"""An LSTM over the ordered context: its last output gives one Gaussian a task.

The whole context is fed at every inference, so the LSTM starts from zeros at every call and carries nothing over.
"""

import torch.nn.functional as F
from torch import nn

import rlkit.torch.pytorch_util as ptu
from rlkit.torch.core import PyTorchModule


class RecurrentEncoder(PyTorchModule):
    IS_RECURRENT = True

    def __init__(self, hidden_sizes, input_size, output_size, init_w=3e-3, **kwargs):
        self.save_init_params(locals())
        super().__init__()
        self.output_size = output_size
        self.num_hidden = len(hidden_sizes)
        for i, (in_size, size) in enumerate(zip([input_size, *hidden_sizes[:-1]], hidden_sizes, strict=True)):
            layer = nn.Linear(in_size, size)
            ptu.fanin_init(layer.weight)
            layer.bias.data.fill_(0.1)
            setattr(self, f"fc{i}", layer)
        self.lstm = nn.LSTM(hidden_sizes[-1], hidden_sizes[-1], batch_first=True)
        self.last_fc = nn.Linear(hidden_sizes[-1], output_size)
        self.last_fc.weight.data.uniform_(-init_w, init_w)
        self.last_fc.bias.data.uniform_(-init_w, init_w)

    def forward(self, input, return_preactivations=False):
        """(task, transition, input_size), in order → (task, output_size)"""
        h = input
        for i in range(self.num_hidden):
            h = F.relu(getattr(self, f"fc{i}")(h))
        sequence, _ = self.lstm(h)
        output = self.last_fc(sequence[:, -1])
        return (output, output) if return_preactivations else output

    def reset(self, num_tasks=1):
        pass
