"""A results tree, read into tidy frames: one row per trial, per iteration, per trajectory; and what is missing."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import numpy as np
import pandas as pd

from oyster.report.read.grid import Grid, InputError
from oyster.report.read.provenance import COUNTS, MEASURES, PROVENANCE
from oyster.report.read.trial_files import (
    ABSENT,
    ADAPTATION,
    POSTERIORS,
    PROGRESS,
    RETURNS,
    SCRIPTED,
    TRIAL,
    TrialFiles,
    read_trial,
)
from oyster.report.text import shown
from oyster.runtime.records import SUCCESS, SUCCESS_RATE

NUMBERS = [*RETURNS, "failed_iteration", *COUNTS, *MEASURES]
NAMED = 5  # trials that a remark names; of more it gives the number


@dataclass(frozen=True)
class Results:
    """Everything a report is made of.

    trials: one row a trial of the grid, finished or not, in the grid's order. `status` is finished, failed,
        missing or unreadable; `reason` says why for all but the first; provenance is None where not recorded.
    progress: one row a trial and iteration, failed trials included up to their failure (column `status`), with the
        `wall_seconds` at the iteration's end (blank where not recorded).
    adaptation: one row a trial, task, evaluation and trajectory of the last meta-test, with the task's true
        parameters in columns that each family names (blank in the rows of other families); SUCCESS where there is any.
    task_returns: one row a finished trial and test task: its return in the last meta-test, the mean of the trajectories
        that count and of evaluations.
    posteriors: one row a trial, task, evaluation and trajectory: mean_k and variance_k of the q(z|c) that the
        trajectory's z was drawn from, and one row more after the last. Variances are blank where there are none.
    scripted: one row an environment and test task: its true parameters, and the returns of idle and of the oracle
        (blank where there is none), named as metrics.json names them.
    traces: by environment, encoder and seed what the last meta-test looked like, (task, evaluation, trajectory,
        step, …), NaN beyond an end; without those that there are not.
    unusable: a sentence a file that could not be used, whether or not its trial counts.
    outdated: a sentence a trial whose result is not what the grid asks for now, and which counts all the same.
    strays: a path each of results that are there and that the grid does not name; they do not count.
    remarks: further sentences: of what trials were warned, where they disagree, what does not stand beside them.
    """

    grid: Grid
    trials: pd.DataFrame
    progress: pd.DataFrame
    adaptation: pd.DataFrame
    task_returns: pd.DataFrame
    posteriors: pd.DataFrame
    scripted: pd.DataFrame
    traces: dict[tuple[str, str, int], np.ndarray]
    unusable: list[str]
    outdated: list[str]
    strays: list[str]
    remarks: list[str]
    folder: Path

    def parameter_names(self, environment: str) -> list[str]:
        """The columns of `adaptation` and `scripted` that hold the true parameters of an environment's tasks."""
        rows = self.adaptation[self.adaptation.environment == environment]
        known = {*TRIAL, "status", *ADAPTATION, SUCCESS}
        return [column for column in rows if column not in known and rows[column].notna().any()]

    def shown_trials(self) -> pd.DataFrame:
        """`trials` without what is not for readers, and without the success rate where no trial has one."""
        rates = [] if self.trials[SUCCESS_RATE].notna().any() else [SUCCESS_RATE]
        return self.trials.drop(columns=["code", *rates])

    def curves(self) -> set[str]:
        """The anchors of the trials that have a learning curve."""
        return {anchor(*trial) for trial in self.progress[TRIAL].drop_duplicates().itertuples(index=False)}


def load(folder: Path, grid: Grid, remarks: Iterable[str] = (), outdated: Iterable[str] = ()) -> Results:
    """Read a grid's results from `<folder>/<environment>/<encoder>/<seed>/`, those beside it from the folders of their
    grids beside that one. InputError without a folder.

    remarks, outdated: further sentences that the page should show.
    """
    if not folder.is_dir():
        raise InputError(
            f"There is no results folder {shown(folder)}; give with --results the one that trials wrote into."
        )
    read = {
        trial: read_trial(place_of(folder, grid, trial), dict(zip(TRIAL, trial, strict=True)))
        for trial in grid.trials()
    }
    read, foreign = _of_one_family(read)
    adaptation = _join(read, "adaptation", [*TRIAL, "status", *ADAPTATION])
    scripted = _join(read, "scripted", [*TRIAL, "status", "task", *SCRIPTED])
    return Results(
        grid=grid,
        trials=_frame(read, grid),
        progress=_join(read, "progress", [*TRIAL, "status", *PROGRESS, "wall_seconds"]),
        adaptation=adaptation,
        task_returns=_join(read, "task_returns", [*TRIAL, "status", "task", "return"]),
        posteriors=_join(read, "posteriors", [*TRIAL, "status", *POSTERIORS]),
        scripted=_by_task(scripted, adaptation),
        traces={trial: files.trace for trial, files in read.items() if files.trace is not None},
        unusable=[sentence for files in read.values() for sentence in files.unusable] + foreign,
        outdated=list(outdated),
        strays=_outside_the_grid(folder, grid),
        remarks=[*remarks, *_warnings(read), *_disagreeing_bounds(scripted)],
        folder=folder,
    )


def place_of(folder: Path, grid: Grid, trial: tuple[str, str, int]) -> Path:
    """Where a trial's result lies: in the grid's folder, or in the project's of the grid beside it."""
    within = folder if trial not in grid.beside else Path("results") / grid.beside[trial]
    return within.joinpath(*map(str, trial))


def trial_command(grid: Grid, trial: tuple[str, str, int]) -> str:
    """The command that trains one trial of a grid, as the pipeline runs it."""
    (environment, encoder, seed), place = trial, grid.place(trial)
    names = f"--env {quote(environment)} --agent {quote(encoder)} --seed {seed} --preset {quote(grid.preset)}"
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


def _frame(read: dict[tuple, TrialFiles], grid: Grid) -> pd.DataFrame:
    rows = []
    for trial, files in read.items():
        recorded = {column: (files.recorded or {}).get(column) for column in PROVENANCE}
        recorded["command"] = recorded["command"] or trial_command(grid, trial)
        rows.append(dict(zip(TRIAL, trial, strict=True)) | files.outcome | recorded | {"code": files.code})
    return pd.DataFrame(rows).astype(dict.fromkeys(NUMBERS, float))


def _join(read: dict[tuple, TrialFiles], name: str, columns: list[str]) -> pd.DataFrame:
    """One table of every trial, with the trial and its status before each row's own columns."""
    tables = [(trial, files.outcome["status"], getattr(files, name)) for trial, files in read.items()]
    frames = [
        table.assign(**dict(zip(TRIAL, trial, strict=True)), status=status)
        for trial, status, table in tables
        if table is not None and len(table)
    ]
    if not frames:
        return pd.DataFrame({column: [] for column in columns}).astype({"seed": int})
    return pd.concat(frames, ignore_index=True)


def _of_one_family(read: dict[tuple, TrialFiles]) -> tuple[dict[tuple, TrialFiles], list[str]]:
    """Without the adaptations that name other parameters than most of their environment's; and a sentence each."""
    names = {trial: tuple(files.adaptation) for trial, files in read.items() if files.adaptation is not None}
    usual = {
        environment: Counter(held for trial, held in names.items() if trial[0] == environment).most_common(1)[0][0]
        for environment in {trial[0] for trial in names}
    }
    foreign = [trial for trial, held in names.items() if held != usual[trial[0]]]
    why = "has not the columns that other trials of its environment have. The trial counts;"
    sentences = [f"adaptation.csv of {_name(trial)} {why} {ABSENT}" for trial in foreign]
    return read | {trial: read[trial]._replace(adaptation=None, task_returns=None) for trial in foreign}, sentences


def _warnings(read: dict[tuple, TrialFiles]) -> list[str]:
    """What provenance.json warns of, a line a warning with its trials; and what it could not read, a line a trial."""
    trials: dict[str, list[str]] = {}
    missed = []
    for trial, files in read.items():
        for warning in dict.fromkeys((files.recorded or {}).get("warnings") or ()):
            trials.setdefault(warning, []).append(_name(trial))
        if unreadable := (files.recorded or {}).get("unreadable"):
            missed.append(f"{_name(trial)}: could not be read for its provenance: {'; '.join(unreadable)}.")
    return [f"{_counted(names)}: {warning}" for warning, names in trials.items()] + missed


def _counted(names: list[str]) -> str:
    """`2 trials (a, b)`, of many the first few."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{len(names)} trial{'s' * (len(names) > 1)} ({', '.join(names[:NAMED])}{more})"


def _name(trial: tuple) -> str:
    return "/".join(map(str, trial))


def _by_task(scripted: pd.DataFrame, adaptation: pd.DataFrame) -> pd.DataFrame:
    """One row an environment and task, from the first trial that tells, with the task's true parameters."""
    scripted = scripted.drop_duplicates(["environment", "task"])[["environment", "task", *SCRIPTED]]
    names = [column for column in adaptation if column not in {*TRIAL, "status", *ADAPTATION, SUCCESS}]
    parameters = adaptation.drop_duplicates(["environment", "task"])[["environment", "task", *names]]
    merged = scripted.merge(parameters, on=["environment", "task"], how="left")
    return merged[["environment", "task", *names, *SCRIPTED]]


def _disagreeing_bounds(scripted: pd.DataFrame) -> list[str]:
    """Environments whose trials record different scripted returns, hence were not tested on the same tasks."""
    by_task = scripted.groupby(["environment", "task"], sort=False)[SCRIPTED]
    spread = (by_task.max() - by_task.min()).max(axis=1).groupby("environment", sort=False).max()
    sizes = scripted.groupby(TRIAL, sort=False).size().groupby("environment", sort=False).nunique()
    return [
        f"Trials on {environment} disagree about the reference policies, by up to {spread[environment]:.3g}. They were "
        "not made with the same tasks or physics; the first trial's are used."
        for environment in spread.index
        if spread[environment] > 1e-6 or sizes[environment] > 1
    ]


def _outside_the_grid(folder: Path, grid: Grid) -> list[str]:
    """The paths of results that are there and that the grid does not name."""
    expected = {folder / environment / encoder / str(seed) for environment, encoder, seed in grid.own_trials()}
    strays = sorted({path.parent for path in folder.rglob("metrics.json")} - expected)
    strays = [path for path in strays if not any(part.endswith(".partial") for part in path.parts)]
    return [shown(path) for path in strays]
