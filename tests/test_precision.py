"""docs/precision.md says what benchmarks/precision.csv and gradient_error.json hold."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("script", ["precision.py", "gradient_error.py"])
def test_the_table_in_the_text_is_that_of_the_recorded_measurements(script):
    summary = runpy.run_path(str(ROOT / "benchmarks" / script))["summary"]
    assert summary() in (ROOT / "docs" / "precision.md").read_text()
