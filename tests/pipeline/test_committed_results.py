"""The results in git are those that dvc.lock records: nobody edited one by hand, and none is recorded and missing."""

import hashlib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
STAGES = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]
TRIALS = {name: stage for name, stage in STAGES.items() if name.startswith("train@")}
NOT_RECORDED = "provenance.json"  # which is of one run, and never twice the same


def test_every_committed_file_has_the_recorded_hash():
    recorded = {
        out["path"]: out["md5"]
        for stage in TRIALS.values()
        for out in stage["outs"]
        if not out["path"].startswith("weights/")
    }
    assert len(recorded) == 6 * len(TRIALS)
    altered = [
        path
        for path, md5 in recorded.items()
        if not (ROOT / path).exists() or hashlib.md5((ROOT / path).read_bytes()).hexdigest() != md5
    ]
    assert altered == []
    files = (ROOT / "results" / "benchmark").glob("*/*/*/*.*")
    there = {file.relative_to(ROOT).as_posix() for file in files if ".partial" not in str(file)}
    assert {path for path in there if not path.endswith(NOT_RECORDED)} == set(recorded)
    assert {path.rpartition("/")[0] for path in there if path.endswith(NOT_RECORDED)} == {
        path.rpartition("/")[0] for path in recorded
    }


def test_every_recorded_trial_was_trained_by_its_own_command_and_settings():
    for name, stage in TRIALS.items():
        environment, encoder, seed = name.removeprefix("train@").rsplit("-", 2)
        place = f"benchmark/{environment}/{encoder}/{seed}"
        assert f"--env {environment} --encoder {encoder} --seed {seed} --budget benchmark" in stage["cmd"]
        assert f"--out results/{place} --weights weights/{place} --record-failure" in stage["cmd"]
        wanted = {"budgets.benchmark.all", f"budgets.benchmark.{environment}", f"environments.{environment}"}
        assert set(stage["params"]["params.yaml"]) == wanted | {f"encoders.{encoder}"}
