"""What a trial leaves on disk: written into a scratch folder beside the result, moved into place once whole."""

import csv
import io
import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from oyster.runtime.destination import check_place, require_free
from oyster.runtime.errors import InputError, describe
from oyster.runtime.files import sync, sync_tree, write_text

WEIGHTS = "weights.safetensors"
SUCCESS, SUCCESS_RATE = "success", "success_rate"  # adaptation.csv's last column, metrics.json's key; in some families
RUNNING = "running.json"  # in the scratch of a trial that runs: its seconds by iteration
RESULT_FILES = (
    "metrics.json",
    "start.json",
    "progress.csv",
    "adaptation.csv",
    "posteriors.csv",
    "trajectories.npz",
    "provenance.json",
)
DETERMINISTIC = (*RESULT_FILES[:-1], WEIGHTS)  # what is the same bytes whenever it is made again
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, RuntimeError)


LARGEST = 1e60  # beyond any sum of float32 rewards; squares of it can still be added up
Number = Annotated[float, Field(gt=-LARGEST, lt=LARGEST)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=2**53)]  # up to here a float holds every whole number


# --- what is in them, for those who write and those who read ----------------------------------------------------------


class Recorded(BaseModel):
    """Files of before and of later versions have other keys: these are kept, and what is absent is None."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)


class Failure(Recorded):
    reason: str | None = None
    iteration: Count | None = None


class Metrics(Recorded):
    """metrics.json: the same bytes whenever the trial is run again."""

    environment: str | None = None
    encoder: str | None = None  # the agent's name: before agents there were encoders
    seed: int | None = None
    budget: str | None = None  # the preset's name
    meta_test_return: Number | None = None
    meta_test_return_last5: Number | None = None
    trajectory_returns: list[Number] | None = None
    task_returns: list[Number] | None = None
    success_rate: Share | None = None  # there where the family says of a step that the task is solved
    scripted_returns: Any = None  # References; a trial counts without them
    failure: Failure | None = None


class References(Recorded):
    """metrics.json's scripted_returns: of idle, and of the oracle where there is one, a number per test task."""

    doing_nothing: list[Number]
    task_known: list[Number] | None


class Environment(Recorded):
    runtime: str | None = None
    image_digest: str | None = None
    lock_sha256: str | None = None
    python: str | None = None
    libc: str | None = None
    torch: str | None = None
    mujoco: str | None = None
    gymnasium: str | None = None
    numpy: str | None = None
    safetensors: str | None = None
    off_lock: list[str] | None = None
    variables: dict[str, str] | None = None


class Hardware(Recorded):
    cpu: str | None = None
    cpu_family: str | None = None
    instructions: str | None = None
    cores: Count | None = None
    gpu: str | None = None


class Provenance(Recorded):
    """provenance.json: where a result comes from. Not deterministic."""

    commit: str | None = None
    dirty: bool | None = None
    diff_sha256: str | None = None
    unreadable: list[str] | None = None
    settings: dict[str, Any] | None = None
    settings_sha256: str | None = None
    encoder_sha256: str | None = None
    environment: Environment | None = None
    hardware: Hardware | None = None
    device: str | None = None
    precision: str | None = None
    threads: Count | None = None
    command: str | None = None
    key: str | None = None
    warnings: list[str] | None = None
    wall_seconds: Number | None = None
    iteration_seconds: list[Number] | None = None
    environment_steps: Count | None = None
    gradient_steps: Count | None = None
    gradient_steps_per_second: Number | None = None
    peak_memory_mb: Number | None = None
    parameters: Count | None = None


# --- where they lie ---------------------------------------------------------------------------------------------------


def problems(out: Path, weights: Path | None = None) -> list[str]:
    """What of a result in folder `out` is missing, empty or unreadable, in words; empty where it is whole.

    Weights count where `weights` names their folder or they lie in `out`.
    """
    files = [out / name for name in RESULT_FILES]
    if weights is not None or (out / WEIGHTS).exists():
        files.append((weights or out) / WEIGHTS)
    return [f"{file.name} {word}" for file in files if (word := _spoilt(file))]


def is_whole(out: Path, weights: Path | None = None) -> bool:
    """A result comes in one rename, after everything in it is on the disk; a lost disk may still have spoilt it."""
    return not problems(out, weights)


def check_destination(out: Path, weights: Path | None = None, *, replace: bool = False) -> None:
    """InputError where writing a result to `out` (weights to `weights`) would fail at the end, or lose something.

    `replace`: a result that is there may give way, as a pipeline means it.
    """
    for option, place in (("--out", out), ("--weights", weights)):
        if place is not None:
            check_place(option, place)
            if (place / WEIGHTS).is_dir():
                raise InputError(f"{str(place / WEIGHTS)!r} is a folder where a file belongs. Remove it.")
    if out.exists() and is_whole(out) and not replace:
        raise InputError(f"{str(out)!r} already holds a result. Remove it first, or give another folder as --out.")
    require_free("--out", out, (*RESULT_FILES, WEIGHTS, "*.key.json"))


def publish(result: Path, out: Path, weights: Path | None) -> None:
    """Move the folder `result` to `out` (and its weights to the folder `weights`, where one is given).

    The result comes last, in one rename, once all of it is on the disk: a power loss leaves all of it or none.
    """
    if weights is not None:
        weights.mkdir(parents=True, exist_ok=True)
        staged = weights / (WEIGHTS + ".partial")
        shutil.move(result / WEIGHTS, staged)
        sync(staged)
        os.replace(staged, weights / WEIGHTS)
        sync(weights)
    sync_tree(result)
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.exists():  # emptied by a pipeline, or spoilt: check_destination has looked
        shutil.rmtree(result.with_name("replaced"), ignore_errors=True)
        os.replace(out, result.with_name("replaced"))
    os.replace(result, out)
    sync(out.parent)


def find_weights(result: Path) -> Path:
    """The weights of a result: in its folder, or under weights/ where it lies under results/ (there or not)."""
    folder = result.resolve()
    if (folder / WEIGHTS).exists() or "results" not in folder.parts:
        return folder / WEIGHTS
    parts = list(folder.parts)
    # As the pipeline lays them, results/<grid>/<environment>/<encoder>/<seed>; else the innermost folder of that name.
    level = len(parts) - 5 if parts[-5:-4] == ["results"] else len(parts) - 1 - parts[::-1].index("results")
    return Path(*parts[:level], "weights", *parts[level + 1 :], WEIGHTS)


def read_json(path: Path) -> dict[str, Any]:
    """The mapping in a JSON file. InputError, with what is wrong, where there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{str(path)!r} is not valid JSON: {describe(error)}.") from error
    if not isinstance(content, dict):
        raise InputError(f"{str(path)!r} holds {type(content).__name__}; expected a mapping.")
    return content


def _spoilt(file: Path) -> str | None:
    """Why a file of a result cannot be used, in a word or two."""
    try:
        content = file.read_bytes()
    except OSError as error:
        return "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
    if not content.strip(b"\0"):
        return "is empty"
    try:
        if file.suffix == ".json":
            json.loads(content)
        elif file.suffix == ".csv":
            content.decode("utf-8")
            return None if b"\0" not in content and content.endswith(b"\n") else "is cut"
        elif file.suffix == ".npz":
            with zipfile.ZipFile(file) as archive:
                return "is damaged" if archive.testzip() else None
        else:
            size = int.from_bytes(content[:8], "little")
            header = json.loads(content[8 : 8 + size])
            ends = [each["data_offsets"][1] for name, each in header.items() if name != "__metadata__"]
            return None if len(content) == 8 + size + max(ends, default=0) else "is cut"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, *_ZIP_ERRORS):
        return "is damaged"
    return None


def write_json(path: Path, content: Any) -> None:
    """Of a mapping, or of a model: what was set in it."""
    if isinstance(content, BaseModel):
        content = content.model_dump(mode="json", exclude_unset=True)
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Whole or not at all. Floats are written so that they read back exactly."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())
