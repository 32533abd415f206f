"""Results on their way to another machine: a grid's trials packed into one file there, and opened here.

An archive holds what a clone holds: results/<budget>/<environment>/<encoder>/<seed>/…, the weights beside them, and the
dvc.lock with the MD5 of each file. It may be a folder, a .zip, or a .tar with any of tar's compressions.
"""

import gzip
import io
import os
import re
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from oyster.runtime.errors import InputError
from oyster.runtime.provenance import ROOT
from oyster.runtime.records import RESULT_FILES, WEIGHTS

LOCK = "dvc.lock"
LONG_AGO = 315532800  # 1980: the earliest time of a file that every packer can write
NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
TRIAL = rf"(?P<budget>{NAME})/(?P<environment>{NAME})/(?P<encoder>{NAME})/(?P<seed>\d+)"
RESULT_FILE = re.compile(rf"results/{TRIAL}/({'|'.join(map(re.escape, RESULT_FILES))})")
WEIGHTS_FILE = re.compile(rf"weights/{TRIAL}/{re.escape(WEIGHTS)}")


class TrialName(NamedTuple):
    """Which trial a folder is of; its parts are the folder's."""

    budget: str
    environment: str
    encoder: str
    seed: str

    @property
    def result(self) -> str:
        return "/".join(("results", *self))

    @property
    def weights(self) -> str:
        return "/".join(("weights", *self))

    def files(self) -> list[str]:
        return [f"{self.result}/{name}" for name in RESULT_FILES] + [f"{self.weights}/{WEIGHTS}"]


# --- packing ----------------------------------------------------------------------------------------------------------


def export_results(grid: str, out: Path, root: Path = ROOT) -> list[TrialName]:
    """Pack the whole results of `grid` into the .tar.gz file `out`: the same results give the same bytes.

    InputError where there are none, or where files of one (weights, mostly) are not here.
    """
    trials = [trial for trial in trials_in(root) if trial.budget == grid and _is_whole(root, trial)]
    if not trials:
        known = sorted({trial.budget for trial in trials_in(root)})
        raise InputError(
            f"There are no results of '{grid}' here: no results/{grid}/…/metrics.json. "
            f"Grids with results: {', '.join(known) or 'none'}."
        )
    missing = [name for trial in trials for name in trial.files() if not (root / name).is_file()]
    if missing:
        raise InputError(
            f"Nothing was packed: {len(missing)} files of these results are not here ({', '.join(missing[:3])}"
            f"{', …' if len(missing) > 3 else ''}). `dvc pull` brings weights from a remote; training makes them anew."
        )
    names = [name for trial in trials for name in trial.files()] + [LOCK] * (root / LOCK).is_file()
    out.parent.mkdir(parents=True, exist_ok=True)
    staged = out.with_name(out.name + ".partial")
    try:
        with staged.open("wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as compressed:
            _write_tar(compressed, root, sorted(names))
        os.replace(staged, out)
    finally:
        staged.unlink(missing_ok=True)
    return trials


def _write_tar(file: IO[bytes], root: Path, names: list[str]) -> None:
    """Without what would differ between two machines: times, owners, permissions."""
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in names:
            content = (root / name).read_bytes()
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(content), 0o644, LONG_AGO
            tar.addfile(info, io.BytesIO(content))


def _is_whole(root: Path, trial: TrialName) -> bool:
    return (root / trial.result / "metrics.json").is_file()


# --- opening ----------------------------------------------------------------------------------------------------------


@contextmanager
def opened(archive: Path) -> Iterator[Path]:
    """A folder with the archive's files: the archive itself where it is one, else a temporary one.

    InputError where `archive` is none, is damaged, or names files outside itself.
    """
    if archive.is_dir():
        yield archive
        return
    if not archive.is_file():
        raise InputError(f"There is no archive {archive}. Give a folder, or a .tar.gz, .tar or .zip file.")
    with tempfile.TemporaryDirectory(prefix="archive-") as folder:
        try:
            if zipfile.is_zipfile(archive):
                _unpack_zip(archive, Path(folder))
            else:
                _unpack_tar(archive, Path(folder))
        except (tarfile.TarError, zipfile.BadZipFile, EOFError, gzip.BadGzipFile) as error:
            raise InputError(f"{archive} cannot be read as a .tar.gz, .tar or .zip file: {error}") from error
        yield Path(folder)


def trials_in(folder: Path) -> list[TrialName]:
    """Every trial of which `folder` holds a file under results/, in order."""
    matches = (RESULT_FILE.fullmatch(path.relative_to(folder).as_posix()) for path in folder.glob("results/*/*/*/*/*"))
    return sorted({TrialName(**match.groupdict()) for match in matches if match})


def _unpack_tar(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as tar:
        wanted = []
        for member in tar:
            if _is_wanted(archive, member.name):
                if not member.isreg():
                    raise InputError(f"{archive} holds {member.name} as a link or device, not as a file: not unpacked.")
                wanted.append(member)
        tar.extractall(folder, members=wanted, filter="data")


def _unpack_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as content:
        for name in content.namelist():
            if _is_wanted(archive, name):
                content.extract(name, folder)  # as a plain file, whatever the entry's attributes


def _is_wanted(archive: Path, name: str) -> bool:
    """Whether a member is a file of a result. InputError where it points out of the archive."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise InputError(f"{archive} names a file outside itself ({name}): nothing was unpacked.")
    name = path.as_posix()
    return name == LOCK or bool(RESULT_FILE.fullmatch(name) or WEIGHTS_FILE.fullmatch(name))
