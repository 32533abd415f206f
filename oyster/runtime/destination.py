"""Folders that one process at a time writes, whole or not at all, and that replace nothing but one of their kind.

The lock is advisory: the operating system drops it with the process, however that ends.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from oyster.runtime.errors import InputError
from oyster.runtime.files import counts, sync_tree

LOCK = "lock"


def require_free(option: str, place: Path, ours: Iterable[str] = ()) -> None:
    """InputError where `place` can be no folder that is written whole and renamed into place, or where it holds what no
    pattern of `ours` names and would lose it. `option`: the one that gave it.
    """
    check_place(option, place)
    names = {path.name for path in place.iterdir() if counts(path.relative_to(place))} if place.exists() else set()
    foreign = sorted(name for name in names if not any(map(Path(name).match, ours)))
    if foreign:
        raise InputError(
            f"{option} {str(place)!r} holds other files ({', '.join(map(repr, foreign[:3]))}). Give a folder of its "
            f"own as {option}."
        )


def check_place(option: str, place: Path) -> None:
    """The first half of `require_free`: what is in the folder does not matter."""
    if not place.name or "\0" in str(place):
        raise InputError(f"{option} {str(place)!r} names no folder that a result could have to itself.")
    if place.is_symlink() and not place.exists():
        raise InputError(f"{option} {str(place)!r} is a link to nothing; expected a folder, or a name that is free.")
    if place.exists() and not place.is_dir():
        raise InputError(f"{option} {str(place)!r} is a file; expected a folder, or a name that is still free.")
    if place.exists() and os.path.ismount(place):
        raise InputError(f"{option} {str(place)!r} is where a disk is mounted, and cannot be replaced. Name one in it.")
    if place.exists() and Path.cwd().resolve().is_relative_to(place.resolve()):
        raise InputError(f"{option} {str(place)!r} is, or holds, the folder that you are in. Name one of its own.")
    existing = next(parent for parent in (place, *place.absolute().parents) if parent.exists())
    if not existing.is_dir():
        raise InputError(f"{option} {str(place)!r} lies below {str(existing)!r}, which is a file.")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"{option} {str(place)!r}: {str(existing)!r} may not be written. Fix its permissions.")


def scratch_folder(out: Path, key: str | None = None) -> Path:
    """Where a process works until a folder is whole: on the same file system as `out`, so that moving is renaming.

    With a trial's key in the name: the checkpoints of another branch's trial are left alone.
    """
    return out.with_name(".".join([out.name, *([key] if key else []), "partial"]))


@contextmanager
def filling(out: Path) -> Iterator[Path]:
    """An empty folder to fill, which then takes the place of `out`. InputError where another process fills one."""
    scratch = scratch_folder(out)
    with exclusive(scratch):
        try:
            staged = scratch / "whole"
            shutil.rmtree(staged, ignore_errors=True)  # of a process that was killed
            staged.mkdir()
            yield staged
            sync_tree(staged)
            swap(staged, out)
        finally:
            remove(scratch)


def swap(new: Path, place: Path) -> None:
    """Put a finished folder in place of an older one; who reads meanwhile never finds half of one."""
    old = new.with_name(f"{new.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        os.replace(place, old)
    os.replace(new, place)
    shutil.rmtree(old, ignore_errors=True)


# --- one process at a time --------------------------------------------------------------------------------------------


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold `folder` (made where it is missing) for this process. InputError where another one holds it."""
    lock = FileLock(folder / LOCK, blocking=False)
    while not lock.is_locked:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except FileNotFoundError:  # its holder has just finished and removed the folder
            continue
        except Timeout:
            raise InputError(
                f"Another process writes this result: it holds {folder}. Wait for it, or give another --out."
            ) from None
    try:
        yield
    finally:
        lock.release()


def is_held(folder: Path) -> bool:
    """Whether a process holds `folder` now."""
    lock = FileLock(folder / LOCK, blocking=False)
    try:
        if (folder / LOCK).exists():
            lock.acquire()
            lock.release()
    except Timeout:
        return True
    except OSError:  # of another user, or just removed
        return False
    return False


def remove(folder: Path) -> None:
    """Remove a folder held by this process, the lock last."""
    for path in folder.iterdir():
        if path.name != LOCK:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / LOCK).unlink()
    folder.rmdir()
