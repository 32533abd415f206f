"""Where a result comes from: commit, settings, environment, hardware. Not deterministic, so it never enters a hash."""

import hashlib
import json
import os
import platform
import resource
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oyster.runtime.errors import InputError
from oyster.runtime.files import counts, printable, source_files
from oyster.runtime.git import run_git, said
from oyster.runtime.project import installed_version, locked_versions, public

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.txt"
PACKAGES = ("torch", "mujoco", "gymnasium", "numpy", "safetensors")  # those that a trial computes with
# Only what can change a result counts as dirty: what trials write does not.
SOURCES = ("oyster", "encoders", "docker", "params.yaml", "dvc.yaml", "requirements.txt")
# By which a user's environment chooses other kernels, hence other last bits: recorded, as hardware is.
ARITHMETIC_VARIABLES = (
    "ATEN_CPU_CAPABILITY", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "MKL_DEBUG_CPU_TYPE", "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA", "NPY_DISABLE_CPU_FEATURES", "OPENBLAS_CORETYPE", "GLIBC_TUNABLES",
)  # fmt: skip


def commit() -> dict[str, Any]:
    """The commit, whether the working tree differs from it, and the hash of the difference. All None outside git.

    `unreadable` names sources that differ and cannot be read. InputError where git is there and refuses to look.
    """
    head = run_git(ROOT, "rev-parse", "--verify", "HEAD")
    if head.returncode:
        if b"dubious ownership" in head.stderr:
            raise InputError(
                f"git does not trust {ROOT}, which another user owns, so no result could name its commit: {said(head)}"
            )
        return {"commit": None, "dirty": None, "diff_sha256": None, "unreadable": []}
    difference = hashlib.sha256()
    changed, unreadable = _changed_files()
    for name in changed:
        kind, content = _content(ROOT / name)
        if kind == "unreadable":
            unreadable.append(f"{printable(name)}: {content.decode()}")
        difference.update(f"{kind}\0".encode() + os.fsencode(name) + b"\0" + hashlib.sha256(content).digest())
    return {
        "commit": head.stdout.decode().strip(),
        "dirty": bool(changed or unreadable),
        "diff_sha256": difference.hexdigest() if changed else None,
        "unreadable": unreadable,
    }


def environment() -> dict[str, Any]:
    """Identity of the environment: the lock, and each version that matters, with those that are off the lock."""
    installed = {name: installed_version(name) for name in PACKAGES}
    locked = locked_versions(LOCK) if LOCK.exists() else {}
    return {
        "runtime": os.environ.get("OYSTER_RUNTIME", "host"),
        "image_digest": os.environ.get("OYSTER_IMAGE_DIGEST"),
        "lock_sha256": hashlib.sha256(LOCK.read_bytes()).hexdigest() if LOCK.exists() else None,
        "python": platform.python_version(),
        "libc": " ".join(platform.libc_ver()),
        **installed,
        "off_lock": [
            f"{name} {here}, locked {locked[name]}"
            for name, here in installed.items()
            if name in locked and public(here or "none") != locked[name]
        ],
        "variables": {name: os.environ[name] for name in ARITHMETIC_VARIABLES if name in os.environ},
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
    """What two results must share to be the same bytes: the kind of hardware and the versions that compute.

    The C library is one of them: its exp and tanh differ in last bits between glibc 2.36 and 2.41. Older results do not
    name theirs. The Python is none: 3.11 and 3.13 wrote the same bytes.
    """
    hardware, environment = provenance["hardware"], provenance["environment"]
    return {
        **{key: hardware[key] for key in ("cpu", "cpu_family", "instructions", "gpu")},
        **{name: environment[name] for name in PACKAGES},
        **({"libc": environment["libc"]} if "libc" in environment else {}),
    }


def differing_kind(recorded: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What is another in the kinds of two provenances, where both name it: the recorded one, the present one."""
    theirs, ours = kind(recorded), kind(here)
    return {key: (theirs[key], ours[key]) for key in theirs if key in ours and theirs[key] != ours[key]}


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, MB."""
    try:  # getrusage's figure would begin with that of the process which started this one
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def sha256_of_json(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _changed_files() -> tuple[list[str], list[str]]:
    """Sources that differ from the commit, without what editors and trials leave; and what git could not say.

    Names only, and only from what the repository itself says: no user's configuration has a say in them.
    """
    listings = (
        ("diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", "--no-textconv", "--ignore-submodules=none",
         "HEAD", "--", *SOURCES),
        ("ls-files", "-z", "--others", "--exclude-per-directory=.gitignore", "--", *SOURCES),
    )  # fmt: skip
    names, failed = set(), []
    for arguments in listings:
        done = run_git(ROOT, *arguments)
        names |= set(os.fsdecode(done.stdout).split("\0")) - {""}
        failed += [f"git {arguments[0]}: {said(done)}"] if done.returncode else []
    return sorted(name for name in names if counts(Path(name))), failed


def _content(path: Path) -> tuple[str, bytes]:
    """What a changed path is (file, executable, link, folder, absent, unreadable) and holds."""
    try:
        if path.is_symlink():
            return "link", os.fsencode(os.readlink(path))
        if path.is_dir():  # a repository of its own
            files = [file for file in source_files([path]) if ".git" not in file.relative_to(path).parts]
            return "folder", b"".join(os.fsencode(file) + b"\0" + _content(file)[1] for file in files)
        if not path.exists():
            return "absent", b""
        if not path.is_file():
            return "unreadable", b"neither a file nor a folder"
        return "executable" if os.access(path, os.X_OK) else "file", path.read_bytes()
    except OSError as error:
        return "unreadable", (error.strerror or "cannot be read").encode()


def _cpu_info() -> dict[str, str]:
    """/proc/cpuinfo's lines of the first core; empty where there is no such file."""
    try:
        lines = Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
