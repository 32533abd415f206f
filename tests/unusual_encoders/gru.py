"""A recurrent encoder that keeps its hidden state as an attribute, and resets it."""

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
        sequence, self.hidden = self.gru(input, self.hidden)
        output = self.last_fc(sequence[:, -1])
        return (output, output) if return_preactivations else output

    def reset(self, num_tasks=1):
        self.hidden = self.last_fc.weight.new_zeros(1, num_tasks, self.gru.hidden_size)
