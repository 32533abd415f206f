"""Run a command with another commit's code, in a temporary git worktree."""

import subprocess
import sys
import tempfile
from pathlib import Path

from oyster.runtime.errors import InputError
from oyster.runtime.git import run_git, said
from oyster.runtime.provenance import ROOT


def run_in_worktree(revision: str, arguments: list[str]) -> int:
    """`python -m oyster ARGUMENTS` with the code of `revision`. Returns its exit code."""
    with tempfile.TemporaryDirectory(prefix="worktree-") as folder:
        tree = Path(folder) / "tree"
        made = run_git(ROOT, "worktree", "add", "--detach", "--quiet", str(tree), revision)
        if made.returncode:
            raise InputError(f"There is no commit {revision!r} here to verify with: {said(made)}")
        try:
            return subprocess.run([sys.executable, "-m", "oyster", *arguments], cwd=tree).returncode
        finally:
            run_git(ROOT, "worktree", "remove", "--force", str(tree))
