"""The files of one trial, read and believed only as far as they make sense."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd

SCRIPTED = ["doing_nothing", "task_known"]


class Unreadable(Exception):
    """A file of a trial is there and cannot be used."""


def read_outcome(place: Path, identity: dict) -> dict:
    """status, reason, failed_iteration and the two returns of the trial that should lie at `place`."""
    blank = {"reason": "", "failed_iteration": None, "meta_test_return": None, "meta_test_return_last5": None}
    if not (place / "metrics.json").exists():
        begun = place.with_name(place.name + ".partial").is_dir()
        reason = "begun, and not ended (running, or interrupted)" if begun else "not run yet"
        return blank | {"status": "missing", "reason": reason}
    try:
        metrics = read_json(place / "metrics.json")
        for key, expected in identity.items():
            if metrics.get(key) != expected:
                raise Unreadable(f"{place / 'metrics.json'} is of {key} {metrics.get(key)!r}, not {expected!r}.")
        final, last5 = (_number(metrics, key, place) for key in ("meta_test_return", "meta_test_return_last5"))
        failure = metrics.get("failure")
        if failure is not None and not isinstance(failure, dict):
            raise Unreadable(f"{place / 'metrics.json'}: failure is {failure!r}; expected null or a mapping.")
    except Unreadable as error:
        return blank | {"status": "unreadable", "reason": str(error)}
    if failure is None and final is not None:
        return blank | {"status": "finished", "meta_test_return": final, "meta_test_return_last5": last5}
    failure = failure or {}
    reason = str(failure.get("reason") or "failed without a recorded reason")
    return blank | {"status": "failed", "reason": reason, "failed_iteration": failure.get("iteration")}


def read_json(path: Path) -> dict:
    """The mapping in a JSON file. Raises Unreadable."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Unreadable(f"{path} cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise Unreadable(f"{path} is not valid JSON ({error}).") from error
    if not isinstance(content, dict):
        raise Unreadable(f"{path} holds no mapping.")
    return content


def read_table(path: Path, columns: list[str], labels: dict) -> pd.DataFrame:
    """A CSV file of numbers that has at least `columns`, with constant columns `labels`. Raises Unreadable."""
    try:
        table = pd.read_csv(path)
    except OSError as error:
        raise Unreadable(f"{path} cannot be read ({error.strerror}).") from error
    except (ValueError, pd.errors.ParserError) as error:  # EmptyDataError and UnicodeDecodeError are ValueErrors
        raise Unreadable(f"{path} is not a table ({error}).") from error
    absent = [column for column in columns if column not in table]
    if absent:
        raise Unreadable(f"{path} has no column {', '.join(absent)}.")
    try:
        return table.astype(float).assign(**labels)
    except ValueError as error:
        raise Unreadable(f"{path} holds something that is not a number ({error}).") from error


def add_wall_seconds(progress: pd.DataFrame | None, seconds: object) -> None:
    """Add the seconds a trial had run at the end of each iteration, where its provenance has one for every row."""
    if progress is not None:
        numbers = isinstance(seconds, list) and all(type(value) in (int, float) for value in seconds)
        usable = numbers and len(seconds) == len(progress)
        progress["wall_seconds"] = np.array(seconds if usable else [np.nan] * len(progress), dtype=float)


def read_scripted(path: Path, labels: dict) -> pd.DataFrame | None:
    """task, doing_nothing, task_known of one trial's record; None where it has no scripted returns."""
    scripted = read_json(path).get("scripted_returns")
    if scripted is None:
        return None
    columns = [scripted.get(name) if isinstance(scripted, dict) else None for name in SCRIPTED]
    numbers = all(
        isinstance(column, list) and all(map(_finite, column)) and len(column) == len(columns[0]) for column in columns
    )
    if not numbers:
        raise Unreadable(f"{path}: scripted_returns is not {' and '.join(SCRIPTED)}, a finite number a task each.")
    frame = pd.DataFrame(dict(zip(SCRIPTED, columns, strict=True)), dtype=float)
    return frame.rename_axis("task").reset_index().astype({"task": float}).assign(**labels)


def find(recorded: dict, path: tuple[str, ...]) -> object:
    """What lies at a path of keys, a list as words; None where a key is absent."""
    for key in path:
        recorded = recorded.get(key) if isinstance(recorded, dict) else None
    return ", ".join(map(str, recorded)) if isinstance(recorded, list) else recorded


def _number(metrics: dict, key: str, place: Path) -> float | None:
    value = metrics.get(key)
    if value is None:
        return None
    if not _finite(value):
        raise Unreadable(f"{place / 'metrics.json'}: {key} is {value!r}; expected a finite number or null.")
    return float(value)


def _finite(value: object) -> bool:
    """Whether it is a number that a float can hold; true and false are none."""
    try:
        return type(value) in (int, float) and math.isfinite(value)
    except OverflowError:
        return False
