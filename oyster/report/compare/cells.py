"""Two commits' results side by side: which cells moved, whether by more than noise, and what else changed."""

import math
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from oyster.report import tables
from oyster.report.origins import origins, records
from oyster.report.read.grid import Grid
from oyster.report.read.results import Results
from oyster.report.statistics import intervals

IDENTICAL, SAME, WITHIN = (
    "identical to the last bit",
    "same returns, other records differ",
    "moved; noise may explain it",
)
BEYOND, UNTOLD = "moved by more than noise", "moved; too few seeds to tell from noise"
APPEARED, VANISHED, NEITHER = "appeared", "vanished", "in neither"
VERDICTS = (BEYOND, UNTOLD, WITHIN, SAME, IDENTICAL, APPEARED, VANISHED, NEITHER)
# What a trial writes that is the same bytes whenever it is made again on the same hardware and locked environment.
RECORDS = ("metrics.json", "progress.csv", "adaptation.csv", "posteriors.csv", "trajectories.npz", "start.json")
# What may explain a move: key of a trial's origin, and its name for readers.
CAUSES = {
    "commit": "commit", "dirty": "uncommitted changes", "diff_sha256": "uncommitted changes",
    "settings_sha256": "settings", "encoder_sha256": "encoder file", "lock_sha256": "locked environment",
    "off_lock": "packages off the lock", "versions": "versions", "runtime": "runtime", "image_digest": "image",
    "hardware": "hardware", "device": "device", "precision": "precision", "threads": "threads",
}  # fmt: skip


class Trial(NamedTuple):
    """One trial of either side: its origin there, or None where the grid of that side has no such trial."""

    environment: str
    encoder: str
    seed: int
    before: dict | None
    after: dict | None
    differing: list[str]  # the records that are not the same bytes
    causes: list[str]  # what differs of where the two come from

    @property
    def verdict(self) -> str:
        before, after = finished(self.before), finished(self.after)
        if not (before and after):
            return APPEARED if after else VANISHED if before else NEITHER
        if not self.differing:
            return IDENTICAL
        return SAME if before["meta_test_return"] == after["meta_test_return"] else "moved"


class Cell(NamedTuple):
    """An encoder on an environment: means over the seeds that finished on either side, and what became of it.

    before, after: rows of `tables.cells`, None without a finished seed. difference: after minus before, with the 95 %
    Welch interval low to high; None where it cannot be told, or where returns are the same ones.
    """

    environment: str
    encoder: str
    before: dict | None
    after: dict | None
    difference: float | None
    low: float | None
    high: float | None
    verdict: str
    trials: list[Trial]

    @property
    def causes(self) -> dict[str, int]:
        """What differs of where the trials come from, and in how many seeds of those that both sides have."""
        found = [cause for trial in self.trials for cause in trial.causes]
        return {name: found.count(name) for name in dict.fromkeys(CAUSES.values()) if name in found}

    @property
    def paired(self) -> int:
        """How many seeds finished on both sides."""
        return sum(bool(finished(trial.before) and finished(trial.after)) for trial in self.trials)


def finished(trial: dict | None) -> dict | None:
    """The trial if it gave a return."""
    return trial if trial and trial["status"] == "finished" else None


def joint_grid(before: Grid, after: Grid) -> Grid:
    """Every environment, encoder and seed of either, in the order of the first, then of the second."""
    axes = [
        tuple(dict.fromkeys((*getattr(before, axis), *getattr(after, axis))))
        for axis in ("environments", "encoders", "seeds")
    ]
    return Grid(before.name, *axes)


def compare(before: Results, after: Results) -> list[Cell]:
    """A cell for each encoder and environment of either side, in the order of their grids."""
    grid = joint_grid(before.grid, after.grid)
    sides = [_by_identity(side) for side in (before, after)]
    means = [_means(side) for side in (before, after)]
    cells = []
    for environment in grid.environments:
        for encoder in grid.encoders:
            trials = []
            for seed in grid.seeds:
                pair = [side.get((environment, encoder, seed)) for side in sides]
                place = Path(environment, encoder, str(seed))
                both = finished(pair[0]) and finished(pair[1])
                differing = differing_records(before.folder / place, after.folder / place) if both else []
                trials.append(Trial(environment, encoder, seed, *pair, differing, _causes(*pair) if both else []))
            rows = [side.get((environment, encoder)) for side in means]
            cells.append(_cell(environment, encoder, *rows, trials))
    return cells


def differing_records(before: Path, after: Path) -> list[str]:
    """Names of the records that are not the same bytes in two trials' folders, or that one of them lacks."""

    def read(path: Path) -> bytes | None:
        return path.read_bytes() if path.is_file() else None

    return [name for name in RECORDS if read(before / name) != read(after / name)]


def cells_table(cells: list[Cell]) -> pd.DataFrame:
    """The cells as a frame, for a file."""
    return pd.DataFrame(
        {
            "environment": cell.environment, "encoder": cell.encoder,
            **_columns("before", cell.before), **_columns("after", cell.after),
            "difference": cell.difference, "ci95_low": cell.low, "ci95_high": cell.high,
            "verdict": cell.verdict, "changed": "; ".join(cell.causes),
        }
        for cell in cells
    )  # fmt: skip


def trials_table(cells: list[Cell]) -> pd.DataFrame:
    """The trials of either side as a frame, for a file."""
    return pd.DataFrame(
        {
            "environment": trial.environment, "encoder": trial.encoder, "seed": trial.seed,
            "status_before": trial.before["status"] if trial.before else None,
            "status_after": trial.after["status"] if trial.after else None,
            "before": (finished(trial.before) or {}).get("meta_test_return"),
            "after": (finished(trial.after) or {}).get("meta_test_return"),
            "verdict": trial.verdict, "differing_records": "; ".join(trial.differing),
            "changed": "; ".join(trial.causes),
        }
        for cell in cells for trial in cell.trials
    )  # fmt: skip


def _cell(environment: str, encoder: str, before: dict | None, after: dict | None, trials: list[Trial]) -> Cell:
    difference = low = high = None
    if before and after:
        difference = after["mean"] - before["mean"]
        low, high = _welch(*([value for _, value in row["seeds"]] for row in (after, before)))
    verdict = _verdict(before, after, low, high, {trial.verdict for trial in trials} - {NEITHER})
    if verdict in (IDENTICAL, SAME):
        low = high = None  # these are the same runs, of which an interval between independent ones says nothing
    return Cell(environment, encoder, before, after, difference, low, high, verdict, trials)


def _verdict(before: dict | None, after: dict | None, low: float | None, high: float | None, seeds: set[str]) -> str:
    if not (before and after):
        return APPEARED if after else VANISHED if before else NEITHER
    if seeds == {IDENTICAL}:
        return IDENTICAL
    if seeds <= {IDENTICAL, SAME}:
        return SAME
    if low is None:
        return UNTOLD
    return BEYOND if low > 0 or high < 0 else WITHIN


def _welch(values: list[float], others: list[float]) -> tuple[float | None, float | None]:
    """The 95 % interval of the difference of means; none below two values a side, or without any spread."""
    found = intervals.difference(intervals.mean_estimate(values), intervals.mean_estimate(others))
    low, high = float(found.low), float(found.high)
    return (low, high) if min(len(values), len(others)) > 1 and math.isfinite(low) else (None, None)


def _means(results: Results) -> dict[tuple[str, str], dict]:
    cells = records(tables.cells(results))
    return {(cell["environment"], cell["encoder"]): cell for cell in cells if cell["n"]}


def _by_identity(results: Results) -> dict[tuple[str, str, int], dict]:
    return {(trial["environment"], trial["encoder"], trial["seed"]): trial for trial in origins(results)}


def _causes(before: dict, after: dict) -> list[str]:
    return list(dict.fromkeys(name for key, name in CAUSES.items() if before[key] != after[key]))


def _columns(side: str, row: dict | None) -> dict:
    row = row or {}
    return {f"{name}_{side}": row.get(name) for name in ("n", "mean", "standard_deviation")}
