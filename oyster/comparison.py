"""The one comparison of two results: the first row and column that differ, exactly or within a tolerance.

Any file of a result is read as a table: a CSV's rows, JSON flattened into one row, an array as one cell.
"""

import csv
import hashlib
import json
import math
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import load_file

# Largest relative difference of a start on other hardware, by precision. Between two instruction sets of one CPU,
# 20 gradient steps differed by 5e-7 in float32 and by 2e-3 in bfloat16; an edit of the algorithm by more than that.
START_TOLERANCE = {"float32": 1e-4, "bfloat16": 1e-2}
# Environments whose contacts carry a rounding into all that is collected, and so into the losses: between two CPUs the
# first rewards of the canary's cheetah-vel differ by 2e-7, its critics' first loss by 7 %.
GROWING_ROUNDING = ("cheetah-vel",)

Table = list[dict[str, Any]]


class Difference(NamedTuple):
    """The first place where two files differ."""

    file: str
    row: int
    column: str
    recorded: Any
    recreated: Any

    def __str__(self) -> str:
        return (
            f"{self.file}, row {self.row}, column {self.column}: recorded {self.recorded}, re-created {self.recreated}"
        )


def compare(
    recorded: Path, recreated: Path, rows: int | None = None, tolerance: float = 0.0, without: tuple[str, ...] = ()
) -> Difference | None:
    """The first difference between two files of a result, or None.

    `rows`: only as many rows from the top. `tolerance`: relative to the larger of the two numbers; 0 means identical.
    `without`: columns that begin so are left out.
    """
    pairs = zip_longest(read_table(recorded)[:rows], read_table(recreated)[:rows])
    for number, (ours, theirs) in enumerate(pairs):
        if ours is None or theirs is None:
            return Difference(recorded.name, number, "(the row itself)", bool(ours), bool(theirs))
        for column in dict.fromkeys([*ours, *theirs]):
            if column.startswith(without):
                continue
            pair = ours.get(column), theirs.get(column)
            if not _same(*pair, tolerance):
                return Difference(recorded.name, number, column, *pair)
    return None


def compare_starts(recorded: Path, recreated: Path, environment: str, precision: str) -> tuple[Difference | None, str]:
    """The first difference between two start.json of different hardware, or None; and what must agree, in words."""
    parts, without = "the task lists, the first rewards and the first gradient steps", ()
    if environment in GROWING_ROUNDING:
        parts, without = "the task lists and the first rewards", ("first_losses",)
    tolerance = START_TOLERANCE[precision]
    difference = compare(recorded, recreated, tolerance=tolerance, without=without)
    return difference, f"{parts} agree within {tolerance:g}"


def read_table(path: Path) -> Table:
    """Any file of a result as rows of columns: a CSV's own; JSON and arrays flattened into one row."""
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return [{key: _number(value) for key, value in row.items()} for row in csv.DictReader(file)]
    if path.suffix == ".json":
        return [dict(_flatten(json.loads(path.read_text())))]
    arrays = dict(np.load(path)) if path.suffix == ".npz" else load_file(path)
    return [{name: _Array(array) for name, array in arrays.items()}]


class _Array:
    """An array as one cell."""

    def __init__(self, array: np.ndarray):
        self.array = array

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Array)
            and self.array.dtype == other.array.dtype
            and self.array.shape == other.array.shape
            and self.array.tobytes() == other.array.tobytes()
        )

    __hash__ = None

    def __str__(self) -> str:
        digest = hashlib.sha256(self.array.tobytes()).hexdigest()[:12]
        return f"{self.array.dtype} {self.array.shape} sha256 {digest}"


def _same(ours: Any, theirs: Any, tolerance: float) -> bool:
    if isinstance(ours, float) and isinstance(theirs, float):
        if math.isnan(ours) or math.isnan(theirs):
            return math.isnan(ours) and math.isnan(theirs)
        return ours == theirs or abs(ours - theirs) <= tolerance * max(abs(ours), abs(theirs))
    return ours == theirs


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _flatten(content: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(content, dict):
        for name, value in content.items():
            yield from _flatten(value, f"{key}.{name}" if key else name)
    elif isinstance(content, list):
        for index, value in enumerate(content):
            yield from _flatten(value, f"{key}[{index}]")
    else:
        yield key, float(content) if isinstance(content, int) and not isinstance(content, bool) else content
