"""Where a trial computes, and the switches that make the same trial give the same bytes there."""

import os

from oyster.runtime.errors import InputError

# cuBLAS is only deterministic with a fixed workspace, and reads this when it is first used.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import torch


def choose_device(name: str) -> torch.device:
    """`auto` (CUDA if it is there, else CPU), `cpu` or `cuda`. Asking for CUDA where there is none is an InputError."""
    available = torch.cuda.is_available()
    if name == "auto":
        name = "cuda" if available else "cpu"
    if name == "cuda" and not available:
        build = f"PyTorch {torch.__version__} is built for CUDA {torch.version.cuda or '(none: a CPU build)'}"
        raise InputError(
            f"--device cuda was asked for, but torch.cuda.is_available() is false here. {build}. Check the driver with "
            "nvidia-smi and, in a container, that the GPU is really passed through; or use --device cpu."
        )
    return torch.device(name)


def fix_arithmetic(threads: int) -> None:
    """Fix all that the machine could otherwise decide: intra-op threads, algorithms, TF32, denormals."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    torch.set_float32_matmul_precision("highest")  # float32 means float32, no TF32
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.set_flush_denormal(True)  # an LSTM's gradient over many steps underflows, and denormals are slow
