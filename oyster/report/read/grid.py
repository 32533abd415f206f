"""A grid of params.yaml, of any version: which trials a report expects, hence which are missing.

Names are the agents'. Tables and figures call them encoders, as the public benchmark does.
"""

from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

from oyster.before import grids_of_before
from oyster.report.text import shown, told
from oyster.runtime.errors import InputError
from oyster.runtime.yaml_file import read_plain_yaml

LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True)
class Grid:
    """The trials of one report: every environment with every encoder of its own with every seed, in the file's order.

    encoders: all that the report shows. own: those of its own trials, where they are not all.
    beside: trials of other grids that are there and agree with these, by (environment, encoder, seed) the grid of each.
    """

    name: str
    environments: tuple[str, ...]
    encoders: tuple[str, ...]
    seeds: tuple[int, ...]
    preset: str = ""
    own: tuple[str, ...] | None = None
    beside: dict[tuple[str, str, int], str] = field(default_factory=dict)

    def trials(self) -> list[tuple[str, str, int]]:
        """Its own, then those beside them."""
        return [*self.own_trials(), *self.beside]

    def own_trials(self) -> list[tuple[str, str, int]]:
        return list(product(self.environments, self.encoders if self.own is None else self.own, self.seeds))

    def place(self, trial: tuple[str, str, int]) -> str:
        """`<grid>/<environment>/<encoder>/<seed>`, where the trial's result lies."""
        return "/".join([self.beside.get(trial, self.name), *map(str, trial)])

    def with_beside(self, beside: dict[tuple[str, str, int], str]) -> "Grid":
        """The grid with trials of others that are not its own."""
        own = set(self.own_trials())
        new = {trial: grid for trial, grid in beside.items() if trial not in own}
        others = tuple(dict.fromkeys(encoder for _, encoder, _ in new if encoder not in self.encoders))
        return replace(self, encoders=self.encoders + others, own=self.encoders, beside=new)


def read_grid(params: Path, name: str) -> Grid:
    """Read `grids.<name>` of a params.yaml. Raises InputError with what was found and what was expected."""
    grids = grids_of_before(read_plain_yaml(params))
    if not isinstance(grids, dict):
        raise InputError(
            f"{shown(params)} has no `grids`; expected grids.{shown(name)} with environments, agents, seeds."
        )
    if name not in grids:
        there = ", ".join(map(shown, grids)) or "none"
        raise InputError(f"{shown(params)} has no grid `{shown(name)}`; it has {there}.")
    grid = grids[name]
    return Grid(
        name=name,
        environments=_list(params, grid, name, "environments", str),
        encoders=_list(params, grid, name, "agents", str),
        seeds=_list(params, grid, name, "seeds", int),
        preset=str(grid.get("preset")),
    )


def _list(params: Path, grid: object, name: str, key: str, kind: type) -> tuple:
    value = grid.get(key) if isinstance(grid, dict) else None
    # `type(...) is` and not isinstance: YAML's true is a Python int.
    usable = isinstance(value, list) and value and all(type(item) is kind and _fits(item) for item in value)
    if not usable or len(set(value)) < len(value):
        what = f"integers from 0 to {LARGEST_SEED}" if kind is int else "names"
        given = f"grids.{shown(name)}.{key} in {shown(params)} is {told(value)}"
        raise InputError(f"{given}; expected a list of distinct {what}.")
    return tuple(value)


def _fits(item: int | str) -> bool:
    """Whether a table can hold the seed, and a file the name."""
    if isinstance(item, int):
        return 0 <= item <= LARGEST_SEED
    return item != "" and "\0" not in item and not any("\ud800" <= letter <= "\udfff" for letter in item)
