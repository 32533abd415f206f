"""`oyster train`: nothing is trained twice, or under a key that is not its own; and a trial that is asked to stop."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from oyster.cli import main
from oyster.grid import load_params, trials
from oyster.key import Key, Tree
from oyster.runtime.errors import InputError
from oyster.runtime.key_file import find_key_file
from oyster.runtime.records import WEIGHTS
from oyster.status import sources_of
from oyster.trial import command

ROOT = Path(__file__).resolve().parents[1]
TINY = ROOT / "tests" / "faults" / "tiny.yaml"
NAMES = ("--env", "point-robot", "--agent", "mlp", "--preset", "tiny", "--params", str(TINY), "--device", "cpu")


def key(seed: int = 1) -> str:
    trial = next(each for each in trials(load_params(TINY), "tiny") if each.settings.seed == seed)
    return Tree().trial_key(trial.settings, sources_of(trial)).text


def train(out: Path, *options: str, seed: int = 1, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "oyster", "train", *NAMES, "--seed", str(seed), "--out", str(out), *options]
    return subprocess.run(command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def trained(made_once) -> Path:
    """A result with its key. Copy it before changing it."""

    def make(folder: Path) -> None:
        done = train(folder / "result", "--expect-key", key())
        assert done.returncode == 0, done.stderr

    return made_once("trained_with_key", make) / "result"


def test_a_result_carries_its_key(trained):
    found = find_key_file(trained)
    assert found.key == key() == json.loads((trained / "provenance.json").read_text())["key"]
    assert {path.name for path in trained.iterdir()} == {*found.files, found.path.name}
    assert found.off_lock == found.kept == []


def test_what_is_there_is_left(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "out")
    before = (tmp_path / "out" / "provenance.json").stat().st_mtime_ns
    done = train(tmp_path / "out", "--expect-key", key())
    assert done.returncode == 0 and "holds the result of this key already" in done.stderr
    next((tmp_path / "out").glob("*.key.json")).unlink()
    done = train(tmp_path / "out", "--expect-key", key())
    assert done.returncode == 0 and "its key file was missing" in done.stderr
    assert find_key_file(tmp_path / "out").key == key()
    assert (tmp_path / "out" / "provenance.json").stat().st_mtime_ns == before
    done = train(tmp_path / "out")  # by hand nothing is replaced
    assert done.returncode == 2 and "already holds a result" in done.stderr


def test_a_result_of_another_key_gives_way(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "out")
    done = train(tmp_path / "out", "--expect-key", key(2), seed=2)
    assert done.returncode == 0, done.stderr
    assert find_key_file(tmp_path / "out").key == key(2)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_another_key_than_expected_is_refused_before_training(tmp_path):
    done = train(tmp_path / "out", "--expect-key", "0123456789abcdef")
    assert done.returncode == 2 and f"the tree gives {key()}" in done.stderr and "edited in between" in done.stderr
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "keys.json").write_text('{"trials": {"point-robot": {"mlp": {}}}}')
    done = train(tmp_path / "out", "--expect-key", str(tmp_path / "keys.json"))
    assert done.returncode == 2 and "has no key of mlp on point-robot, seed 1" in done.stderr


@pytest.fixture
def clone(tmp_path) -> Path:
    """A tree that may be edited."""
    for name in ("oyster", "encoders", "docker", "params.yaml", "requirements.txt", "tests/faults/tiny.yaml"):
        place = tmp_path / "tree" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        ignore = shutil.ignore_patterns("__pycache__", "images")
        shutil.copytree(ROOT / name, place, ignore=ignore) if (ROOT / name).is_dir() else shutil.copy(
            ROOT / name, place
        )
    return tmp_path / "tree"


def test_versions_off_the_lock_train_only_where_that_is_meant(clone, tmp_path):
    lock = clone / "requirements.txt"
    lock.write_text(lock.read_text().replace("mujoco==3.17.0", "mujoco==3.0.0"))
    (clone / "keys.json").write_text("{}")
    done = train(tmp_path / "out", cwd=clone)  # by hand: the result says so
    assert done.returncode == 0, done.stderr
    found = find_key_file(tmp_path / "out")
    assert found.off_lock == ["mujoco 3.17.0, locked 3.0.0"]
    done = train(tmp_path / "two", "--expect-key", found.key, cwd=clone)
    assert done.returncode == 2 and "mujoco 3.17.0, locked 3.0.0" in done.stderr and "OYSTER_OFF_LOCK=1" in done.stderr
    done = train(tmp_path / "two", "--expect-key", found.key, cwd=clone, OYSTER_OFF_LOCK="1")
    assert done.returncode == 0 and find_key_file(tmp_path / "two").off_lock == found.off_lock


EDIT = """
import sys
from pathlib import Path
import oyster.trial.run as trial
assemble = trial.Trial.{name}
def edited(self, *arguments, **keywords):
    with Path("encoders/mlp.py").open("a") as file:
        file.write("# edited meanwhile\\n")
    return assemble(self, *arguments, **keywords)
trial.Trial.{name} = edited
from oyster.cli import main
main()
"""


@pytest.mark.parametrize(("moment", "code"), [("__init__", 2), ("assemble", 0)])
def test_an_edit_while_a_trial_starts_or_trains(clone, tmp_path, moment, code):
    """What was loaded may not be what was hashed: refused. Later, the result is of what was loaded, and says so."""
    wanted = key()
    command = [sys.executable, "-c", EDIT.format(name=moment), "train", *NAMES, "--seed", "1", "--out", "out"]
    done = subprocess.run([*command, "--expect-key", wanted], cwd=clone, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert "encoder (file)" in done.stderr
    if code:
        assert "edited as the trial started" in done.stderr and not (clone / "out").exists()
    else:
        assert "edited meanwhile" in done.stderr and find_key_file(clone / "out").key == wanted


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_trial_that_is_asked_to_stop_leaves_a_checkpoint_and_goes_on(tmp_path, trained, number, code):
    command = [sys.executable, "-m", "oyster", "train", *NAMES, "--seed", "1", "--out", str(tmp_path / "out")]
    child = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    scratch = tmp_path / f"out.{key()}.partial"
    while not (scratch / "running.json").exists():  # the first iteration has ended
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(number)
    _, told = child.communicate(timeout=120)
    if child.returncode == 0:
        pytest.fail("the trial was over before it was asked")
    assert child.returncode == code
    assert f"Stopped by {number.name} in iteration 1; its checkpoint is in {scratch}" in told
    done = train(tmp_path / "out")
    assert done.returncode == 0 and "going on from iteration 1" in done.stderr
    for name in ("metrics.json", "progress.csv", "weights.safetensors"):
        assert (tmp_path / "out" / name).read_bytes() == (trained / name).read_bytes()


def test_tensorboard_gets_every_row(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed: --tensorboard was not run")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    done = train(tmp_path / "out", "--tensorboard", str(tmp_path / "events"))
    assert done.returncode == 0, done.stderr
    events = EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    rows = (tmp_path / "out" / "progress.csv").read_text().splitlines()[1:]
    scalars = events.Scalars("meta_test_return")
    assert [(event.step, round(event.value, 3)) for event in scalars] == [
        (int(row.split(",")[1]), round(float(row.split(",")[3]), 3)) for row in rows
    ]


def test_without_tensorboard_it_says_so(tmp_path):
    (tmp_path / "tensorboard.py").write_text("raise ImportError")
    done = train(tmp_path / "out", "--tensorboard", str(tmp_path / "events"), PYTHONPATH=str(tmp_path))
    assert done.returncode == 2 and "pip install tensorboard" in done.stderr and not (tmp_path / "out").exists()


def test_a_copy_takes_the_place_of_no_other_files(trained, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("mine")
    with pytest.raises(InputError, match=r"holds other files \('chapter.tex'\)"):
        command._copy(trained, tmp_path / "thesis", None, key())
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "mine"
    command._copy(trained, tmp_path / "out", tmp_path / "weights", key())
    assert find_key_file(tmp_path / "out").key == key() and (tmp_path / "weights" / WEIGHTS).is_file()


def test_a_key_file_that_was_lost_knows_again_what_was_off_the_lock(trained, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(trained, out)
    lost, recorded = find_key_file(out), json.loads((out / "provenance.json").read_text())
    recorded["environment"]["off_lock"] = ["torch 2.12.0, locked 2.13.0"]
    (out / "provenance.json").write_text(json.dumps(recorded))
    lost.path.unlink()
    assert command._found(Key(lost.key, lost.parts), command.Options(out), print)
    assert find_key_file(out).off_lock == ["torch 2.12.0, locked 2.13.0"]


@pytest.mark.parametrize("minutes", ["nan", "-1"])
def test_minutes_between_checkpoints_are_a_number(tmp_path, minutes):
    given = ["train", *map(str, NAMES), "--seed", "1", "--out", str(tmp_path / "out"), "--checkpoint-minutes", minutes]
    done = CliRunner().invoke(main, given)
    assert done.exit_code == 2 and "expected 0 or more" in done.output
