"""Task families, one file each, loaded by the environment's name."""

import ast
from difflib import get_close_matches
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from oyster.envs.family import TaskFamily
from oyster.runtime.errors import InputError

NOT_FAMILIES = ("__init__", "contract", "family", "reference_policies")


def families() -> list[str]:
    """The names of all task families, sorted."""
    stems = (path.stem for path in Path(__file__).parent.glob("*.py"))
    return sorted(stem.replace("_", "-") for stem in stems if stem not in NOT_FAMILIES)


def family_file(environment: str) -> Path:
    return Path(__file__).parent / f"{environment.replace('-', '_')}.py"


def load_family(environment: str) -> type[TaskFamily]:
    """The TaskFamily defined in the file of that name, with _ for -. Raises InputError where there is none."""
    known = families()
    if environment not in known:
        meant = "".join(f", did you mean {name}?" for name in get_close_matches(environment, known, n=1))
        raise InputError(f"there is no task family '{environment}'{meant}; there are: {', '.join(known)}.")
    return _only_family(import_module(f"{__name__}.{family_file(environment).stem}"))


def find_family(name_or_file: str) -> type[TaskFamily] | None:
    """A family by its name, or by a file that defines one (InputError where it defines two); None for anything else."""
    path = family_file(name_or_file) if name_or_file in families() else Path(name_or_file)
    if path.suffix != ".py" or not path.is_file() or not _defines_family(path):
        return None
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
