"""Self-attention over the context: transitions look at one another before each gives its Gaussian.

An MLP on each transition, one block of multi-head self-attention with residual and layer norm, and a linear output.
No positions are encoded, so permuting the context permutes the outputs.
"""

import torch.nn.functional as F
from torch import nn

import rlkit.torch.pytorch_util as ptu
from rlkit.torch.core import PyTorchModule


class AttentionEncoder(PyTorchModule):
    def __init__(self, hidden_sizes, input_size, output_size, num_heads=4, init_w=3e-3, **kwargs):
        self.save_init_params(locals())
        super().__init__()
        width = hidden_sizes[-1]
        if width % num_heads:
            raise ValueError(f"the last hidden size, {width}, must be a multiple of num_heads, {num_heads}")
        self.output_size = output_size
        self.num_hidden, self.num_heads = len(hidden_sizes), num_heads
        for i, (in_size, size) in enumerate(zip([input_size, *hidden_sizes[:-1]], hidden_sizes, strict=True)):
            layer = nn.Linear(in_size, size)
            ptu.fanin_init(layer.weight)
            layer.bias.data.fill_(0.1)
            setattr(self, f"fc{i}", layer)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.last_fc = nn.Linear(width, output_size)
        self.last_fc.weight.data.uniform_(-init_w, init_w)
        self.last_fc.bias.data.uniform_(-init_w, init_w)

    def forward(self, input, return_preactivations=False):
        """(task, transition, input_size), or one task's (transition, input_size) → the same with output_size"""
        h = input
        for i in range(self.num_hidden):
            h = F.relu(getattr(self, f"fc{i}")(h))
        h = self.norm(h + self._attend(h))
        output = self.last_fc(h)
        return (output, output) if return_preactivations else output

    def _attend(self, h):
        *batch, length, width = h.shape
        heads = self.query_key_value(h).view(*batch, length, 3, self.num_heads, width // self.num_heads)
        query, key, value = heads.transpose(-4, -2).unbind(-3)  # (…, head, transition, width / heads)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.projection(mixed.transpose(-3, -2).reshape(*batch, length, width))

    def reset(self, num_tasks=1):
        pass
