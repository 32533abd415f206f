"""What is declared beside the code: locks, dependencies, what never enters a hash, what the Makefile refuses."""

import hashlib
import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from oyster.key import REPORT

ROOT = Path(__file__).resolve().parents[2]


def pins(name: str) -> dict[str, str]:
    """package → version of a lock file, each line of which must be a pin or a comment."""
    lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    matches = {line: re.fullmatch(r"([a-z0-9._-]+)==([\w.]+)", line) for line in lines if line}
    assert all(matches.values()), f"{name} pins no single version: {[k for k, v in matches.items() if not v]}"
    return {match[1]: match[2] for match in matches.values()}


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[=<>~!]", requirement)[0].lower() for requirement in requirements}


def test_locks_cover_the_dependencies_and_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    run, dev = pins("requirements.txt"), pins("requirements-dev.txt")
    assert names(project["project"]["dependencies"]) <= run.keys()
    assert names(project["dependency-groups"]["dev"]) <= dev.keys()
    assert {package: (run[package], dev[package]) for package in run.keys() & dev if run[package] != dev[package]} == {}
    # torch's own wheel pins CUDA's packages: pinned here, they would be installed where nobody needs them.
    assert [package for package in run if package.startswith(("nvidia-", "cuda-", "triton"))] == []


def test_the_records_in_git_are_of_this_lock():
    """Or the demo of a fresh clone would write new ones, and leave git unclean."""
    record = json.loads((ROOT / "docker" / "environment.json").read_text())
    assert record["lock_sha256"] == hashlib.sha256((ROOT / "requirements.txt").read_bytes()).hexdigest()
    stage = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]["environment"]
    for entry in stage["deps"] + stage["outs"]:
        assert entry["md5"] == hashlib.md5((ROOT / entry["path"]).read_bytes()).hexdigest(), (
            f"{entry['path']} changed: run `dvc repro environment` and commit docker/environment.json and dvc.lock"
        )


def test_the_reports_key_is_made_anew_after_any_edit_of_its_code():
    """DVC is told of it by the stage that writes keys.json."""
    deps = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["keys"]["deps"]
    assert all(any(name == dep or name.startswith(f"{dep}/") for dep in deps) for name in REPORT)


def test_what_is_not_deterministic_or_not_finished_enters_no_hash(project):
    cache = project.folder / "oyster" / "rl" / "__pycache__"
    cache.mkdir(exist_ok=True)
    (cache / "agent.cpython-311.pyc").write_bytes(b"by Python, on the way")
    trial = project.folder / "results" / "benchmark" / "point-robot" / "mlp" / "1"
    (trial / "provenance.json").write_text("{}")
    trial.with_name("2.partial").mkdir()
    (trial.with_name("2.partial") / "lock").write_text("of a trial that is still training")
    assert "up to date" in project.run("dvc", "status", "dvc.yaml").stdout
    assert "__pycache__" not in project.status() and ".partial" not in project.status()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("PYTHON=python3.99", "None of python3.99 can make a virtual environment"),
        ("TORCH=rocm", "only TORCH=cpu is known"),
    ],
)
def test_make_says_what_it_cannot_use_and_sets_up_nothing(tmp_path, given, message):
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    done = subprocess.run(["make", "demo", given], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0 and message in done.stdout
    assert not (tmp_path / ".venv").exists()
