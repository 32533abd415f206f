"""The one comparison of two results: the first row and column that differ, exactly or within a tolerance.

Any file of a result is read as a table: a CSV's rows, JSON flattened into one row, an array as one cell.
"""

import csv
import hashlib
import json
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from oyster.runtime.errors import describe

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
        place = f"{self.file}, row {self.row}, column {self.column}"
        return f"{place}: recorded {_short(self.recorded)}, re-created {_short(self.recreated)}"


def compare(
    recorded: Path, recreated: Path, rows: int | None = None, tolerance: float = 0.0, without: tuple[str, ...] = ()
) -> Difference | None:
    """The first difference between two files of a result, or None.

    `rows`: only as many rows from the top. `tolerance`: relative to the larger of the two numbers; 0 means identical.
    `without`: columns that begin so are left out.
    """
    try:
        ours = read_table(recorded)
    except UnreadableTable as error:
        return Difference(recorded.name, 0, "(the file itself)", str(error), "readable")
    pairs = zip_longest(ours[:rows], read_table(recreated)[:rows])
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


def compare_starts(
    recorded: Path, recreated: Path, environment: str, tolerance: float
) -> tuple[Difference | None, str]:
    """The first difference between two start.json of different hardware, or None; and what must agree, in words."""
    parts, without = "the task lists, the first rewards and the first gradient steps", ()
    if environment in GROWING_ROUNDING:
        parts, without = "the task lists and the first rewards", ("first_losses",)
    difference = compare(recorded, recreated, tolerance=tolerance, without=without)
    return difference, f"{parts} agree within {tolerance:g}"


class UnreadableTable(Exception):
    """Not what a trial writes under that name; the message says how."""


def read_table(path: Path) -> Table:
    """Any file of a result as rows of columns: a CSV's own; JSON and arrays flattened into one row.

    Raises UnreadableTable.
    """
    try:
        if path.suffix == ".csv":
            with path.open(newline="", encoding="utf-8") as file:
                rows = [{str(key): _number(value) for key, value in row.items()} for row in csv.DictReader(file)]
            return rows
        if path.suffix == ".json":
            return [dict(_flatten(json.loads(path.read_text(encoding="utf-8"))))]
        if path.suffix == ".npz":
            with np.load(path) as archive:
                return [{name: _Array(_array(archive[name])) for name in archive.files}]
        return [{name: _Array(array) for name, array in load_file(path).items()}]
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        RecursionError,
        MemoryError,
        csv.Error,
        *_ARCHIVE_ERRORS,
    ) as error:
        raise UnreadableTable(describe(error)) from error


# What zipfile, NumPy and safetensors raise for damaged files beyond ValueError and OSError.
_ARCHIVE_ERRORS = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, SyntaxError,
    tokenize.TokenError, AttributeError, ArithmeticError, MemoryError, SafetensorError,
)  # fmt: skip


def _array(member: Any) -> np.ndarray:
    """NumPy gives the bytes of a member that is no array. ValueError then."""
    if not isinstance(member, np.ndarray):
        raise ValueError("a member is no array")
    return member


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


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


def _same(ours: Any, theirs: Any, tolerance: float) -> bool:
    if isinstance(ours, float) and isinstance(theirs, float):
        if math.isnan(ours) or math.isnan(theirs):
            return math.isnan(ours) and math.isnan(theirs)
        return ours == theirs or abs(ours - theirs) <= tolerance * max(abs(ours), abs(theirs))
    return ours == theirs


def _number(text: Any) -> Any:
    try:
        return float(text)
    except (TypeError, ValueError):  # too few or too many columns give None or a list
        return text if isinstance(text, str) else repr(text)


def _flatten(content: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(content, dict):
        for name, value in content.items():
            yield from _flatten(value, f"{key}.{name}" if key else name)
    elif isinstance(content, list):
        for index, value in enumerate(content):
            yield from _flatten(value, f"{key}[{index}]")
    else:
        yield key, _as_float(content) if type(content) is int else content


def _as_float(number: int) -> float | int:
    try:
        return float(number)
    except OverflowError:
        return number
