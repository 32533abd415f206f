"""The one way to ask git: about the tree that is named, and the same whatever the user's environment says."""

import os
import subprocess
from pathlib import Path

from oyster.runtime.files import printable


def run_git(root: Path, *arguments: str, given: bytes | None = None) -> subprocess.CompletedProcess:
    """`git ARGUMENTS` in `root`: output as bytes. Where git is not installed it fails with exit code 127.

    Variables that would send git to another repository or have it say more are dropped; those that name configuration
    stay, as an administrator allows a repository through them.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name.startswith("GIT_CONFIG")
    }
    command = ["git", *arguments]
    try:
        return subprocess.run(command, cwd=root, input=given, capture_output=True, env=kept | {"LC_ALL": "C"})
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, b"", b"git is not on the PATH")


def said(process: subprocess.CompletedProcess) -> str:
    """What git complained of, in one line."""
    return printable(" ".join(process.stderr.decode("utf-8", "replace").split()))
