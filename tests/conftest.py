"""What all tests share: folders that are made once for all workers, and a processor as Python leaves it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from filelock import FileLock

import oyster  # noqa: F401  makes `rlkit` importable, as in every trial


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], None]], Path]:
    """Call it with a name and a function that fills a folder: the first worker makes it. Do not change it: copy it."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # a worker's own folder lies in the run's

    def folder_of(name: str, make: Callable[[Path], None]) -> Path:
        folder, done = base / name, base / f"{name}.done"
        with FileLock(base / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return folder_of


@pytest.fixture(autouse=True)
def denormal_numbers() -> None:
    """A trial has the processor flush them, for all that follows in the process. Hypothesis cannot do without."""
    torch.set_flush_denormal(False)
