"""Does a recorded result hold? Its hashes, then a rerun, compared by one function.

Training is chaotic: on the same kind of hardware a rerun gives the same bytes or something has changed. On another kind
it may (neighbouring CPUs often round alike); else the numbers drift apart however right both are, and only the start
can be compared, within a tolerance.
"""

import hashlib
import json
import random
import tempfile
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from oyster.comparison import Difference, compare, compare_starts
from oyster.encoder_file import file_sha256, find_encoder_file
from oyster.pearl.meta_train import Row
from oyster.runtime import provenance
from oyster.runtime.errors import InputError
from oyster.runtime.records import WEIGHTS, write_csv, write_json
from oyster.settings import Settings
from oyster.trial import Trial, run_trial

COMPARED = (
    "start.json",
    "metrics.json",
    "progress.csv",
    "adaptation.csv",
    "posteriors.csv",
    "trajectories.npz",
    WEIGHTS,
)


class Verdict(NamedTuple):
    """`word` is `identical`, `different` or `consistent` (other hardware, same start)."""

    result: str
    word: str
    reason: str
    certificate: dict[str, Any]

    @property
    def holds(self) -> bool:
        return self.word != "different"

    def __str__(self) -> str:
        return f"{self.word.upper():10}  {self.result}: {self.reason}"


# --- hashes -----------------------------------------------------------------------------------------------------------


def check_hashes(result: Path) -> dict[str, str]:
    """Each file that dvc.lock records for this result: `holds`, `differs` or `not here`. Empty where there are none."""
    lock = next((parent / "dvc.lock" for parent in result.resolve().parents if (parent / "dvc.lock").exists()), None)
    if lock is None:
        return {}
    stages = (yaml.safe_load(lock.read_text()) or {}).get("stages", {})
    folder = result.resolve().relative_to(lock.parent.resolve()).as_posix()
    checked = {}
    for stage in stages.values():
        outs = {out["path"]: out for out in stage.get("outs", [])}
        if f"{folder}/metrics.json" not in outs:
            continue
        for path, out in outs.items():
            file = lock.parent / path
            if not file.exists():
                checked[path] = "not here"
            else:
                checked[path] = "holds" if hashlib.md5(file.read_bytes()).hexdigest() == out["md5"] else "differs"
    return checked


# --- rerun ------------------------------------------------------------------------------------------------------------


def verify(
    result: Path, *, iterations: int | None = None, device: str = "auto", say: Callable[[str], None] = print
) -> Verdict:
    """Check the hashes of the result in folder `result`, re-create it (or its first `iterations`), and compare.

    Raises InputError where the folder holds no result or the encoder file that made it is not here.
    """
    recorded = _read_provenance(result)
    settings = Settings.model_validate(recorded["settings"])
    hashes = check_hashes(result)
    say(f"{result}: {_in_words(hashes)}; re-creating {'all' if iterations is None else iterations} iterations")
    if altered := [path for path, state in hashes.items() if state == "differs"]:
        reason = f"not the files that dvc.lock records: {', '.join(altered)}"
        return _verdict(result, "different", reason, recorded, None, hashes, iterations, None)

    encoder_file = find_encoder_file(settings.encoder)
    if file_sha256(encoder_file) != recorded["encoder_sha256"]:
        raise InputError(
            f"{encoder_file.name} is not the file that made {result}: its SHA-256 is not the one in provenance.json. "
            f"Verify with the code of that commit: --commit {recorded['commit']}"
        )
    with tempfile.TemporaryDirectory(prefix="verify-") as folder:
        recreated = _rerun(settings, encoder_file, Path(folder) / "result", iterations, device)
        here = json.loads((recreated / "provenance.json").read_text())
        same_kind = provenance.kind(here) == provenance.kind(recorded)
        difference = _first_difference(result, recreated, iterations)
        identical = difference is None
        if not (identical or same_kind):
            starts = result / "start.json", recreated / "start.json"
            difference, agreement = compare_starts(*starts, settings.environment, settings.precision)
    where = "the same kind of hardware" if same_kind else f"other hardware or versions ({_changed(recorded, here)})"
    if difference:
        word, reason = "different", str(difference)
    elif identical:
        compared = "every file" if iterations is None else f"the first {iterations} rows of progress.csv, and the start"
        word, reason = "identical", f"{compared}, to the last bit, on {where}"
    else:
        word = "consistent"
        reason = f"on {where} {agreement}; what follows is chaotic and cannot be compared there"
    return _verdict(result, word, reason, recorded, here, hashes, iterations, difference)


def find_results(folder: Path, sample: int | None = None) -> list[Path]:
    """The folders below (or at) `folder` that hold a result; `sample` of them drawn at random, where given."""
    found = sorted(path.parent for path in folder.rglob("metrics.json"))
    if not found:
        raise InputError(
            f"{folder} holds no result: no metrics.json there or below. Give a folder as results/benchmark."
        )
    if sample is None and len(found) > 1:
        raise InputError(f"{folder} holds {len(found)} results. Give one of them, or --sample N to draw some.")
    return found if sample is None else sorted(random.SystemRandom().sample(found, min(sample, len(found))))


def _rerun(settings: Settings, encoder_file: Path, out: Path, iterations: int | None, device: str) -> Path:
    if iterations is None:
        run_trial(settings, encoder_file, out, device=device, record_failure=True)
        return out
    out.mkdir()
    trial = Trial(settings, encoder_file, device)
    rows = list(islice(trial.assemble().run(), iterations))
    write_csv(out / "progress.csv", Row._fields, rows)
    write_json(out / "start.json", trial.training.start())
    identity = {"hardware": provenance.hardware(trial.device.type), "environment": provenance.environment()}
    write_json(out / "provenance.json", {**provenance.commit(), **identity})
    return out


def _first_difference(result: Path, recreated: Path, iterations: int | None) -> Difference | None:
    names: Sequence[str] = COMPARED if iterations is None else ("start.json", "progress.csv")
    differences = (
        compare(_file(result, name), recreated / name, rows=iterations)
        for name in names
        if _file(result, name).exists()
    )
    return next((difference for difference in differences if difference), None)


def _file(result: Path, name: str) -> Path:
    """A file of the result; weights may lie in their own tree, weights/… beside results/…."""
    if name != WEIGHTS or (result / name).exists() or "results" not in result.parts:
        return result / name
    parts = ["weights" if part == "results" else part for part in result.parts]
    return Path(*parts) / name


def _read_provenance(result: Path) -> dict[str, Any]:
    needed = ("metrics.json", "provenance.json", "progress.csv", "start.json")
    missing = [name for name in needed if not (result / name).exists()]
    if missing:
        raise InputError(f"{result} is not a whole result: {', '.join(missing)} missing there.")
    return json.loads((result / "provenance.json").read_text())


def _in_words(hashes: dict[str, str]) -> str:
    if not hashes:
        return "not recorded in a dvc.lock"
    counts = {state: list(hashes.values()).count(state) for state in ("holds", "differs", "not here")}
    return "hashes in dvc.lock: " + ", ".join(f"{count} {state}" for state, count in counts.items() if count)


def _changed(recorded: dict[str, Any], here: dict[str, Any]) -> str:
    ours, theirs = provenance.kind(recorded), provenance.kind(here)
    return ", ".join(f"{key}: {ours[key]} → {theirs[key]}" for key in ours if ours[key] != theirs[key])


def _verdict(result, word, reason, recorded, here, hashes, iterations, difference) -> Verdict:
    certificate = {
        "result": str(result),
        "verdict": word,
        "reason": reason,
        "iterations": "all" if iterations is None else iterations,
        "hashes": hashes,
        "first_difference": difference and {key: str(value) for key, value in difference._asdict().items()},
        "recorded": {key: recorded[key] for key in ("commit", "dirty", "settings_sha256", "encoder_sha256")}
        | {"kind": provenance.kind(recorded)},
        "recreated": here and {key: here[key] for key in ("commit", "dirty")} | {"kind": provenance.kind(here)},
    }
    return Verdict(str(result), word, reason, certificate)
