"""Record the benchmark's results against an edited engine without retraining, where the canary shows that they stand.

A pipeline that hashes sources cannot tell a refactoring from a change of behaviour. The canary can: where it is
identical, results whose only stale dependencies are engine files are committed to dvc.lock as they are.
"""

from typing import NamedTuple

from dvc.repo import Repo

from oyster.canary import listen
from oyster.runtime.errors import InputError
from oyster.runtime.provenance import ROOT
from oyster.runtime.yaml_file import read_yaml

ENGINE = "oyster/"


class Kept(NamedTuple):
    kept: list[str]  # stages whose results were recorded against the edited engine
    left: dict[str, str]  # stages that stay stale, each with what else changed


def keep_results() -> Kept:
    """InputError where the canary is not identical: then, honestly, the results have to be trained again."""
    read_yaml(ROOT / "dvc.lock")  # in a sentence, where DVC would end in a traceback
    outcomes = listen()
    silent = [outcome for outcome in outcomes if outcome.word != "identical"]
    if silent:
        raise InputError(
            "The canary does not show that the engine behaves as before, so nothing was recorded:\n"
            + "\n".join(f"  - {outcome.trial}: {outcome.word}: {outcome.detail}" for outcome in silent)
            + "\nIf the hardware is new to it: check out the commit of the results, run `make canary-record`, return."
        )
    repo = Repo(str(ROOT))
    kept, left = [], {}
    for stage in sorted(repo.index.stages, key=lambda stage: stage.addressing):
        if not (stage.name or "").startswith("train@") or not any(out.hash_info for out in stage.outs):
            continue  # not a trial, or never recorded
        changed = [name for dep in stage.deps for name in _changed(dep)]
        others = [name for name in changed if not name.startswith(ENGINE)]
        altered = [str(out) for out in stage.outs if out.exists and out.status()]
        if others or altered:
            left[stage.addressing] = ", ".join([*others, *altered])
        elif changed:
            repo.commit(stage.addressing, force=True, allow_missing=True)
            kept.append(stage.addressing)
    return Kept(kept, left)


def _changed(dependency) -> list[str]:
    """The names of what changed in a dependency: itself, or its parameters."""
    status = dependency.status()
    if not status:
        return []
    return [str(dependency)] if not getattr(dependency, "params", None) else [f"{dependency} {status}"]
