"""Where a result comes from: commit, settings, environment, hardware. Not deterministic, so it never enters a hash."""

import hashlib
import json
import os
import platform
import resource
import subprocess
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.txt"
ENVIRONMENT_RECORD = ROOT / "docker" / "environment.json"
PACKAGES = ("torch", "mujoco", "gymnasium", "numpy", "safetensors")  # those that a trial computes with


def commit() -> dict[str, Any]:
    """The commit, whether the working tree differs from it, and the hash of the difference. All None outside git."""
    revision = _git("rev-parse", "HEAD")
    if revision is None:
        return {"commit": None, "dirty": None, "diff_sha256": None}
    # Only what can change a result counts as dirty: what trials write does not.
    sources = ("oyster", "encoders", "docker", "params.yaml", "dvc.yaml", "requirements.txt")
    difference = (_git("diff", "HEAD", "--", *sources) or b"") + _untracked(sources)
    return {
        "commit": revision.decode().strip(),
        "dirty": bool(difference),
        "diff_sha256": hashlib.sha256(difference).hexdigest() if difference else None,
    }


def sources_sha256(paths: Iterable[Path]) -> str:
    """One hash of source files; folders count with every .py file in them."""
    files = sorted({file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path])})
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(ROOT)}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def environment() -> dict[str, Any]:
    """Identity of the environment: the lock, and each version that matters, with those that are off the lock."""
    installed = {name: _version(name) for name in PACKAGES}
    locked = _locked_versions()
    record = json.loads(ENVIRONMENT_RECORD.read_text()) if ENVIRONMENT_RECORD.exists() else {}
    return {
        "runtime": os.environ.get("OYSTER_RUNTIME", "host"),
        "image_digest": os.environ.get("OYSTER_IMAGE_DIGEST"),
        "lock_sha256": hashlib.sha256(LOCK.read_bytes()).hexdigest() if LOCK.exists() else None,
        "python": platform.python_version(),
        **installed,
        "off_lock": [
            f"{name} {installed[name]}, locked {locked[name]}"
            for name in PACKAGES
            if name in locked and _public(installed[name]) != _public(locked[name])
        ]
        + [f"python {platform.python_version()}, locked {python}" for python in _other_python(record)],
    }


def hardware(device: str) -> dict[str, Any]:
    """The CPU by model and family (a virtual machine may hide the model); the GPU's name where the device is CUDA."""
    import torch

    info = _cpu_info()
    family = "/".join(info.get(key, "?") for key in ("cpu family", "model", "stepping"))
    return {
        "cpu": info.get("model name") or platform.processor() or platform.machine(),
        "cpu_family": family,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if device == "cuda" else None,
    }


def kind(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """What two results must share to be the same bytes: the kind of hardware and the versions that compute."""
    hardware, environment = provenance["hardware"], provenance["environment"]
    return {
        **{key: hardware[key] for key in ("cpu", "cpu_family", "instructions", "gpu")},
        **{name: environment[name] for name in PACKAGES},
    }


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, MB."""
    try:  # getrusage's figure would begin with that of the process which started this one
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def sha256_of_json(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _git(*arguments: str) -> bytes | None:
    try:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None


def _untracked(sources: tuple[str, ...]) -> bytes:
    names = (_git("ls-files", "--others", "--exclude-standard", "--", *sources) or b"").decode().splitlines()
    return b"".join(name.encode() + b"\0" + (ROOT / name).read_bytes() for name in names)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _public(package_version: str | None) -> str | None:
    """`2.13.0+cpu` → `2.13.0`"""
    return package_version and package_version.partition("+")[0]


def _locked_versions() -> dict[str, str]:
    if not LOCK.exists():
        return {}
    pins = (line.partition("#")[0].split(";")[0].strip() for line in LOCK.read_text().splitlines())
    return {name.strip(): pinned.split()[0] for name, _, pinned in (pin.partition("==") for pin in pins) if pinned}


def _other_python(record: dict) -> list[str]:
    locked = record.get("python")
    return [locked] if locked and ".".join(platform.python_version_tuple()[:2]) != locked else []


def _cpu_info() -> dict[str, str]:
    """/proc/cpuinfo's lines of the first core; empty where there is no such file."""
    try:
        lines = Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
