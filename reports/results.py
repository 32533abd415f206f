"""A results tree, read into tidy frames: a row a trial, an iteration, a trajectory; and what is missing."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import pandas as pd

from reports.grid import Grid, InputError

TRIAL = ["environment", "encoder", "seed"]
PROGRESS = ["iteration", "environment_steps", "gradient_steps", "meta_test_return"]
ADAPTATION = ["task", "evaluation", "trajectory", "return"]
# Column of the trials frame: where it lies in provenance.json.
PROVENANCE = {
    "commit": ("commit",), "dirty": ("dirty",), "diff_sha256": ("diff_sha256",),
    "settings_sha256": ("settings_sha256",), "encoder_sha256": ("encoder_sha256",),
    "lock_sha256": ("environment", "lock_sha256"), "python": ("environment", "python"),
    "torch": ("environment", "torch"), "mujoco": ("environment", "mujoco"), "numpy": ("environment", "numpy"),
    "runtime": ("environment", "runtime"), "image_digest": ("environment", "image_digest"),
    "cpu": ("hardware", "cpu"), "cores": ("hardware", "cores"), "gpu": ("hardware", "gpu"),
    "device": ("device",), "precision": ("precision",), "threads": ("threads",),
    "parameters": ("parameters",), "wall_seconds": ("wall_seconds",),
    "gradient_steps_per_second": ("gradient_steps_per_second",), "peak_memory_mb": ("peak_memory_mb",),
    "command": ("command",),
}  # fmt: skip

NUMBERS = [
    "meta_test_return", "meta_test_return_last5", "failed_iteration", "cores", "threads", "parameters",
    "wall_seconds", "gradient_steps_per_second", "peak_memory_mb",
]  # fmt: skip


@dataclass(frozen=True)
class Results:
    """Everything a report is made of.

    trials: one row a trial of the grid, finished or not, in the grid's order. `status` is finished, failed,
        missing or unreadable; `reason` says why for all but the first; provenance is None where not recorded.
    progress: one row a trial and iteration, failed trials included up to their failure (column `status`).
    adaptation: one row a trial, task, evaluation and trajectory of the last meta-test.
    remarks: sentences about files that could not be used although their trial counts, or that are of no trial
        of the grid.
    """

    grid: Grid
    trials: pd.DataFrame
    progress: pd.DataFrame
    adaptation: pd.DataFrame
    remarks: list[str]


class Unreadable(Exception):
    """A file of a trial is there and cannot be used."""


def load(folder: Path, grid: Grid) -> Results:
    """Read a grid's results from `<folder>/<environment>/<encoder>/<seed>/`. InputError without a folder."""
    if not folder.is_dir():
        raise InputError(f"There is no results folder {folder}; give with --results the one that trials wrote into.")
    trials, progress, adaptation, remarks = [], [], [], []

    def attempt(read: Callable, *arguments):
        """What `read` gives; or None, and a remark. The trial itself stays in the tables."""
        try:
            return read(*arguments)
        except Unreadable as error:
            remarks.append(f"{error} The trial counts; what this file would show of it is absent.")

    for environment, encoder, seed in grid.trials():
        identity = {"environment": environment, "encoder": encoder, "seed": seed}
        place = folder / environment / encoder / str(seed)
        trial = identity | _read_outcome(place, identity)
        recorded = {}
        if trial["status"] in ("finished", "failed"):
            labels = identity | {"status": trial["status"]}
            progress.append(attempt(_read_table, place / "progress.csv", PROGRESS, labels))
            adaptation.append(attempt(_read_table, place / "adaptation.csv", ADAPTATION, labels))
            recorded = attempt(_read_json, place / "provenance.json")
        trial |= {column: _find(recorded, path) for column, path in PROVENANCE.items()}
        if trial["command"] is None:
            trial["command"] = trial_command(grid.name, environment, encoder, seed)
        trials.append(trial)
    return Results(
        grid=grid,
        trials=_frame(trials),
        progress=_join(progress, [*TRIAL, "status", *PROGRESS]),
        adaptation=_join(adaptation, [*TRIAL, "status", *ADAPTATION]),
        remarks=remarks + _outside_the_grid(folder, grid),
    )


def trial_command(budget: str, environment: str, encoder: str, seed: int) -> str:
    """The command that trains one trial of a grid, as the pipeline runs it."""
    place = f"{budget}/{environment}/{encoder}/{seed}"
    names = f"--env {quote(environment)} --encoder {quote(encoder)} --seed {seed} --budget {quote(budget)}"
    folders = f"--out {quote(f'results/{place}')} --weights {quote(f'weights/{place}')}"
    return f"docker/run python -m oyster train {names} {folders} --record-failure"


def _read_outcome(place: Path, identity: dict) -> dict:
    """status, reason, failed_iteration and the two returns of the trial that should lie at `place`."""
    blank = {"reason": "", "failed_iteration": None, "meta_test_return": None, "meta_test_return_last5": None}
    if not (place / "metrics.json").exists():
        begun = place.with_name(place.name + ".partial").is_dir()
        reason = "begun, and not ended (running, or interrupted)" if begun else "not run yet"
        return blank | {"status": "missing", "reason": reason}
    try:
        metrics = _read_json(place / "metrics.json")
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


def _read_json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Unreadable(f"{path} cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise Unreadable(f"{path} is not valid JSON ({error}).") from error
    if not isinstance(content, dict):
        raise Unreadable(f"{path} holds no mapping.")
    return content


def _read_table(path: Path, columns: list[str], labels: dict) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
    except OSError as error:
        raise Unreadable(f"{path} cannot be read ({error.strerror}).") from error
    except (
        ValueError,
        pd.errors.ParserError,
    ) as error:  # EmptyDataError and UnicodeDecodeError are ValueErrors
        raise Unreadable(f"{path} is not a table ({error}).") from error
    absent = [column for column in columns if column not in table]
    if absent:
        raise Unreadable(f"{path} has no column {', '.join(absent)}.")
    try:
        return table.astype(dict.fromkeys(columns, float)).assign(**labels)
    except ValueError as error:
        raise Unreadable(f"{path} holds something that is not a number ({error}).") from error


def _number(metrics: dict, key: str, place: Path) -> float | None:
    value = metrics.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unreadable(f"{place / 'metrics.json'}: {key} is {value!r}; expected a finite number or null.")
    return float(value)


def _find(recorded: dict, path: tuple[str, ...]) -> object:
    for key in path:
        recorded = recorded.get(key) if isinstance(recorded, dict) else None
    return recorded


def _frame(trials: list[dict]) -> pd.DataFrame:
    frame = pd.DataFrame(trials)
    return frame.assign(**{column: pd.to_numeric(frame[column], errors="coerce").astype(float) for column in NUMBERS})


def _join(frames: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    frames = [frame for frame in frames if frame is not None and len(frame)]
    if not frames:
        return pd.DataFrame({column: [] for column in columns}).astype({"seed": int})
    return pd.concat(frames, ignore_index=True)


def _outside_the_grid(folder: Path, grid: Grid) -> list[str]:
    """Results that are there and that the grid does not name: said, not counted."""
    expected = {folder / environment / encoder / str(seed) for environment, encoder, seed in grid.trials()}
    strays = sorted({path.parent for path in folder.rglob("metrics.json")} - expected)
    strays = [path for path in strays if not any(part.endswith(".partial") for part in path.parts)]
    return [f"{path} is not a trial of grid.{grid.name}: it is not counted here." for path in strays]
