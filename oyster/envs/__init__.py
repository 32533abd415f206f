"""Task families, one file each, loaded by the environment's name."""

from importlib import import_module
from pathlib import Path

from oyster.envs.family import TaskFamily
from oyster.runtime.errors import InputError


def load_family(environment: str) -> type[TaskFamily]:
    """The TaskFamily defined in `oyster/envs/<environment>.py`. Raises InputError where there is none."""
    module_name = f"{__name__}.{environment}"
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        known = sorted(
            path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in ("__init__", "family")
        )
        raise InputError(f"There is no task family '{environment}'. Known: {', '.join(known)}.") from None
    families = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, TaskFamily) and value.__module__ == module_name
    ]
    if len(families) != 1:
        raise InputError(f"{module.__file__} should define exactly one TaskFamily; it defines {len(families)}.")
    return families[0]
