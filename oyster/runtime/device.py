"""Where a trial computes, and the switches that make the same trial give the same bytes there."""

import ctypes
import os

from oyster.runtime.errors import InputError

# cuBLAS is only deterministic with a fixed workspace, and reads this when it is first used. The other one is read by
# torch.compile, which only an encoder could call: use_deterministic_algorithms would load all of it to say the same.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
os.environ.setdefault("TORCHINDUCTOR_DETERMINISTIC", "1")

import numpy as np
import torch

GPUS_GIVEN = "OYSTER_GPUS"  # set by docker/run where it passed GPUs through


def choose_device(name: str) -> torch.device:
    """`auto` (CUDA if it is there, else CPU), `cpu` or `cuda`. Asking for CUDA where there is none is an InputError."""
    available = torch.cuda.is_available()
    if name == "auto" and os.environ.get(GPUS_GIVEN) and not available:
        raise InputError(
            f"docker/run passed this machine's GPUs into the container ({GPUS_GIVEN} is set), but torch sees none "
            "there: a container engine without the NVIDIA toolkit ignores that without a word. Install it and check "
            "with `docker/run nvidia-smi`, use an image built with VARIANT=cuda, or ask for --device cpu."
        )
    if name == "auto":
        name = "cuda" if available else "cpu"
    if name == "cuda" and not available:
        build = f"PyTorch {torch.__version__} is built for CUDA {torch.version.cuda or '(none: a CPU build)'}"
        raise InputError(
            f"--device cuda was asked for, but torch.cuda.is_available() is false here. {build}. Check the driver with "
            "nvidia-smi and, in a container, that the GPU is really passed through; or use --device cpu."
        )
    return torch.device(name)


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether the processor has instructions for bfloat16. Where it has none, bfloat16 is emulated, and slow."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return hasattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported") and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def fix_arithmetic(threads: int) -> None:
    """Fix all that the machine could otherwise decide: intra-op threads, algorithms, TF32, denormals."""
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("error")
    torch.utils.deterministic.fill_uninitialized_memory = False  # nothing here reads what it has not written
    torch.set_float32_matmul_precision("highest")  # float32 means float32, no TF32
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.set_flush_denormal(True)  # an LSTM's gradient over many steps underflows, and denormals are slow
    keep_freed_memory()


def to_device(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """A copy on the GPU, on its way while the host goes on; on the CPU the array itself, without a copy."""
    tensor = torch.from_numpy(array)
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


def keep_freed_memory(keep: bool = True) -> None:
    """Ask glibc to reuse freed memory instead of returning it (or, with False, its default again).

    A gradient step's arrays of some megabytes would else be mapped anew and paged in at every operation, which costs as
    much as the arithmetic on them. Without glibc: nothing.
    """
    m_trim_threshold, m_mmap_threshold = -1, -3
    threshold = 1 << 30 if keep else 128 * 1024
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(m_mmap_threshold, threshold)
    mallopt(m_trim_threshold, threshold)
