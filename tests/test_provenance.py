"""Whether a result's origin is told truly: the commit, what was edited, what is off the lock; and its last five."""

import csv
import hashlib
import json
import os
import platform
import resource
import subprocess
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from oyster.algorithms.pearl.settings import find_encoder_file
from oyster.grid import load_params, trial_settings
from oyster.reproduce.keep import FOLDER
from oyster.runtime import project, provenance
from oyster.runtime.errors import InputError
from oyster.trial.run import run_trial

IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@example.org")


@pytest.fixture
def tree(tmp_path, monkeypatch) -> Path:
    """A repository with one commit, which provenance takes for the project."""
    files = (
        "oyster/algorithms/pearl/agent.py",
        "encoders/mlp.py",
        "docker/run",
        "params.yaml",
        "dvc.yaml",
        "requirements.txt",
    )
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
    ["oyster/algorithms/pearl/agent.py", "encoders/mlp.py", "docker/run", "params.yaml", "dvc.yaml", "requirements.txt",
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


def test_each_way_to_change_a_file_is_another_difference(tree):
    """And each undone leaves none."""
    run, hashes = tree / "docker" / "run", set()
    run.unlink()
    hashes.add(provenance.commit()["diff_sha256"])
    run.symlink_to("elsewhere")
    hashes.add(provenance.commit()["diff_sha256"])
    run.unlink()
    run.symlink_to("1\n")
    hashes.add(provenance.commit()["diff_sha256"])
    run.unlink()
    run.write_text("elsewhere")
    hashes.add(provenance.commit()["diff_sha256"])
    run.write_text("1\n")
    assert provenance.commit()["dirty"] is False
    run.chmod(0o755)
    hashes.add(provenance.commit()["diff_sha256"])
    run.chmod(0o644)
    (tree / "oyster" / "new.py").write_text("1\n")
    hashes.add(provenance.commit()["diff_sha256"])
    (tree / "oyster" / "new.py").rename(tree / "oyster" / "newer.py")
    hashes.add(provenance.commit()["diff_sha256"])
    assert len(hashes) == 7 and None not in hashes
    (tree / "oyster" / "newer.py").rename(tree / "oyster" / "new.py~")  # an editor's
    assert provenance.commit()["dirty"] is False


def test_a_repository_inside_counts_by_its_files(tree):
    inner = tree / "encoders" / "inner"
    (inner / "deep").mkdir(parents=True)
    (inner / "a.py").write_text("1\n")
    (inner / "deep" / "b.txt").write_text("1\n")
    for arguments in (("init", "--quiet"), ("add", "--all"), (*IDENTITY, "commit", "--quiet", "--message", "all")):
        subprocess.run(["git", *arguments], cwd=inner, check=True)
    first = provenance.commit()
    assert first["dirty"] is True and first["unreadable"] == []
    (inner / ".git" / "description").write_text("2\n")
    assert provenance.commit() == first
    (inner / "deep" / "b.txt").write_text("2\n")
    assert provenance.commit()["diff_sha256"] != first["diff_sha256"]


def test_what_cannot_be_read_is_named(tree, monkeypatch):
    (tree / "encoders" / "mlp.py").unlink()
    os.mkfifo(tree / "encoders" / "mlp.py")
    told = provenance.commit()
    assert told["dirty"] is True and told["unreadable"] == ["encoders/mlp.py: neither a file nor a folder"]
    (tree / "encoders" / "mlp.py").unlink()
    (tree / "encoders" / "mlp.py").write_text("2\n")
    for error, words in (
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (OSError(), "cannot be read"),
    ):
        monkeypatch.setattr(Path, "read_bytes", lambda path, error=error: (_ for _ in ()).throw(error))
        assert provenance.commit()["unreadable"] == [f"encoders/mlp.py: {words}"]


def test_a_git_that_cannot_say_what_differs_is_no_clean_tree(tree):
    (tree / ".git" / "index").write_bytes(b"spoilt")
    told = provenance.commit()
    assert told["commit"] and told["dirty"] is True and told["diff_sha256"] is None
    assert [text.partition(":")[0] for text in told["unreadable"]] == ["git diff", "git ls-files"]


def test_a_git_that_refuses_to_look_is_an_error(tree, monkeypatch):
    refused = subprocess.CompletedProcess([], 128, b"", b"fatal: detected dubious ownership in repository")
    monkeypatch.setattr(provenance, "run_git", lambda *arguments: refused)
    with pytest.raises(InputError, match="dubious ownership"):
        provenance.commit()


def test_a_hash_of_json_is_of_its_content():
    assert provenance.sha256_of_json({"b": 1, "a": [2]}) == hashlib.sha256(b'{"a": [2], "b": 1}').hexdigest()


# --- the lock ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def installed(monkeypatch) -> dict[str, str]:
    """What is installed, so to speak."""
    found = dict.fromkeys(provenance.PACKAGES, "1.0.0") | {"torch": "2.13.0+cpu"}
    monkeypatch.setattr(project, "version", found.__getitem__)
    return found


@pytest.fixture
def off_lock(installed, tmp_path, monkeypatch):
    """Call it with what the lock says."""

    def told(changes: dict[str, str]) -> list[str]:
        locked = installed | {"torch": "2.13.0"} | changes
        lines = [f"{name}=={version} \\\n    --hash=sha256:0  # of {name}" for name, version in locked.items()]
        (tmp_path / "requirements.txt").write_text("# made by a tool\n" + "\n".join(lines) + "\n")
        monkeypatch.setattr(provenance, "LOCK", tmp_path / "requirements.txt")
        return provenance.environment()["off_lock"]

    return told


def test_what_is_on_the_lock_is_not_told(off_lock):
    assert off_lock({}) == []  # nor is `+cpu`


@pytest.mark.parametrize("name", provenance.PACKAGES)
def test_each_package_off_the_lock_is_told_with_both_versions(name, off_lock, installed):
    assert off_lock({name: "9.9.9"}) == [f"{name} {installed[name]}, locked 9.9.9"]


def test_a_package_that_is_missing_or_not_locked(off_lock, installed, tmp_path, monkeypatch):
    del installed["gymnasium"]
    monkeypatch.setattr(project, "version", lambda name: installed[name] if name in installed else absent(name))
    assert off_lock({"gymnasium": "1.0.0"}) == ["gymnasium None, locked 1.0.0"]
    assert provenance.environment()["gymnasium"] is None
    (tmp_path / "requirements.txt").write_text("numpy==2.0.0 ; python_version > '3'  # comment\nscipy>=1\n\n")
    assert provenance.environment()["off_lock"] == ["numpy 1.0.0, locked 2.0.0"]
    (tmp_path / "requirements.txt").unlink()
    told = provenance.environment()
    assert told["off_lock"] == [] and told["lock_sha256"] is None


def absent(name: str):
    raise PackageNotFoundError(name)


def test_the_environment_names_itself(installed, monkeypatch):
    lock = Path(__file__).resolve().parents[1] / "requirements.txt"
    for name in ("OYSTER_RUNTIME", "OYSTER_IMAGE_DIGEST", *provenance.ARITHMETIC_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    told = provenance.environment()
    assert (told["runtime"], told["image_digest"], told["variables"]) == ("host", None, {})
    assert told["lock_sha256"] == hashlib.sha256(lock.read_bytes()).hexdigest()
    assert told["python"] == platform.python_version()
    assert {name: told[name] for name in installed} == installed
    monkeypatch.setenv("OYSTER_RUNTIME", "podman")
    monkeypatch.setenv("OYSTER_IMAGE_DIGEST", "sha256:1")
    monkeypatch.setenv("MKL_CBWR", "AVX2")
    told = provenance.environment()
    assert (told["runtime"], told["image_digest"]) == ("podman", "sha256:1")
    assert told["variables"] == {"MKL_CBWR": "AVX2"}


# --- the machine ------------------------------------------------------------------------------------------------------

CORES = """\
processor\t: 0
cpu family\t: 6
model\t\t: 143
model name\t: Some CPU: v4
stepping\t: 8

processor\t: 1
model name\t: Another
"""


@pytest.fixture
def proc(tmp_path, monkeypatch) -> Path:
    """A folder that is taken for /proc."""
    monkeypatch.setattr(provenance, "Path", lambda path: tmp_path / Path(path).relative_to("/proc"))
    (tmp_path / "self").mkdir()
    return tmp_path


def test_the_cpu_is_the_first_cores(proc, monkeypatch):
    (proc / "cpuinfo").write_text(CORES)
    told = provenance.hardware("cpu")
    assert (told["cpu"], told["cpu_family"], told["gpu"]) == ("Some CPU: v4", "6/143/8", None)
    assert told["cores"] == os.cpu_count() and told["instructions"] == torch.backends.cpu.get_cpu_capability()
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some GPU")
    assert provenance.hardware("cuda")["gpu"] == "Some GPU" and provenance.hardware("cpu")["gpu"] is None


@pytest.mark.parametrize("processor, told", [("arm", "arm"), ("", "aarch64")])
def test_without_cpuinfo_the_platform_is_asked(processor, told, proc, monkeypatch):
    monkeypatch.setattr(platform, "processor", lambda: processor)
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    hardware = provenance.hardware("cpu")
    assert (hardware["cpu"], hardware["cpu_family"]) == (told, "?/?/?")


def test_peak_memory_is_that_of_this_process(proc, monkeypatch):
    usage = {resource.RUSAGE_SELF: SimpleNamespace(ru_maxrss=3072)}
    monkeypatch.setattr(resource, "getrusage", usage.__getitem__)
    assert provenance.peak_memory_mb() == 3.0
    (proc / "self" / "status").write_text("Name:\tpython\nVmRSS:\t 512 kB\n")
    assert provenance.peak_memory_mb() == 3.0
    (proc / "self" / "status").write_text("VmPeak:\t 9 kB\nVmHWM:\t  2048 kB\nVmRSS:\t 512 kB\n")
    assert provenance.peak_memory_mb() == 2.0


@pytest.mark.parametrize("part, name, same", [
    ("hardware", "cpu", False), ("hardware", "cpu_family", False), ("hardware", "instructions", False),
    ("hardware", "gpu", False), ("hardware", "cores", True), ("environment", "runtime", True),
    *(("environment", name, False) for name in provenance.PACKAGES),
])  # fmt: skip
def test_a_kind_is_what_the_bytes_may_hang_on(part, name, same):
    record = {"hardware": provenance.hardware("cpu"), "environment": provenance.environment()}
    other = record | {part: record[part] | {name: "another"}}
    assert (provenance.kind(other) == provenance.kind(record)) is same


def test_a_trial_records_both(tree, tmp_path, monkeypatch, off_lock):
    (tree / "encoders" / "mlp.py").write_text("edited\n")
    off_lock({"numpy": "9.9.9"})
    settings = trial_settings(
        load_params(FOLDER / "params.yaml"), environment="point-robot", agent="mlp", seed=1, preset="canary"
    ).model_copy(update={"num_iterations": 7, "num_train_steps_per_itr": 2, "evaluations": 1})
    monkeypatch.setattr("oyster.trial.run.Trial.identity", lambda self: {})  # the sources are not in this tree
    run_trial(settings, {"encoder": find_encoder_file("mlp")}, tmp_path / "out", device="cpu")
    record = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert record["dirty"] is True and record["environment"]["off_lock"] == ["numpy 1.0.0, locked 9.9.9"]

    with (tmp_path / "out" / "progress.csv").open(newline="") as file:
        returns = [float(row["meta_test_return"]) for row in csv.DictReader(file)]
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert len(returns) == 7 and len(set(returns)) == 7
    assert metrics["meta_test_return_last5"] == pytest.approx(np.mean(returns[2:]), rel=1e-12)
    assert metrics["meta_test_return"] == returns[-1]
