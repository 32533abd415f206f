"""The three baseline encoders against their formulas, and their initialisation."""

import pytest
import torch
from torch.nn import functional as F

from oyster.algorithms.pearl.encoder_file import load_encoder_class
from oyster.algorithms.pearl.settings import ENCODERS

HIDDEN_SIZES = [40, 24, 32]


def construct(name: str, **arguments):
    torch.manual_seed(0)
    encoder_class = load_encoder_class(ENCODERS / f"{name}.py")
    return encoder_class(hidden_sizes=HIDDEN_SIZES, input_size=6, output_size=4, **arguments)


def hidden(encoder, x):
    for layer in (encoder.fc0, encoder.fc1, encoder.fc2):
        x = torch.relu(x @ layer.weight.T + layer.bias)
    return x


@pytest.mark.parametrize("name", ["mlp", "recurrent", "attention"])
def test_layers_are_initialised_as_the_references(name):
    encoder = construct(name)
    for layer, size in zip((encoder.fc0, encoder.fc1, encoder.fc2), HIDDEN_SIZES, strict=True):
        bound = size**-0.5  # of out_features
        assert 0.9 * bound < layer.weight.abs().max() <= bound
        assert (layer.bias == 0.1).all()
    assert 0.5 * 3e-3 < encoder.last_fc.weight.abs().max() <= 3e-3
    assert 0 < encoder.last_fc.bias.abs().max() <= 3e-3


def test_mlp():
    encoder, context = construct("mlp"), torch.randn(2, 5, 6)
    torch.testing.assert_close(encoder(context), encoder.last_fc(hidden(encoder, context)))


def test_recurrent_reads_the_last_output_of_an_lstm_that_starts_from_zeros():
    encoder, context = construct("recurrent"), torch.randn(2, 5, 6)
    state = torch.zeros(2, 32), torch.zeros(2, 32)
    lstm = encoder.lstm
    for x in hidden(encoder, context).unbind(1):
        gates = x @ lstm.weight_ih_l0.T + lstm.bias_ih_l0 + state[0] @ lstm.weight_hh_l0.T + lstm.bias_hh_l0
        take, forget, cell, give = gates.chunk(4, dim=1)
        memory = torch.sigmoid(forget) * state[1] + torch.sigmoid(take) * torch.tanh(cell)
        state = torch.sigmoid(give) * torch.tanh(memory), memory
    torch.testing.assert_close(encoder(context), encoder.last_fc(state[0]), rtol=1e-5, atol=1e-7)


def test_attention_has_a_residual_and_a_layer_norm():
    encoder, context = construct("attention", num_heads=4), torch.randn(2, 5, 6)
    h = hidden(encoder, context)
    heads = []
    for which in zip(*(part.split(8, dim=-1) for part in encoder.query_key_value(h).chunk(3, dim=-1)), strict=True):
        query, key, value = which  # (task, transition, width / heads)
        heads.append(torch.softmax(query @ key.transpose(1, 2) / 8**0.5, dim=-1) @ value)
    mixed = h + encoder.projection(torch.cat(heads, dim=-1))
    normed = F.layer_norm(mixed, (32,), encoder.norm.weight, encoder.norm.bias)
    torch.testing.assert_close(encoder(context), encoder.last_fc(normed), rtol=1e-5, atol=1e-7)
