"""An encoder is one file: what it reads beside that file would change its results and never make them stale.

Installed packages are no part of this (their versions are recorded), nor is rlkit, which every trial depends on.
"""

import ast
import importlib.util
import os
import site
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from oyster.runtime.errors import InputError
from oyster.runtime.provenance import ROOT

_LIBRARIES = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
_ENVIRONMENT = [sys.prefix] if sys.prefix != sys.base_prefix else []
_INSTALLED = tuple(os.path.realpath(place) + os.sep for place in (*_LIBRARIES, *site.getsitepackages(), *_ENVIRONMENT))
_watching: list[tuple[Path, list[str]]] = []  # encoder files being watched, and what was opened meanwhile


def refuse_local_imports(file: Path) -> None:
    """InputError where an import statement anywhere in the file names a module of the tree."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return  # running it says what is wrong
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names = ["." * node.level + (node.module or "")]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith(".") or _is_local_module(name.split(".")[0]):
                raise _refusal(file, f"imports {name} (line {node.lineno})")


def refuse_local_files(file: Path, module: ModuleType, read: list[str]) -> None:
    """InputError where the loaded file read others of the tree, or holds what comes from one."""
    if read:
        raise _refusal(file, f"reads {read[0]}")
    for value in list(vars(module).values()):
        origin = value if isinstance(value, ModuleType) else sys.modules.get(str(getattr(value, "__module__", "")))
        place = getattr(origin, "__file__", None)
        if origin is module or not isinstance(place, str) or origin.__name__.split(".")[0] == "rlkit":
            continue
        if is_local(place, file):
            raise _refusal(file, f"uses {place}")


@contextmanager
def local_reads(file: Path) -> Iterator[list[str]]:
    """The files of the tree, or beside `file`, that are opened for reading inside; each once."""
    found: list[str] = []
    if not _hooked:
        sys.addaudithook(_on_event)
        _hooked.append(True)
    _watching.append((file, found))
    try:
        yield found
    finally:
        _watching.pop()


def is_local(place: str, encoder_file: Path) -> bool:
    """Whether a file belongs to the tree or lies beside the encoder's; neither installed, nor rlkit, nor its own."""
    real = os.path.realpath(place)
    own = str(encoder_file)
    if real == own or os.sep + "site-packages" + os.sep in real or real.startswith(_INSTALLED):
        return False
    if os.path.basename(os.path.dirname(real)) == "__pycache__":
        real = os.path.join(os.path.dirname(os.path.dirname(real)), os.path.basename(real).split(".")[0] + ".py")
        if real == own:
            return False
    if real.startswith(str(ROOT / "oyster" / "rlkit") + os.sep):
        return False
    return real.startswith(str(ROOT) + os.sep) or os.path.dirname(real) == os.path.dirname(own)


_hooked: list[bool] = []  # an audit hook cannot be removed: one is enough


def _on_event(event: str, arguments: tuple) -> None:
    if event != "open" or not _watching:
        return
    place, _, flags = arguments
    if not isinstance(place, (str, bytes)) or flags & os.O_ACCMODE == os.O_WRONLY:
        return
    place = os.fsdecode(place)
    file, found = _watching[-1]
    engine = os.path.realpath(place).startswith(str(ROOT / "oyster") + os.sep)  # which Python reads for tracebacks too
    if not engine and place not in found and is_local(place, file) and os.path.isfile(place):
        found.append(place)


def _is_local_module(name: str) -> bool:
    if name == "rlkit" or name in sys.builtin_module_names or name in sys.stdlib_module_names:
        return False
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return False
    if spec is None:
        return False  # importing it says so
    places = [spec.origin] if spec.origin and spec.has_location else list(spec.submodule_search_locations or ())
    return any(not _is_installed(os.path.realpath(place)) for place in places)


def _is_installed(place: str) -> bool:
    return place.startswith(_INSTALLED) or os.sep + "site-packages" + os.sep in place


def _refusal(file: Path, what: str) -> InputError:
    return InputError(
        f"The encoder file {file.name} {what}, another file: a change of that would never make its results stale. An "
        "encoder is one file: copy what it needs into it (installed packages and rlkit may be imported)."
    )
