"""`import rlkit.torch.pytorch_util as ptu`: the device, conversions to and from NumPy, and layer initialisation."""

import numpy as np
import torch

# The trial's device. Set once, before the encoder is constructed, by set_gpu_mode.
device = torch.device("cpu")
_use_gpu = False


def set_gpu_mode(mode: bool, gpu_id: int = 0) -> None:
    """Put everything that this module makes on the GPU (True) or on the CPU (False)."""
    global device, _use_gpu
    _use_gpu = bool(mode)
    device = torch.device(f"cuda:{gpu_id}" if _use_gpu else "cpu")


def gpu_enabled() -> bool:
    return _use_gpu


def set_device(gpu_id: int) -> None:
    torch.cuda.set_device(gpu_id)


def from_numpy(array: np.ndarray, *args, **kwargs) -> torch.Tensor:
    """A float32 tensor on the device."""
    return torch.from_numpy(np.asarray(array)).float().to(device)


def get_numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().to("cpu").numpy()


def FloatTensor(*args, **kwargs) -> torch.Tensor:
    return torch.FloatTensor(*args, **kwargs).to(device)


def zeros(*sizes, **kwargs) -> torch.Tensor:
    return torch.zeros(*sizes, **kwargs).to(device)


def ones(*sizes, **kwargs) -> torch.Tensor:
    return torch.ones(*sizes, **kwargs).to(device)


def zeros_like(*args, **kwargs) -> torch.Tensor:
    return torch.zeros_like(*args, **kwargs).to(device)


def ones_like(*args, **kwargs) -> torch.Tensor:
    return torch.ones_like(*args, **kwargs).to(device)


def randn(*sizes, **kwargs) -> torch.Tensor:
    return torch.randn(*sizes, **kwargs).to(device)


def fanin_init(tensor: torch.Tensor) -> torch.Tensor:
    """Fill in place, uniform in ±1/sqrt(n).

    For a Linear weight (out_features, in_features) rlkit's n is *out_features*; with more dimensions it is the product
    of all but the first. Published numbers were made with this.
    """
    size = tensor.size()
    if len(size) < 2:
        raise ValueError(f"fanin_init needs a tensor of two or more dimensions, not of shape {tuple(size)}")
    fan_in = size[0] if len(size) == 2 else int(np.prod(size[1:]))
    bound = 1.0 / np.sqrt(fan_in)
    with torch.no_grad():
        return tensor.uniform_(-bound, bound)


def soft_update_from_to(source: torch.nn.Module, target: torch.nn.Module, tau: float) -> None:
    """target ← (1 - tau) · target + tau · source, parameter by parameter."""
    with torch.no_grad():
        for target_parameter, parameter in zip(target.parameters(), source.parameters(), strict=True):
            target_parameter.lerp_(parameter, tau)


def copy_model_params_from_to(source: torch.nn.Module, target: torch.nn.Module) -> None:
    soft_update_from_to(source, target, 1.0)
