"""The files of one trial, read and believed only as far as they make sense, each alone and beside metrics.json."""

import glob
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from oyster.key import text_of
from oyster.report.read.provenance import read_provenance
from oyster.report.read.records import (
    Unreadable,
    are_counts,
    are_numbers,
    as_recorded,
    close,
    read_array,
    read_json,
    read_table,
)
from oyster.report.text import cleaned, shown, told
from oyster.runtime.errors import InputError
from oyster.runtime.key_file import find_key_file
from oyster.runtime.records import SUCCESS, SUCCESS_RATE, Metrics, References

TRIAL = ["environment", "encoder", "seed"]
SCRIPTED = ["doing_nothing", "task_known"]
PROGRESS = ["iteration", "environment_steps", "gradient_steps", "meta_test_return"]
RUN = ["task", "evaluation", "trajectory"]
ADAPTATION = [*RUN, "return"]
RETURNS = ["meta_test_return", "meta_test_return_last5", SUCCESS_RATE]  # of metrics.json; the last not of all families
POSTERIORS = [*RUN, "mean_0", "variance_0"]
LAST_ITERATIONS = 5
ABSENT = "what this file would show of it is absent."


class TrialFiles(NamedTuple):
    """What there is of one trial: its outcome, as columns of the trials frame; None for a file that gives nothing."""

    outcome: dict
    recorded: dict | None = None
    progress: pd.DataFrame | None = None
    adaptation: pd.DataFrame | None = None
    task_returns: pd.DataFrame | None = None  # task, return: of the trajectories that count, of a finished trial
    posteriors: pd.DataFrame | None = None
    scripted: pd.DataFrame | None = None
    trace: np.ndarray | None = None
    code: str | None = None  # a hash of what trained it, where the result carries a key
    unusable: tuple[str, ...] = ()  # a sentence for each file that is missing or cannot be used


def read_trial(place: Path, identity: dict) -> TrialFiles:
    """Everything that the trial left at `place`."""
    unusable = []

    def attempt(read: Callable, name: str, *arguments):
        try:
            return read(place / name, *arguments)
        except Unreadable as error:
            unusable.append(f"{shown(place / name)}: {error} The trial counts; {ABSENT}")

    outcome, metrics = read_outcome(place, identity)
    if metrics is None:
        return TrialFiles(outcome, unusable=(outcome["reason"],) if outcome["status"] == "unreadable" else ())
    recorded = attempt(read_provenance, "provenance.json")
    progress = attempt(read_progress, "progress.csv", metrics, recorded or {})
    counted = _counted(place)
    adaptation = attempt(read_adaptation, "adaptation.csv", metrics, counted)
    tested = adaptation is not None and finished(metrics)
    returns = _counted_by_task(adaptation, "return", counted).reset_index() if tested else None
    posteriors = attempt(read_posteriors, "posteriors.csv", metrics, adaptation)
    scripted = attempt(read_scripted, "metrics.json", metrics)
    trace = attempt(read_trace, "trajectories.npz", metrics, adaptation)
    code = attempt(lambda _: read_code(place), "its key file")
    if progress is not None:
        add_wall_seconds(progress, (recorded or {}).get("iteration_seconds"))
    tables = progress, adaptation, returns, posteriors, scripted
    return TrialFiles(outcome, recorded, *tables, trace, code, tuple(unusable))


def read_code(place: Path) -> str | None:
    """Of the parts of its key that are code, whatever the family. Raises Unreadable."""
    try:
        key_file = find_key_file(place)
    except InputError as error:
        raise Unreadable(f"{error}") from error
    return key_file and text_of({part: key_file.parts.get(part) for part in ("engine", "algorithm")})


def read_outcome(place: Path, identity: dict) -> tuple[dict, dict | None]:
    """status, reason, failed_iteration and the RETURNS of the trial that should lie at `place`; and what
    metrics.json holds, None where it cannot be used.
    """
    blank = {"reason": "", "failed_iteration": None, **dict.fromkeys(RETURNS)}
    try:
        if not (place / "metrics.json").exists():
            begun = any(place.parent.glob(f"{glob.escape(place.name)}.*partial"))
            reason = "begun, and not ended (running, or interrupted)" if begun else "not run yet"
            return blank | {"status": "missing", "reason": reason}, None
        metrics = read_metrics(place / "metrics.json", identity)
    except Unreadable as error:
        return blank | {"status": "unreadable", "reason": f"{shown(place / 'metrics.json')}: {error}"}, None
    except (OSError, ValueError) as error:  # a name that no file can have
        return blank | {"status": "unreadable", "reason": f"{shown(place)} cannot be read ({error})."}, None
    if finished(metrics):
        returns = {key: metrics.get(key) for key in RETURNS}
        return blank | {"status": "finished"} | returns, metrics
    failure = metrics.get("failure") or {}
    reason = failure.get("reason") or "failed without a recorded reason"
    return blank | {"status": "failed", "reason": reason, "failed_iteration": failure.get("iteration")}, metrics


def finished(metrics: dict) -> bool:
    """Whether the trial gave a return."""
    return metrics.get("failure") is None and metrics.get("meta_test_return") is not None


def read_metrics(path: Path, identity: dict) -> dict:
    """metrics.json of just this trial, its outcome of the kinds that are due. Raises Unreadable.

    Whose agent it is, its place says: another grid's, or one that was renamed, has another name in it.
    """
    metrics = read_json(path)
    for key, expected in identity.items():
        if key == "encoder":
            continue
        if type(metrics.get(key)) is not type(expected) or metrics[key] != cleaned(expected):
            raise Unreadable(f"it is of {key} {told(metrics.get(key))}, not {told(expected)}.")
    recorded = as_recorded(Metrics, metrics)
    if finished(metrics) and recorded.task_returns is not None:
        if not recorded.task_returns:
            raise Unreadable("task_returns is empty; expected a number per task.")
        if not close(np.mean(recorded.task_returns), recorded.meta_test_return):
            raise Unreadable("meta_test_return is not the mean of task_returns.")
    return metrics


def read_progress(path: Path, metrics: dict, recorded: dict) -> pd.DataFrame:
    """A row an iteration, as metrics.json and provenance.json say that there were. Raises Unreadable."""
    table = _with_columns(read_table(path), PROGRESS)[PROGRESS]
    steps = table[["environment_steps", "gradient_steps"]]
    if table.iteration.tolist() != list(range(len(table))):
        raise Unreadable("its iterations are not 0, 1, 2 and so on.")
    if (
        not are_numbers(table)
        or not all(are_counts(table[column]) for column in steps)
        or (steps.diff() < 0).any(axis=None)
    ):
        raise Unreadable("it holds a step count or return that cannot be.")
    if finished(metrics):
        seconds = recorded.get("iteration_seconds")
        due = [recorded.get("num_iterations"), None if seconds is None else len(seconds)]
        if not len(table) or (len(table) not in due and any(count is not None for count in due)):
            raise Unreadable(f"it has {len(table)} rows, not one for each iteration.")
        last, five = table.meta_test_return.iloc[-1], metrics.get("meta_test_return_last5")
        mean = table.meta_test_return.tail(LAST_ITERATIONS).mean()
        if not close(last, metrics["meta_test_return"]) or not (five is None or close(mean, five)):
            raise Unreadable("it does not end in the returns that metrics.json has.")
    return table


def _counted(place: Path) -> tuple[int, int]:
    """First and last of the trajectories that count, by the settings in provenance.json; else the last alone."""
    try:
        first, last = read_json(place / "provenance.json")["settings"]["counted"]
    except (Unreadable, LookupError, TypeError, ValueError):
        return -1, -1
    return (first, last) if type(first) is type(last) is int else (-1, -1)


def read_adaptation(path: Path, metrics: dict, counted: tuple[int, int] = (-1, -1)) -> pd.DataFrame:
    """A row a trajectory of the last meta-test, with the task's true parameters, and SUCCESS where it was recorded.
    Raises Unreadable.
    """
    table = read_table(path)
    last = [*ADAPTATION[1:], *([SUCCESS] if SUCCESS in table else [])]
    names = list(table.columns[1 : -len(last)])
    if list(table.columns) != ["task", *names, *last] or {*names} & {*TRIAL, "status"}:
        raise Unreadable(f"it has the columns {told(list(table.columns))}; expected those of a meta-test.")
    if not are_numbers(table):
        raise Unreadable("it holds something else than finite numbers.")
    _check_runs(table)
    if SUCCESS in table and not table[SUCCESS].isin([0.0, 1.0]).all():
        raise Unreadable(f"it holds a {SUCCESS} that is neither 1.0 nor 0.0.")
    if len(table) and names and (table.groupby("task")[names].nunique() > 1).any(axis=None):
        raise Unreadable("it gives one task different parameters.")
    if finished(metrics):
        by_task = _counted_by_task(table, "return", counted)
        if not len(by_task) or not close(by_task, metrics.get("task_returns", by_task)):
            raise Unreadable("it does not end in the task_returns that metrics.json has.")
        rate = [_counted_by_task(table, SUCCESS, counted).mean()] if SUCCESS in table else []
        if not close(rate, [value for value in [metrics.get(SUCCESS_RATE)] if value is not None]):
            raise Unreadable(f"it does not end in the {SUCCESS_RATE} that metrics.json has.")
    return table


def read_posteriors(path: Path, metrics: dict, adaptation: pd.DataFrame | None) -> pd.DataFrame | None:
    """A row more than trajectories for each run of the last meta-test; variances may all be blank.

    None where the algorithm infers nothing: then the file is a header.
    """
    table = read_table(path)
    if list(table.columns) == RUN and not len(table):
        return None
    table = _with_columns(table, POSTERIORS)
    dimensions = (len(table.columns) - len(RUN)) // 2
    means, variances = ([f"{name}_{k}" for k in range(dimensions)] for name in ("mean", "variance"))
    if list(table.columns) != [*RUN, *means, *variances]:
        raise Unreadable(f"it has the columns {told(list(table.columns))}; expected means and variances.")
    given = table[variances]
    without = given.isna().all(axis=None)
    if not are_numbers(table[means]) or not (without or (are_numbers(given) and (given >= 0).all(axis=None))):
        raise Unreadable("it holds a mean or variance that cannot be.")
    _check_runs(table)
    if finished(metrics) and not len(table):
        raise Unreadable("it holds no posterior.")
    if adaptation is not None and not _run_lengths(table).equals(_run_lengths(adaptation) + 1):
        raise Unreadable("it has not one posterior more than adaptation.csv has trajectories.")
    return table


def read_scripted(path: Path, metrics: dict) -> pd.DataFrame | None:
    """task, doing_nothing, task_known of one trial's record; None where it has no scripted returns."""
    if metrics.get("scripted_returns") is None:
        return None
    given = as_recorded(References, metrics["scripted_returns"])
    lengths = {len(column) for column in (given.doing_nothing, given.task_known, metrics.get("task_returns")) if column}
    if len(lengths) > 1 or not given.doing_nothing:
        raise Unreadable("scripted_returns has not one number per task.")
    columns = {name: getattr(given, name) for name in SCRIPTED}
    frame = pd.DataFrame(columns, dtype=float)  # blank where the family has no oracle
    return frame.rename_axis("task").reset_index().astype({"task": float})


def read_trace(path: Path, metrics: dict, adaptation: pd.DataFrame | None) -> np.ndarray | None:
    """What the last meta-test looked like, (task, evaluation, trajectory, step, …), NaN beyond an end.

    None where the trial failed before there was one.
    """
    trace = read_array(path)
    if not finished(metrics) and not trace.size:
        return None
    if trace.ndim < 4 or not trace.size:
        raise Unreadable(f"it has the shape {told(trace.shape)}; expected task, evaluation, trajectory, step.")
    begun = np.isfinite(trace[:, :, :, 0]).reshape(*trace.shape[:3], -1).all(axis=-1)
    if not begun[:, :, 0].all():
        raise Unreadable("it lacks the first trajectory of a run.")
    if adaptation is not None:
        lengths, there = _run_lengths(adaptation).tolist(), begun.sum(axis=2)
        if (
            len(there) != adaptation.task.nunique()
            or there.ravel().tolist() != lengths
            or begun.shape[2] != max(lengths)
        ):
            raise Unreadable("it has not the trajectories that adaptation.csv has.")
    return trace


def add_wall_seconds(progress: pd.DataFrame, seconds: list | None) -> None:
    """Add the seconds a trial had run at the end of each iteration, where its provenance has one for every row."""
    usable = seconds is not None and len(seconds) == len(progress)
    progress["wall_seconds"] = np.array(seconds if usable else [np.nan] * len(progress), dtype=float)


def _counted_by_task(table: pd.DataFrame, column: str, counted: tuple[int, int]) -> pd.Series:
    """The mean of the trajectories that count, by task."""
    part = slice(counted[0], counted[1] + 1 or None)
    by_run = table.groupby(["task", "evaluation"])[column].apply(lambda values: values.iloc[part].mean())
    return by_run.groupby("task").mean()


def _with_columns(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    absent = [column for column in columns if column not in table]
    if absent:
        raise Unreadable(f"it has no column {', '.join(absent)}.")
    return table


def _check_runs(table: pd.DataFrame) -> None:
    """Tasks in order, evaluations within, trajectories within these, each from 0 on and none left out."""
    lengths = _run_lengths(table)
    tasks, evaluations = table.task.nunique(), table.evaluation.nunique()
    expected = [
        [task, evaluation, trajectory]
        for task in range(tasks)
        for evaluation in range(evaluations)
        for trajectory in range(lengths.get((task, evaluation), 1))
    ]
    if table[RUN].to_numpy().tolist() != expected:
        raise Unreadable("its tasks, evaluations and trajectories are not 0, 1, 2 and so on.")


def _run_lengths(table: pd.DataFrame) -> pd.Series:
    """Rows of each run, by task and evaluation."""
    return table.groupby(["task", "evaluation"]).size()
