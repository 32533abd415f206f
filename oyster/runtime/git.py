"""The one way to ask git: about this tree, and the same whatever the user's environment and configuration say."""

import os
import subprocess
from pathlib import Path

# Set inside hooks and by some tools: they would make git answer about another repository, or in another form.
MISLEADING = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS", "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS",
)  # fmt: skip


def run_git(root: Path, *arguments: str) -> subprocess.CompletedProcess:
    """`git ARGUMENTS` in `root`: output as bytes. Where git is not installed it fails with exit code 127."""
    environment = {name: value for name, value in os.environ.items() if name not in MISLEADING} | {"LC_ALL": "C"}
    command = ["git", *arguments]
    try:
        return subprocess.run(command, cwd=root, capture_output=True, env=environment)
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, b"", b"git is not on the PATH")


def said(process: subprocess.CompletedProcess) -> str:
    """What git complained of, in one line."""
    return " ".join(process.stderr.decode(errors="replace").split())
