"""The engine's end of worker.py: whether it can run here, a process that answers, idle ones that are used again."""

import contextlib
import os
import struct
import subprocess
import sys
import tempfile
import weakref
from importlib.metadata import distributions
from pathlib import Path

import numpy as np
from packaging.utils import canonicalize_name

from oyster.runtime.errors import MachineError, NotInstalled
from oyster.runtime.project import ENGINE, locked_versions, public

WORKER = Path(__file__).with_name("worker.py")
LOCK = Path(__file__).with_name("requirements.txt")
FOLDER = ".venv-metaworld"
# The project's; where a commit's worktree runs with the project's Python, the one beside that.
PLACES = (ENGINE / FOLDER, Path(sys.prefix).parent / FOLDER)
REQUEST, ANSWER = struct.Struct("<cI"), struct.Struct("<cQ")
RESET, STEP = b"R", b"S"
ALONE = {"MUJOCO_GL": "disable", "OPENBLAS_NUM_THREADS": "1"}  # it draws nothing, and steps one row after the other
PATIENCE = 5  # seconds that an end may take


def require_installed() -> Path:
    """The Python that has what LOCK names, in these versions. NotInstalled where there is none."""
    place = next((place for place in PLACES if (place / "bin" / "python").exists()), None)
    if place is None:
        raise NotInstalled(
            f"Meta-World needs a Python environment of its own, expected in {PLACES[0]}, where there is none; `make "
            "metaworld` installs it."
        )
    found = {
        canonicalize_name(each.metadata["Name"]): public(each.version)
        for each in distributions(path=[*map(str, place.glob("lib/python*/site-packages"))])
    }
    odd = [
        f"{name} {found.get(name, 'missing')}, expected {version}"
        for name, version in locked_versions(LOCK).items()
        if found.get(name) != version
    ]
    if odd:
        raise NotInstalled(
            f"Meta-World's environment, {place}, has other versions than {LOCK.relative_to(ENGINE)} locks "
            f"({'; '.join(odd)}); remove it, and `make metaworld` installs these."
        )
    return place / "bin" / "python"


class Worker:
    """A process of worker.py, started at once; it imports what it needs when it is first asked."""

    def __init__(self, environment: str):
        self.environment, self.ready = environment, True
        self._words = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as the process
        self._process = subprocess.Popen(
            [require_installed(), "-I", WORKER, environment],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._words, env=os.environ | ALONE,
        )  # fmt: skip
        weakref.finalize(self, _end, self._process)

    def ask(self, kind: bytes, rows: np.ndarray) -> np.ndarray:
        """(row, …) → (row, 42) float64. MachineError where the process fails: it is of no more use then."""
        self.ready = False  # until it has answered: an interrupt would leave half an answer in the pipe
        try:
            self._process.stdin.write(REQUEST.pack(kind, len(rows)) + np.ascontiguousarray(rows, np.float64).tobytes())
            self._process.stdin.flush()
            mark, size = ANSWER.unpack(self._process.stdout.read(ANSWER.size))
            answer = self._process.stdout.read(size)
        except (OSError, struct.error):
            raise MachineError(self._ended()) from None
        if mark != b"+":
            said = answer.decode(errors="replace")
            raise MachineError(f"Meta-World's {self.environment} failed: {said}. Nothing was recorded.")
        if len(answer) < size:
            raise MachineError(self._ended())
        self.ready = True
        return np.frombuffer(answer).reshape(len(rows), -1)

    def _ended(self) -> str:
        _end(self._process)
        self._words.seek(0)
        lines = self._words.read().decode(errors="replace").strip().splitlines()
        last = f", its last words: {lines[-1]}" if lines else ""
        return (
            f"The process that simulates Meta-World's {self.environment} ended by itself (exit code "
            f"{self._process.returncode}{last}). Nothing was recorded; run the same command again."
        )


def _end(process: subprocess.Popen) -> None:
    """It ends when its stdin does."""
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):  # what was still to be written, to a process that is gone
            pipe.close()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


_idle: dict[str, list[Worker]] = {}  # by environment


def worker_of(owner: object, environment: str) -> Worker:
    """A worker for as long as `owner` lives. Then another may have it: simulations that were made are used again."""
    idle = _idle.setdefault(environment, [])
    worker = idle.pop() if idle else Worker(environment)
    weakref.finalize(owner, _give_back, worker)
    return worker


def _give_back(worker: Worker) -> None:
    if worker.ready:
        _idle[worker.environment].append(worker)
