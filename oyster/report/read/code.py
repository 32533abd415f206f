"""Which commits trained with the same code, so that a table filled over many commits is not called a mixture for it."""

import re
from collections.abc import Iterable
from pathlib import Path

import yaml

from oyster.runtime.git import run_git

ROOT = Path(__file__).resolve().parents[3]


def same_code(commits: Iterable[str]) -> dict[str, str]:
    """Commit → the first of `commits` at which all that a trial depends on has the same content.

    Encoders and the locked environment are left out: every trial records those itself. A commit whose content cannot
    be looked up has no entry.
    """
    first: dict[str, str] = {}
    contents = {commit: _content(commit) for commit in sorted(set(commits))}
    return {commit: first.setdefault(content, commit) for commit, content in contents.items() if content is not None}


def how_to_look_up() -> str:
    """Why commits are not known here, and what gives them."""
    shallow = run_git(ROOT, "rev-parse", "--is-shallow-repository")
    if shallow.returncode == 127:
        return "git is not installed here: build the report where it is"
    if shallow.returncode:
        return "this is no git clone: build the report in one"
    if shallow.stdout.strip() == b"true":
        return "this clone is shallow: `git fetch --unshallow`, and build the report again"
    return "this clone does not have them: `git fetch` the branch that they are on, and build the report again"


def _content(commit: str) -> str | None:
    """The command of `train` and git's hashes of its dependencies at a commit; None where that is not known."""
    if not re.fullmatch("[0-9a-f]{40}", commit):
        return None
    try:
        stage = yaml.safe_load(_output("cat-file", "blob", f"{commit}:dvc.yaml"))["stages"]["train"]
        paths = [re.sub(r"/\$\{item\.env\}\.py$", "", path) for path in stage["deps"]]  # all families, whichever
        paths = [path for path in paths if "${item." not in path and path != "docker/environment.json"]
        return stage["cmd"] + _output("rev-parse", *(f"{commit}:{path}" for path in paths))
    except (LookupError, ValueError, RecursionError, yaml.YAMLError, TypeError):
        return None


def _output(*arguments: str) -> str:
    """What a git command prints. LookupError where it does not know."""
    process = run_git(ROOT, *arguments)
    if process.returncode:
        raise LookupError(arguments)
    return process.stdout.decode("utf-8")
