"""Results as they stood at a commit, taken out of git into a folder; the working tree is left alone."""

import io
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from oyster.report.read.grid import InputError, read_grid
from oyster.report.read.results import Results, load
from oyster.report.text import shown
from oyster.runtime.git import run_git, said


class Revision(NamedTuple):
    """A commit by the name that it was asked for by, and the results of one grid in it."""

    name: str
    commit: str
    results: Results


def read_revision(repository: Path, name: str, grid: str, folder: Path) -> Revision:
    """Take params.yaml and results/<grid> of a commit out into `folder` and load them.

    Raises InputError where there is no such commit, or no such results in it.
    """
    commit = _resolve(repository, name)
    called = shown(name) if commit.startswith(name) else f"{shown(name)} ({commit[:10]})"
    places = ["params.yaml", f"results/{grid}"]
    for place in places:
        if run_git(repository, "cat-file", "-e", f"{commit}:{place}").returncode:
            raise InputError(
                f"{called} holds no {shown(place)}. Give a commit that does, or a grid whose results are in git."
            )
    _take_out(repository, commit, places, folder)
    try:
        results = load(folder / "results" / grid, read_grid(folder / "params.yaml", grid))
    except InputError as error:
        raise InputError(f"In {called}: {str(error).replace(f'{folder}/', '')}") from error
    trials = results.trials.assign(reason=[reason.replace(f"{folder}/", "") for reason in results.trials.reason])
    lines = {
        name: [line.replace(f"{folder}/", "") for line in getattr(results, name)]
        for name in ("unusable", "strays", "remarks")
    }
    return Revision(name, commit, replace(results, trials=trials, **lines))


def _take_out(repository: Path, commit: str, places: list[str], folder: Path) -> None:
    """Write the files that a commit has at `places`, byte for byte: no configuration or attribute edits them."""
    listed = _known(run_git(repository, "ls-tree", "-r", "-z", "--full-tree", commit, "--", *places), commit)
    entries = [entry.partition(b"\t") for entry in listed.split(b"\0") if entry]
    files = {path: about.split()[2] for about, _, path in entries if about.startswith(b"100")}  # no links, no modules
    hashes = b"".join(name + b"\n" for name in files.values())
    contents = io.BytesIO(_known(run_git(repository, "cat-file", "--batch", given=hashes), commit))
    for path in files:
        size = int(contents.readline().split()[2])
        place = folder / os.fsdecode(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(contents.read(size))
        contents.readline()


def _known(process: subprocess.CompletedProcess, commit: str) -> bytes:
    if process.returncode:
        raise InputError(f"git cannot read the files of commit {commit[:10]}: {said(process)}")
    return process.stdout


def _resolve(repository: Path, name: str) -> str:
    found = run_git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if found.returncode:
        inside = run_git(repository, "rev-parse", "--git-dir")
        if inside.returncode == 127:
            raise InputError("git is needed to read results at a commit, and is not installed.")
        if inside.returncode:
            raise InputError(f"{shown(repository.resolve())} is in no git repository: {said(inside)}")
        raise InputError(f"git knows no commit {name!r}. Give a hash, a branch, a tag, or HEAD~1 and the like.")
    return found.stdout.decode().strip()
