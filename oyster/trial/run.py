"""One agent, one environment, one seed: assemble, train, record."""

import shlex
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from oyster import algorithms
from oyster.algorithms.settings import Settings
from oyster.envs import load_family
from oyster.envs.contract import require_family
from oyster.runtime import provenance, seeds
from oyster.runtime.checkpoint import CheckpointFolder, ForeignCheckpoint, join, split
from oyster.runtime.destination import check_place, exclusive, remove, scratch_folder
from oyster.runtime.device import choose_device, fix_arithmetic, multiplies_bfloat16
from oyster.runtime.errors import InputError, Stopped, TrialFailure
from oyster.runtime.files import file_sha256, printable
from oyster.runtime.key_file import write_key_file
from oyster.runtime.records import (
    RESULT_FILES,
    RUNNING,
    WEIGHTS,
    Provenance,
    check_destination,
    is_whole,
    publish,
    read_json,
    write_csv,
    write_json,
)
from oyster.trial.results import write_results
from oyster.trial.training import Training

OnProgress = Callable[[Training, Any], None]  # after a step within an iteration, and with the line after each


class Trial:
    """Everything that one trial needs, assembled; `training` is None until the agent has been constructed."""

    def __init__(self, settings: Settings, sources: Mapping[str, Path], device: str = "auto"):
        """`sources`: the user's files that determine the agent, by what they are.

        InputError for a device that is not there, an unknown environment or a file that cannot be used.
        """
        self.settings, self.sources = settings, sources
        self.device = choose_device(device)
        self.family = load_family(settings.environment)
        self.algorithm = algorithms.load(settings.algorithm)
        self.loaded = self.algorithm.load_sources(settings, sources)
        require_family(self.family)
        s = settings
        self.train_tasks, self.test_tasks = self.family.tasks(s.train_tasks, s.test_tasks, s.task_seed)
        self.training: Training | None = None

    def make_agent(self) -> nn.Module:
        """The agent as it is before training. TrialFailure where a user's code fails."""
        fix_arithmetic(self.settings.threads)
        seeds.seed_torch(self.settings.seed)
        return self.algorithm.make_agent(self.settings, self.family, self.loaded, self.device).to(self.device)

    def assemble(self) -> Training:
        """Construct the agent, and what trains it."""
        self.training = Training(self.settings, self.make_agent(), self.family, self.train_tasks, self.test_tasks)
        return self.training

    def identity(self) -> dict[str, str]:
        """What a checkpoint must share with this trial to be gone on from. Its code: the key in the scratch's name."""
        return {
            "settings": settings_sha256(self.settings),
            **{f"{name} file": file_sha256(file) for name, file in self.sources.items()},
            "torch": torch.__version__,
            "device": self.device.type,
        }


class CarriedKey(NamedTuple):
    """The key that the result is to carry (oyster/key.py): the trial only hands it on."""

    text: str
    parts: dict[str, Any]
    off_lock: list[str]


def run_trial(
    settings: Settings,
    sources: Mapping[str, Path],
    out: Path,
    *,
    key: CarriedKey | None = None,
    weights: Path | None = None,
    device: str = "auto",
    record_failure: bool = False,
    replace: bool = False,
    checkpoint_minutes: float = 5.0,
    before_training: Callable[[], None] = lambda: None,
    stop_asked: Callable[[], bool] = lambda: False,
    on_progress: OnProgress = lambda training, row: None,
    warn: Callable[[str], None] = lambda message: None,
) -> None:
    """Train and write the result to `out` (the weights to `weights`, where given), whole or not at all.

    A run that was killed goes on from its newest checkpoint. Where the encoder makes the trial fail: TrialFailure,
    nothing written; with `record_failure` (a pipeline's way) the failure is the result, and scratch that another trial
    left is dropped instead of refused. `replace`: a result that is there gives way. `before_training` is called once
    all code is loaded, and may refuse. Stopped, after a checkpoint, soon after `stop_asked` says so.
    """
    check_place("--out", out)
    scratch = scratch_folder(out, key and key.text)
    _check_destination(out, weights, settings, sources, scratch, replace)
    trial = Trial(settings, sources, device)
    before_training()
    origin = _origin(trial) | ({"key": key.text} if key else {})  # now: what fails here must not fail after training
    for problem in origin["unreadable"]:
        warn(f"provenance lacks what cannot be read: {problem}")
    if settings.precision == "bfloat16" and not multiplies_bfloat16(trial.device):
        warn("this processor has no bfloat16 arithmetic: the trial will take longer than in float32, not less")
    with exclusive(scratch):
        if _is_published(out, weights, settings, sources):  # killed between its arrival and the end
            remove(scratch)
            return
        check_destination(out, weights, replace=replace)  # again: one may have arrived while the lock was waited for
        attempt = _Attempt(trial, scratch, checkpoint_minutes, stop_asked, on_progress, warn)
        failure = None
        try:
            attempt.train(drop_foreign=record_failure)
        except TrialFailure as error:
            if not record_failure:
                remove(scratch)
                raise
            failure = error
        result = scratch / "result"
        shutil.rmtree(result, ignore_errors=True)  # of a run that was killed while writing it
        write_results(result, settings, trial.family, trial.test_tasks, trial.algorithm.Row, trial.training, failure)
        write_json(result / "provenance.json", Provenance(**origin, **_effort(trial, attempt)))
        if key:
            files = [result / name for name in (*RESULT_FILES, WEIGHTS)]
            write_key_file(result, key.text, key.parts, files, off_lock=key.off_lock)
        publish(result, out, weights)
        remove(scratch)


def _check_destination(
    out: Path, weights: Path | None, settings: Settings, sources: Mapping[str, Path], scratch: Path, replace: bool
) -> None:
    """Before anything is loaded; a result of this very trial whose scratch is still there is let through."""
    if not (scratch.exists() and _is_published(out, weights, settings, sources)):
        check_destination(out, weights, replace=replace)


def _is_published(out: Path, weights: Path | None, settings: Settings, sources: Mapping[str, Path]) -> bool:
    """Whether `out` holds the whole result of this very trial."""
    if not is_whole(out, weights):
        return False
    recorded = read_json(out / "provenance.json")
    asked = {"settings_sha256": settings_sha256(settings), **_hashes(sources)}
    return all(recorded.get(name) == digest for name, digest in asked.items())


def _hashes(sources: Mapping[str, Path]) -> dict[str, str]:
    """As provenance.json names them: encoder_sha256."""
    return {f"{name}_sha256": file_sha256(file) for name, file in sources.items()}


class _Attempt:
    """Trains a trial in this process, from its newest checkpoint on, and leaves checkpoints."""

    def __init__(self, trial: Trial, scratch: Path, checkpoint_minutes: float, stop_asked, on_progress, warn):
        self.trial, self.scratch, self.stop_asked = trial, scratch, stop_asked
        self.on_progress, self.warn = on_progress, warn
        self.checkpoints = CheckpointFolder(scratch / "checkpoints", trial.identity())
        self.interval = 60.0 * checkpoint_minutes
        self.started = self.saved = time.monotonic()
        self.seconds_before = 0.0  # spent in processes that were killed, up to the checkpoint
        self.iteration_seconds: list[float] = []

    def elapsed(self) -> float:
        return self.seconds_before + time.monotonic() - self.started

    def train(self, drop_foreign: bool) -> None:
        training = self.trial.assemble()
        for warning in training.agent.warnings:
            self.warn(warning)
        self._resume(training, drop_foreign)
        for row in training.run(self._within_iteration):
            self.iteration_seconds.append(round(self.elapsed(), 3))
            self._show_others(training)
            self.on_progress(training, row)
            if training.iteration < self.trial.settings.num_iterations:
                self._save(training)
                self._stop_if_asked(training)

    def _within_iteration(self, training: Training) -> None:
        self.on_progress(training, None)
        if time.monotonic() - self.saved > self.interval or self.stop_asked():
            self._save(training)
            self._stop_if_asked(training)

    def _stop_if_asked(self, training: Training) -> None:
        if self.stop_asked():
            raise Stopped(f"in iteration {training.iteration}; its checkpoint is in {self.checkpoints.folder}")

    def _show_others(self, training: Training) -> None:
        """What `oyster status` reads from another terminal."""
        seconds, of = self.iteration_seconds, self.trial.settings.num_iterations
        write_json(self.scratch / RUNNING, {"iteration_seconds": seconds, "num_iterations": of})
        write_csv(self.scratch / "progress.csv", training.line._fields, training.rows)

    def _save(self, training: Training) -> None:
        spent = {"seconds": self.elapsed(), "iteration_seconds": self.iteration_seconds}
        self.checkpoints.save(split({"training": training.state_dict(), **spent}))
        self.saved = time.monotonic()

    def _resume(self, training: Training, drop_foreign: bool) -> None:
        try:
            checkpoint = self.checkpoints.load_newest(self.warn)
        except ForeignCheckpoint as foreign:
            folder = self.checkpoints.folder.parent
            if not drop_foreign:
                raise InputError(
                    f"{folder} holds a checkpoint of another trial (other {foreign}): this one cannot go on from it. "
                    "Remove that folder to start from the beginning, or give another --out."
                ) from None
            self.warn(f"dropped a checkpoint of another trial (other {foreign}); starting from the beginning")
            shutil.rmtree(self.checkpoints.folder)
            return
        if checkpoint is None:
            return
        state = join(checkpoint)
        training.load_state_dict(state["training"])
        self.seconds_before, self.iteration_seconds = state["seconds"], state["iteration_seconds"]
        self.warn(f"going on from iteration {training.iteration}, gradient step {training.learner.gradient_steps}")


def settings_sha256(settings: Settings) -> str:
    return provenance.sha256_of_json(settings.model_dump(mode="json"))


def _origin(trial: Trial) -> dict:
    """All of provenance.json that is known before training."""
    return provenance.commit() | {
        "settings": trial.settings.model_dump(mode="json"),
        "settings_sha256": settings_sha256(trial.settings),
        **_hashes(trial.sources),
        "environment": provenance.environment(),
        "hardware": provenance.hardware(trial.device.type),
        "device": trial.device.type,
        "precision": trial.settings.precision,
        "threads": trial.settings.threads,
        "command": printable(shlex.join(["python", "-m", "oyster", *sys.argv[1:]])),
    }


def _effort(trial: Trial, attempt: "_Attempt") -> dict:
    """The rest: what training took, and what its checks warned of."""
    training, wall_seconds = trial.training, attempt.elapsed()
    gradient_steps = training.learner.gradient_steps if training else 0
    return {
        "warnings": training.agent.warnings if training else [],
        "wall_seconds": round(wall_seconds, 3),
        "iteration_seconds": attempt.iteration_seconds,
        "environment_steps": training.learner.environment_steps if training else 0,
        "gradient_steps": gradient_steps,
        "gradient_steps_per_second": round(gradient_steps / wall_seconds, 3),
        "peak_memory_mb": round(provenance.peak_memory_mb(), 1),
        "parameters": training.agent.encoder_parameters() if training else None,
    }
