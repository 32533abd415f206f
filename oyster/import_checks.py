"""May a result that another machine trained come in? Each reason why not, in words.

The archive's files are checked first as files, then against the working tree, then against each other, then as what
this machine would have to load; a check may rely on what those before it found.
"""

import csv
import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from oyster.archive import LOCK, TrialName
from oyster.encoder_file import file_sha256, find_encoder_file
from oyster.runtime import provenance
from oyster.runtime.errors import InputError
from oyster.runtime.provenance import ROOT
from oyster.runtime.records import RESULT_FILES, WEIGHTS, check_destination, is_whole
from oyster.saved_agent import load_trial
from oyster.settings import Params, Settings, trial_settings

DETERMINISTIC = tuple(name for name in RESULT_FILES if name != "provenance.json")
Hashes = dict[str, dict[str, str]]  # folder of a result → path of each of its files → MD5


def why_not(folder: Path, trial: TrialName, stage, params: Params, recorded: Hashes, replace: bool) -> list[str]:
    """Every reason against the trial in the archive's `folder`; none: it may.

    stage: DVC's for this trial, None without one. recorded: recorded_hashes(folder). replace: another result in its
    place is no reason.
    """
    if stage is None:
        return ["dvc.yaml has no stage that trains it: name its encoder, environment and seed under grid: first"]
    missing = [name for name in trial.files() if not (folder / name).is_file()]
    if missing:
        return [f"{', '.join(missing)} missing in the archive"]
    altered = [
        name
        for name, md5 in recorded.get(trial.result, {}).items()
        if (folder / name).is_file() and hashlib.md5((folder / name).read_bytes()).hexdigest() != md5
    ]
    if altered:
        return [f"not the file that the archive's dvc.lock records: {', '.join(altered)}"]
    try:
        metrics, origin = (read_json(folder / trial.result / name) for name in ("metrics.json", "provenance.json"))
        kind(origin)
        reasons = [*_foreign_origin(trial, origin, stage, params), *_contradictions(folder, trial, metrics, origin)]
        if not reasons:
            _load(folder, trial, metrics, origin)
    except InputError as error:
        return [str(error)]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return [f"its files cannot be read as a result's: {type(error).__name__}: {error}"]
    return reasons or _in_the_way(folder, trial, replace)


def _foreign_origin(trial: TrialName, origin: dict[str, Any], stage, params: Params) -> list[str]:
    """What the working tree would have trained otherwise."""
    reasons = _other_code(origin["commit"], stage)
    if origin["dirty"] is not False:
        reasons.append("trained from a working tree with uncommitted edits: nobody can re-create it. Commit, retrain")
    budget, environment, encoder, seed = trial
    settings = trial_settings(params, environment=environment, encoder=encoder, seed=int(seed), budget=budget)
    ours = settings.model_dump(mode="json")
    if provenance.sha256_of_json(origin["settings"]) != origin["settings_sha256"]:
        reasons.append("settings_sha256 in provenance.json is not the hash of the settings there")
    if other := [key for key in ours | origin["settings"] if ours.get(key) != origin["settings"].get(key)]:
        given = ", ".join(f"{key} {origin['settings'].get(key)!r} there, {ours.get(key)!r} here" for key in other[:4])
        reasons.append(f"other settings than params.yaml gives it: {given}")
    if file_sha256(find_encoder_file(encoder)) != origin["encoder_sha256"]:
        reasons.append(f"another encoder file: encoders/{encoder}.py here has another SHA-256")
    return reasons


def _other_code(commit: str | None, stage) -> list[str]:
    """Which of the files that the trial depends on differ between its commit and the working tree."""
    if not re.fullmatch(r"[0-9a-f]{40}", commit or ""):
        return ["its provenance names no commit: it was trained outside a git clone"]
    if _git("cat-file", "-e", f"{commit}^{{commit}}").returncode:
        return [f"its commit {commit[:12]} is unknown here: fetch it with git first"]
    paths = [Path(dep.fs_path).relative_to(ROOT).as_posix() for dep in stage.deps if not getattr(dep, "params", None)]
    listed = _git("diff", "--name-only", commit, "--", *paths)
    untracked = _git("ls-files", "--others", "--exclude-standard", "--", *paths)
    differing = sorted({*listed.stdout.split("\n"), *untracked.stdout.split("\n")} - {""})
    there = yaml.safe_load(_git("show", f"{commit}:dvc.yaml").stdout or "{}")
    here = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    if there.get("stages", {}).get("train", {}).get("cmd") != here["stages"]["train"]["cmd"]:
        differing.append("the command in dvc.yaml")
    if not differing:
        return []
    return [
        f"its commit {commit[:12]} has other code than the working tree: {', '.join(differing)}. If that changes no "
        "result, import it at that commit, then `make keep-results` here"
    ]


def _contradictions(folder: Path, trial: TrialName, metrics: dict[str, Any], origin: dict[str, Any]) -> list[str]:
    """What the result's own files say against each other."""
    reasons = []
    for name, part in (("metrics.json", metrics), ("provenance.json", origin["settings"])):
        named = TrialName(*(str(part[key]) for key in TrialName._fields))
        if named != trial:
            reasons.append(f"{name} is of another trial: {named.result}")
    with (folder / trial.result / "progress.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    failure = metrics["failure"]
    expected = failure["iteration"] if failure else origin["settings"]["num_iterations"]
    if len(rows) != expected:
        reasons.append(f"progress.csv has {len(rows)} rows, expected {expected}")
    elif not failure and float(rows[-1]["meta_test_return"]) != metrics["meta_test_return"]:
        reasons.append("meta_test_return in metrics.json is not that of the last row of progress.csv")
    return reasons


def _load(folder: Path, trial: TrialName, metrics: dict[str, Any], origin: dict[str, Any]) -> None:
    """InputError where the weights are not those of this encoder at these settings, or the test tasks are others."""
    if metrics["failure"]:
        return  # its networks may never have been constructed
    settings = Settings.model_validate(origin["settings"])
    weights = folder / trial.weights / WEIGHTS
    loaded = load_trial(settings, find_encoder_file(trial.encoder), weights, device="cpu")
    if read_json(folder / trial.result / "start.json")["test_tasks"] != loaded.test_tasks.tolist():
        raise InputError("start.json lists other test tasks than this environment has")


def _in_the_way(folder: Path, trial: TrialName, replace: bool) -> list[str]:
    if not is_whole(ROOT / trial.result):
        try:
            check_destination(ROOT / trial.result)
        except InputError as error:
            return [str(error)]
    elif (names := different(folder, trial)) and not replace:
        return [f"another result is here already ({', '.join(names)} differ); --replace puts this one in its place"]
    return []


def different(folder: Path, trial: TrialName) -> list[str]:
    """The deterministic files in which the result here differs from the archive's; missing weights do not count."""
    names = [f"{trial.result}/{name}" for name in DETERMINISTIC]
    names += [f"{trial.weights}/{WEIGHTS}"] * (ROOT / trial.weights / WEIGHTS).exists()
    return [name for name in names if not _same_bytes(ROOT / name, folder / name)]


def recorded_hashes(folder: Path) -> Hashes:
    """As the archive's dvc.lock has them; empty without one. InputError where it cannot be read."""
    try:
        stages = yaml.safe_load((folder / LOCK).read_text())["stages"]
        outs = [{out["path"]: out["md5"] for out in stage.get("outs", [])} for stage in stages.values()]
    except FileNotFoundError:
        return {}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise InputError(f"The archive's {LOCK} cannot be read: {type(error).__name__}: {error}") from error
    metrics = "/metrics.json"
    return {path.removesuffix(metrics): paths for paths in outs for path in paths if path.endswith(metrics)}


def kind(origin: dict[str, Any]) -> dict[str, Any]:
    """What of a provenance.json a reader compares results by. KeyError where it says nothing of it."""
    kind = {"device": origin["device"], "precision": origin["precision"], **provenance.kind(origin)}
    return kind | {"off_lock": "; ".join(origin["environment"]["off_lock"]) or None}


def read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def _same_bytes(one: Path, other: Path) -> bool:
    return one.exists() and one.read_bytes() == other.read_bytes()


def _git(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
