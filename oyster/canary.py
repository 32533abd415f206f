"""The canary: tiny trials whose outputs are known to the last bit, to tell an edit that changes results from one that
does not.

Hashes are stored for each kind of hardware on which they were recorded. Elsewhere the same bytes may come out; where
they do not, only the starts can be compared.
"""

import hashlib
import tempfile
from pathlib import Path
from typing import NamedTuple

from oyster.comparison import Difference, compare_starts
from oyster.encoder_file import find_encoder_file
from oyster.runtime import provenance
from oyster.runtime.errors import InputError
from oyster.runtime.records import RESULT_FILES, WEIGHTS, read_json, write_json
from oyster.settings import Settings, load_params, trial_settings
from oyster.trial import run_trial

FOLDER = provenance.ROOT / "tests" / "canary"
TRIALS = (("cheetah-vel", "mlp"), ("sparse-point-robot", "recurrent"), ("point-robot", "attention"))
DETERMINISTIC = (*(name for name in RESULT_FILES if name != "provenance.json"), WEIGHTS)


class Song(NamedTuple):
    """What one tiny trial left."""

    settings: Settings
    kind: dict  # of hardware and versions
    hashes: dict[str, str]  # SHA-256 of each deterministic file
    start: dict

    @property
    def name(self) -> str:
        return f"{self.settings.environment} {self.settings.encoder}"


class Outcome(NamedTuple):
    trial: str
    word: str  # `identical`, `different` or `consistent` (other bytes on hardware without hashes, the same start)
    detail: str


def sing(folder: Path) -> list[Song]:
    """Run the tiny trials into `folder` and hash what they leave."""
    params = load_params(FOLDER / "params.yaml")
    songs = []
    for environment, encoder in TRIALS:
        settings = trial_settings(params, environment=environment, encoder=encoder, seed=1, budget="canary")
        out = folder / environment
        run_trial(settings, find_encoder_file(encoder), out, device="cpu")
        hashes = {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in DETERMINISTIC}
        kind = provenance.kind(read_json(out / "provenance.json"))
        songs.append(Song(settings, kind, hashes, read_json(out / "start.json")))
    return songs


def listen() -> list[Outcome]:
    """Run the tiny trials and compare each with what is stored."""
    with tempfile.TemporaryDirectory(prefix="canary-") as folder:
        return [_judge(song, Path(folder)) for song in sing(Path(folder))]


def record() -> list[Song]:
    """Store what the tiny trials leave now: hashes for this kind of hardware beside those of others.

    InputError, and nothing stored, where a trial starts otherwise than the stored one, beyond the tolerance: then it is
    not the hardware that is new, but the behaviour. Removing the stored file says that this is meant.
    """
    with tempfile.TemporaryDirectory(prefix="canary-") as folder:
        songs = sing(Path(folder))
        for song in songs:
            _require_stored_start(song, Path(folder))
    for song in songs:
        path = _stored_at(song)
        stored = read_json(path) if path.exists() else {"start": song.start, "hashes": []}
        others = [entry for entry in stored["hashes"] if entry["kind"] != song.kind]
        entry = {"kind": song.kind, "sha256": song.hashes}
        write_json(path, {"start": stored["start"], "hashes": [*others, entry]})
    return songs


def _require_stored_start(song: Song, folder: Path) -> None:
    path = _stored_at(song)
    if not path.exists():
        return
    difference, _ = _compare_with_stored(song, read_json(path)["start"], folder)
    if difference:
        raise InputError(
            f"{song.name} starts otherwise than the canary's stored trial: {difference}. So the engine behaves "
            f"otherwise, and nothing was recorded. Where that is meant, remove {path} and "
            "record again."
        )


def _compare_with_stored(song: Song, start: dict, folder: Path) -> tuple[Difference | None, str]:
    stored = folder / f"{song.settings.environment}-stored.json"
    write_json(stored, start)
    recreated = folder / song.settings.environment / "start.json"
    return compare_starts(stored, recreated, song.settings.environment, song.settings.precision)


def _judge(song: Song, folder: Path) -> Outcome:
    path = _stored_at(song)
    if not path.exists():
        return Outcome(song.name, "different", f"nothing is stored for it: {path.name} is missing")
    stored = read_json(path)
    for entry in stored["hashes"]:
        if entry["kind"] == song.kind:
            changed = [name for name in DETERMINISTIC if entry["sha256"].get(name) != song.hashes[name]]
            if changed:
                return Outcome(song.name, "different", f"{', '.join(changed)} changed")
            return Outcome(song.name, "identical", "every file to the last bit")
    if song.hashes in (entry["sha256"] for entry in stored["hashes"]):
        return Outcome(song.name, "identical", "every file to the last bit, as recorded on another kind of hardware")
    difference, agreement = _compare_with_stored(song, stored["start"], folder)
    if difference:
        return Outcome(song.name, "different", str(difference))
    return Outcome(song.name, "consistent", f"no hashes for this kind of hardware; {agreement}")


def _stored_at(song: Song) -> Path:
    return FOLDER / f"{song.settings.environment}.json"
