"""Take in results that another machine trained, as if they had been trained here, or say why they cannot be.

A result belongs here if the working tree would have trained the same: the same commit's code of everything that the
trial depends on, the same settings, the same encoder file, and files that are whole and are those that were recorded.
"""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dvc.exceptions import DvcException
from dvc.repo import Repo

from oyster.archive import TrialName, opened, trials_in
from oyster.import_checks import Hashes, different, kind, read_json, recorded_hashes, why_not
from oyster.runtime.errors import InputError
from oyster.runtime.lock import exclusive, remove
from oyster.runtime.provenance import ROOT
from oyster.runtime.records import RESULT_FILES, WEIGHTS, is_whole, publish, scratch_folder
from oyster.settings import load_params


class Imported(NamedTuple):
    """Folders of results, by what became of them, and what a reader of them should know."""

    imported: list[str]
    already_here: list[str]  # the same bytes: left as they are
    refused: dict[str, list[str]]  # each with its reasons; only where the valid ones alone were asked for
    remarks: list[str]


def import_results(
    archive: Path, *, replace: bool = False, only_valid: bool = False, say: Callable[[str], None] = lambda line: None
) -> Imported:
    """Check every trial in `archive`, then put the results in place and record them in dvc.lock.

    All or none: InputError, with each refused trial's reasons and nothing changed, unless `only_valid`. A result that
    is here already and differs is refused too, unless `replace`. Killed half-way? The same call goes on.
    """
    repo = Repo(str(ROOT), _wait_for_lock=True)
    stages = {_folder_of(stage): stage for stage in repo.index.stages if (stage.name or "").startswith("train@")}
    params = load_params(ROOT / "params.yaml")
    with opened(archive) as folder:
        trials = trials_in(folder)
        if not trials:
            raise InputError(
                f"{archive} holds no results: expected results/<budget>/<environment>/<encoder>/<seed>/metrics.json in "
                "it, and weights/… beside. `python -m oyster export-results GRID` packs them so."
            )
        recorded = recorded_hashes(folder)
        reasons = {}
        for trial in trials:
            say(f"checking {trial.result}")
            reasons[trial] = why_not(folder, trial, stages.get(trial.result), params, recorded, replace)
        refused = {trial.result: why for trial, why in reasons.items() if why}
        if refused and not only_valid:
            raise InputError(
                f"{len(refused)} of {len(trials)} results cannot be imported, so none was "
                f"(--only-valid imports the others):\n{in_words(refused)}"
            )
        valid = [trial for trial in trials if not reasons[trial]]
        here = [trial for trial in valid if is_whole(ROOT / trial.result) and not different(folder, trial)]
        remarks = _remarks(folder, valid, [trial for trial in valid if trial not in here], recorded)
        for trial in valid:
            say(f"recording {trial.result}")
            _put_in_place(folder, trial, keep_result=trial in here)
            _record(repo, stages[trial.result])
    new = [trial.result for trial in valid if trial not in here]
    return Imported(new, [trial.result for trial in here], refused, remarks)


def in_words(refused: Mapping[str, list[str]]) -> str:
    return "\n".join(f"  - {name}: {reason}" for name, reasons in refused.items() for reason in reasons)


# --- what a reader should know ----------------------------------------------------------------------------------------


def _remarks(folder: Path, valid: list[TrialName], new: list[TrialName], recorded: Hashes) -> list[str]:
    remarks = []
    for trial in valid:
        if trial.result not in recorded:
            remarks.append(f"{trial.result}: no dvc.lock in the archive records its files; their hashes are unchecked")
    for trial in new:
        if off_lock := _kind(folder, trial)["off_lock"]:
            remarks.append(f"{trial.result}: trained off the lock: {off_lock}")
    return remarks + _mixtures(folder, new)


def _mixtures(folder: Path, new: list[TrialName]) -> list[str]:
    """One remark a budget whose results would then be of several kinds: hardware, versions, precision."""
    remarks = []
    for budget in sorted({trial.budget for trial in new}):
        coming = [trial for trial in new if trial.budget == budget]
        staying = [trial for trial in trials_in(ROOT) if trial.budget == budget and trial not in coming]
        kinds = [_kind(folder, trial) for trial in coming]
        kinds += [_kind(ROOT, trial) for trial in staying if (ROOT / trial.result / "provenance.json").exists()]
        varying = [key for key in kinds[0] if len({each.get(key) for each in kinds}) > 1]
        if varying:
            counts = Counter(", ".join(f"{key} {each.get(key)}" for key in varying) for each in kinds)
            listed = "; ".join(f"{count} with {words}" for words, count in counts.items())
            remarks.append(f"results/{budget} mixes kinds of results, which do not compare to the bit: {listed}")
    return remarks


def _kind(root: Path, trial: TrialName) -> dict[str, Any]:
    return kind(read_json(root / trial.result / "provenance.json"))


# --- putting it in place ----------------------------------------------------------------------------------------------


def _put_in_place(folder: Path, trial: TrialName, keep_result: bool) -> None:
    """The weights first, the result last and in one rename, under the lock that a trial at work would hold."""
    out, weights = ROOT / trial.result, ROOT / trial.weights
    if keep_result and (weights / WEIGHTS).exists():
        return
    scratch = scratch_folder(out)
    with exclusive(scratch):
        staged = scratch / "imported"
        shutil.rmtree(staged, ignore_errors=True)  # of an import that was killed
        staged.mkdir()
        shutil.copyfile(folder / trial.weights / WEIGHTS, staged / WEIGHTS)
        if keep_result:
            weights.mkdir(parents=True, exist_ok=True)
            os.replace(staged / WEIGHTS, weights / WEIGHTS)
        else:
            for name in RESULT_FILES:
                shutil.copyfile(folder / trial.result / name, staged / name)
            publish(staged, out, weights)
        remove(scratch)


def _record(repo: Repo, stage) -> None:
    try:
        repo.commit(stage.addressing, force=True)
    except DvcException as error:
        raise InputError(
            f"DVC did not record {stage.addressing}: {error}. Mend that, and run the same command again: what is in "
            "place already stays."
        ) from error


def _folder_of(stage) -> str | None:
    """The folder of results that a stage writes, from the root."""
    paths = (Path(out.fs_path) for out in stage.outs)
    return next((path.parent.relative_to(ROOT).as_posix() for path in paths if path.name == "metrics.json"), None)
