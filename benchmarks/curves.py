"""Learning curves of trials that are not the benchmark's: in a CSV, each as far as it has come, and as a table."""

import fcntl
import os
from pathlib import Path

import pandas as pd

COLUMNS = ["environment", "encoder", "seed", "iteration", "meta_test_return"]


def recorded(path: Path) -> pd.DataFrame:
    return pd.read_csv(path) if path.exists() else pd.DataFrame(columns=COLUMNS)


def record(path: Path, trial: tuple[str, str, int], curve: list[float]) -> None:
    """Put a trial's curve into the file, in place of the one that is there. Safe beside other processes."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        rows = [row for row in recorded(path).itertuples(index=False, name=None) if row[:3] != trial]
        rows += [(*trial, k, round(value, 4)) for k, value in enumerate(curve)]
        partial = path.with_name(f"{path.name}.partial")
        pd.DataFrame(sorted(rows), columns=COLUMNS).to_csv(partial, index=False)
        os.replace(partial, path)
    finally:
        os.close(folder)


def table(path: Path, heading: str) -> str:
    """In Markdown: a trial a row."""
    lines = [f"| environment | {heading} | meta-test return after iterations 0, 1, 2, … |", "| --- | --- | --- |"]
    for (environment, encoder, seed), curve in recorded(path).groupby(COLUMNS[:3]):
        shown = " ".join(f"{value:.1f}" for value in curve.meta_test_return)
        lines.append(f"| {environment} | {encoder}, seed {seed} | {shown} |")
    return "".join(f"{line}\n" for line in lines)
