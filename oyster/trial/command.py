"""`oyster train`: what stands between command and trial. Is the result there? Is this the code that was asked for?"""

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from oyster.algorithms.settings import Settings
from oyster.key import Key, Tree, differences
from oyster.runtime.destination import exclusive, remove, scratch_folder
from oyster.runtime.errors import InputError, Stopped
from oyster.runtime.key_file import SUFFIX, KeyFile, differing, find_key_file, write_key_file
from oyster.runtime.records import (
    RESULT_FILES,
    WEIGHTS,
    check_destination,
    find_weights,
    is_whole,
    publish,
    read_json,
)

RESULTS = Path("results")
OFF_LOCK = "OYSTER_OFF_LOCK"


class Options(NamedTuple):
    """Of one call. `expected`: the key that a pipeline asks for, or None."""

    out: Path
    weights: Path | None = None
    expected: str | None = None
    device: str = "auto"
    record_failure: bool = False
    checkpoint_minutes: float = 5.0
    tensorboard: Path | None = None


class Stop:
    """SIGTERM and SIGINT ask a trial to leave a checkpoint first; a second one ends the process."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, self._note)

    def _note(self, number: int, _frame) -> None:
        self.signal = signal.Signals(number)
        signal.signal(number, signal.SIG_DFL)

    def asked(self) -> bool:
        return self.signal is not None


def train(
    settings: Settings, sources: Mapping[str, Path], options: Options, say: Callable[[str], None], stop: Stop
) -> None:
    """Run the trial, unless its result is there. InputError where the tree is not what a pipeline asks for."""
    tree = Tree()
    key = tree.trial_key(settings, sources)
    off_lock = tree.off_lock()
    if options.expected is not None:
        _require(key, options.expected)
        if off_lock and not os.environ.get(OFF_LOCK):
            raise InputError(
                f"Other versions are installed than the lock's: {'; '.join(off_lock)}. `make .venv/installed` installs "
                f"those of the lock; {OFF_LOCK}=1 trains with these, for a result that is never recorded."
            )
        if _found(key, options, say):
            return
    from oyster.trial.progress import TrialProgress
    from oyster.trial.run import CarriedKey, run_trial

    def refuse_other_code() -> None:
        """What was loaded must be what was hashed."""
        if (now := Tree().trial_key(settings, sources)).text != key.text:
            raise InputError(f"Sources were edited as the trial started ({_moved(key, now)}). Run the command again.")

    with _says_where_it_stopped(say, stop), TrialProgress(settings, tensorboard=options.tensorboard) as progress:
        run_trial(
            settings,
            sources,
            options.out,
            key=CarriedKey(key.text, key.parts, off_lock),
            weights=options.weights,
            device=options.device,
            record_failure=options.record_failure,
            replace=options.expected is not None,
            checkpoint_minutes=options.checkpoint_minutes,
            before_training=refuse_other_code,
            stop_asked=stop.asked,
            on_progress=progress,
            warn=progress.warn,
        )
    if (now := Tree().trial_key(settings, sources)).text != key.text:
        say(f"note: sources were edited meanwhile ({_moved(key, now)}); the result is of those that were loaded.")


@contextmanager
def _says_where_it_stopped(say: Callable[[str], None], stop: Stop) -> Iterator[None]:
    """Exit code 143 after SIGTERM, 130 after SIGINT."""
    try:
        yield
    except Stopped as stopped:
        say(f"Stopped by {stop.signal.name} {stopped}. The same command goes on from there.")
        sys.exit(128 + stop.signal)


def expected_key(word: str, settings: Settings) -> str:
    """`--expect-key`: a key, or a JSON file of a grid's keys (keys.json)."""
    if not word.endswith(".json"):
        return word
    found = read_json(Path(word)).get("trials", {})
    for name in (settings.environment, settings.agent, str(settings.seed)):
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, str):
        trial = f"{settings.agent} on {settings.environment}, seed {settings.seed}"
        raise InputError(f"{word} has no key of {trial}. `dvc repro keys` writes it anew.")
    return found


def _require(key: Key, expected: str) -> None:
    if key.text != expected:
        raise InputError(
            f"The pipeline asks for the key {expected}, and the tree gives {key.text}: something that the trial "
            "depends on was edited in between. Run the same command again."
        )


def _moved(old: Key, new: Key) -> str:
    return "; ".join(differences(old.parts, new.parts))


# --- nothing is trained twice -----------------------------------------------------------------------------------------


def _found(key: Key, options: Options, say: Callable[[str], None]) -> bool:
    """Whether the result is at its place now: left there, given its lost key file, or copied from another place."""
    out = options.out
    if _is_whole_of(key, out, options.weights):
        say(f"{out} holds the result of this key already.")
        return True
    if find_key_file(out) is None and _is_recorded_of(key, out, options.weights):
        files = [*(out / name for name in RESULT_FILES), (options.weights or out) / WEIGHTS]
        write_key_file(out, key.text, key.parts, files, off_lock=_recorded_off_lock(out))
        say(f"{out} holds the result of this key already; its key file was missing.")
        return True
    for path in sorted(RESULTS.glob(f"*/*/*/*/{key.text}{SUFFIX}")):
        if path.parent.resolve() != out.resolve() and _is_whole_of(key, path.parent, None):
            _copy(path.parent, out, options.weights, key.text)
            say(f"{out}: copied from {path.parent}, which has the same key.")
            return True
    return False


def _is_whole_of(key: Key, folder: Path, weights: Path | None) -> bool:
    """Weights too: a result without them is trained again, as its reader asked."""
    try:
        found: KeyFile | None = find_key_file(folder)
    except InputError:
        return False
    place = (weights or find_weights(folder).parent) / WEIGHTS
    return found is not None and found.key == key.text and place.exists() and not differing(found)


def _is_recorded_of(key: Key, out: Path, weights: Path | None) -> bool:
    if not is_whole(out, weights or out):
        return False
    return read_json(out / "provenance.json").get("key") == key.text


def _recorded_off_lock(out: Path) -> list[str]:
    """What provenance says of it, as the key file that is lost did."""
    environment = read_json(out / "provenance.json").get("environment")
    return (environment.get("off_lock") or []) if isinstance(environment, dict) else []


def _copy(source: Path, out: Path, weights: Path | None, key: str) -> None:
    check_destination(out, weights, replace=True)
    scratch = scratch_folder(out, key)
    with exclusive(scratch):
        result = scratch / "result"
        shutil.rmtree(result, ignore_errors=True)
        shutil.copytree(source, result)
        if not (result / WEIGHTS).exists():
            shutil.copy2(find_weights(source), result / WEIGHTS)
        publish(result, out, weights)
        remove(scratch)
