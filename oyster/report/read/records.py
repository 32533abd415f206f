"""Files that trials wrote, read as JSON, as a table of numbers or as an array, or refused as Unreadable.

A disk, a transfer or an editor can have left anything in them: each is checked before it is believed.
"""

import io
import json
import re
import zipfile
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from pydantic import BaseModel, ValidationError

from oyster.report.text import cleaned, told
from oyster.runtime.records import LARGEST

M = TypeVar("M", bound=BaseModel)
DUE = {  # by parts of pydantic's names of errors
    "int": "a whole number", "float": "a finite number", "finite": "a finite number", "than": "a finite number",
    "bool": "true or false", "string": "text", "list": "a list", "model": "a mapping", "dict": "a mapping",
}  # fmt: skip
LARGEST_COUNT = 2**53  # up to here a float holds every whole number
NUMBERS = re.compile(r"[-+.\deEinfa]*", re.ASCII)  # the letters of numbers, of nan and of inf


class Unreadable(Exception):
    """A file of a trial cannot be used; the message says why, and leaves its path to who catches it."""


def read_json(path: Path) -> dict:
    """The mapping in a JSON file, its texts made plain. Raises Unreadable."""
    try:
        content = cleaned(json.loads(_bytes(path).decode("utf-8")))
    except ValueError as error:
        raise Unreadable(f"it is not valid JSON ({error}).") from error
    except RecursionError as error:
        raise Unreadable("it is nested too deeply for a record.") from error
    if not isinstance(content, dict):
        raise Unreadable("it holds no mapping.")
    return content


def as_recorded(model: type[M], content: object) -> M:
    """What a file holds, held to its model. Raises Unreadable, with the first key that does not fit."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "it"
        due = next((words for kind, words in DUE.items() if kind in first["type"]), first["msg"].lower())
        raise Unreadable(f"{name} is {told(first['input'])}; expected {due}.") from None


def read_table(path: Path) -> pd.DataFrame:
    """A CSV file of numbers under a line of names, blank ones NaN. Raises Unreadable."""
    try:
        head, *lines = _bytes(path).decode("utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise Unreadable("it is not a table: it is not UTF-8.") from error
    names, lines = head.removesuffix("\r").split(","), [line.removesuffix("\r") for line in lines]
    if len(set(names)) < len(names) or not all(name and name.isprintable() for name in names):
        raise Unreadable("it is not a table: its first line is no list of distinct names.")
    for number, line in enumerate(lines, start=2):
        cells = line.split(",")
        if len(cells) != len(names):
            raise Unreadable(f"line {number}: {len(cells)} cells under {len(names)} names.")
        if not all(map(NUMBERS.fullmatch, cells)):
            raise Unreadable(f"line {number} holds something that is not a number.")
    options = {"header": None, "names": names, "index_col": False, "keep_default_na": False, "na_values": ["", "nan"]}
    if not lines:
        return pd.DataFrame(columns=names, dtype=float)
    try:
        return pd.read_csv(io.StringIO("\n".join(lines)), dtype=float, **options)
    except ValueError as error:  # such as 1-2, of the letters of numbers
        raise Unreadable("it holds something that is not a number.") from error


def read_array(path: Path) -> np.ndarray:
    """The one array of a .npz file: of floating-point numbers, NaN among them perhaps. Raises Unreadable."""
    data = _bytes(path)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            (member,) = archive.infolist()
            content = archive.read(member)  # checks its CRC
        array = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    except Exception as error:  # whatever zipfile, zlib and NumPy raise on bytes that are none of theirs
        raise Unreadable(f"it is not an archive of one array ({type(error).__name__}).") from error
    if array.dtype.kind != "f" or not float(np.max(np.abs(array), initial=0, where=~np.isnan(array))) < LARGEST:
        raise Unreadable("it holds something else than finite numbers.")
    return array


def is_count(value: object) -> bool:
    """Whether it is a whole number from 0 on."""
    return type(value) is int and 0 <= value <= LARGEST_COUNT


def are_counts(values: pd.Series) -> bool:
    """Whether a column holds whole numbers from 0 on."""
    return bool((values.between(0, LARGEST_COUNT) & (values % 1 == 0)).all())


def are_numbers(values: pd.Series | pd.DataFrame) -> bool:
    """Whether all are finite numbers that statistics can bear."""
    return bool((np.abs(values.to_numpy()) < LARGEST).all())


def close(values, others) -> bool:
    """Whether two figures, or two lists of them, are the same but for rounding."""
    return np.shape(values) == np.shape(others) and np.allclose(values, others, rtol=1e-9, atol=1e-9)


def _bytes(path: Path) -> bytes:
    """What a file holds. Raises Unreadable where it holds nothing."""
    try:
        if path.exists() and not path.is_file():
            raise Unreadable("it cannot be read (it is no file).")
        data = path.read_bytes()
    except OSError as error:
        raise Unreadable(f"it cannot be read ({error.strerror}).") from error
    if not data.strip(b"\0"):
        raise Unreadable(f"it is empty ({len(data)} bytes, none of them written), as a power loss leaves it.")
    return data
