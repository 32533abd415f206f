"""Load an encoder from its file: one file, one encoder, named by its file."""

import gc
import hashlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from oyster.runtime.errors import InputError, TrialFailure, encoder_at_fault
from oyster.runtime.local_files import local_reads, refuse_local_files, refuse_local_imports
from rlkit.torch.core import PyTorchModule


def load_encoder_class(path: str | Path, *, again: bool = False) -> type[PyTorchModule]:
    """The encoder class that the file defines: its only PyTorchModule, or the one named CustomContextEncoder.

    `again` makes a module of its own, which shares nothing with the first. InputError where the file cannot be run,
    does not define exactly one, leans on another file of the tree, or changes what belongs to the whole process;
    MachineError where this machine lacks what it imports.
    """
    path = Path(path).resolve()
    module_name = f"encoder_file_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}" + "_again" * again
    spec = importlib.util.spec_from_file_location(module_name, path)
    module = importlib.util.module_from_spec(spec)
    refuse_local_imports(path)
    switches = global_switches()
    sys.modules[module_name] = module
    try:
        with local_reads(path) as read, encoder_at_fault():
            spec.loader.exec_module(module)
    except TrialFailure as failure:
        seen = failure.reason.removeprefix("the encoder raised ")
        raise InputError(f"The encoder file {path.name} cannot be loaded: {seen}") from failure
    refuse_local_files(path, module, read)
    if changed := [name for name, value in global_switches().items() if switches[name] != value]:
        raise InputError(
            f"The encoder file {path.name} changes what belongs to the whole process when it is loaded: "
            f"{', '.join(changed)}. Remove that: threads, default types and the like are the trial's."
        )
    defined = {  # by the class's own name: a second name for it is no second encoder
        value.__name__: value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, PyTorchModule) and value.__module__ == module_name
    }
    named = vars(module).get("CustomContextEncoder")
    if named in defined.values():
        return named
    # Building blocks may be PyTorchModules too: an encoder is told from them by its `reset`.
    encoders = {name: value for name, value in defined.items() if hasattr(value, "reset")} or defined
    if len(encoders) != 1:
        found = ", ".join(encoders) or "none"
        raise InputError(
            f"The encoder file {path.name} should define exactly one encoder, a class that extends "
            f"rlkit.torch.core.PyTorchModule and has reset(num_tasks=1), or call it CustomContextEncoder; it defines: "
            f"{found}."
        )
    return next(iter(encoders.values()))


def global_switches() -> dict[str, Any]:
    """Name → present value of each switch that could change what a trial computes."""
    cudnn, cuda = torch.backends.cudnn, torch.backends.cuda
    return {
        "torch's default dtype": torch.get_default_dtype(),
        "torch's default device": torch.get_default_device(),
        "torch's number of threads": torch.get_num_threads(),
        "torch's gradient mode": torch.is_grad_enabled(),
        "torch's inference mode": torch.is_inference_mode_enabled(),
        "torch's anomaly mode": torch.is_anomaly_enabled(),
        "torch's autocast": [torch.is_autocast_enabled(device) for device in ("cpu", "cuda")],
        "torch's deterministic algorithms": (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            torch.utils.deterministic.fill_uninitialized_memory,
        ),
        "torch's matmul precision": torch.get_float32_matmul_precision(),
        "torch's denormals": bool(torch.tensor([1e-40]).mul(1.0).item()),
        "cuDNN's switches": (cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32),
        "oneDNN's switch": getattr(torch.backends.mkldnn, "enabled", None),
        "cuBLAS's switches": (cuda.matmul.allow_tf32, cuda.matmul.allow_fp16_reduced_precision_reduction),
        "NumPy's error state": tuple(sorted(np.geterr().items())),
        "the recursion limit": sys.getrecursionlimit(),
        "garbage collection": gc.isenabled(),
        "the working directory": os.getcwd(),
    }
