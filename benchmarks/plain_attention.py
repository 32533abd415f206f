"""encoders/attention.py with its attention written out: scores, softmax, weighted sum, each an array of its own."""

import torch

from oyster.algorithms.pearl.encoder_file import load_encoder_class
from oyster.algorithms.pearl.settings import find_encoder_file

AttentionEncoder = load_encoder_class(find_encoder_file("attention"))


class PlainAttentionEncoder(AttentionEncoder):
    def _attend(self, h):
        *batch, length, width = h.shape
        heads = self.query_key_value(h).view(*batch, length, 3, self.num_heads, width // self.num_heads)
        query, key, value = heads.transpose(-4, -2).unbind(-3)  # (…, head, transition, width / heads)
        scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
        mixed = torch.softmax(scores, dim=-1) @ value
        return self.projection(mixed.transpose(-3, -2).reshape(*batch, length, width))
