"""Whether a checkpoint holds all that an encoder remembers: otherwise a resumed trial would differ without a word.

Two looks. All that can be reached from the encoder (its attributes, class, closures, module and global switches) must
be after a few calls and a reset what it was before, but for what a checkpoint carries. And an encoder restored into a
freshly loaded file must go on as the one that it was captured from.
"""

import pickle
import sys
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import BuiltinFunctionType, CellType, FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from oyster.algorithms.pearl import encoder_state
from oyster.algorithms.pearl.encoder_file import global_switches, load_encoder_class
from oyster.algorithms.pearl.encoder_state import is_lazy
from oyster.algorithms.pearl.subject import TOLERANCE, Breach, Subject, difference, gradients, listed
from oyster.rl.state import load_weights
from oyster.runtime.checkpoint import Checkpoint, from_bytes, to_bytes
from oyster.runtime.errors import InputError, describe
from oyster.runtime.local_files import local_reads

DEEPEST = 12  # of the walk through objects


def carried(subject: Subject) -> str:
    """What calls change is in the state_dict or in encoder_state; a restored encoder goes on as the captured one."""
    with local_reads(Path(_file(subject.encoder_class) or ".")) as read:
        encoder = subject.construct()
        encoder.reset(num_tasks=3)
        lazy = any(is_lazy(value) for value in encoder.parameters())
        before = _contents(encoder)
        _use(subject, encoder, 3, seed=0)
    if read:
        raise Breach(
            f"it reads {listed(read)}, another file, whose change would never make its results stale",
            "an encoder is one file: copy what it needs into it",
        )
    parameters = {name: id(value) for name, value in encoder.named_parameters()}
    fresh = {name: id(value) for name, value in subject.construct().named_parameters()}
    if made := sorted(parameters.keys() - fresh.keys()):
        raise Breach(
            f"forward or reset made new parameters ({listed(made)}), which no optimiser trains",
            "make every layer in __init__",
        )
    if odd := [name for name, value in encoder.state_dict().items() if type(value) not in _TENSORS]:
        raise Breach(
            f"its state_dict holds {listed(odd)} of a kind that weights.safetensors cannot hold",
            "let get_extra_state return a tensor, or use a buffer",
        )
    if lazy:  # its layers have just taken their sizes
        before = _contents(encoder)
    _use(subject, encoder, 5, seed=1)
    _use(subject, encoder, 3, seed=2)
    after = _contents(encoder)
    if moved := sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)):
        raise Breach(
            f"calls change {listed(moved)}, which no checkpoint holds: a resumed trial would differ",
            "clear it in reset, or make it a buffer or a plain attribute (number, text, tensor) of the encoder",
        )
    if {name: id(value) for name, value in encoder.named_parameters()} != parameters:
        raise Breach("calls replace its parameters, and no optimiser trains the new ones", "make layers in __init__")
    if turned := [name for name, value in global_switches().items() if subject.switches[name] != value]:
        raise Breach(
            f"it changes what belongs to the whole process: {listed(turned)}",
            "remove that: threads, default types and the like are the trial's",
        )
    _goes_on(subject, encoder)
    return "a checkpoint holds all that calls change"


def _goes_on(subject: Subject, encoder: nn.Module) -> None:
    fix = "keep what the output depends on in buffers or plain attributes of the encoder"
    try:
        tensors, state = encoder_state.capture(encoder)
        weights = {f"weights/{name}": value for name, value in encoder.state_dict().items()}
        loaded = from_bytes(to_bytes(Checkpoint(weights | {f"state/{k}": v for k, v in tensors.items()}, state)))
    except (RuntimeError, ValueError, TypeError) as error:
        raise Breach(f"it cannot be written into a checkpoint: {describe(error)}", fix) from error
    twin = Subject(_loaded_anew(subject.encoder_class), subject.settings, subject.family).construct(seed=1)
    load_weights(twin, _under("weights/", loaded.tensors))
    encoder_state.restore(twin, _under("state/", loaded.tensors), loaded.state)
    for seed, mode in enumerate((True, False, True), start=3):
        context = subject.context(4, 8, seed)
        here, there = (subject.posterior(each.train(mode), context, seed=seed) for each in (encoder, twin))
        if (moved := difference(here, there)) > TOLERANCE:
            raise Breach(f"restored from a checkpoint it gives another posterior (by {moved:.1%})", fix)


def _loaded_anew(encoder_class: type[nn.Module]) -> type[nn.Module]:
    """The class from its file once more, sharing no class attribute, closure or module with the first."""
    file = _file(encoder_class)
    try:
        return load_encoder_class(file, again=True) if file else encoder_class
    except InputError:  # it can be loaded once in a process: nothing to compare with
        return encoder_class


def _file(encoder_class: type) -> str | None:
    return getattr(sys.modules.get(encoder_class.__module__), "__file__", None)


def _use(subject: Subject, encoder: nn.Module, num_tasks: int, seed: int) -> None:
    """As a trial uses it: collecting, learning, testing; then a reset."""
    for grad, mode in ((False, True), (True, True), (False, False)):
        with torch.set_grad_enabled(grad):
            posterior = subject.posterior(encoder.train(mode), subject.context(num_tasks, 8, seed), seed=seed)
            if grad:
                gradients(posterior, [value for value in encoder.parameters() if value.requires_grad])
    encoder.train().reset(num_tasks=num_tasks)


def _under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


# --- everything that can be reached, but for what is carried ----------------------------------------------------------

_TENSORS = (torch.Tensor, nn.Parameter)
_ATOMS = (bool, int, float, complex, str, bytes, type(None), type(...), range, slice)


def _contents(encoder: nn.Module) -> dict[str, Any]:
    """Name → content of all that calls could change and no checkpoint holds."""
    carried = encoder_state.capture(encoder)[1].keys()
    found: dict[str, Any] = {}
    walk = _Walk(encoder, found)
    for module_name, module in encoder.named_modules():
        for name, value in vars(module).items():
            if name not in encoder_state.INTERNAL and f"{module_name}.{name}" not in carried:
                walk(value, f"{module_name}.{name}".lstrip("."))
        for name in encoder_state.INTERNAL:
            if "hook" in name:
                walk(vars(module).get(name), f"{module_name}.{name}".lstrip("."))
        for kind in type(module).__mro__:  # `nn.Module.calls = 1`
            found.update((f"{kind.__name__}.{name}", each) for name, each in _plain(kind))
        found[f"layers of {module_name or 'the encoder'}"] = [
            (name, id(part)) for name, part in module._modules.items()
        ]
    for name, value in encoder.named_parameters():
        found[f"requires_grad of {name}"] = value.requires_grad
    own = sys.modules.get(type(encoder).__module__)
    modules = [module for name, module in sys.modules.items() if name.split(".")[0] == "rlkit"]
    for module in filter(None, [own, *modules]):
        for name, value in list(vars(module).items()):
            if not name.startswith("__"):
                walk(value, f"{name} of the module {module.__name__.removeprefix('encoder_file_')}")
    for value in list(vars(own).values()) if own else ():
        if isinstance(value, ModuleType):  # `torch.calls = 1`
            found.update((f"{value.__name__}.{name}", each) for name, each in _plain(value))
    return found


def _plain(holder: Any) -> list[tuple[str, Any]]:
    return [(name, repr(each)) for name, each in list(vars(holder).items()) if type(each) in (bool, int, float, str)]


class _Walk:
    """Follows objects down to atoms; `found` gets a name and a comparable content for each."""

    def __init__(self, encoder: nn.Module, found: dict[str, Any]):
        self.found, self.own = found, type(encoder).__module__
        self.seen: set[int] = {id(module) for module in encoder.modules()}
        self.alive: list[Any] = []  # so that no id is used twice

    def __call__(self, value: Any, name: str, depth: int = 0) -> None:
        if isinstance(value, _ATOMS):
            self.found[name] = (type(value), repr(value))
            return
        if id(value) in self.seen or depth > DEEPEST:
            return
        self.seen.add(id(value))
        self.alive.append(value)
        content = _leaf(value, self.is_own)
        if content is not None:
            self.found[name] = content
        else:
            for part_name, part in self._parts(value):
                self(part, f"{name}{part_name}", depth + 1)

    def _parts(self, value: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(value, type):
            yield from ((f".{name}", part) for name, part in vars(value).items() if not name.startswith("__"))
            yield from ((f".{name}", vars(value)[name]) for name in ("__init__", "__call__") if name in vars(value))
        elif isinstance(value, FunctionType):
            cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
            yield from ((f"'s {name}", cell) for name, cell in cells)
            yield from ((f"'s default {n}", part) for n, part in enumerate(value.__defaults__ or ()))
            yield "'s defaults", value.__kwdefaults__ or {}
            yield "'s attributes", vars(value)
        elif isinstance(value, CellType):
            with suppress(ValueError):  # empty
                yield "", value.cell_contents
        elif isinstance(value, MethodType):
            yield "", value.__func__
            yield "'s object", value.__self__
        elif isinstance(value, partial):
            yield "", value.func
            yield "'s arguments", [value.args, value.keywords]
        elif isinstance(value, (staticmethod, classmethod)):
            yield "", value.__func__
        elif isinstance(value, property):
            yield from ((f".{kind}", getattr(value, kind)) for kind in ("fget", "fset") if getattr(value, kind))
        elif isinstance(value, weakref.ref):
            yield " (weak)", value()
        elif isinstance(value, GeneratorType):
            frame = value.gi_frame
            yield "'s position", None if frame is None else frame.f_lasti
            yield "'s variables", {} if frame is None else dict(frame.f_locals)
        elif isinstance(value, Mapping):
            items = list(value.items())
            yield "'s keys", [repr(key) if isinstance(key, _ATOMS) else id(key) for key, _ in items]
            yield from ((f"[{key if isinstance(key, _ATOMS) else '…'!r}]", part) for key, part in items)
        elif isinstance(value, (list, tuple, deque, set, frozenset, weakref.WeakSet)):
            parts = list(value) if isinstance(value, (list, tuple, deque)) else sorted(value, key=repr)
            yield "'s length", len(parts)
            yield from ((f"[{index}]", part) for index, part in enumerate(parts))
        if self.is_own(type(value)):
            yield "'s class", id(type(value))
            yield from ((f".{name}", part) for name, part in getattr(value, "__dict__", {}).items())
            slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
            yield from ((f".{name}", getattr(value, name)) for name in slots if hasattr(value, name))

    def is_own(self, kind: type) -> bool:
        return kind.__module__ == self.own or kind.__module__.split(".")[0] == "rlkit"


_WALKED = (
    FunctionType, CellType, MethodType, partial, staticmethod, classmethod, property, weakref.ref, GeneratorType,
    Mapping, list, tuple, deque, set, frozenset, weakref.WeakSet,
)  # fmt: skip


def _leaf(value: Any, is_own: Callable[[type], bool]) -> Any:
    """A comparable content of what the walk does not look into; None for what it does."""
    if isinstance(value, nn.Parameter):
        return ("parameter", id(value))
    if isinstance(value, torch.Tensor):
        dense = value.detach().cpu().to_dense().resolve_conj().resolve_neg().contiguous()
        return (str(value.dtype), tuple(value.shape), dense.flatten().view(torch.uint8).numpy().tobytes())
    if isinstance(value, torch.Generator):
        return value.get_state().numpy().tobytes()
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state)
    if hasattr(value, "getstate"):  # Python's own generator
        return repr(value.getstate())
    if isinstance(value, (ModuleType, BuiltinFunctionType)) or (isinstance(value, type) and not is_own(value)):
        return (type(value).__name__, id(value))
    if hasattr(value, "cache_info"):  # functools.lru_cache holds what it would compute again
        return ("cache", id(value))
    if isinstance(value, _WALKED) or is_own(type(value)) or isinstance(value, type):
        return None
    if hasattr(type(value), "__next__"):
        with suppress(Exception):
            return repr(value.__reduce__()[1:])
        return (type(value).__name__, getattr(value, "__length_hint__", lambda: None)())
    with suppress(Exception):
        return pickle.dumps(value)
    return (type(value).__name__, id(value))
