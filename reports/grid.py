"""The grid of params.yaml: which trials a report expects, hence which are missing."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

from oyster.runtime.errors import InputError
from oyster.runtime.yaml_file import read_plain_yaml
from reports.text import shown, told

LARGEST_SEED = 2**63 - 1


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
    content = read_plain_yaml(params)
    grids = content.get("grid")
    if not isinstance(grids, dict):
        raise InputError(
            f"{shown(params)} has no `grid`; expected grid.{shown(name)} with environments, encoders, seeds."
        )
    if name not in grids:
        there = ", ".join(map(shown, grids)) or "none"
        raise InputError(f"{shown(params)} has no grid `{shown(name)}`; it has {there}.")
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
    usable = isinstance(value, list) and value and all(type(item) is kind and _fits(item) for item in value)
    if not usable or len(set(value)) < len(value):
        what = f"integers from 0 to {LARGEST_SEED}" if kind is int else "names"
        given = f"grid.{shown(name)}.{key} in {shown(params)} is {told(value)}"
        raise InputError(f"{given}; expected a list of distinct {what}.")
    return tuple(value)


def _fits(item: int | str) -> bool:
    """Whether a table can hold the seed, and a file the name."""
    if isinstance(item, int):
        return 0 <= item <= LARGEST_SEED
    return item != "" and "\0" not in item and not any("\ud800" <= letter <= "\udfff" for letter in item)
