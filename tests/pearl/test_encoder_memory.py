"""What an encoder remembers, taken out and put back: values, types, shared memory, and what is left alone."""

import json
import math
from collections import OrderedDict, deque

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from oyster.algorithms.pearl.encoder_state import capture, restore
from oyster.rl.state import differing_weights, load_weights


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 2)
        self.norm = nn.BatchNorm1d(2)
        self.register_buffer("steps", torch.zeros(2), persistent=False)
        self.register_buffer("unset", None, persistent=False)


def moved(encoder: nn.Module, into: nn.Module) -> nn.Module:
    """Another encoder in the first one's state, by way of bytes and JSON."""
    tensors, state = capture(encoder)
    copies = {name: tensor.clone() for name, tensor in tensors.items()}
    load_weights(into, {name: value.clone() for name, value in encoder.state_dict().items()})
    restore(into, copies, json.loads(json.dumps(state)))
    return into


VALUES = [
    True, 3, -1.5, math.inf, "text", "memory/0", None, [1, [2.5, "a"]], (1, (2,)), {1, 2, 30}, {1, "a", None},
    frozenset({"b", "a"}), deque([1, 2, 3], maxlen=4), deque([1]), {"a": 1, 2: (3,)}, OrderedDict([("z", 1), ("a", 2)]),
    [], {}, set(), torch.float64, torch.device("cpu"), torch.Size([2, 3]),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_plain_values_come_back_in_their_types(value):
    encoder = Encoder()
    encoder.kept = encoder.inner.deep = value
    again = moved(encoder, Encoder())
    for found in (again.kept, again.inner.deep):
        assert found == value and type(found) is type(value)
    if isinstance(value, deque):
        assert again.kept.maxlen == value.maxlen
    if isinstance(value, list) and value:
        assert type(again.kept[1]) is list


TENSORS = [
    torch.arange(6.0).reshape(2, 3), torch.arange(6).reshape(2, 3).t(), torch.arange(10, dtype=torch.float64)[3:8:2],
    torch.tensor(2.5), torch.zeros(0, 4), torch.tensor([True, False]), torch.tensor([1.5, 2.5]).bfloat16(),
]  # fmt: skip


@pytest.mark.parametrize("value", TENSORS, ids=lambda value: f"{value.dtype} {list(value.shape)}")
def test_tensors_come_back_with_their_strides(value):
    encoder = Encoder()
    encoder.kept = [value]
    (found,) = moved(encoder, Encoder()).kept
    assert torch.equal(found, value) and found.dtype == value.dtype
    assert (found.stride(), found.storage_offset()) == (value.stride(), value.storage_offset())


ARRAYS = [
    np.arange(6, dtype=np.int16).reshape(2, 3), np.arange(6.0).reshape(2, 3).T, np.float32(1.5), np.array(2),
    np.array(["a", "bc"]), np.zeros((0, 2)), np.array([1, 2], ">i4"), np.array([True, False, True]),
    np.datetime64("2020-01-01"),
]  # fmt: skip


@pytest.mark.parametrize("value", ARRAYS, ids=lambda value: f"{value.dtype} {value.shape} {type(value).__name__}")
def test_arrays_and_their_scalars_come_back(value):
    encoder = Encoder()
    encoder.kept = value
    found = moved(encoder, Encoder()).kept
    assert type(found) is type(value) and found.dtype == value.dtype and found.shape == value.shape
    assert (found == value).all()
    if isinstance(found, np.ndarray) and found.size:
        found[...] = found.flat[0]  # its own memory, to write into


def test_two_arrays_keep_apart():
    encoder = Encoder()
    encoder.kept = [np.arange(3), np.arange(5), torch.ones(2), np.arange(4)]
    found = moved(encoder, Encoder()).kept
    assert [len(part) for part in found] == [3, 5, 2, 4] and found[1].tolist() == [0, 1, 2, 3, 4]


def test_what_shared_memory_shares_it_again():
    encoder = Encoder()
    base = torch.arange(12.0)
    encoder.whole, encoder.part = base, {"row": base[4:8].view(2, 2)}
    encoder.apart = torch.arange(12.0)
    encoder.weight_view = encoder.inner.weight.detach()[1]
    encoder.mean_view = encoder.norm.running_mean[1:]
    tensors, _ = capture(encoder)
    assert len([tensor for tensor in tensors.values() if len(tensor) == 48]) == 2  # each piece of memory once
    again = moved(encoder, Encoder())
    again.whole[5] = 100.0
    again.inner.weight.data[1, 2] = 50.0
    again.norm.running_mean[1] = 25.0
    assert again.part["row"].tolist() == [[4, 100], [6, 7]] and again.apart[5] == 5
    assert again.weight_view[2] == 50 and again.mean_view.tolist() == [25]


def test_unsaved_buffers_are_carried_and_saved_ones_are_not():
    encoder = Encoder()
    encoder.steps += 3
    encoder.unset = torch.ones(4)
    encoder.norm.running_mean += 1
    state = capture(encoder)[1]
    assert {key for key in state if key.rpartition(".")[2] in encoder.state_dict()} == set()
    again = moved(encoder, Encoder())
    assert again.steps.tolist() == [3, 3] and again.unset.tolist() == [1] * 4
    assert {"steps", "unset"} <= set(dict(again.named_buffers())) and not {"steps", "unset"} & set(again.state_dict())


def test_what_is_as_it_was_stays_the_object_that_it_is():
    encoder, into = Encoder(), Encoder()
    for one in (encoder, into):
        one.same, one.other = [torch.ones(3), {"a": math.nan}], [torch.ones(3)]
        one.named = {"x": 1}
    encoder.other[0][1] = 2.0
    encoder.named = {"y": 1}
    same, other, steps = into.same, into.other, into.steps
    moved(encoder, into)
    assert into.same is same and into.steps is steps
    assert into.other is not other and into.other[0].tolist() == [1, 2, 1]
    assert into.named == {"y": 1}


def test_it_stays_so_where_memory_has_another_number():
    encoder, into = Encoder(), Encoder()
    encoder.first, into.first = torch.ones(4), 1
    for one in (encoder, into):
        twice = torch.arange(3.0)
        one.same, one.twice = {"a": [torch.ones(3)]}, [twice, twice, twice[1:]]
    same, twice = into.same, into.twice
    moved(encoder, into)
    assert into.same is same and into.twice is twice and into.first.tolist() == [1] * 4


def test_what_shares_memory_moves_together_by_however_many_steps():
    encoder, into = Encoder(), Encoder()
    for number, one in enumerate((encoder, into)):
        left, right, alone = torch.ones(2), torch.zeros(3), torch.full((4,), 2.0)
        one.changed, one.between, one.last, one.alone = [number, left], [left[:1], right], right[:2], alone
    alone = into.alone
    moved(encoder, into)
    assert into.changed[0] == 0 and into.alone is alone
    into.changed[1].add_(1)
    into.last.add_(5)
    assert into.between[0].tolist() == [2] and into.between[1].tolist() == [5, 5, 0]


def test_what_is_restored_has_memory_of_its_own():
    encoder, into = Encoder(), Encoder()
    encoder.kept = torch.ones(2)
    tensors, state = capture(encoder)
    restore(into, tensors, state)
    into.kept.add_(1)
    assert encoder.kept.tolist() == [1, 1]


def test_the_mode_is_no_memory():
    encoder = Encoder().eval()
    assert all(module.training for module in moved(encoder, Encoder()).modules())


@pytest.mark.parametrize("one, two", [
    ([1, 2], [1]), ({"a": 1}, {"a": 2}), ([1], [1.0]), (True, 1), ([True], [1]), ("a", "b"), (1.0, math.nan), (None, 0),
    (torch.ones(2), torch.ones(2).double()), (torch.ones(2, 3), torch.ones(3, 2)), (np.zeros(2), np.zeros(3)),
    ((1,), [1]),
    ([torch.ones(2)] * 2, [torch.ones(2), torch.ones(2)]),
])  # fmt: skip
def test_whatever_differs_is_put_back(one, two):
    encoder, into = Encoder(), Encoder()
    encoder.kept, into.kept = one, two
    before = into.kept
    found = moved(encoder, into).kept
    assert found is not before and type(found) is type(one)
    if not isinstance(one, torch.Tensor | np.ndarray) and not isinstance(one, list):
        assert found == one
    if isinstance(one, torch.Tensor | np.ndarray):
        assert found.dtype == one.dtype and found.shape == one.shape


def test_what_the_captured_one_had_not_goes():
    encoder, into = Encoder(), Encoder()
    into.late = into.inner.late = 3
    moved(encoder, into)
    assert not hasattr(into, "late") and not hasattr(into.inner, "late")


@pytest.mark.parametrize("value", [
    object(), lambda: 1, 1j, b"bytes", np.array([object()]), np.zeros(2, [("a", int)]), torch.eye(2).to_sparse(),
    torch.ones(2, dtype=torch.complex64).conj(),
    torch.ones(2, dtype=torch.complex64).conj().imag, type("Mine", (list,), {})([1]),
], ids=lambda value: type(value).__name__)  # fmt: skip
def test_what_no_checkpoint_can_hold_is_left_alone(value):
    encoder = Encoder()
    encoder.odd, encoder.nested, encoder.after = value, [1, {"a": value}], 5
    state = capture(encoder)[1]
    assert ".odd" not in state and ".nested" not in state and state[".after"] == 5


def test_an_encoder_without_parameters_has_a_state_too():
    class Bare(nn.Module):
        pass

    encoder = Bare()
    encoder.kept = torch.ones(2)
    assert moved(encoder, Bare()).kept.tolist() == [1, 1]


def test_lazy_weights_have_no_memory_yet():
    encoder = nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d())
    assert is_lazy(encoder[0].weight) and is_lazy(encoder[1].running_mean) and not is_lazy(torch.ones(2))
    encoder.kept = 4
    assert capture(encoder)[1][".kept"] == 4


# --- weights ----------------------------------------------------------------------------------------------------------


def buffered(hidden: torch.Tensor | None) -> nn.Module:
    module = nn.Sequential(nn.Linear(2, 2))
    module[0].register_buffer("hidden", hidden)
    return module


@pytest.mark.parametrize("present", [None, torch.zeros(1, 2), torch.zeros(3, 2)])
def test_a_buffer_may_have_been_made_anew_in_another_shape(present):
    source, into = buffered(torch.ones(3, 2)), buffered(present)
    load_weights(into, source.state_dict())
    assert torch.equal(into[0].hidden, torch.ones(3, 2)) and torch.equal(into[0].weight, source[0].weight)
    if present is not None and present.shape == (3, 2):
        assert into[0].hidden is present  # what fits is filled, not replaced


@pytest.mark.parametrize("extra", ["0.strange", "9.weight", "weight"])
def test_weights_that_belong_nowhere_are_an_error(extra):
    state = buffered(torch.ones(1)).state_dict()
    with pytest.raises(RuntimeError, match=extra):
        load_weights(buffered(torch.ones(1)), {extra: torch.ones(1), **state})
    with pytest.raises(RuntimeError, match="size mismatch"):
        load_weights(buffered(torch.ones(1)), state | {"0.weight": torch.ones(3, 2)})


def test_only_what_belongs_nowhere_is_named():
    state = buffered(torch.ones(3, 2)).state_dict()
    with pytest.raises(RuntimeError, match=r"9\.weight") as raised:
        load_weights(buffered(torch.ones(1, 2)), {"9.weight": torch.ones(1), **state})
    assert "size mismatch" not in str(raised.value)


def test_differing_weights_are_named():
    module = buffered(torch.ones(2))
    state = module.state_dict()
    assert differing_weights(module, state) == []
    assert differing_weights(module, state | {"0.hidden": torch.ones(7)}) == []  # a buffer may
    assert differing_weights(module, state | {"0.weight": torch.ones(3, 2)}) == ["0.weight"]
    assert differing_weights(module, state | {"0.hidden": torch.ones(2).double()}) == ["0.hidden"]
    assert differing_weights(module, state | {"more": torch.ones(1), "0.bias": torch.ones(1)}) == ["0.bias", "more"]
    assert differing_weights(module, {"0.weight": state["0.weight"]}) == ["0.bias", "0.hidden"]
    lazy = nn.Sequential(nn.LazyLinear(2))
    assert differing_weights(lazy, nn.Sequential(nn.Linear(5, 2)).state_dict()) == []
    tied = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    tied[1].weight = tied[0].weight
    state = tied.state_dict()
    assert differing_weights(tied, state | {"1.weight": torch.ones(3, 2)}) == ["1.weight"]


def test_two_attributes_that_came_to_share_memory_share_it_again():
    encoder, into = Encoder(), Encoder()
    encoder.kept = torch.ones(2)
    encoder.named = encoder.kept[:1]
    into.kept, into.named = torch.ones(2), torch.ones(1)
    moved(encoder, into)
    into.kept.add_(1)
    assert into.named.tolist() == [2]
