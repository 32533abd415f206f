"""What an encoder remembers beyond its state_dict, as tensors and JSON and back.

Carried: buffers that are not saved, and attributes that are plain values, tensors, arrays, or lists, tuples, sets,
deques and mappings of these. Tensors that share memory, with each other or with weights, share it again afterwards.
Whatever else a call changes is refused before training (carried.py).
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

PLAIN = (bool, int, float, str, type(None))
CONTAINERS = {kind.__name__: kind for kind in (list, tuple, set, frozenset, deque)}
MAPPINGS = {kind.__name__: kind for kind in (dict, OrderedDict)}
INTERNAL = vars(nn.Module()).keys() | {"_init_params"}


class NotCarried(Exception):
    """A value that no checkpoint can hold."""


def capture(encoder: nn.Module) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors (flat memory, not copied) and JSON, by `module.attribute`."""
    memory = _Memory(encoder)
    state = {}
    for key, value in _remembered(encoder):
        try:
            state[key] = _encode(value, memory)
        except NotCarried:
            continue
    return memory.tensors, state


@torch.no_grad()
def restore(encoder: nn.Module, tensors: dict[str, torch.Tensor], state: dict[str, Any]) -> None:
    """Put a freshly constructed encoder, its state_dict loaded, where the captured one was.

    What is as it was already stays the object that it is.
    """
    present_tensors, present = capture(encoder)
    modules = dict(encoder.named_modules())
    storages = _named_storages(encoder)
    device = next(_tensors(encoder)).device
    storages |= {key: tensor.to(device, copy=True).untyped_storage() for key, tensor in tensors.items()}
    same = _Same(tensors, present_tensors)
    changed = {key for key, coded in state.items() if not (key in present and same(coded, present[key]))}
    moved = {name for key in changed for name in _memory(state[key])}  # what shares memory moves together
    while more := {key for key in state if key not in changed and moved & _memory(state[key])}:
        changed |= more
        moved |= {name for key in more for name in _memory(state[key])}
    for key, coded in state.items():
        if key not in changed:
            continue
        module, _, name = key.rpartition(".")
        owner = modules[module]
        value = _decode(coded, storages)
        if name in owner._buffers:
            owner._buffers[name] = value
        else:
            setattr(owner, name, value)
    for key in present.keys() - state.keys():
        module, _, name = key.rpartition(".")
        delattr(modules[module], name)


def detach_hidden(encoder: nn.Module) -> None:
    """Cut the gradient between two chunks of a context at the encoder's `hidden` (a tensor or a tuple), if any."""
    hidden = getattr(encoder, "hidden", None)
    if isinstance(hidden, torch.Tensor):
        encoder.hidden = hidden.detach()
    elif isinstance(hidden, tuple):
        encoder.hidden = tuple(part.detach() if isinstance(part, torch.Tensor) else part for part in hidden)


def _remembered(encoder: nn.Module) -> Iterator[tuple[str, Any]]:
    """Unsaved buffers and attributes by name, whatever they hold."""
    for module_name, module in encoder.named_modules():
        for name in sorted(module._non_persistent_buffers_set):
            yield f"{module_name}.{name}", module._buffers[name]
        for name, value in vars(module).items():
            if name not in INTERNAL:
                yield f"{module_name}.{name}", value


def _tensors(encoder: nn.Module) -> Iterator[torch.Tensor]:
    yield from encoder.parameters()
    yield from encoder.buffers()
    yield torch.empty(0)


def _named_storages(encoder: nn.Module) -> dict[str, torch.UntypedStorage]:
    saved = {**dict(encoder.named_parameters()), **encoder.state_dict(keep_vars=True)}
    return {
        f"weights/{name}": value.untyped_storage()
        for name, value in saved.items()
        if isinstance(value, torch.Tensor) and value.layout is torch.strided and not is_lazy(value)
    }


class _Memory:
    """The memory behind tensors: each piece once, by a name; that of weights by theirs."""

    def __init__(self, encoder: nn.Module):
        self.tensors: dict[str, torch.Tensor] = {}
        self.names = {
            storage.data_ptr(): name for name, storage in _named_storages(encoder).items() if storage.nbytes()
        }

    def name(self, tensor: torch.Tensor) -> str:
        storage = tensor.untyped_storage()
        known = self.names.get(storage.data_ptr()) if storage.nbytes() else None
        if known is None:
            known = f"memory/{len(self.tensors)}"
            self.tensors[known] = torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(storage)
            self.names[storage.data_ptr()] = known
        return known


def _encode(value: Any, memory: _Memory) -> Any:
    kind = type(value)
    if kind in PLAIN:
        return value
    if kind is torch.Tensor:
        if value.layout is not torch.strided or value.is_quantized or value.is_conj() or value.is_neg():
            raise NotCarried
        view = [memory.name(value), str(value.dtype).removeprefix("torch."), value.storage_offset()]
        return {"tensor": [*view, list(value.shape), list(value.stride())]}
    if kind is np.ndarray or isinstance(value, np.generic):
        if value.dtype.hasobject or value.dtype.fields:
            raise NotCarried
        flat = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8).copy()
        key = f"memory/{len(memory.tensors)}"
        memory.tensors[key] = torch.from_numpy(flat)
        return {"array": [key, value.dtype.str, list(value.shape), kind is np.ndarray]}
    if kind in CONTAINERS.values():
        parts = sorted(value, key=repr) if kind in (set, frozenset) else value
        longest = [value.maxlen] if kind is deque else []
        return {kind.__name__: [[_encode(part, memory) for part in parts], *longest]}
    if kind in MAPPINGS.values():
        return {kind.__name__: [[_encode(key, memory), _encode(part, memory)] for key, part in value.items()]}
    if kind in (torch.dtype, torch.device):
        return {kind.__name__: str(value).removeprefix("torch.")}
    if kind is torch.Size:
        return {"Size": list(value)}
    raise NotCarried


def _decode(coded: Any, storages: dict[str, torch.UntypedStorage]) -> Any:
    if type(coded) in PLAIN:
        return coded
    ((kind, content),) = coded.items()
    if kind == "tensor":
        name, dtype, offset, shape, stride = content
        storage = storages[name]
        return torch.empty(0, dtype=getattr(torch, dtype), device=storage.device).set_(storage, offset, shape, stride)
    if kind == "array":
        name, dtype, shape, is_array = content
        flat = torch.empty(0, dtype=torch.uint8, device=storages[name].device).set_(storages[name]).cpu().numpy()
        array = np.frombuffer(flat.tobytes(), dtype=np.dtype(dtype)).reshape(shape).copy()
        return array if is_array else array[()]
    if kind in CONTAINERS:
        parts, *longest = content
        return CONTAINERS[kind]([_decode(part, storages) for part in parts], *longest)
    if kind in MAPPINGS:
        return MAPPINGS[kind]((_decode(key, storages), _decode(part, storages)) for key, part in content)
    if kind == "Size":
        return torch.Size(content)
    return getattr(torch, content) if kind == "dtype" else torch.device(content)


class _Same:
    """Whether two coded values stand for the same content, sharing memory in the same way."""

    def __init__(self, memory: dict[str, torch.Tensor], other: dict[str, torch.Tensor]):
        self.memory, self.other = memory, other
        self.partner: dict[str, str] = {}  # names of memory, one for one

    def __call__(self, one: Any, other: Any) -> bool:
        if type(one) is not type(other):
            return False
        if isinstance(one, dict):
            return one.keys() == other.keys() and all(self(part, other[key]) for key, part in one.items())
        if isinstance(one, list):
            return len(one) == len(other) and all(self(*pair) for pair in zip(one, other, strict=True))
        if isinstance(one, str) and one in self.memory and other in self.other:
            apart = other in self.partner.values() and self.partner.get(one) != other
            alike = torch.equal(self.memory[one].cpu(), self.other[other].cpu())
            return alike and not apart and self.partner.setdefault(one, other) == other
        return one == other or (one != one and other != other)


def _memory(coded: Any) -> set[str]:
    """The names of memory in a coded value."""
    if isinstance(coded, dict):
        coded = list(coded.values())
    if isinstance(coded, list):
        return set().union(*map(_memory, coded))
    return {coded} if isinstance(coded, str) and coded.startswith("memory/") else set()


def is_lazy(value: torch.Tensor) -> bool:
    return isinstance(value, (nn.parameter.UninitializedParameter, nn.parameter.UninitializedBuffer))
