"""Checkpoints: scratch files from which a trial goes on exactly as if it had never stopped.

A file is a SHA-256 of all that follows, then a safetensors payload: tensors, and everything else as JSON in its
metadata. What it holds is a nested mapping with text keys; its leaves are tensors, Logs and plain values. Nothing is
pickled. A file is written beside its place, synced, and renamed; the one before it is kept, so that a damaged one costs
an interval and not the trial.

A Log's rows lie in a file of their own, to which a checkpoint appends those that are new; the checkpoint says how many
rows of it are its own, and their SHA-256. What a kill left behind them is cut off by the next one.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import load, save

from oyster.runtime.files import sync

KEPT = 2  # the newest, and the one before it
DIGEST_BYTES = hashlib.sha256().digest_size


class Log(NamedTuple):
    """Rows that are never changed, only added to: (row, column)."""

    rows: torch.Tensor


class Checkpoint(NamedTuple):
    tensors: dict[str, torch.Tensor]
    state: dict[str, Any]  # JSON
    logs: dict[str, torch.Tensor] = {}  # noqa: RUF012  rows by place


class _Written(NamedTuple):
    """What of a log is in its file: its bytes, and their hash so far."""

    size: int
    digest: Any


class DamagedCheckpoint(Exception):
    """The file is truncated or altered."""


class ForeignCheckpoint(Exception):
    """The file was made by another trial: other settings, another file of the user's, another Torch or device."""


class CheckpointFolder:
    """The checkpoints of one trial. `identity` says which trial: a checkpoint with another one is refused."""

    def __init__(self, folder: Path, identity: Mapping[str, str]):
        self.folder, self.identity = folder, dict(identity)
        self._written: dict[str, _Written] = {}

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write the next checkpoint and drop those that are older than the one before it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        number = max((_number(path) for path in self._files()), default=0) + 1
        path = self.folder / f"{number:06d}.checkpoint"
        logs = {place: self._append(place, rows) for place, rows in checkpoint.logs.items()}
        content = {"identity": self.identity, "logs": logs, "state": checkpoint.state}
        write_checkpoint(path, Checkpoint(checkpoint.tensors, content))
        for old in self._files()[:-KEPT]:
            old.unlink()
        return path

    def load_newest(self, warn: Callable[[str], None]) -> Checkpoint | None:
        """The newest whole checkpoint, None where there is none. A damaged one is skipped with a warning.

        Raises ForeignCheckpoint, naming what differs, where it belongs to another trial.
        """
        for path in reversed(self._files()):
            try:
                checkpoint = read_checkpoint(path)
                theirs = checkpoint.state["identity"]
                differing = [key for key, value in self.identity.items() if theirs.get(key) != value]
                if differing:
                    raise ForeignCheckpoint(", ".join(differing))
                logs = {place: self._read(place, about) for place, about in checkpoint.state["logs"].items()}
            except DamagedCheckpoint as damage:
                self._written = {}
                warn(f"checkpoint {path.name} is damaged ({damage}); using the one before it, or the start")
                path.unlink()
                continue
            return Checkpoint(checkpoint.tensors, checkpoint.state["state"], logs)
        return None

    def _append(self, place: str, rows: torch.Tensor) -> dict[str, Any]:
        """Add the rows that the file lacks, on the disk when this returns. What says how to find them again."""
        size, digest = self._written.get(place, _Written(0, hashlib.sha256()))
        row_bytes = rows.element_size() * rows[:1].numel() or 1
        new = rows[size // row_bytes :].detach().cpu().contiguous().numpy().tobytes() if len(rows) else b""
        path = self._log(place)
        with path.open("r+b" if path.exists() else "w+b") as file:
            file.truncate(size)
            file.seek(size)
            file.write(new)
            file.flush()
            os.fsync(file.fileno())
        digest.update(new)
        self._written[place] = _Written(size + len(new), digest)
        kind = str(rows.dtype).removeprefix("torch.")
        return {"shape": list(rows.shape), "dtype": kind, "size": size + len(new), "sha256": digest.hexdigest()}

    def _read(self, place: str, about: Mapping[str, Any]) -> torch.Tensor:
        """Raises DamagedCheckpoint where the bytes are not those that were written."""
        path = self._log(place)
        content = path.read_bytes()[: about["size"]] if path.exists() else b""
        digest = hashlib.sha256(content)
        if digest.hexdigest() != about["sha256"]:
            raise DamagedCheckpoint(f"the checksum of {path.name} does not match its {len(content)} bytes")
        self._written[place] = _Written(about["size"], digest)
        return torch.from_numpy(np.frombuffer(content, about["dtype"]).reshape(about["shape"]).copy())

    def _log(self, place: str) -> Path:
        return self.folder / f"{place.replace('/', '.')}.log"

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.checkpoint"), key=_number)


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write whole or not at all; on the disk, under its name, when this returns."""
    payload = to_bytes(checkpoint)
    staged = path.with_suffix(".writing")
    with staged.open("wb") as file:
        file.write(hashlib.sha256(payload).digest())
        file.write(payload)
        file.flush()
        os.fsync(file.fileno())
    os.replace(staged, path)
    sync(path.parent)


def read_checkpoint(path: Path) -> Checkpoint:
    """Raises DamagedCheckpoint where the bytes are not those that were written."""
    content = path.read_bytes()
    digest, payload = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if hashlib.sha256(payload).digest() != digest:
        raise DamagedCheckpoint(f"its checksum does not match its {len(content)} bytes")
    return from_bytes(payload)


def split(nested: Mapping[str, Any]) -> Checkpoint:
    """Tensors and logs by their place, `outer/inner`; all else as JSON of the same shape."""
    tensors: dict[str, torch.Tensor] = {}
    logs: dict[str, torch.Tensor] = {}

    def plain(value: Any, place: tuple[str, ...]) -> Any:
        if not isinstance(value, Mapping):
            return value
        kept = {}
        for key, inner in value.items():
            inside = (*place, key.replace("~", "~0").replace("/", "~1"))  # as a JSON pointer has them
            if isinstance(inner, torch.Tensor):
                tensors["/".join(inside)] = inner
            elif isinstance(inner, Log):
                logs["/".join(inside)] = inner.rows
            else:
                kept[key] = plain(inner, inside)
        return kept

    state = plain(nested, ())
    return Checkpoint(tensors, state, logs)


def join(checkpoint: Checkpoint) -> dict[str, Any]:
    """The nested mapping that was split."""
    nested = deepcopy(checkpoint.state)
    logs = {place: Log(rows) for place, rows in checkpoint.logs.items()}
    for place, leaf in (checkpoint.tensors | logs).items():
        *outer, last = (key.replace("~1", "/").replace("~0", "~") for key in place.split("/"))
        inside = nested
        for key in outer:
            inside = inside[key]
        inside[last] = leaf
    return nested


def to_bytes(checkpoint: Checkpoint) -> bytes:
    """A safetensors payload. Tensors that share memory are written once each."""
    return save(own_memory(checkpoint.tensors), metadata={"state": json.dumps(checkpoint.state)})


def from_bytes(payload: bytes) -> Checkpoint:
    header_size = int.from_bytes(payload[:8], "little")
    header = json.loads(payload[8 : 8 + header_size])
    return Checkpoint(load(payload), json.loads(header["__metadata__"]["state"]))


def own_memory(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same tensors on the CPU, contiguous, no two in one memory, as safetensors wants them."""
    taken: set[int] = set()
    apart = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        memory = tensor.untyped_storage().data_ptr()
        apart[name] = tensor.clone() if memory in taken else tensor
        taken.add(memory)
    return apart


def _number(path: Path) -> int:
    return int(path.stem)
