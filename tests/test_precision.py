"""docs/precision.md says what benchmarks/precision.csv holds."""

import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_table_in_the_text_is_that_of_the_recorded_trials():
    script = runpy.run_path(str(ROOT / "benchmarks" / "precision.py"))
    assert script["summary"]() in (ROOT / "docs" / "precision.md").read_text()
