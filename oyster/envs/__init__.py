"""Task families, one file each, loaded by the environment's name."""

from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

from oyster.envs.family import TaskFamily
from oyster.runtime.errors import InputError


def families() -> list[str]:
    """The names of all task families, sorted."""
    stems = (path.stem for path in Path(__file__).parent.glob("*.py"))
    return sorted(stem.replace("_", "-") for stem in stems if stem not in ("__init__", "family"))


def family_file(environment: str) -> Path:
    return Path(__file__).parent / f"{environment.replace('-', '_')}.py"


def load_family(environment: str) -> type[TaskFamily]:
    """The TaskFamily defined in the file of that name, with _ for -. Raises InputError where there is none."""
    known = families()
    if environment not in known:
        meant = "".join(f", did you mean {name}?" for name in get_close_matches(environment, known, n=1))
        raise InputError(f"there is no task family '{environment}'{meant}; there are: {', '.join(known)}.")
    module_name = f"{__name__}.{family_file(environment).stem}"
    module = import_module(module_name)
    defined = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, TaskFamily) and value.__module__ == module_name
    ]
    if len(defined) != 1:
        raise InputError(f"{module.__file__} should define exactly one TaskFamily; it defines {len(defined)}.")
    return defined[0]
