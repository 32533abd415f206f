"""`oyster record`: the benchmark's results into dvc.lock, in one go, those that carry their key and no others."""

import os
import sys
from pathlib import Path
from typing import NamedTuple

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.stage import Stage

from oyster.runtime.errors import InputError, describe
from oyster.runtime.key_file import differing, find_key_file
from oyster.runtime.records import read_json
from oyster.runtime.yaml_file import read_yaml

KEYS = Path("keys.json")


class Recorded(NamedTuple):
    stages: list[str]  # recorded now
    left: dict[str, str]  # not recorded, each with why


def record(report: Path = Path("reports/benchmark")) -> Recorded:
    """Bring keys.json up to date, then commit every stage whose result carries its key and that the lock lacks.

    `dvc commit` alone would bless whatever lies there. InputError where dvc.lock cannot be read.
    """
    if Path("dvc.lock").exists():
        read_yaml("dvc.lock")  # in a sentence, where DVC would end in a traceback
    recorded, left = [], {}
    # DVC runs the stage's `python`: this one, whether or not its environment is activated.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    try:
        with Repo() as repo:
            repo.reproduce("keys")
    except DvcException as error:
        raise InputError(f"{KEYS} cannot be made anew ({describe(error)}). `dvc repro keys` shows why.") from error
    with Repo() as repo, repo.lock:
        keys = read_json(KEYS)
        for stage in repo.index.stages:
            name = stage.addressing
            if not name.startswith("train@") and name != "report":
                continue
            folder, key = _asked(stage, keys, report)
            if why := why_not(folder, key):
                left[name] = why
            elif not _is_recorded(stage):
                stage.save(allow_missing=True)
                stage.commit(allow_missing=True)
                stage.dump(update_pipeline=False)
                recorded.append(name)
    return Recorded(recorded, left)


def why_not(folder: Path, key: str | None) -> str | None:
    """Why what lies in `folder` is not the result of that key; None where it is."""
    try:
        found = find_key_file(folder)
    except InputError as error:
        return str(error)
    if found is None:
        return "no result" if not folder.exists() else "without a key"
    if found.key != key:
        return f"of another key ({found.key})"
    if found.off_lock:
        return f"not of the lock's versions: {', '.join(found.off_lock)}"
    wrong = differing(found)
    return wrong[0] if wrong else None


def _asked(stage: Stage, keys: dict, report: Path) -> tuple[Path, str | None]:
    """Where a stage's result lies, and the key that keys.json asks of it."""
    if stage.addressing == "report":
        return report, keys.get("report")
    metrics = next(Path(out.def_path) for out in stage.outs if out.def_path.endswith("metrics.json"))
    environment, agent, seed = metrics.parts[-4:-1]
    return metrics.parent, keys["trials"].get(environment, {}).get(agent, {}).get(seed)


def _is_recorded(stage: Stage) -> bool:
    """Whether the lock has what is there; weights may be elsewhere."""
    if any(dep.status() for dep in stage.deps) or any(not out.hash_info for out in stage.outs):
        return False
    return not any(out.status() for out in stage.outs if out.exists)
