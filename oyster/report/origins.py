"""Where each trial's number comes from, in words and commands, for the page."""

import re
import shlex

import pandas as pd

from oyster.report import tables
from oyster.report.read.grid import Grid
from oyster.report.read.results import Results, anchor, trial_command

COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
VERSIONS = ("python", "torch", "mujoco", "numpy")


def origins(results: Results) -> list[dict]:
    """One mapping per trial of the grid, in its order: all that was recorded, None where it was not, and

    anchor: the identifier of its row. curve: whether it has a learning curve. hardware: the machine in words.
    versions: of what computed it. text: why it gave no return, blank if it did. train, recreate, verify: commands;
    recreate is None where no commit is recorded, verify where there is no result.
    """
    curves = results.curves()
    return [_origin(trial, results.grid, curves) for trial in records(results.trials)]


def records(frame: pd.DataFrame) -> list[dict]:
    """Rows as mappings with None for what is not known, so that a template never meets a NaN."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def _origin(trial: dict, grid: Grid, curves: set[str]) -> dict:
    identity = trial["environment"], trial["encoder"], trial["seed"]
    place = shlex.quote(f"results/{grid.place(identity)}")
    commit = trial["commit"] if COMMIT.fullmatch(str(trial["commit"])) else None
    ran = trial["status"] in ("finished", "failed")
    row = pd.Series(trial)
    return trial | {
        "anchor": anchor(*identity),
        "curve": anchor(*identity) in curves,
        "hardware": tables.hardware(row),
        "versions": ", ".join(f"{name} {trial[name]}" for name in VERSIONS if trial[name]),
        "text": "" if trial["status"] == "finished" else tables.gap_text(row),
        "train": trial["command"] or trial_command(grid, identity),
        "recreate": f"git checkout {commit} && {trial['command']}" if ran and commit else None,
        "verify": f"python -m oyster verify {place}" if ran else None,
    }
