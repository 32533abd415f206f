"""docs/precision.md says what benchmarks/precision.csv and gradient_error.json hold."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    "script, table", [("precision", "summary"), ("gradient_error", "summary"), ("gradient_error", "encoder_summary")]
)
def test_the_table_in_the_text_is_that_of_the_recorded_measurements(script, table):
    summary = runpy.run_path(str(ROOT / "benchmarks" / f"{script}.py"))[table]
    assert summary() in (ROOT / "docs" / "precision.md").read_text()
