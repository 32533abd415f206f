"""Task families, one file each, loaded by the environment's name; `make` turns one into a gymnasium environment."""

import ast
from difflib import get_close_matches
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from oyster.envs.family import TaskFamily
from oyster.runtime.errors import InputError

NOT_FAMILIES = ("__init__", "contract", "family", "moving_target", "reference_policies", "variants")
_ones_own: dict[str, tuple[Path, type[TaskFamily]]] = {}  # by name, in this process


def __getattr__(name: str) -> Any:
    """`make`, imported when it is first asked for: no trial needs it."""
    if name == "make":
        return import_module("oyster.gym_env").make
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def families() -> list[str]:
    """The names of all task families, sorted."""
    stems = (path.stem for path in Path(__file__).parent.glob("*.py"))
    named = (stem.replace("_", "-") for stem in stems if stem not in NOT_FAMILIES)
    return sorted({*named, *_ones_own})


def family_file(environment: str) -> Path:
    if environment in _ones_own:
        return _ones_own[environment][0]
    return Path(__file__).parent / f"{environment.replace('-', '_')}.py"


def load_family(environment: str) -> type[TaskFamily]:
    """The TaskFamily defined in the file of that name, with _ for -. Raises InputError where there is none."""
    if environment in _ones_own:
        return _ones_own[environment][1]
    known = families()
    if environment not in known:
        meant = "".join(f", did you mean {name}?" for name in get_close_matches(environment, known, n=1))
        raise InputError(f"there is no task family '{environment}'{meant}; there are: {', '.join(known)}.")
    return _only_family(import_module(f"{__name__}.{family_file(environment).stem}"))


def family_name(name_or_file: str) -> str:
    """A family's name as it is; of a file of one's own that defines one, its name with - for _, known from now on.

    InputError where a file cannot be one, or has the name of a family of another file.
    """
    if not (name_or_file.endswith(".py") or "/" in name_or_file):
        return name_or_file
    path = Path(name_or_file)
    name = path.stem.lower().replace("_", "-")
    if not path.is_file():
        raise InputError(f"There is no file {str(path)!r}. Give the name of a task family, or the path of its file.")
    if name in families() and family_file(name).resolve() != path.resolve():
        raise InputError(f"There is a task family '{name}' already, in {family_file(name)}. Call the file otherwise.")
    if name not in families():
        _ones_own[name] = path, _load_file(path)
    return name


def find_family(name_or_file: str) -> type[TaskFamily] | None:
    """A family by its name, or by a file that defines one (InputError where it defines two); None for anything else."""
    if name_or_file in families():
        return load_family(name_or_file)
    path = Path(name_or_file)
    is_one = path.suffix == ".py" and path.is_file() and _defines_family(path)
    return _load_file(path) if is_one else None


def _load_file(path: Path) -> type[TaskFamily]:
    spec = spec_from_file_location(f"family_file_{path.stem}", path)
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(f"{path.name} cannot be loaded: {type(error).__name__}: {error}.") from error
    return _only_family(module)


def _only_family(module: ModuleType) -> type[TaskFamily]:
    defined = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, TaskFamily) and value.__module__ == module.__name__
    ]
    if len(defined) != 1:
        raise InputError(f"{module.__file__} should define exactly one TaskFamily; it defines {len(defined)}.")
    return defined[0]


def _defines_family(path: Path) -> bool:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return False
    imported = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    return any((node.module or "").startswith("oyster.envs") for node in imported)
