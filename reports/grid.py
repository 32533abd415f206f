"""The grid of params.yaml: which trials a report expects, hence which are missing."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import yaml

from reports.text import plain, shown, told

LARGEST_SEED = 2**63 - 1


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
        raise InputError(
            f"{shown(params)} cannot be read ({error.strerror}); say with --params where it is."
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{shown(params)} is not UTF-8 ({error}); save it as UTF-8.") from error
    except RecursionError as error:
        raise InputError(
            f"{shown(params)} is nested too deeply; expected `grid:` and lists of names below it."
        ) from error
    except (yaml.YAMLError, ValueError) as error:  # a ValueError: of a date that is none
        raise InputError(f"{shown(params)} is not valid YAML: {plain(str(error))}") from error
    grids = content.get("grid") if isinstance(content, dict) else None
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
