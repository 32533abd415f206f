"""The benchmark's trials that were trained twice, on two kinds of CPU, by the same training code and settings.

`python benchmarks/processors.py` prints the two tables of docs/precision.md. Nine pairs are read from two commits of
results/benchmark, so it needs the repository's history. `python benchmarks/processors.py FOLDER …` first keeps finished
trials, each of a folder that `python -m oyster train … --budget benchmark` wrote on the first kind, in
benchmarks/processors.csv, to be held against the table's own.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from reports.code import same_code

ROOT = Path(__file__).resolve().parents[1]
FIRST, SECOND = "667bb31", "5a12b5d"  # between them nine trials of one CPU gave way to those of another
RESULTS = "results/benchmark"
KEPT = ROOT / "benchmarks" / "processors.csv"
TRIAL = ["environment", "encoder", "seed"]
RETURNS = ["meta_test_return", "meta_test_return_last5"]


class Trial(NamedTuple):
    """One commit's result of a trial."""

    cpu: str
    last: float  # meta_test_return
    last5: float  # its mean over the last five iterations


def pairs() -> dict[tuple[str, str, int], tuple[Trial, Trial]]:
    """Environment, encoder, seed → the trial on either kind of CPU."""
    listed = _git("ls-tree", "-r", "--name-only", SECOND, RESULTS).splitlines()
    found = {}
    for folder in (name.removesuffix("/metrics.json") for name in listed if name.endswith("/metrics.json")):
        environment, encoder, seed = folder.split("/")[-3:]
        first, second = _trial(FIRST, folder), _trial(SECOND, folder)
        if first.cpu != second.cpu:
            found[environment, encoder, int(seed)] = first, second
    for row in pd.read_csv(KEPT).itertuples():
        second = _trial(SECOND, f"{RESULTS}/{row.environment}/{row.encoder}/{row.seed}")
        found[row.environment, row.encoder, row.seed] = (
            Trial(row.cpu, *(getattr(row, name) for name in RETURNS)),
            second,
        )
    return dict(sorted(found.items()))


def keep(folder: Path) -> None:
    """Add a trial to benchmarks/processors.csv. Raises ClickException where it is none that could be half of a pair."""
    try:
        metrics, provenance = (json.loads((folder / f"{name}.json").read_text()) for name in ("metrics", "provenance"))
    except OSError as error:
        raise click.ClickException(
            f"{error.filename}: {error.strerror}. Give the folder of a finished trial."
        ) from error
    place = f"{RESULTS}/{'/'.join(str(metrics[name]) for name in TRIAL)}"
    table = json.loads(_git("show", f"{SECOND}:{place}/provenance.json"))
    for name in ("settings_sha256", "encoder_sha256", "precision", "environment"):
        if provenance[name] != table[name]:
            raise click.ClickException(f"{folder} and {place} differ in {name}: {provenance[name]}, {table[name]}.")
    if len(set(same_code([provenance["commit"], table["commit"]]).values())) > 1:
        commits = f"{provenance['commit']}, {table['commit']}"
        raise click.ClickException(f"{folder} and {place} differ in the code that trained them: {commits}.")
    if provenance["dirty"] or metrics["failure"] or provenance["hardware"]["cpu"] == table["hardware"]["cpu"]:
        told = "of uncommitted code, failed, or of the same CPU as the table's"
        raise click.ClickException(f"{folder} is {told}; a pair needs a clean, finished trial of the other kind.")
    row = {name: metrics[name] for name in [*TRIAL, *RETURNS]}
    row |= {"cpu": provenance["hardware"]["cpu"], "commit": provenance["commit"]}
    kept = pd.concat([pd.read_csv(KEPT), pd.DataFrame([row])]).drop_duplicates(TRIAL, keep="last").sort_values(TRIAL)
    partial = KEPT.with_suffix(".partial")
    kept.to_csv(partial, index=False)
    os.replace(partial, KEPT)


def summary() -> str:
    """In Markdown, a trial a row."""
    found = pairs()
    first, second = _cpus(found)
    heads = [*TRIAL, first, second, f"{first}, last five", f"{second}, last five"]
    rows = [
        [*map(str, trial), *(f"{value:.2f}" for value in (a.last, b.last, a.last5, b.last5))]
        for trial, (a, b) in found.items()
    ]
    return _markdown(heads, *rows)


def cell_summary() -> str:
    """In Markdown, a row an environment and encoder: means over the seeds that both kinds trained."""
    found = pairs()
    first, second = _cpus(found)
    rows = []
    for cell in sorted({trial[:2] for trial in found}):
        values = np.array([[(t.last, t.last5) for t in pair] for trial, pair in found.items() if trial[:2] == cell])
        (a, a5), (b, b5) = values.mean(axis=0)
        rows.append([*cell, str(len(values)), *(f"{value:.2f}" for value in (a, b, a5, b5))])
    return _markdown([*TRIAL[:2], "pairs", first, second, f"{first}, last five", f"{second}, last five"], *rows)


def _cpus(found: dict) -> tuple[str, str]:
    ((first, second),) = {(a.cpu, b.cpu) for a, b in found.values()}
    return first, second


def _markdown(heads: list[str], *rows: list[str]) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in (heads, ["---"] * len(heads), *rows))


def _trial(commit: str, folder: str) -> Trial:
    metrics, provenance = (json.loads(_git("show", f"{commit}:{folder}/{n}.json")) for n in ("metrics", "provenance"))
    return Trial(provenance["hardware"]["cpu"], *(metrics[name] for name in RETURNS))


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
    if done.returncode:
        raise click.ClickException(
            f"git {' '.join(arguments)}: {done.stderr.strip()}. Does this clone have all history?"
        )
    return done.stdout


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
def main(folders: tuple[Path, ...]) -> None:
    """Keep the trials of FOLDERS, then print the tables."""
    for folder in folders:
        keep(folder)
    print(summary(), cell_summary(), sep="\n", end="")


if __name__ == "__main__":
    main()
