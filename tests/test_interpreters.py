"""One lock and one result for Python 3.11 to 3.13: the bytes of a tiny trial under each."""

import os
import subprocess
from pathlib import Path

import pytest

from oyster.runtime.records import DETERMINISTIC

ROOT = Path(__file__).resolve().parents[1]
# Interpreters that have the lock's packages, by blanks; `make test-pythons` sets up one for each Python that works.
GIVEN = os.environ.get("OYSTER_TEST_PYTHONS", "").split()


def version(python: str) -> str:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_a_trial_is_the_same_bytes_under_each_python(tmp_path):
    found = {version(python): python for python in GIVEN}
    if len(found) < 2:
        pytest.skip(f"OYSTER_TEST_PYTHONS names {len(found)} interpreters; two are needed: `make test-pythons`")
    for name, python in found.items():
        command = [python, "-m", "oyster", "train", "--env", "cheetah-vel", "--encoder", "attention", "--seed", "1"]
        command += ["--preset", "canary", "--params", "tests/canary/params.yaml", "--device", "cpu"]
        subprocess.run([*command, "--out", str(tmp_path / name)], cwd=ROOT, check=True, capture_output=True)
    first, *others = (tmp_path / name for name in found)
    for other in others:
        differ = [name for name in DETERMINISTIC if (first / name).read_bytes() != (other / name).read_bytes()]
        assert differ == [], f"Python {first.name} and {other.name} wrote other bytes"
