"""Weights and results that come from elsewhere, or outlive what started them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.pipeline.test_pipeline import ALL, FIRST, nothing_to_do

STAGE, WEIGHTS = "train@point-robot-mlp-1", "weights/benchmark/point-robot/mlp/1/weights.safetensors"


def test_a_remote_brings_the_weights_to_another_clone(project, tmp_path):
    kept = (project.folder / WEIGHTS).read_bytes()
    project.run("dvc", "remote", "add", "--quiet", "--default", "store", str(tmp_path / "store"))
    project.run("dvc", "push", "--quiet", STAGE)
    project.commit("remote")
    clone = project.clone(tmp_path / "clone")
    assert not (clone.folder / WEIGHTS).exists()
    clone.run("dvc", "pull", "--quiet", STAGE)
    assert (clone.folder / WEIGHTS).read_bytes() == kept
    assert clone.run("python", "-m", "oyster", "simulate", FIRST, "--out", "moved").returncode == 0
    nothing_to_do(clone)
    assert clone.trained() == set()


def test_deleted_weights_make_nothing_stale_and_come_back(project):
    kept = (project.folder / WEIGHTS).read_bytes()
    (project.folder / WEIGHTS).unlink()
    nothing_to_do(project)
    told = project.run("python", "-m", "oyster", "status", "--all").stdout
    assert "up to date     benchmark/point-robot/mlp/1  weights not here" in told
    project.run("dvc", "checkout", "--quiet", STAGE)
    assert (project.folder / WEIGHTS).read_bytes() == kept


def test_two_grids_that_share_trials_train_them_once(project):
    """The second one gets copies: the same provenance, the same bytes."""
    shared = {"preset": "tiny", "environments": ["point-robot"], "agents": ["mlp", "recurrent"], "seeds": [1]}
    project.edit_params(lambda params: params["grids"].update(twin=shared))
    project.snakemake("twin")
    for agent in shared["agents"]:
        one, other = (project.folder / "results" / grid / "point-robot" / agent / "1" for grid in ("benchmark", "twin"))
        assert {path.name: path.read_bytes() for path in one.iterdir()} == {
            path.name: path.read_bytes() for path in other.iterdir()
        }
    assert "Nothing to be done" in project.snakemake("twin").stderr


def test_a_trial_that_outlives_a_killed_snakemake_is_not_trained_again(untrained, tmp_path):
    project = untrained.copy(tmp_path / "project")
    project.edit_params(lambda params: params["presets"]["tiny"]["pearl"]["point-robot"].update(num_iterations=12))
    project.commit("longer")
    paths = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ("snakemake", "--cores", "1", "--quiet", "all")
    started = subprocess.Popen(
        command, cwd=project.folder, env=os.environ | {"PATH": paths}, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    results = project.folder / "results" / "benchmark"

    def until(condition, seconds: float = 120.0):
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, "nothing came of it"
            time.sleep(0.1)
        return found

    running = until(lambda: sorted(results.glob("point-robot/*/*.partial/running.json")))[0]
    os.kill(started.pid, signal.SIGKILL)  # Snakemake alone: what it started lives on
    started.wait()
    finished = until(lambda: next(running.parents[1].glob("1/metrics.json"), None)).parent
    until(lambda: not running.parent.exists())
    lived = (finished / "provenance.json").read_bytes()
    assert json.loads((finished / "metrics.json").read_text())["failure"] is None
    project.run("snakemake", "--unlock")
    project.snakemake()
    assert (finished / "provenance.json").read_bytes() == lived
    assert project.trained() == ALL
    nothing_to_do(project)
