"""The profiles are what Snakemake reads, without complaint, and say what the pipeline relies on."""

import re
from pathlib import Path

import pytest
from snakemake.cli import parse_args

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)  # where Snakemake finds profiles/default by itself


@pytest.mark.parametrize("arguments", [["--cores", "2"], ["--profile", "profiles/slurm"]], ids=["default", "slurm"])
def test_every_run_goes_on_past_a_failure_and_tries_it_once_more(arguments):
    _, read = parse_args(arguments)  # which exits at a key that it does not know
    assert read.keep_going is True  # a trial that could not run holds back no other
    assert read.retries == 1
    assert read.rerun_incomplete is True  # what was killed in the middle starts again
    assert read.show_failed_logs is True
    assert {what.name for what in read.quiet} == {"HOST", "REASON"}
    assert read.executor == (None if "--cores" in arguments else "slurm")


def test_a_slurm_job_asks_for_what_a_trial_needs(untrained, tmp_path):
    project = untrained.copy(tmp_path / "project")
    told = project.run("snakemake", "--profile", "profiles/slurm", "--dry-run", "--forcerun", "environment")
    text = told.stdout + told.stderr
    assert re.search(r"^trial +4$", text, re.MULTILINE) and re.search(r"^environment +1$", text, re.MULTILINE)
    (resources,) = re.findall(r"^ +resources: (.*)$", text, re.MULTILINE)  # other rules have a message in its place
    asked = dict(part.split("=", 1) for part in resources.split(", "))
    assert (asked["mem_mb"], asked["runtime"], asked["slurm_partition"]) == ("3000", "720", "main")
    _, read = parse_args(["--profile", "profiles/slurm"])
    assert read.jobs == 100 and read.latency_wait == 60
