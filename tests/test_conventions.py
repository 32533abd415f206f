"""What a repository is expected to have beside its code: the files are there, can be read, and agree."""

import re
import subprocess
import tomllib
from datetime import date
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]


def read_yaml(name: str) -> dict:
    return yaml.safe_load((ROOT / name).read_text())


def test_the_version_is_one_and_has_a_date():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    citation = read_yaml("CITATION.cff")
    assert str(citation["version"]) == version
    assert isinstance(citation["date-released"], date)


def test_the_workflow_runs_what_any_ci_runs():
    jobs = read_yaml(".github/workflows/ci.yml")["jobs"]
    steps = [step.get("run") for job in jobs.values() for step in job["steps"]]
    assert ".ci/run" in steps and (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_commits_are_checked_by_the_locked_ruff():
    (repository,) = read_yaml(".pre-commit-config.yaml")["repos"]
    locked = re.search(r"^ruff==(\S+)", (ROOT / "requirements-dev.txt").read_text(), re.MULTILINE)[1]
    assert repository["rev"] == f"v{locked}"
    assert [hook["id"] for hook in repository["hooks"]] == ["ruff-check", "ruff-format"]


def test_the_workflow_catalog_can_read_its_entry():
    usage = read_yaml(".snakemake-workflow-catalog.yml")["usage"]
    assert {"mandatory-flags", "software-stack-deployment", "report"} == usage.keys()


def test_bare_make_names_every_target():
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"^  make ([a-z-]+)  *\S", done.stdout, re.MULTILINE)
    assert sorted(named) == sorted(targets) and len(named) > 15
    assert max(map(len, done.stdout.splitlines())) <= 90


def test_what_contributing_names_is_there():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for path in re.findall(r"(?:`|pytest )((?:tests|oyster|encoders)/[\w/.]*)", text):
        assert (ROOT / path).exists(), path
