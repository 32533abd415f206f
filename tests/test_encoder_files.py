"""Encoder files: which class is meant, what is refused; and the three baselines."""

import pytest
import torch

from oyster.algorithms.pearl.encoder_file import load_encoder_class
from oyster.algorithms.pearl.settings import ENCODERS, find_encoder_file
from oyster.runtime.errors import InputError, MachineError

BENCHMARK_STYLE = """
import torch
import torch.nn as nn
import torch.nn.functional as F
import rlkit.torch.pytorch_util as ptu
from rlkit.torch.core import PyTorchModule
from rlkit.torch.modules import LayerNorm
from rlkit.torch.networks import FlattenMlp, Mlp, MlpEncoder, RecurrentEncoder, identity


class Block(PyTorchModule):
    def __init__(self, size):
        self.save_init_params(locals())
        super().__init__()
        self.fc = nn.Linear(size, size)
        ptu.fanin_init(self.fc.weight)
        self.norm = LayerNorm(size)

    def forward(self, x):
        return F.relu(self.norm(self.fc(x)))


class NAME(PyTorchModule):
    def __init__(self, hidden_sizes, input_size, output_size, **kwargs):
        self.save_init_params(locals())
        super().__init__()
        self.output_size = output_size
        self.first = nn.Linear(input_size, hidden_sizes[0])
        self.block = Block(hidden_sizes[0])
        self.last = nn.Linear(hidden_sizes[0], output_size)
        self.offset = ptu.zeros(output_size)

    def forward(self, input, return_preactivations=False):
        output = self.last(self.block(self.first(input))) + self.offset.to(ptu.device)
        return (output, output) if return_preactivations else output

    def reset(self, num_tasks=1):
        pass
"""


def write(tmp_path, text, name="mine.py"):
    path = tmp_path / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["CustomContextEncoder", "AnyOtherName"])
def test_the_encoder_is_found_whatever_its_name(name, tmp_path):
    encoder_class = load_encoder_class(write(tmp_path, BENCHMARK_STYLE.replace("NAME", name)))
    assert encoder_class.__name__ == name
    encoder = encoder_class(hidden_sizes=[8, 8], input_size=5, output_size=4)
    assert encoder(torch.randn(2, 3, 5)).shape == (2, 3, 4)


def test_custom_context_encoder_wins_where_there_are_several(tmp_path):
    several = BENCHMARK_STYLE.replace("NAME", "Other") + BENCHMARK_STYLE.replace("NAME", "CustomContextEncoder")
    assert load_encoder_class(write(tmp_path, several)).__name__ == "CustomContextEncoder"
    unclear = BENCHMARK_STYLE.replace("NAME", "One") + BENCHMARK_STYLE.replace("NAME", "Two")
    with pytest.raises(InputError, match=r"exactly one encoder.*One, Two"):
        load_encoder_class(write(tmp_path, unclear, "unclear.py"))


@pytest.mark.parametrize("alias", ["Encoder = AnyName", "CustomContextEncoder = AnyName"])
def test_a_second_name_is_not_a_second_encoder(alias, tmp_path):
    path = write(tmp_path, BENCHMARK_STYLE.replace("NAME", "AnyName") + f"\n{alias}\n")
    assert load_encoder_class(path).__name__ == "AnyName"


@pytest.mark.parametrize(
    "text, told",
    [
        ("def broken(:", "SyntaxError"),
        ("x = 1 / 0", "ZeroDivisionError"),
        ("raise SystemExit(0)", "SystemExit"),
        ("x = 1", "it defines: none"),
        ("from rlkit.torch.networks import MlpEncoder", "it defines: none"),
    ],
)
def test_files_that_define_no_encoder_are_refused(text, told, tmp_path):
    with pytest.raises(InputError, match=r"mine\.py") as caught:
        load_encoder_class(write(tmp_path, text))
    assert told in str(caught.value)


def test_a_package_that_is_not_here_is_the_machines_fault(tmp_path):
    with pytest.raises(MachineError, match=r"No module named 'not_installed_anywhere' \(mine\.py, line 1\)"):
        load_encoder_class(write(tmp_path, "import not_installed_anywhere"))


def test_a_name_or_a_path(tmp_path, monkeypatch):
    assert find_encoder_file("mlp") == ENCODERS / "mlp.py"
    path = write(tmp_path, BENCHMARK_STYLE)
    assert find_encoder_file(str(path)) == path
    monkeypatch.chdir(tmp_path)
    assert find_encoder_file("mine.py").resolve() == path
    with pytest.raises(InputError, match=r"no encoder 'nobody'.*attention, mlp, recurrent"):
        find_encoder_file("nobody")


def construct(name, **arguments):
    torch.manual_seed(0)
    return load_encoder_class(ENCODERS / f"{name}.py")(
        hidden_sizes=[16, 16, 16], input_size=6, output_size=4, **arguments
    )


@pytest.mark.parametrize("name", ["mlp", "recurrent", "attention"])
def test_baselines_ignore_what_they_do_not_know(name):
    encoder = construct(name, something="else")
    expected = (3, 4) if name == "recurrent" else (3, 7, 4)
    assert encoder(torch.randn(3, 7, 6)).shape == expected
    output, _ = encoder(torch.randn(3, 7, 6), return_preactivations=True)
    assert output.shape == expected


def test_mlp_encodes_each_transition_on_its_own():
    encoder, context = construct("mlp"), torch.randn(2, 5, 6)
    torch.testing.assert_close(encoder(context)[1, 3], encoder(context[1, 3]))


def test_attention_is_permutation_equivariant_and_looks_around():
    encoder, context = construct("attention", num_heads=2), torch.randn(2, 9, 6)
    order = torch.randperm(9)
    torch.testing.assert_close(encoder(context[:, order]), encoder(context)[:, order], atol=1e-6, rtol=1e-4)
    changed = context.clone()
    changed[0, 4] += 1
    assert not torch.allclose(encoder(changed)[0, 0], encoder(context)[0, 0], atol=1e-7, rtol=0)
    torch.testing.assert_close(encoder(changed)[1], encoder(context)[1])
    torch.testing.assert_close(encoder(context[1]), encoder(context)[1])
    with pytest.raises(ValueError, match="multiple of num_heads"):
        construct("attention", num_heads=3)


def test_attention_is_softmax_attention():
    encoder, h = construct("attention", num_heads=2), torch.randn(2, 5, 16)
    query, key, value = (part.view(2, 5, 2, 8).transpose(1, 2) for part in encoder.query_key_value(h).chunk(3, dim=-1))
    weights = torch.softmax(query @ key.transpose(-1, -2) / 8**0.5, dim=-1)
    torch.testing.assert_close(
        encoder._attend(h), encoder.projection((weights @ value).transpose(1, 2).reshape(2, 5, 16))
    )


def test_recurrent_starts_afresh_and_minds_the_order():
    encoder, context = construct("recurrent"), torch.randn(2, 9, 6)
    first = encoder(context)
    encoder(torch.randn(4, 3, 6))
    torch.testing.assert_close(encoder(context), first)
    assert not torch.allclose(encoder(context.flip(1)), first, atol=1e-7, rtol=0)
