"""A trial that is killed, anywhere and as often as one likes, ends with the bytes of one that was not."""

import fcntl
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from oyster.algorithms.pearl import learner
from oyster.algorithms.pearl.settings import Settings, find_encoder_file
from oyster.grid import load_params, trial_settings
from oyster.reproduce.keep import FOLDER
from oyster.runtime import checkpoint as checkpoint_module
from oyster.runtime import records
from oyster.runtime.destination import scratch_folder
from oyster.runtime.errors import InputError
from oyster.runtime.records import DETERMINISTIC
from oyster.trial import run as trial_module
from oyster.trial import training as training_module
from oyster.trial.run import run_trial

ROOT = Path(__file__).resolve().parents[1]
ENCODER = find_encoder_file("recurrent")
NEVER = 1e9


def settings(environment: str = "sparse-point-robot", **changes) -> Settings:
    params = load_params(FOLDER / "params.yaml")
    resolved = trial_settings(params, environment=environment, agent="recurrent", seed=3, preset="canary")
    return resolved.model_copy(update={"num_iterations": 3, "num_train_steps_per_itr": 12, **changes})


def run(out: Path, *, minutes: float = 0.0, warn=lambda message: None, **changes) -> None:
    """Run the trial; with minutes=0 it leaves a checkpoint after every gradient step."""
    run_trial(settings(**changes), {"encoder": ENCODER}, out, checkpoint_minutes=minutes, device="cpu", warn=warn)


def kill_at(module, name: str, call: int, after: bool) -> None:
    """Make this process die by SIGKILL before or after the given call of a function."""
    function, calls = getattr(module, name), [0]

    def dying(*args, **kwargs):
        calls[0] += 1
        if calls[0] == call and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*args, **kwargs)
        if calls[0] == call and after:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(module, name, dying)


def in_child(function, *args, delay: float | None = None) -> int:
    """Run in a forked process, killing it after `delay` seconds where given. Returns its exit code (-9: killed)."""
    child = multiprocessing.get_context("fork").Process(target=function, args=args)
    child.start()
    if delay is not None:
        time.sleep(delay)
        child.kill()
    child.join()
    return child.exitcode


def outputs(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in DETERMINISTIC}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("uninterrupted") / "result"
    run(out, minutes=NEVER)
    return outputs(out)


MOMENTS = [
    (learner, "rollout", 3, False),  # in the initial collection
    (learner, "rollout", 12, True),  # in an iteration's collection
    (learner.GradientStep, "__call__", 5, False),
    (learner.GradientStep, "__call__", 30, True),  # between a step's update and its bookkeeping
    (training_module, "meta_test", 2, False),
    (training_module, "meta_test", 2, True),
    (checkpoint_module.os, "fsync", 7, False),  # the checkpoint's file is being written
    (checkpoint_module.os, "replace", 9, True),
    (trial_module, "write_results", 1, True),
    (records.os, "replace", 37, False),  # about to move the whole result into place
    (trial_module, "publish", 1, True),  # the result is there, the scratch too
]


@pytest.mark.parametrize("module, name, call, after", MOMENTS, ids=[f"{m[1]}-{m[2]}-{m[3]}" for m in MOMENTS])
def test_killed_at(module, name, call, after, tmp_path, uninterrupted):
    out = tmp_path / "result"

    def die():
        kill_at(module, name, call, after)
        run(out)

    assert in_child(die) == -signal.SIGKILL
    run(out)
    assert outputs(out) == uninterrupted
    assert sorted(path.name for path in tmp_path.iterdir()) == ["result"]  # nothing is left over


def test_killed_at_random_moments_until_done(tmp_path, uninterrupted):
    out = tmp_path / "result"
    draw = random.Random(0)
    kills = 0
    while not out.exists():
        patience = 1.05**kills  # where a step takes longer than the first delays, the later ones still see some
        code = in_child(run, out, delay=draw.uniform(0.05, 0.25) * patience)
        kills += code == -signal.SIGKILL
        assert kills < 60, "it never gets on"
    run_again_or_finished(out)
    assert kills >= 3
    assert outputs(out) == uninterrupted


def run_again_or_finished(out: Path) -> None:
    """The same command again: it finishes what is left to do, or says that the result is there."""
    try:
        run(out)
    except InputError as error:
        assert "already holds a result" in str(error)


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> Path:
    """What a killed run left: its scratch. Do not change it: copy it."""
    out = tmp_path_factory.mktemp("killed") / "result"

    def die():
        kill_at(learner.GradientStep, "__call__", 40, after=False)
        run(out)

    assert in_child(die) == -signal.SIGKILL
    return scratch_folder(out)


def checkpoints_of_a_killed_run(killed: Path, out: Path) -> list[Path]:
    """Put what was left where a run to `out` would have left it."""
    shutil.copytree(killed, scratch_folder(out))
    files = sorted(scratch_folder(out).glob("checkpoints/*.checkpoint"))
    assert len(files) == 2
    return files


@pytest.mark.parametrize("damage", ["truncated", "flipped", "emptied"])
@pytest.mark.parametrize("both", [False, True])
def test_damaged_checkpoint_is_detected(damage, both, tmp_path, uninterrupted, killed):
    out = tmp_path / "result"
    files = checkpoints_of_a_killed_run(killed, out)
    for path in files if both else files[1:]:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes({"truncated": content[:-100], "flipped": content, "emptied": b""}[damage])
    warnings = []
    run(out, minutes=NEVER, warn=warnings.append)
    assert sum("is damaged" in warning for warning in warnings) == (2 if both else 1)
    assert any("going on from" in warning for warning in warnings) is not both
    assert outputs(out) == uninterrupted


def test_checkpoint_of_other_settings_is_refused(tmp_path, killed):
    out = tmp_path / "result"
    files = checkpoints_of_a_killed_run(killed, out)
    with pytest.raises(InputError, match=r"checkpoint of another trial .*settings"):
        run(out, discount=0.5)
    assert sorted(scratch_folder(out).glob("checkpoints/*.checkpoint")) == files  # nothing is lost
    assert not out.exists()


def test_checkpoint_of_another_encoder_is_refused(tmp_path, killed):
    out = tmp_path / "result"
    checkpoints_of_a_killed_run(killed, out)
    other = tmp_path / "recurrent.py"
    other.write_text(ENCODER.read_text() + "\n# edited\n")
    with pytest.raises(InputError, match="encoder file"):
        run_trial(settings(), {"encoder": other}, out, device="cpu")


def test_a_pipeline_drops_a_foreign_checkpoint_and_says_so(tmp_path, killed):
    out = tmp_path / "result"
    checkpoints_of_a_killed_run(killed, out)
    warnings = []
    run_trial(settings(seed=4), {"encoder": ENCODER}, out, device="cpu", record_failure=True, warn=warnings.append)
    assert any("dropped a checkpoint of another trial (other settings)" in warning for warning in warnings)
    assert out.exists()


def test_a_second_process_on_the_same_trial_is_told(tmp_path):
    out = tmp_path / "result"
    scratch = scratch_folder(out)
    scratch.mkdir()
    with (scratch / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="Another process writes this result"):
            run(out)
    run(out)
    assert out.exists()


def train_command(out: Path) -> list[str]:
    arguments = [
        "--env",
        "point-robot",
        "--encoder",
        "attention",
        "--seed",
        "1",
        "--preset",
        "canary",
        "--device",
        "cpu",
    ]
    return [
        sys.executable,
        "-m",
        "oyster",
        "train",
        *arguments,
        "--params",
        str(FOLDER / "params.yaml"),
        "--out",
        str(out),
    ]


def test_a_full_disk_is_an_error_and_costs_nothing(tmp_path):
    """A limit on file sizes fails as a full disk does: in the middle of writing."""
    out = tmp_path / "result"
    limited = subprocess.run(
        train_command(out),
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
    )
    assert limited.returncode == 3, limited.stderr
    assert "goes on from the last checkpoint" in limited.stderr
    assert "Traceback" not in limited.stderr
    assert not out.exists()
    subprocess.run(train_command(out), cwd=ROOT, check=True, capture_output=True)
    assert (out / "metrics.json").exists()


def test_output_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    failed = subprocess.run(train_command(tmp_path / "file" / "result"), cwd=ROOT, capture_output=True, text=True)
    assert failed.returncode == 2, failed.stderr
    assert "Traceback" not in failed.stderr
    assert str(tmp_path / "file") in failed.stderr
