"""Weights, saved and loaded: where they fit a module, and where they do not."""

import torch
from torch import nn
from torch.nn.parameter import is_lazy


def load_weights(module: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """`load_state_dict`, where a buffer may have been made anew in another shape (a hidden state per task has)."""
    fit_buffers(module, state)
    module.load_state_dict(state)


def fit_buffers(module: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Give every buffer the shape that it has in `state`."""
    for name, value in state.items():
        owner_name, _, buffer = name.rpartition(".")
        try:
            owner = module.get_submodule(owner_name)
        except AttributeError:
            continue  # load_state_dict names it
        present = owner._buffers.get(buffer)
        if buffer in owner._buffers and (present is None or present.shape != value.shape):
            device = value.device if present is None else present.device
            owner._buffers[buffer] = torch.empty_like(value, device=device)


def differing_weights(module: nn.Module, state: dict[str, torch.Tensor]) -> list[str]:
    """Names that only one of the two has, or whose shapes differ although no buffer may have been made anew."""
    own = module.state_dict()
    parameters = {name for name, _ in module.named_parameters(remove_duplicate=False)}
    both = own.keys() & state.keys()
    others = {name for name in both if own[name].dtype != state[name].dtype}
    others |= {name for name in both & parameters if not is_lazy(own[name]) and own[name].shape != state[name].shape}
    return sorted((own.keys() ^ state.keys()) | others)
