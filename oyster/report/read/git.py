"""What git knows, whoever asks: plumbing commands, of the repository that is named and of no other."""

import os
import subprocess
from pathlib import Path

from oyster.report.text import plain


def git(repository: Path, *arguments: str, given: bytes | None = None) -> subprocess.CompletedProcess:
    """Run git there, output as bytes. OSError where git is not installed.

    Variables that would send git to another repository or have it say more are dropped; those that name configuration
    stay, as an administrator allows a repository through them.
    """
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key.startswith("GIT_CONFIG")
    }
    return subprocess.run(
        ["git", "-C", str(repository), *arguments], input=given, capture_output=True, check=False, env=kept
    )


def said(process: subprocess.CompletedProcess) -> str:
    """What git complained about, in one line."""
    return plain(process.stderr.decode("utf-8", "replace"))
