"""What a grid still needs, and why: every trial's state, read from its result, or from what a running one leaves."""

import csv
import json
import os
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from oyster.algorithms import find
from oyster.grid import Params, Trial, find_grid, trials
from oyster.key import Key, Tree, differences
from oyster.runtime.destination import is_held, scratch_folder
from oyster.runtime.errors import InputError
from oyster.runtime.files import write_text
from oyster.runtime.key_file import SUFFIX, KeyFile, differing, find_key_file, missing_or_cut
from oyster.runtime.records import RUNNING, find_weights

UP_TO_DATE, FAILED, STALE, SPOILT, NO_KEY = "up to date", "failed", "stale", "spoilt", "without a key"
TRAINING, INTERRUPTED, MISSING = "training", "interrupted", "not run"
DONE = (UP_TO_DATE, FAILED)


class Keyed(NamedTuple):
    """A trial, and the key that the tree asks of its result."""

    trial: Trial
    key: Key

    @property
    def folder(self) -> Path:
        return Path("results", self.trial.place)

    @property
    def key_file(self) -> Path:
        return self.folder / f"{self.key.text}{SUFFIX}"


class State(NamedTuple):
    """`word` is one of the above, `why` a sentence or less; costs are None where nothing was measured."""

    keyed: Keyed
    word: str
    why: str = ""
    seconds: float | None = None  # that its training took, or that are left of it
    memory_mb: float | None = None
    bytes: int | None = None


def keyed_trials(params: Params, grid: str, tree: Tree | None = None) -> list[Keyed]:
    """Every trial of a grid with its key. InputError where an encoder's file is missing."""
    tree = tree or Tree()
    return [Keyed(each, tree.trial_key(each.settings, sources_of(each))) for each in trials(params, grid)]


def sources_of(trial: Trial) -> dict[str, Path]:
    """The user's files that determine a trial's agent. InputError, with the agent's name, where one is missing."""
    try:
        return find(trial.settings.algorithm).sources(trial.settings)
    except InputError as error:
        raise InputError(f"agents.{trial.settings.agent}.encoder: {error}") from None


def report_key(params: Params, grid: str, keyed: Iterable[Keyed], tree: Tree) -> Key:
    """The key of a grid's report."""
    entry = find_grid(params, grid)
    beside = [path for other in entry.beside for path in Path("results", other).glob(f"*/*/*/*{SUFFIX}")]
    keys = {each.trial.place: each.key.text for each in keyed}
    return tree.report_key(entry.model_dump(mode="json"), keys, beside)


def write_keys(params: Params, grid: str, path: Path) -> None:
    """keys.json: every trial's key, and the report's. DVC reads it, and a diff of it says what a commit asks anew."""
    tree = Tree()
    keyed = keyed_trials(params, grid, tree)
    nested: dict[str, Any] = {}
    for each in keyed:
        environment, agent, seed = each.trial.identity
        nested.setdefault(environment, {}).setdefault(agent, {})[str(seed)] = each.key.text
    content = {"trials": nested, "report": report_key(params, grid, keyed, tree).text}
    write_text(path, json.dumps(content, indent=1) + "\n")


def require_whole(key_files: Iterable[Path]) -> None:
    """InputError where a key file is there and what it lists is not, as a copy that was cut short leaves it."""
    for path in key_files:
        if path.exists() and (wrong := missing_or_cut(_read(path.parent))):
            raise InputError(
                f"{path.parent} carries its key, and {wrong[0]}. Copy it again, restore it by git, or remove it."
            )


def state(keyed: Keyed) -> State:
    """What there is of a trial."""
    running = _running(keyed)
    try:
        found = find_key_file(keyed.folder)
    except InputError as error:
        return running or State(keyed, SPOILT, str(error))
    if found is None:
        if running:
            return running
        recorded = (keyed.folder / "metrics.json").exists()
        return State(keyed, NO_KEY, "`oyster keep` can give it one") if recorded else State(keyed, MISSING)
    if found.key != keyed.key.text:
        why = "; ".join(differences(found.parts, keyed.key.parts))
        return running or _finished(keyed, found)._replace(word=STALE, why=why)
    if wrong := differing(found):
        return running or State(keyed, SPOILT, wrong[0])
    return _finished(keyed, found)


def states(params: Params, grid: str) -> list[State]:
    return [state(each) for each in keyed_trials(params, grid)]


def _read(folder: Path) -> KeyFile:
    found = find_key_file(folder)
    if found is None:
        raise InputError(f"{folder} has no key file.")
    return found


def _finished(keyed: Keyed, found: KeyFile) -> State:
    metrics, recorded = (_json(keyed.folder / name) for name in ("metrics.json", "provenance.json"))
    failure = metrics.get("failure")
    why = f"iteration {failure.get('iteration')}: {failure.get('reason')}" if isinstance(failure, dict) else ""
    if found.off_lock:
        why = f"not of the lock: {'; '.join(found.off_lock)}"
    elif not why and not find_weights(keyed.folder).exists():
        why = "weights not here"
    size = sum(file.size for file in found.files.values())
    word = FAILED if failure else UP_TO_DATE
    return State(keyed, word, why, recorded.get("wall_seconds"), recorded.get("peak_memory_mb"), size)


# --- a trial that runs ------------------------------------------------------------------------------------------------


def _running(keyed: Keyed) -> State | None:
    """From the scratch of a trial that runs, here or in another terminal, or that was stopped."""
    scratch = scratch_folder(keyed.folder, keyed.key.text)
    if not scratch.is_dir():
        return None
    seconds = _json(scratch / RUNNING).get("iteration_seconds") or []
    total = keyed.trial.settings.num_iterations
    left = (total - len(seconds)) * seconds[-1] / len(seconds) if seconds else None
    why = f"iteration {len(seconds)} of {total}"
    if (value := _last_return(scratch / "progress.csv")) is not None:
        why += f", return {value:.2f}"
    if not is_held(scratch):
        return State(keyed, INTERRUPTED, why, left)
    return State(keyed, TRAINING, why + (f", {in_words(left)} left" if left is not None else ""), left)


def _last_return(path: Path) -> float | None:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return float(list(csv.DictReader(file))[-1]["meta_test_return"])
    except (OSError, ValueError, LookupError):
        return None


def _json(path: Path) -> dict[str, Any]:
    """A mapping, or an empty one: what a status shows may be half written or spoilt."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


# --- what is left -----------------------------------------------------------------------------------------------------


def summary(found: list[State]) -> list[str]:
    """Lines: how many trials are in which state; what is left to do, in hours, memory and disk, where measured."""
    counts = {word: sum(each.word == word for each in found) for word in dict.fromkeys(each.word for each in found)}
    lines = [", ".join(f"{count} {word}" for word, count in counts.items()) + f" of {len(found)} trials"]
    left = [each for each in found if each.word not in DONE]
    if not left:
        return lines
    begun = (TRAINING, INTERRUPTED)  # of which `seconds` are those that are left
    seconds = [each.seconds if each.word in begun and each.seconds else _typical(each, found) for each in left]
    known = [value for value in seconds if value is not None]
    if not known:
        return [*lines, f"{len(left)} trials to do; how long is not known: none of this grid has been measured."]
    total = sum(known) * len(left) / len(known)
    memory = max((each.memory_mb or 0 for each in found), default=0)
    size = max((each.bytes or 0 for each in found), default=0)
    at_once = min(counts.get(TRAINING) or os.cpu_count() or 1, len(left))
    lines.append(
        f"{len(left)} trials to do: about {total / 3600:.1f} core-hours, {in_words(total / at_once)} with {at_once} at "
        f"a time; up to {memory:.0f} MB of memory each, {size * len(left) / 1e6:.0f} MB of disk"
    )
    return lines


def _typical(wanted: State, found: list[State]) -> float | None:
    """Seconds of the trials of its environment and agent; else of its environment; else of any."""
    environment, agent, _ = wanted.keyed.trial.identity
    for same in (lambda e, a: (e, a) == (environment, agent), lambda e, a: e == environment, lambda e, a: True):
        values = [
            each.seconds
            for each in found
            if each.word in (*DONE, STALE) and same(*each.keyed.trial.identity[:2]) and each.seconds is not None
        ]
        if values:
            return statistics.fmean(values)
    return None


def in_words(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
