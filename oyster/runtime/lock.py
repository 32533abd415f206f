"""One process a trial: an advisory lock that the operating system drops with the process, however it ends."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oyster.runtime.errors import InputError


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold `folder` (made where it is missing) for this process. InputError where another one holds it."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:  # its holder has just finished and removed the folder
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode() or "unknown"
            os.close(descriptor)
            raise InputError(
                f"Another process (pid {holder}) is running this trial: it holds {folder}. Wait for it, or give "
                "another --out."
            ) from None
        if _is_still_there(folder, descriptor):
            break
        os.close(descriptor)  # what we locked was removed by its former holder: lock the present one
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    try:
        yield
    finally:
        os.close(descriptor)


def remove(folder: Path) -> None:
    """Remove a folder held by this process, the lock last."""
    for path in folder.iterdir():
        if path.name != "lock":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / "lock").unlink()
    folder.rmdir()


def _is_still_there(folder: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(folder / "lock"), os.fstat(descriptor))
    except FileNotFoundError:
        return False
