"""Load an encoder from its file: one file, one encoder, named by its file."""

import hashlib
import importlib.util
import sys
from pathlib import Path

from oyster.runtime.errors import InputError
from rlkit.torch.core import PyTorchModule

ENCODERS = Path(__file__).resolve().parents[1] / "encoders"


def find_encoder_file(name_or_path: str) -> Path:
    """`mlp` → encoders/mlp.py; anything that ends in .py or holds a slash is a path. InputError where there is none."""
    looks_like_path = name_or_path.endswith(".py") or "/" in name_or_path
    path = Path(name_or_path) if looks_like_path else ENCODERS / f"{name_or_path}.py"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in ENCODERS.glob("*.py")))
        raise InputError(
            f"There is no encoder '{name_or_path}': {path} is not a file. Give the name of one in encoders/ "
            f"({known}), or the path of a .py file."
        )
    return path


def load_encoder_class(path: str | Path) -> type[PyTorchModule]:
    """The encoder class that the file defines: its only PyTorchModule, or the one named CustomContextEncoder.

    Raises InputError where the file cannot be run or does not define exactly one.
    """
    path = Path(path).resolve()
    module_name = f"encoder_file_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise InputError(f"The encoder file {path.name} cannot be loaded: {type(error).__name__}: {error}") from error
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


def file_sha256(path: str | Path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
