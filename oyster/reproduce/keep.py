"""`oyster keep`: the present key for results of an older one, where nothing that they depend on behaves otherwise.

A hash cannot tell a refactoring from a change of behaviour; tiny trials can. The canary's are run twice, here: with
this tree, and with the commit at which a result last carried its key. Every byte must be the same.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from oyster.algorithms.pearl.settings import Settings, find_encoder_file
from oyster.before import settings_of_before
from oyster.key import DIGITS, NAMES, ROOT, differences
from oyster.reproduce.worktree import worktree
from oyster.runtime.errors import InputError
from oyster.runtime.files import printable
from oyster.runtime.git import run_git
from oyster.runtime.key_file import KeyFile, differing, find_key_file, write_key_file
from oyster.runtime.provenance import commit as commit_here
from oyster.runtime.records import DETERMINISTIC, RESULT_FILES, WEIGHTS, find_weights, problems, read_json
from oyster.runtime.yaml_file import read_yaml
from oyster.status import Keyed

FOLDER = ROOT / "tests" / "canary"
CANARY = {"cheetah-vel": "mlp", "sparse-point-robot": "recurrent", "point-robot": "attention"}  # family: encoder
OTHERS = "mlp"  # of the other families
TRAIN = ("train", "--seed", "1", "--budget", "canary", "--params", "tests/canary/params.yaml", "--device", "cpu")
HERE = "here"
CODE = ("engine", "algorithm", "family", "settings", "versions")  # parts of a key that are no user's file


class Kept(NamedTuple):
    kept: list[str]  # folders that carry the present key now
    left: dict[str, str]  # folders that do not, each with why


def keep(stale: list[Keyed], since: str | None, say: Callable[[str], None]) -> Kept:
    """Give each result its present key, or say why not.

    `since` names the commit whose dvc.lock vouches for results of before keys.
    """
    here, kept, left = commit_here(), [], {}
    with tempfile.TemporaryDirectory(prefix="keep-") as folder, _Trees(Path(folder), say) as trees:
        for each in stale:
            try:
                base = _base(each, since, trees)
                _require_same_behaviour(each, base, trees)
                _give_key(each, base, here)
            except InputError as error:
                left[str(each.folder)] = str(error)
                continue
            kept.append(str(each.folder))
    return Kept(kept, left)


# --- which commit, and what must be the same --------------------------------------------------------------------------


def _base(keyed: Keyed, since: str | None, trees: "_Trees") -> str:
    """The commit at which a result was the tree's own. InputError where there is none to compare with."""
    if wrong := problems(keyed.folder):
        raise InputError(f"it is not whole: {wrong[0]}")
    found, recorded = find_key_file(keyed.folder), read_json(keyed.folder / "provenance.json")
    _require_same_inputs(keyed, found, recorded)
    if recorded.get("dirty"):
        raise InputError("it was trained with changes that no commit has")
    if found is None:
        if since is None:
            raise InputError("it has no key. Name with --since the commit whose dvc.lock has it up to date")
        base = _resolve(since)
        _require_recorded(keyed, base, trees)
        return base
    if found.off_lock:
        raise InputError(f"it is not of the lock's versions: {', '.join(found.off_lock)}")
    if wrong := differing(found):
        raise InputError(wrong[0])
    added = run_git(ROOT, "log", "-1", "--format=%H", "--diff-filter=A", "--", str(found.path.resolve()))
    commits = list(filter(None, (added.stdout.decode().strip(), recorded.get("commit"))))
    for commit in commits:
        if not (odd := _other_sources(found, trees.of(commit))):
            return commit
    raise InputError(f"no commit here has the code that its key names: at {commits[-1][:10]} {odd[0]} is another")


def _other_sources(found: KeyFile, tree: Path) -> list[str]:
    """The engine's, algorithm's and family's files, as the key lists them, that are not those of a tree."""
    parts = ("engine", "algorithm", "family")
    listed = {name: digest for part in parts for name, digest in found.parts[part].items()}
    files = {name: digest for name, digest in listed.items() if not name.startswith("package ")}
    return [name for name, digest in files.items() if _digest(tree / name) != digest]


def _digest(file: Path) -> str | None:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:DIGITS] if file.is_file() else None


def _require_same_inputs(keyed: Keyed, found: KeyFile | None, recorded: dict[str, Any]) -> None:
    """Versions, encoder, arguments and settings, by the key's parts, or by provenance where there is no key."""
    now = keyed.key.parts
    if found is not None:
        old = found.parts | {"settings": settings_of_before(found.parts["settings"])}
    else:
        settings = settings_of_before(recorded["settings"])
        old = {
            "versions": {name: str(recorded["environment"].get(name)).partition("+")[0] for name in now["versions"]},
            "encoder": {
                "file": recorded["encoder_sha256"][:DIGITS],
                "arguments": settings["encoder_arguments"],
                "packages": now["encoder"]["packages"],
            },
            "settings": {key: value for key, value in settings.items() if key not in NAMES},
        }
    inputs = ("versions", *(part for part in now if part not in CODE), "settings")
    if changed := differences(*({part: parts.get(part) for part in inputs} for parts in (old, now))):
        raise InputError(f"another trial's: {'; '.join(changed)}")


def _require_same_behaviour(keyed: Keyed, base: str, trees: "_Trees") -> None:
    environment, algorithm = keyed.trial.settings.environment, keyed.trial.settings.algorithm
    if algorithm != "pearl":
        raise InputError(f"no canary trial covers {algorithm} on {environment}: nothing shows what the edit does to it")
    for encoder in canary_encoders(keyed.trial.settings):
        ours, theirs = (trees.sung(place, environment, encoder) for place in (HERE, base))
        if changed := [name for name in DETERMINISTIC if (ours / name).read_bytes() != (theirs / name).read_bytes()]:
            raise InputError(f"the canary's trial on {environment} behaves otherwise: {', '.join(changed)} changed")


def canary_encoders(settings: Settings) -> list[str]:
    """With which the canary's trials cover a result: its family's, and its own where that acts by `belief_to_act`, the
    one way through the engine that none of the canary's takes.
    """
    own = settings.encoder
    acts = "belief_to_act" in find_encoder_file(own).read_text()
    return [CANARY.get(settings.environment, OTHERS), *([own] if acts else [])]


def _require_recorded(keyed: Keyed, base: str, trees: "_Trees") -> None:
    """That the commit's own DVC calls the result up to date, and that it is the same here, byte for byte."""
    stage = "-".join(["train@" + keyed.trial.settings.environment, *map(str, keyed.trial.identity[1:])])
    weights = f"weights/{keyed.trial.place}/{WEIGHTS}"
    fine = [[{"changed outs": {weights: word}}] for word in ("deleted", "not in cache")]
    if (said := trees.stale_for_dvc(base).get(stage)) not in (None, *fine):
        raise InputError(f"that commit's DVC does not call it up to date: {said}")
    tree = trees.of(base)
    for name in RESULT_FILES:
        if (tree / keyed.folder / name).read_bytes() != (keyed.folder / name).read_bytes():
            raise InputError(f"{name} is not that commit's")


# --- the tiny trials --------------------------------------------------------------------------------------------------


class _Trees(ExitStack):
    """The trees of commits, and what the canary's trials leave with their code; each made when it is asked for."""

    def __init__(self, folder: Path, say: Callable[[str], None]):
        super().__init__()
        self.folder, self.say, self.trees = folder, say, {HERE: ROOT}
        self.stale: dict[str, dict] = {}

    def of(self, commit: str) -> Path:
        if commit not in self.trees:
            self.trees[commit] = self.enter_context(worktree(commit))
        return self.trees[commit]

    def stale_for_dvc(self, commit: str) -> dict:
        """What `dvc status` says there, by stage."""
        if commit not in self.stale:
            done = _python(self.of(commit), "-m", "dvc", "status", "--json", "dvc.yaml")
            try:
                self.stale[commit] = json.loads(done.stdout)
            except ValueError:
                raise InputError(f"DVC does not run at {commit[:10]}: {printable(done.stderr[-500:])}") from None
        return self.stale[commit]

    def sung(self, commit: str, environment: str, encoder: str) -> Path:
        """The folder of the canary's result."""
        out = self.folder / commit / environment / encoder
        if not out.exists():
            self.say(f"the canary's trial of {encoder} on {environment}, with the code of {commit[:10]}")
            named = ("--env", environment, "--encoder", encoder, "--out", str(out))
            done = _python(self.of(commit), "-m", "oyster", *TRAIN, *named)
            if done.returncode:
                raise InputError(f"the canary's trial on {environment} does not run: {printable(done.stderr[-500:])}")
        return out


def _python(tree: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], cwd=tree, capture_output=True, text=True)


def _resolve(revision: str) -> str:
    found = run_git(ROOT, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if found.returncode:
        raise InputError(f"git knows no commit {revision!r}")
    return found.stdout.decode().strip()


# --- the record -------------------------------------------------------------------------------------------------------


def _give_key(keyed: Keyed, base: str, here: dict[str, Any]) -> None:
    old = find_key_file(keyed.folder)
    entry = {"key": old and old.key, "from": base, "by": here["commit"], "with_changes": here["dirty"]}
    files = [keyed.folder / name for name in RESULT_FILES]
    weights = find_weights(keyed.folder)
    kept = [*(old.kept if old else []), entry]
    elsewhere = {} if weights.exists() else {WEIGHTS: old.files[WEIGHTS] if old else _locked_weights(keyed)}
    files += [weights] if weights.exists() else []
    write_key_file(keyed.folder, keyed.key.text, keyed.key.parts, files, recorded=elsewhere, kept=kept)
    if old and old.key != keyed.key.text:
        old.path.unlink()


def _locked_weights(keyed: Keyed) -> dict[str, Any]:
    """What dvc.lock says of weights that are not here."""
    path = f"weights/{keyed.trial.place}/{WEIGHTS}"
    for stage in read_yaml("dvc.lock")["stages"].values():
        for out in stage.get("outs", []):
            if out["path"] == path:
                return {"md5": out["md5"], "size": out["size"]}
    raise InputError(f"dvc.lock does not record {path}, and it is not here")
