"""Which commits trained with the same code, so that a table filled over many commits is not called a mixture for it."""

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]


def same_code(commits: Iterable[str]) -> dict[str, str]:
    """Commit → the first of `commits` at which all that a trial depends on has the same content.

    Encoders and the locked environment are left out: every trial records those itself. A commit that this repository
    does not know stands for itself.
    """
    first: dict[str, str] = {}
    return {commit: first.setdefault(_content(commit) or commit, commit) for commit in sorted(set(commits))}


def _content(commit: str) -> str | None:
    """The command of `train` and git's hashes of its dependencies at a commit; None where that is not known."""
    if not re.fullmatch("[0-9a-f]{40}", commit):
        return None
    try:
        stage = yaml.safe_load(_git("show", f"{commit}:dvc.yaml"))["stages"]["train"]
        paths = [re.sub(r"/\$\{item\.env\}\.py$", "", path) for path in stage["deps"]]  # all families, whichever
        paths = [path for path in paths if "${item." not in path and path != "docker/environment.json"]
        return stage["cmd"] + _git("rev-parse", *(f"{commit}:{path}" for path in paths))
    except (OSError, subprocess.CalledProcessError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        return None


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(ROOT), *arguments], capture_output=True, check=True, encoding="utf-8"
    ).stdout
