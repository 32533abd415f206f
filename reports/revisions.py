"""Results as they stood at a commit, taken out of git into a folder; the working tree is left alone."""

import io
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from reports.grid import InputError, read_grid
from reports.results import Results, load


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
    called = name if commit.startswith(name) else f"{name} ({commit[:10]})"
    places = ["params.yaml", f"results/{grid}"]
    for place in places:
        if _git(repository, "cat-file", "-e", f"{commit}:{place}").returncode:
            raise InputError(
                f"{called} holds no {place}. Give a commit that does, or --grid with a grid whose results are in git."
            )
    archive = _git(repository, "archive", "--format=tar", commit, "--", *places)
    if archive.returncode:
        raise InputError(f"git cannot take {' and '.join(places)} out of {called}: {_said(archive)}")
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    try:
        results = load(folder / "results" / grid, read_grid(folder / "params.yaml", grid))
    except InputError as error:
        raise InputError(f"In {called}: {str(error).replace(f'{folder}/', '')}") from error
    trials = results.trials.assign(reason=[reason.replace(f"{folder}/", "") for reason in results.trials.reason])
    remarks = [remark.replace(f"{folder}/", "") for remark in results.remarks]
    return Revision(name, commit, replace(results, trials=trials, remarks=remarks))


def _resolve(repository: Path, name: str) -> str:
    found = _git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if found.returncode:
        inside = _git(repository, "rev-parse", "--git-dir")
        if inside.returncode:
            raise InputError(f"{repository.resolve()} is in no git repository: {_said(inside)}")
        raise InputError(f"git knows no commit {name!r}. Give a hash, a branch, a tag, or HEAD~1 and the like.")
    return found.stdout.decode().strip()


def _git(repository: Path, *arguments: str) -> subprocess.CompletedProcess:
    try:
        return subprocess.run(["git", "-C", str(repository), *arguments], capture_output=True, check=False)
    except FileNotFoundError as error:
        raise InputError("git is needed to read results at a commit, and is not installed.") from error


def _said(process: subprocess.CompletedProcess) -> str:
    return " ".join(process.stderr.decode(errors="replace").split())
