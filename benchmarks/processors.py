"""The benchmark's trials that were trained twice, on two kinds of CPU, by the same training code and settings.

`python benchmarks/processors.py` prints the table of docs/precision.md from two commits of results/benchmark, so it
needs the repository's history.
"""

import json
import subprocess
from pathlib import Path
from typing import NamedTuple

import click

ROOT = Path(__file__).resolve().parents[1]
FIRST, SECOND = "667bb31", "5a12b5d"  # between them nine trials of one CPU gave way to those of another
RESULTS = "results/benchmark"


class Trial(NamedTuple):
    """One commit's result of a trial."""

    cpu: str
    last: float  # meta_test_return
    last5: float  # its mean over the last five iterations


def pairs() -> dict[tuple[str, str, int], tuple[Trial, Trial]]:
    """Environment, encoder, seed → the trial in both commits, where its CPU is not the same."""
    listed = _git("ls-tree", "-r", "--name-only", SECOND, RESULTS).splitlines()
    found = {}
    for folder in (name.removesuffix("/metrics.json") for name in listed if name.endswith("/metrics.json")):
        environment, encoder, seed = folder.split("/")[-3:]
        first, second = _trial(FIRST, folder), _trial(SECOND, folder)
        if first.cpu != second.cpu:
            found[environment, encoder, int(seed)] = first, second
    return dict(sorted(found.items()))


def _trial(commit: str, folder: str) -> Trial:
    metrics, provenance = (json.loads(_git("show", f"{commit}:{folder}/{n}.json")) for n in ("metrics", "provenance"))
    return Trial(provenance["hardware"]["cpu"], metrics["meta_test_return"], metrics["meta_test_return_last5"])


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
    if done.returncode:
        raise click.ClickException(
            f"git {' '.join(arguments)}: {done.stderr.strip()}. Does this clone have all history?"
        )
    return done.stdout


def summary() -> str:
    """In Markdown, a trial a row."""
    found = pairs()
    first, second = next((a.cpu, b.cpu) for a, b in found.values())
    heads = ["environment", "encoder", "seed", first, second, f"{first}, last five", f"{second}, last five"]
    lines = [heads, ["---"] * len(heads)]
    for trial, (a, b) in found.items():
        lines.append([*map(str, trial), *(f"{value:.2f}" for value in (a.last, b.last, a.last5, b.last5))])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


@click.command()
def main() -> None:
    """Print the table."""
    print(summary(), end="")


if __name__ == "__main__":
    main()
