"""Another commit's code, in a temporary git worktree."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oyster.runtime.errors import InputError
from oyster.runtime.git import run_git, said
from oyster.runtime.provenance import ROOT


@contextmanager
def worktree(revision: str) -> Iterator[Path]:
    """The tree of a commit, removed afterwards. InputError where there is no such commit."""
    with tempfile.TemporaryDirectory(prefix="worktree-") as folder:
        tree = Path(folder) / "tree"
        made = run_git(ROOT, "worktree", "add", "--detach", "--quiet", str(tree), revision)
        if made.returncode:
            raise InputError(f"There is no commit {revision!r} here: {said(made)}")
        try:
            yield tree
        finally:
            run_git(ROOT, "worktree", "remove", "--force", str(tree))


def run_in_worktree(revision: str, arguments: list[str]) -> int:
    """`python -m oyster ARGUMENTS` with the code of `revision`. Returns its exit code."""
    with worktree(revision) as tree:
        return subprocess.run([sys.executable, "-m", "oyster", *arguments], cwd=tree).returncode
