"""Compute as a trial does, inside of somebody else's process: afterwards Torch's switches are as they were."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from oyster.runtime.device import fix_arithmetic


@contextmanager
def as_in_a_trial(threads: int) -> Iterator[None]:
    """Inside, arithmetic is that of a trial with so many threads. Afterwards Torch's switches are put back."""
    cudnn, deterministic = torch.backends.cudnn, torch.utils.deterministic
    switches = (cudnn.allow_tf32, cudnn.benchmark, deterministic.fill_uninitialized_memory)
    mode, precision = torch.get_deterministic_debug_mode(), torch.get_float32_matmul_precision()
    number, flushed = torch.get_num_threads(), _flushes_denormals()
    fix_arithmetic(threads)
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed)
        torch.set_num_threads(number)
        torch.set_float32_matmul_precision(precision)
        torch.set_deterministic_debug_mode(mode)
        cudnn.allow_tf32, cudnn.benchmark, deterministic.fill_uninitialized_memory = switches


def _flushes_denormals() -> bool:
    """Torch has no way to ask: whether a denormal number is taken for 0."""
    return torch.tensor([1e-40]).mul(1.0).item() == 0.0
