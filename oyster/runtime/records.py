"""What a trial leaves on disk: written into a scratch folder beside the result, moved into place once whole."""

import csv
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from oyster.runtime.errors import InputError

WEIGHTS = "weights.safetensors"
RESULT_FILES = (
    "metrics.json",
    "start.json",
    "progress.csv",
    "adaptation.csv",
    "posteriors.csv",
    "trajectories.npz",
    "provenance.json",
)


def scratch_folder(out: Path) -> Path:
    """Where a trial works until its result is whole: on the same file system as `out`, so that moving is renaming."""
    return out.with_name(out.name + ".partial")


def is_whole(out: Path) -> bool:
    """A folder with metrics.json holds a whole result: it comes in one rename."""
    return (out / "metrics.json").exists()


def check_destination(out: Path) -> None:
    """InputError where writing a result to `out` would lose something."""
    if not out.exists():
        return
    if not out.is_dir():
        raise InputError(f"--out {out} is a file; expected a folder, or a name that is still free.")
    if is_whole(out):
        raise InputError(f"{out} already holds a result. Remove it first, or give another folder as --out.")
    foreign = sorted({path.name for path in out.iterdir()} - {*RESULT_FILES, WEIGHTS})
    if foreign:
        raise InputError(
            f"--out {out} holds other files ({', '.join(foreign[:3])}). Give a folder of its own as --out."
        )


def publish(result: Path, out: Path, weights: Path | None) -> None:
    """Move the folder `result` to `out` (and its weights to the folder `weights`, where one is given).

    The result comes last, in one rename.
    """
    if weights is not None:
        weights.mkdir(parents=True, exist_ok=True)
        staged = weights / (WEIGHTS + ".partial")
        shutil.move(result / WEIGHTS, staged)
        os.replace(staged, weights / WEIGHTS)
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.exists():  # emptied by a pipeline, maybe but for a provenance.json: check_destination has looked
        os.replace(out, result.with_name("replaced"))
    os.replace(result, out)


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Floats are written so that they read back exactly."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
