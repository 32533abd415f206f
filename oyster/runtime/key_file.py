"""<key>.key.json, which every result and report carries: its key, the key's parts, and what files there are.

It is written last, so that where it is, everything is.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from oyster.runtime.errors import InputError
from oyster.runtime.files import write_text
from oyster.runtime.records import WEIGHTS, Recorded, find_weights, read_json

SUFFIX = ".key.json"


class Fingerprint(Recorded):
    md5: str  # DVC's hash, so that dvc.lock says the same
    size: int


class KeyFile(Recorded):
    key: str
    parts: dict[str, Any]
    files: dict[str, Fingerprint]
    off_lock: list[str] = Field(default_factory=list)  # packages of other versions than the lock's
    kept: list[dict[str, Any]] = Field(default_factory=list)  # its older keys, a mapping each
    path: Path = Field(exclude=True)


def write_key_file(
    folder: Path,
    key: str,
    parts: Mapping[str, Any],
    files: Iterable[Path],
    *,
    recorded: Mapping[str, Any] | None = None,
    off_lock: Iterable[str] = (),
    kept: Iterable[Mapping] = (),
) -> Path:
    """Into `folder`, of `files`, and of `recorded` ones that are elsewhere. Returns its path."""
    fingerprints = {file.name: _fingerprint(file) for file in files} | dict(recorded or {})
    path = folder / f"{key}{SUFFIX}"
    content = {"key": key, "parts": dict(parts), "files": fingerprints, "off_lock": [*off_lock], "kept": [*kept]}
    text = json.dumps(KeyFile(**content, path=path).model_dump(mode="json"), indent=1)
    write_text(path, text + "\n")
    return path


def find_key_file(folder: Path) -> KeyFile | None:
    """The one key file of a folder, or None. InputError where there are two, or it is not what was written."""
    paths = sorted(folder.glob(f"*{SUFFIX}"))
    if not paths:
        return None
    if len(paths) > 1:
        raise InputError(f"{str(folder)!r} has {len(paths)} key files: none can be believed. Remove the folder.")
    try:
        found = KeyFile.model_validate(read_json(paths[0]) | {"path": paths[0]})
    except ValidationError:
        found = None
    if found is None or f"{found.key}{SUFFIX}" != paths[0].name:
        raise InputError(f"{str(paths[0])!r} is no key file of that name. Restore it by git, or remove the folder.")
    return found


def missing_or_cut(key_file: KeyFile) -> list[str]:
    """The files that are not there with the recorded size, in words; weights may be absent."""
    found = []
    for name, recorded in key_file.files.items():
        file = place_of(key_file, name)
        try:
            size = file.stat().st_size
        except OSError:
            if name != WEIGHTS:
                found.append(f"{name} is missing")
            continue
        if size != recorded.size:
            found.append(f"{name} has {size} bytes, not {recorded.size}")
    return found


def differing(key_file: KeyFile) -> list[str]:
    """The files that are missing, cut or of another content, in words; weights may be absent."""
    found = missing_or_cut(key_file)
    named = {words.split()[0] for words in found}
    for name, recorded in key_file.files.items():
        file = place_of(key_file, name)
        if name not in named and file.exists() and _fingerprint(file) != recorded:
            found.append(f"{name} is not the recorded file")
    return found


def place_of(key_file: KeyFile, name: str) -> Path:
    """Where a file lies: beside the key file, or, weights, in their own tree."""
    return find_weights(key_file.path.parent) if name == WEIGHTS else key_file.path.parent / name


def _fingerprint(file: Path) -> Fingerprint:
    content = file.read_bytes()
    return Fingerprint(md5=hashlib.md5(content).hexdigest(), size=len(content))
