"""Meta-World's families: their lists, what is said where their environment is missing, and the process behind them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from oyster.cli import main
from oyster.envs import load_family
from oyster.envs.contract import require_family, training_tasks
from oyster.envs.metaworld import process
from oyster.envs.metaworld.ml1 import Ml1, drawn
from oyster.envs.metaworld.process import RESET, STEP, Worker, require_installed
from oyster.grid import load_params, trial_settings
from oyster.key import ROOT, Tree
from oyster.runtime.errors import InputError, MachineError, NotInstalled
from tests.needs import need_installed

NAMES = ("ml1-reach", "ml1-push", "ml1-pick-place")
GOLDEN = ROOT / "tests" / "golden" / "families"
REACH = load_family("ml1-reach")
TASKS = REACH.tasks(2, 0)[0]


# --- lists: the package's draws, without the package ------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_lists_are_the_recorded_ones(name):
    file = np.load(GOLDEN / f"{name.replace('-', '_')}.npz")
    train, test = load_family(name).tasks(50, 50)
    np.testing.assert_array_equal(train, file["tasks_train"])
    np.testing.assert_array_equal(test, file["tasks_test"])
    for one, whole in zip(load_family(name).tasks(3, 2), (train[:3], test[:2]), strict=True):
        np.testing.assert_array_equal(one, whole)


@pytest.mark.parametrize("asked", [(51, 1), (1, 51)])
def test_a_list_has_fifty(asked):
    with pytest.raises(InputError, match=r"Ml1Push has 50 training and 50 test tasks; expected .* at most 50, not"):
        load_family("ml1-push").tasks(*asked)


def test_a_given_task_list_cannot_be_changed_for_the_next():
    train, _ = REACH.tasks(2, 2)
    train[:] = 0.0
    assert REACH.tasks(2, 2)[0].all()


# --- where it is not installed ----------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> Path:
    """Where the environment is looked for: a folder that is not there."""
    monkeypatch.setattr(process, "PLACES", (tmp_path / ".venv-metaworld",))
    return tmp_path / ".venv-metaworld"


def test_without_its_environment_a_family_is_refused_in_a_sentence_before_any_training(elsewhere):
    with pytest.raises(NotInstalled, match=r"expected in .*\.venv-metaworld, where there is none; `make metaworld`"):
        require_family(REACH)
    assert issubclass(NotInstalled, InputError)
    done = CliRunner().invoke(main, ["check", "ml1-reach"])
    assert done.exit_code == 4 and "`make metaworld` installs it." in done.output and "Traceback" not in done.output
    assert "Exit 4" in CliRunner().invoke(main, ["check", "--help"]).output


def test_other_versions_than_the_locks_are_refused(elsewhere):
    def install(name: str, version: str) -> None:
        folder = elsewhere / "lib" / "python3.12" / "site-packages" / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")

    (elsewhere / "bin").mkdir(parents=True)
    (elsewhere / "bin" / "python").touch()
    locked = process.locked_versions(process.LOCK)
    assert locked["metaworld"] == "3.1.1" and locked["mujoco"] == "3.3.0" and "packaging" in locked
    for name, version in locked.items():
        if name != "numpy":
            install(name, "3.4.0" if name == "mujoco" else version)
    with pytest.raises(NotInstalled, match=r"\(mujoco 3\.4\.0, expected 3\.3\.0; numpy missing, expected .*make meta"):
        require_installed()


def test_a_key_holds_the_lock_and_the_worker():
    params = load_params(ROOT / "params.yaml")
    settings = trial_settings(params, environment="ml1-push", agent="mlp", seed=1, preset="demo")
    parts = Tree().trial_key(settings, {"encoder": ROOT / "encoders" / "mlp.py"}).parts
    metaworld = {Path(name).name for name in parts["family"] if name.startswith("oyster/envs/metaworld/")}
    assert metaworld == {"__init__.py", "ml1.py", "process.py", "requirements.txt", "worker.py"}
    assert "oyster/envs/ml1_push.py" in parts["family"] and settings.reward_scale == 1


# --- a process that fails ---------------------------------------------------------------------------------------------


@pytest.fixture
def python_here(monkeypatch):
    """worker.py run by the tests' own Python, which has no metaworld."""
    monkeypatch.setattr(process, "require_installed", lambda: Path(sys.executable))


def test_an_error_inside_comes_back_as_a_sentence(python_here):
    worker = Worker("reach-v3")
    with pytest.raises(MachineError, match=r"Meta-World's reach-v3 failed: ModuleNotFoundError: No module named 'meta"):
        worker.ask(RESET, TASKS)
    assert not worker.ready


def test_a_process_that_ends_says_its_last_words(python_here, monkeypatch, tmp_path):
    monkeypatch.setattr(process, "WORKER", tmp_path / "worker.py")
    process.WORKER.write_text("import sys; sys.stdin.buffer.read(5); sys.exit('no memory')")
    with pytest.raises(MachineError, match=r"push-v3 ended by itself \(exit code 1, its last words: no memory\)"):
        Worker("push-v3").ask(RESET, TASKS)
    process.WORKER.write_text("import time; time.sleep(0.2)")
    worker = Worker("push-v3")
    time.sleep(1.0)
    with pytest.raises(MachineError, match=r"ended by itself \(exit code 0\)"):
        worker.ask(RESET, np.zeros((5000, 6)))


def test_a_worker_ends_with_who_started_it(python_here):
    worker = Worker("reach-v3")
    running = worker._process
    del worker
    assert running.returncode == 0


# --- with Meta-World --------------------------------------------------------------------------------------------------


@pytest.fixture
def installed() -> None:
    need_installed(REACH)


LISTS = """
import metaworld, numpy as np, sys
benchmark = metaworld.ML1(sys.argv[1], seed=5)
for tasks in (benchmark.train_tasks, benchmark.test_tasks):
    row = benchmark.train_classes[sys.argv[1]]()
    for task in tasks:
        row.set_task(task)
        print(*map(float.hex, map(float, row._last_rand_vec)))
"""


def test_lists_are_drawn_as_the_package_draws(installed):
    family = load_family("ml1-push")
    command = [require_installed(), "-I", "-c", LISTS, family._environment]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    theirs = [[float.fromhex(number) for number in line.split()] for line in done.stdout.splitlines()]
    ours = np.concatenate([drawn(*family._goal_heights, seed) for seed in (5, 6)])
    np.testing.assert_array_equal(ours, theirs)


def test_a_worker_is_used_again_with_what_it_made(installed):
    def walk(rows: Ml1) -> list[np.ndarray]:
        first = rows.reset(training_tasks(REACH, 2), np.random.default_rng(0))
        return [first, *rows.step(np.full((2, 4), 0.5, np.float32)).parts(), rows.trace()]

    rows = REACH(2)
    one, worker = walk(rows), rows._worker
    other = REACH(2)
    assert walk(other) and other._worker is not worker  # each has its own while both live
    del rows
    rows = REACH(2)
    for part, twin in zip(one, walk(rows), strict=True):
        np.testing.assert_array_equal(part, twin)
    assert rows._worker is worker
    for each in (signal.SIGINT, signal.SIGTERM):  # as from a terminal, or a cluster, to all processes of a trial
        worker._process.send_signal(each)
    assert worker.ask(STEP, np.zeros((2, 4))).shape == (2, 42)
    worker.ready = False  # as after an interrupt, with half an answer in the pipe
    del rows
    assert walk(REACH(2)) and worker not in process._idle["reach-v3"]


CHILD = """
import numpy as np, time
from oyster.envs import load_family
rows = load_family("ml1-reach")(1)
rows.reset(load_family("ml1-reach").tasks(1, 0)[0], np.random.default_rng(0))
print(rows._worker._process.pid, flush=True)
time.sleep(60)
"""


def test_it_dies_with_a_parent_that_is_killed(installed):
    command = [sys.executable, "-c", CHILD]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ) as parent:
        worker = Path("/proc", parent.stdout.readline().strip())
        assert worker.exists()
        parent.kill()
    for _ in range(100):
        if not worker.exists() or "\nState:\tZ" in (worker / "status").read_text():
            return
        time.sleep(0.05)
    pytest.fail(f"{worker} still runs")
