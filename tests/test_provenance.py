"""Whether a result's origin is told truly: the commit, what was edited, what is off the lock; and its last five."""

import csv
import json
import platform
import subprocess
from pathlib import Path

import numpy as np
import pytest

from oyster.canary import FOLDER
from oyster.encoder_file import find_encoder_file
from oyster.runtime import provenance
from oyster.settings import load_params, trial_settings
from oyster.trial import run_trial

IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@example.org")


@pytest.fixture
def tree(tmp_path, monkeypatch) -> Path:
    """A repository with one commit, which provenance takes for the project."""
    files = ("oyster/pearl/agent.py", "encoders/mlp.py", "docker/run", "params.yaml", "dvc.yaml", "requirements.txt")
    for name in (*files, "results/metrics.json", "README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1\n")
    for arguments in (("init", "--quiet"), ("add", "--all"), (*IDENTITY, "commit", "--quiet", "--message", "all")):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    return tmp_path


def test_a_clean_tree_is_clean_whatever_trials_write(tree):
    (tree / "results" / "metrics.json").write_text("2\n")
    (tree / "results" / "more.json").write_text("2\n")
    (tree / "README.md").write_text("2\n")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tree, capture_output=True, text=True, check=True)
    assert provenance.commit() == {"commit": head.stdout.strip(), "dirty": False, "diff_sha256": None, "unreadable": []}


@pytest.mark.parametrize(
    "name",
    ["oyster/pearl/agent.py", "encoders/mlp.py", "docker/run", "params.yaml", "dvc.yaml", "requirements.txt",
     "encoders/new.py", "oyster/new.py"],
)  # fmt: skip
def test_a_tree_is_dirty_where_something_that_a_trial_reads_was_edited_or_added(name, tree):
    hashes = []
    for text in ("2\n", "3\n"):
        (tree / name).write_text(text)
        told = provenance.commit()
        assert told["dirty"] is True and len(told["diff_sha256"]) == 64
        hashes.append(told["diff_sha256"])
    assert hashes[0] != hashes[1]  # another edit, another hash
    subprocess.run(["git", "add", "--all"], cwd=tree, check=True)
    assert provenance.commit()["dirty"] is True  # staged is not committed
    subprocess.run(["git", *IDENTITY, "commit", "--quiet", "--message", "edit"], cwd=tree, check=True)
    assert provenance.commit()["dirty"] is False


def test_outside_git_nothing_is_claimed(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    assert provenance.commit() == {"commit": None, "dirty": None, "diff_sha256": None, "unreadable": []}


# --- the lock ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def installed(monkeypatch) -> dict[str, str]:
    """What is installed, so to speak."""
    versions = dict.fromkeys(provenance.PACKAGES, "1.0.0") | {"torch": "2.13.0+cpu"}
    monkeypatch.setattr(provenance, "version", versions.__getitem__)
    return versions


@pytest.fixture
def off_lock(installed, tmp_path, monkeypatch):
    """Call it with what the lock and the environment's record say."""

    def told(changes: dict[str, str], python: str | None = None) -> list[str]:
        locked = installed | {"torch": "2.13.0"} | changes
        lines = [f"{name}=={version} \\\n    --hash=sha256:0  # of {name}" for name, version in locked.items()]
        (tmp_path / "requirements.txt").write_text("# made by a tool\n" + "\n".join(lines) + "\n")
        (tmp_path / "environment.json").write_text(json.dumps({"python": python} if python else {}))
        monkeypatch.setattr(provenance, "LOCK", tmp_path / "requirements.txt")
        monkeypatch.setattr(provenance, "ENVIRONMENT_RECORD", tmp_path / "environment.json")
        return provenance.environment()["off_lock"]

    return told


def test_what_is_on_the_lock_is_not_told(off_lock):
    assert off_lock({}) == off_lock({}, ".".join(platform.python_version_tuple()[:2])) == []  # nor is `+cpu`


@pytest.mark.parametrize("name", provenance.PACKAGES)
def test_each_package_off_the_lock_is_told_with_both_versions(name, off_lock, installed):
    assert off_lock({name: "9.9.9"}) == [f"{name} {installed[name]}, locked 9.9.9"]


def test_another_python_is_told(off_lock):
    assert off_lock({}, "3.99") == [f"python {platform.python_version()}, locked 3.99"]


def test_a_trial_records_both(tree, tmp_path, monkeypatch, off_lock):
    (tree / "encoders" / "mlp.py").write_text("edited\n")
    off_lock({"numpy": "9.9.9"})
    settings = trial_settings(
        load_params(FOLDER / "params.yaml"), environment="point-robot", encoder="mlp", seed=1, budget="canary"
    ).model_copy(update={"num_iterations": 7, "num_train_steps_per_itr": 2, "num_evals": 1})
    monkeypatch.setattr("oyster.trial.Trial.identity", lambda self: {})  # the sources are not in this tree
    run_trial(settings, find_encoder_file("mlp"), tmp_path / "out", device="cpu")
    record = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert record["dirty"] is True and record["environment"]["off_lock"] == ["numpy 1.0.0, locked 9.9.9"]

    with (tmp_path / "out" / "progress.csv").open(newline="") as file:
        returns = [float(row["meta_test_return"]) for row in csv.DictReader(file)]
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert len(returns) == 7 and len(set(returns)) == 7
    assert metrics["meta_test_return_last5"] == pytest.approx(np.mean(returns[2:]), rel=1e-12)
    assert metrics["meta_test_return"] == returns[-1]
