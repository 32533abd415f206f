"""A results tree, read into tidy frames: a row a trial, an iteration, a trajectory; and what is missing."""

import hashlib
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import numpy as np
import pandas as pd

from reports.grid import Grid, InputError
from reports.trial_files import (
    SCRIPTED,
    Unreadable,
    add_wall_seconds,
    find,
    read_json,
    read_outcome,
    read_scripted,
    read_table,
)

TRIAL = ["environment", "encoder", "seed"]
PROGRESS = ["iteration", "environment_steps", "gradient_steps", "meta_test_return"]
ADAPTATION = ["task", "evaluation", "trajectory", "return"]
POSTERIORS = ["task", "evaluation", "trajectory", "mean_0", "variance_0"]
# Column of the trials frame: where it lies in provenance.json.
PROVENANCE = {
    "commit": ("commit",), "dirty": ("dirty",), "diff_sha256": ("diff_sha256",),
    "settings_sha256": ("settings_sha256",), "encoder_sha256": ("encoder_sha256",),
    "lock_sha256": ("environment", "lock_sha256"), "python": ("environment", "python"),
    "torch": ("environment", "torch"), "mujoco": ("environment", "mujoco"), "numpy": ("environment", "numpy"),
    "runtime": ("environment", "runtime"), "image_digest": ("environment", "image_digest"),
    "off_lock": ("environment", "off_lock"),
    "cpu": ("hardware", "cpu"), "cpu_family": ("hardware", "cpu_family"), "cores": ("hardware", "cores"),
    "gpu": ("hardware", "gpu"),
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
    progress: one row a trial and iteration, failed trials included up to their failure (column `status`), with the
        `wall_seconds` at the iteration's end (blank where not recorded).
    adaptation: one row a trial, task, evaluation and trajectory of the last meta-test, with the task's true
        parameters in columns that each family names (blank in the rows of other families).
    posteriors: one row a trial, task, evaluation and trajectory: mean_k and variance_k of the q(z|c) that the
        trajectory's z was drawn from, and one row more after the last. Variances are blank where there are none.
    scripted: one row an environment and test task: its true parameters, and the returns of doing nothing and of
        acting with the task known.
    remarks: sentences about files that could not be used although their trial counts, or that are of no trial
        of the grid.
    """

    grid: Grid
    trials: pd.DataFrame
    progress: pd.DataFrame
    adaptation: pd.DataFrame
    posteriors: pd.DataFrame
    scripted: pd.DataFrame
    remarks: list[str]
    folder: Path

    def parameter_names(self, environment: str) -> list[str]:
        """The columns of `adaptation` and `scripted` that hold the true parameters of an environment's tasks."""
        rows = self.adaptation[self.adaptation.environment == environment]
        known = {*TRIAL, "status", *ADAPTATION}
        return [column for column in rows if column not in known and rows[column].notna().any()]

    def trace(self, environment: str, encoder: str, seed: int) -> np.ndarray | None:
        """What the trial's last meta-test looked like, (task, evaluation, trajectory, step, …), NaN beyond an end.

        Read when asked for, as these are the large files. None where there is none that can be read.
        """
        try:
            with np.load(self.folder / environment / encoder / str(seed) / "trajectories.npz") as arrays:
                trace = arrays[arrays.files[0]]
        except (OSError, ValueError, IndexError, EOFError, zipfile.BadZipFile):
            return None
        return trace if trace.size else None


def load(folder: Path, grid: Grid) -> Results:
    """Read a grid's results from `<folder>/<environment>/<encoder>/<seed>/`. InputError without a folder."""
    if not folder.is_dir():
        raise InputError(f"There is no results folder {folder}; give with --results the one that trials wrote into.")
    trials, progress, adaptation, posteriors, scripted, remarks = [], [], [], [], [], []

    def attempt(read: Callable, *arguments):
        """What `read` gives; or None, and a remark. The trial itself stays in the tables."""
        try:
            return read(*arguments)
        except Unreadable as error:
            remarks.append(f"{error} The trial counts; what this file would show of it is absent.")

    for environment, encoder, seed in grid.trials():
        identity = {"environment": environment, "encoder": encoder, "seed": seed}
        place = folder / environment / encoder / str(seed)
        trial = identity | read_outcome(place, identity)
        recorded = {}
        if trial["status"] in ("finished", "failed"):
            labels = identity | {"status": trial["status"]}
            progress.append(attempt(read_table, place / "progress.csv", PROGRESS, labels))
            adaptation.append(attempt(read_table, place / "adaptation.csv", ADAPTATION, labels))
            posteriors.append(attempt(read_table, place / "posteriors.csv", POSTERIORS, labels))
            scripted.append(attempt(read_scripted, place / "metrics.json", labels))
            recorded = attempt(read_json, place / "provenance.json")
            add_wall_seconds(progress[-1], (recorded or {}).get("iteration_seconds"))
        trial |= {column: find(recorded, path) for column, path in PROVENANCE.items()}
        if trial["command"] is None:
            trial["command"] = trial_command(grid.name, environment, encoder, seed)
        trials.append(trial)
    adaptation = _join(adaptation, [*TRIAL, "status", *ADAPTATION])
    scripted = _join(scripted, [*TRIAL, "task", *SCRIPTED])
    return Results(
        grid=grid,
        trials=_frame(trials),
        progress=_join(progress, [*TRIAL, "status", *PROGRESS, "wall_seconds"]),
        adaptation=adaptation,
        posteriors=_join(posteriors, [*TRIAL, "status", *POSTERIORS]),
        scripted=_by_task(scripted, adaptation),
        remarks=remarks + _disagreeing_bounds(scripted) + _outside_the_grid(folder, grid),
        folder=folder,
    )


def trial_command(budget: str, environment: str, encoder: str, seed: int) -> str:
    """The command that trains one trial of a grid, as the pipeline runs it."""
    place = f"{budget}/{environment}/{encoder}/{seed}"
    names = f"--env {quote(environment)} --encoder {quote(encoder)} --seed {seed} --budget {quote(budget)}"
    folders = f"--out {quote(f'results/{place}')} --weights {quote(f'weights/{place}')}"
    return f"docker/run python -m oyster train {names} {folders} --record-failure"


def anchor(environment: str, encoder: str, seed: int) -> str:
    """The identifier of a trial's row on the page: ASCII, and another for every other trial.

    A name that HTML or an address could trip over, or that would make two trials' anchors alike, ends in its hash.
    """
    safe_environment = _slug(environment, r"[A-Za-z0-9_-]{1,64}")
    return f"trial-{safe_environment}-{_slug(encoder, r'[A-Za-z0-9_]{1,64}')}-{seed}"


def _slug(name: str, plain: str) -> str:
    if re.fullmatch(plain, name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{re.sub('[^A-Za-z0-9_]+', '', name)[:24]}_{digest}"


def _frame(trials: list[dict]) -> pd.DataFrame:
    frame = pd.DataFrame(trials)
    return frame.assign(**{column: pd.to_numeric(frame[column], errors="coerce").astype(float) for column in NUMBERS})


def _join(frames: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    frames = [frame for frame in frames if frame is not None and len(frame)]
    if not frames:
        return pd.DataFrame({column: [] for column in columns}).astype({"seed": int})
    return pd.concat(frames, ignore_index=True)


def _by_task(scripted: pd.DataFrame, adaptation: pd.DataFrame) -> pd.DataFrame:
    """One row an environment and task, from the first trial that tells, with the task's true parameters."""
    scripted = scripted.drop_duplicates(["environment", "task"])[["environment", "task", *SCRIPTED]]
    names = [column for column in adaptation if column not in {*TRIAL, "status", *ADAPTATION}]
    parameters = adaptation.drop_duplicates(["environment", "task"])[["environment", "task", *names]]
    merged = scripted.merge(parameters, on=["environment", "task"], how="left")
    return merged[["environment", "task", *names, *SCRIPTED]]


def _disagreeing_bounds(scripted: pd.DataFrame) -> list[str]:
    """Environments whose trials record different scripted returns, hence were not tested on the same tasks."""
    by_task = scripted.groupby(["environment", "task"], sort=False)[SCRIPTED]
    spread = (by_task.max() - by_task.min()).max(axis=1).groupby("environment", sort=False).max()
    sizes = scripted.groupby(TRIAL, sort=False).size().groupby("environment", sort=False).nunique()
    return [
        f"Trials on {environment} disagree about the scripted returns, by up to {spread[environment]:.3g}: they were "
        "not made with the same tasks or physics. The first trial's are used."
        for environment in spread.index
        if spread[environment] > 1e-6 or sizes[environment] > 1
    ]


def _outside_the_grid(folder: Path, grid: Grid) -> list[str]:
    """Results that are there and that the grid does not name: said, not counted."""
    expected = {folder / environment / encoder / str(seed) for environment, encoder, seed in grid.trials()}
    strays = sorted({path.parent for path in folder.rglob("metrics.json")} - expected)
    strays = [path for path in strays if not any(part.endswith(".partial") for part in path.parts)]
    return [f"{path} is not a trial of grid.{grid.name}: it is not counted here." for path in strays]
