"""Which files of a tree count as sources; text from outside made safe; writing that survives a power loss."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

# What editors, file managers, network file systems and Python leave beside sources: none of it changes a result.
# .gitignore and .dvcignore hold the same list (a test compares the three).
DROPPINGS = (
    ".*.sw?", ".*.un~", "*~", ".#*", "#*#", "._*", ".DS_Store", ".directory", ".nfs*", ".fuse_hidden*", ".~lock.*",
    ".ipynb_checkpoints", ".idea", ".vscode", ".mypy_cache", ".pytest_cache", ".ruff_cache", "__pycache__", "*.pyc",
    "*.orig", "*.rej", "*.bak", "*.tmp", "4913", "Thumbs.db", "desktop.ini",
)  # fmt: skip


def counts(path: Path) -> bool:
    """Whether a file is a source: neither it nor a folder in its (relative) path is a dropping."""
    return not any(fnmatchcase(part, pattern) for part in path.parts for pattern in DROPPINGS)


def source_files(paths: Iterable[Path], suffix: str = "") -> list[Path]:
    """The files among `paths`, folders unfolded, sorted and without droppings; of a folder only those with `suffix`."""
    found = set()
    for path in paths:
        inside = (file.relative_to(path) for file in path.rglob(f"*{suffix}")) if path.is_dir() else ()
        found |= {path / file for file in inside if counts(file) and (path / file).is_file()}
        found |= set() if path.is_dir() else {path}
    return sorted(found)


def file_sha256(path: str | Path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def printable(text: str) -> str:
    """Text from outside as a terminal or a file may have it: control characters and broken UTF-8 escaped."""
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def write_text(path: Path, text: str) -> None:
    """Write whole or not at all."""
    staged = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        staged.write_text(text, encoding="utf-8")
        sync(staged)
        os.replace(staged, path)
    finally:
        staged.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """On the disk when this returns: a file's content, or a folder's entries."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Every file below `folder`, then the folders themselves, from the innermost out."""
    for path in _innermost_first(folder):
        sync(path)


def _innermost_first(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from _innermost_first(path)
        else:
            yield path
    yield folder
