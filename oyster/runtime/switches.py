"""Switches that belong to the whole process: what a trial sets, and what an encoder must leave as it is."""

import gc
import os
import sys
from typing import Any

import numpy as np
import torch


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
