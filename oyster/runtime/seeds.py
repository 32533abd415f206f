"""Every random stream of a trial: its own generator, derived from the trial's seed.

Torch's global generator, which layer initialisation and dropout in encoder files draw from, is seeded, saved and
restored here and nowhere else; nothing uses NumPy's or Python's global generator.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

# The order is part of every result: a stream's place in it is its spawn key.
STREAMS = ("torch", "tasks", "resets", "latents", "actions", "batches", "noise", "meta_test")


def generator(seed: int, stream: str, *key: int) -> np.random.Generator:
    """The generator of one stream of the trial with this seed; `key` tells apart several of one stream."""
    return np.random.Generator(np.random.PCG64(_sequence(seed, stream, *key)))


def seed_torch(seed: int, *key: int) -> None:
    """Seed Torch's global generators (CPU, and CUDA where it is in use) from the trial's seed."""
    torch.manual_seed(int(_sequence(seed, "torch", *key).generate_state(1, np.uint64)[0] >> 1))


def torch_state() -> dict[str, torch.Tensor]:
    """The state of Torch's global generators, one tensor a device."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_torch_state(state: dict[str, torch.Tensor]) -> None:
    torch.set_rng_state(state["cpu"])
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"])


@contextmanager
def separate_torch_stream(seed: int, *key: int) -> Iterator[None]:
    """Inside, Torch's global generator is a stream of its own; afterwards it is where it was before."""
    before = torch_state()
    seed_torch(seed, *key)
    try:
        yield
    finally:
        set_torch_state(before)


def _sequence(seed: int, stream: str, *key: int) -> np.random.SeedSequence:
    return np.random.SeedSequence(entropy=seed, spawn_key=(STREAMS.index(stream), *key))
