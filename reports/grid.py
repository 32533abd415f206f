"""The grid of params.yaml: which trials a report expects, hence which are missing."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import yaml


class InputError(Exception):
    """What the report was given cannot be used; the message is one paragraph for the person who gave it."""


@dataclass(frozen=True)
class Grid:
    """The trials of one report: every environment with every encoder with every seed, in the file's order."""

    name: str
    environments: tuple[str, ...]
    encoders: tuple[str, ...]
    seeds: tuple[int, ...]

    def trials(self) -> list[tuple[str, str, int]]:
        return list(product(self.environments, self.encoders, self.seeds))


def read_grid(params: Path, name: str) -> Grid:
    """Read `grid.<name>` of a params.yaml. Raises InputError with what was found and what was expected."""
    try:
        content = yaml.safe_load(params.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{params} cannot be read ({error.strerror}); say with --params where it is.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{params} is not valid YAML: {' '.join(str(error).split())}") from error
    grids = content.get("grid") if isinstance(content, dict) else None
    if not isinstance(grids, dict):
        raise InputError(f"{params} has no `grid`; expected grid.{name} with environments, encoders, seeds.")
    if name not in grids:
        raise InputError(f"{params} has no grid `{name}`; it has {', '.join(map(str, grids)) or 'none'}.")
    grid = grids[name]
    return Grid(
        name=name,
        environments=_list(params, grid, name, "environments", str),
        encoders=_list(params, grid, name, "encoders", str),
        seeds=_list(params, grid, name, "seeds", int),
    )


def _list(params: Path, grid: object, name: str, key: str, kind: type) -> tuple:
    value = grid.get(key) if isinstance(grid, dict) else None
    # `type(...) is` and not isinstance: YAML's true is a Python int.
    usable = isinstance(value, list) and value and all(type(item) is kind for item in value)
    if not usable or len(set(value)) < len(value):
        what = "integers" if kind is int else "names"
        raise InputError(f"grid.{name}.{key} in {params} is {value!r}; expected a list of distinct {what}.")
    return tuple(value)
