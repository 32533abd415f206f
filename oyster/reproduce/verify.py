"""Does a recorded result hold? Its hashes, then a rerun, compared by one function.

Training is chaotic: on the same kind of hardware a rerun gives the same bytes or something has changed. On another kind
it may (neighbouring CPUs often round alike); else the numbers drift apart however right both are, and only the start
can be compared, within a tolerance.
"""

import json
import random
import tempfile
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from oyster import algorithms
from oyster.algorithms.settings import Settings
from oyster.reproduce.comparison import Difference, compare, compare_starts
from oyster.runtime import provenance
from oyster.runtime.errors import InputError, TrialFailure
from oyster.runtime.files import file_sha256
from oyster.runtime.key_file import differing, find_key_file, place_of
from oyster.runtime.records import WEIGHTS, find_weights, problems, read_json, write_csv, write_json
from oyster.trial.run import Trial, run_trial
from oyster.trial.saved_agent import recorded_settings

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


def verify_each(folders: list[Path], certificate: Path | None, say: Callable[[str], None], **how: Any) -> int:
    """Verify each, and write all certificates to the file `certificate` after each one: a rerun takes hours.

    Returns an exit code: 0 if all hold, 1 if one does not, 2 if one could not be tried. InputError if that is the only.
    """
    certificates, codes = [], [0]
    if certificate:
        certificate.parent.mkdir(parents=True, exist_ok=True)
    for folder in folders:
        try:
            verdict = verify(folder, say=say, **how)
        except InputError as error:
            if len(folders) == 1:
                raise
            say(f"NOT TRIED   {folder}: {error}")
            certificates.append({"result": str(folder), "verdict": "not tried", "reason": str(error)})
            codes.append(2)
        else:
            say(str(verdict))
            certificates.append(verdict.certificate)
            codes.append(0 if verdict.holds else 1)
        if certificate:
            write_json(certificate, certificates)
    return 1 if 1 in codes else max(codes)


# --- hashes -----------------------------------------------------------------------------------------------------------


def check_hashes(result: Path) -> dict[str, str]:
    """Each file that the result's key file lists: `holds`, `differs` or `not here`. Empty where it has no key."""
    key_file = find_key_file(result)
    if key_file is None:
        return {}
    wrong = {words.split()[0] for words in differing(key_file)}
    checked = {}
    for name in key_file.files:
        there = place_of(key_file, name).exists()
        checked[name] = ("differs" if name in wrong else "holds") if there else "not here"
    return checked


# --- rerun ------------------------------------------------------------------------------------------------------------


def verify(
    result: Path, *, iterations: int | None = None, device: str = "auto", say: Callable[[str], None] = print
) -> Verdict:
    """Check the hashes of the result in folder `result`, re-create it (or its first `iterations`), and compare.

    Raises InputError where the folder holds no result or the encoder file that made it is not here.
    """
    recorded, settings = read_verifiable(result)
    if iterations is not None and _failed_within(result, iterations):
        iterations = None  # as many as there were
    hashes = check_hashes(result)
    say(f"{result}: {_in_words(hashes)}; re-creating {'all' if iterations is None else iterations} iterations")
    if altered := [path for path, state in hashes.items() if state == "differs"]:
        reason = f"not the files that its key file lists: {', '.join(altered)}"
        return _verdict(result, "different", reason, recorded, None, hashes, iterations, None)

    sources = algorithms.find(settings.algorithm).sources(settings)
    for name, file in sources.items():
        if f"{name}_sha256" not in recorded:
            raise InputError(f"{str(result / 'provenance.json')!r} lacks {name}_sha256: it is not what a trial wrote.")
        if file_sha256(file) != recorded[f"{name}_sha256"]:
            raise InputError(
                f"{file.name} is not the file that made {result}: its SHA-256 is not the one in provenance.json. "
                f"Verify with the code of that commit: --commit {recorded['commit']}"
            )
    with tempfile.TemporaryDirectory(prefix="verify-") as folder:
        try:
            recreated = _rerun(settings, sources, Path(folder) / "result", iterations, device)
        except TrialFailure as failure:
            reason = f"re-created, it fails in iteration {failure.iteration}: {failure.reason}"
            return _verdict(result, "different", reason, recorded, None, hashes, iterations, None)
        here = json.loads((recreated / "provenance.json").read_text())
        other_kind = provenance.differing_kind(recorded, here)
        difference = first_difference(result, recreated, iterations)
        identical = difference is None
        if other_kind and not identical:
            starts = result / "start.json", recreated / "start.json"
            tolerance = algorithms.find(settings.algorithm).start_tolerance(settings)
            difference, agreement = compare_starts(*starts, settings.environment, tolerance)
    changed = ", ".join(f"{name}: {theirs} → {ours}" for name, (theirs, ours) in other_kind.items())
    where = f"other hardware or versions ({changed})" if changed else "the same kind of hardware"
    if difference:
        word, reason = "different", str(difference)
    elif identical:
        word, compared = "identical", "every file"
        if iterations is not None:
            compared = f"the first {iterations} rows of progress.csv, and the start"
        elif not find_weights(result).exists():
            compared = "every file but the weights, which are not here"
        reason = f"{compared}, to the last bit, on {where}"
    else:
        word = "consistent"
        reason = f"on {where} {agreement}; what follows is chaotic and cannot be compared there"
    return _verdict(result, word, reason, recorded, here, hashes, iterations, difference)


def find_results(folder: Path, sample: int | None = None) -> list[Path]:
    """The folders below (or at) `folder` that hold a result; `sample` of them drawn at random, where given."""
    places = sorted(path.parent for path in folder.rglob("metrics.json"))
    found = [place for place in places if not any(part.endswith(".partial") for part in place.parts)]
    if not found:
        raise InputError(
            f"{folder} holds no result: no metrics.json there or below. Give a folder as results/benchmark."
        )
    if sample is None and len(found) > 1:
        raise InputError(f"{folder} holds {len(found)} results. Give one of them, or --sample N to draw some.")
    return found if sample is None else sorted(random.SystemRandom().sample(found, min(sample, len(found))))


def _failed_within(result: Path, iterations: int) -> bool:
    """Whether the trial's recorded failure came before so many iterations had ended."""
    failure = read_json(result / "metrics.json").get("failure")
    return isinstance(failure, dict) and (failure.get("iteration") or 0) < iterations


def _rerun(settings: Settings, sources: Mapping[str, Path], out: Path, iterations: int | None, device: str) -> Path:
    if iterations is None:
        run_trial(settings, sources, out, device=device, record_failure=True)
        return out
    out.mkdir()
    trial = Trial(settings, sources, device)
    training = trial.assemble()
    rows = list(islice(training.run(), iterations))
    write_csv(out / "progress.csv", training.line._fields, rows)
    write_json(out / "start.json", training.start())
    identity = {"hardware": provenance.hardware(trial.device.type), "environment": provenance.environment()}
    write_json(out / "provenance.json", {**provenance.commit(), **identity})
    return out


def first_difference(result: Path, recreated: Path, iterations: int | None) -> Difference | None:
    """Weights alone may be absent: a fresh clone has none."""
    for name in COMPARED if iterations is None else ("start.json", "progress.csv"):
        recorded = _file(result, name)
        if not recorded.exists() and name != WEIGHTS:
            return Difference(name, 0, "(the file itself)", "missing", "there")
        if recorded.exists() and (difference := compare(recorded, recreated / name, rows=iterations)):
            return difference
    return None


def _file(result: Path, name: str) -> Path:
    """A file of the result; weights may lie in their own tree, weights/… beside results/…."""
    return find_weights(result) if name == WEIGHTS else result / name


def read_verifiable(result: Path) -> tuple[dict[str, Any], Settings]:
    """provenance.json, and the settings in it. InputError where they do not make a rerun possible."""
    needed = ("metrics.json", "provenance.json", "progress.csv", "start.json")
    if wrong := [problem for problem in problems(result) if problem.split()[0] in needed]:
        raise InputError(f"{str(result)!r} is not a whole result: {', '.join(wrong)} there.")
    recorded = read_json(result / "provenance.json")
    settings = recorded_settings(recorded, result)
    if odd := [key for key in ("settings_sha256", "commit", "dirty") if key not in recorded]:
        raise InputError(f"{str(result / 'provenance.json')!r} lacks {', '.join(odd)}: it is not what a trial wrote.")
    try:
        provenance.kind(recorded)
    except (KeyError, TypeError) as error:
        raise InputError(f"{str(result / 'provenance.json')!r} names no hardware and versions ({error}).") from error
    return recorded, settings


def _in_words(hashes: dict[str, str]) -> str:
    if not hashes:
        return "without a key, so that no hash says what was recorded"
    counts = {state: list(hashes.values()).count(state) for state in ("holds", "differs", "not here")}
    return "hashes of its key file: " + ", ".join(f"{count} {state}" for state, count in counts.items() if count)


def _verdict(result, word, reason, recorded, here, hashes, iterations, difference) -> Verdict:
    hashed = [key for key in recorded if key.endswith("_sha256") and key != "diff_sha256"]
    certificate = {
        "result": str(result),
        "verdict": word,
        "reason": reason,
        "iterations": "all" if iterations is None else iterations,
        "hashes": hashes,
        "first_difference": difference and {key: str(value) for key, value in difference._asdict().items()},
        "recorded": {key: recorded[key] for key in ("commit", "dirty", *hashed)} | {"kind": provenance.kind(recorded)},
        "recreated": here and {key: here[key] for key in ("commit", "dirty")} | {"kind": provenance.kind(here)},
    }
    return Verdict(str(result), word, reason, certificate)
