"""`rlkit.torch.networks`: the multi-layer perceptrons and the two reference encoders that files may build on."""

import torch
import torch.nn.functional as F
from torch import nn

from rlkit.torch import pytorch_util as ptu
from rlkit.torch.core import PyTorchModule
from rlkit.torch.modules import LayerNorm


def identity(x):
    return x


class Mlp(PyTorchModule):
    """Layers `fc0`, `fc1`, …, then `last_fc`, uniform in ±init_w. (*, input_size) → (*, output_size)."""

    def __init__(
        self,
        hidden_sizes,
        output_size,
        input_size,
        init_w=3e-3,
        hidden_activation=F.relu,
        output_activation=identity,
        hidden_init=ptu.fanin_init,
        b_init_value=0.1,
        layer_norm=False,
        layer_norm_kwargs=None,
    ):
        self.save_init_params(locals())
        super().__init__()
        self.input_size = input_size
        self.output_size = output_size
        self.hidden_sizes = hidden_sizes
        self.hidden_activation = hidden_activation
        self.output_activation = output_activation
        self.layer_norm = layer_norm
        self.fcs = []
        self.layer_norms = []
        in_size = input_size
        for i, size in enumerate(hidden_sizes):
            fc = nn.Linear(in_size, size)
            hidden_init(fc.weight)
            fc.bias.data.fill_(b_init_value)
            self.add_module(f"fc{i}", fc)
            self.fcs.append(fc)
            if layer_norm:
                norm = LayerNorm(size, **(layer_norm_kwargs or {}))
                self.add_module(f"layer_norm{i}", norm)
                self.layer_norms.append(norm)
            in_size = size
        self.last_fc = nn.Linear(in_size, output_size)
        self.last_fc.weight.data.uniform_(-init_w, init_w)
        self.last_fc.bias.data.uniform_(-init_w, init_w)

    def _activations(self, h: torch.Tensor) -> torch.Tensor:
        """The last hidden layer's activations."""
        for i, fc in enumerate(self.fcs):
            h = fc(h)
            if self.layer_norm and i < len(self.fcs) - 1:  # rlkit makes one for the last hidden layer and skips it
                h = self.layer_norms[i](h)
            h = self.hidden_activation(h)
        return h

    def forward(self, input, return_preactivations=False):
        preactivation = self.last_fc(self._activations(input))
        output = self.output_activation(preactivation)
        return (output, preactivation) if return_preactivations else output


class FlattenMlp(Mlp):
    """An Mlp on several inputs, concatenated along the last dimension."""

    def forward(self, *inputs, **kwargs):
        return super().forward(torch.cat(inputs, dim=-1), **kwargs)


class MlpEncoder(FlattenMlp):
    """Encodes each transition on its own."""

    def reset(self, num_tasks=1):
        pass


class RecurrentEncoder(FlattenMlp):
    """Encodes a sequence of transitions, (task, transition, feature) → (task, output_size), by an LSTM's last output.

    The LSTM stands between the hidden layers and `last_fc` and starts from zeros at every call: the whole context is
    fed each time, so nothing is carried over.
    """

    IS_RECURRENT = True

    def __init__(self, *args, **kwargs):
        self.save_init_params(locals())
        super().__init__(*args, **kwargs)
        self.hidden_dim = self.hidden_sizes[-1]
        self.lstm = nn.LSTM(self.hidden_dim, self.hidden_dim, num_layers=1, batch_first=True)

    def forward(self, *inputs, return_preactivations=False):
        output, _ = self.lstm(self._activations(torch.cat(inputs, dim=-1)))
        preactivation = self.last_fc(output[:, -1])
        output = self.output_activation(preactivation)
        return (output, preactivation) if return_preactivations else output

    def reset(self, num_tasks=1):
        pass
