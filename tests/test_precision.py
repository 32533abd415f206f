"""docs/precision.md says what its scripts print: of recorded measurements, and of two commits of the results."""

import json
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    "script, table",
    [
        ("precision", "summary"),
        ("precision", "processor_summary"),
        ("processors", "summary"),
        ("gradient_error", "summary"),
        ("gradient_error", "encoder_summary"),
    ],
)
def test_the_table_in_the_text_is_that_of_the_recorded_measurements(script, table):
    summary = runpy.run_path(str(ROOT / "benchmarks" / f"{script}.py"))[table]()
    assert summary and summary in (ROOT / "docs" / "precision.md").read_text()


def test_pairs_are_trials_that_differ_in_one_thing(tmp_path):
    script = runpy.run_path(str(ROOT / "benchmarks" / "precision.py"))
    returns = {  # seed 3 has no pair
        (seed, precision, cpu): seed * (1.5 if precision == "float32" else 1) * (2 if cpu == "b" else 1)
        for seed in (1, 2, 4)
        for precision in ("float32", "bfloat16")
        for cpu in "ab"
    } | {(3, "float32", "a"): 0}
    rows = "".join(f"point-robot,mlp,{seed},{rest},{cpu},{value}\n" for (seed, rest, cpu), value in returns.items())
    file = tmp_path / "precision.csv"
    file.write_text(f"{','.join(script['TRIAL'])},meta_test_return\n{rows}")
    script["recorded"].__globals__["RESULTS"] = file
    assert "| point-robot | mlp | 6 | 5.25 | 3.50 | -1.75 (" in script["summary"]()
    [heads, _, row] = script["processor_summary"]().splitlines()
    assert heads.startswith("| environment | encoder | pairs | a | b |")
    assert row == "| point-robot | mlp | 3 | 2.33 | 4.67 | +2.33 (-1.46 to +6.13) | ±1.00 | no |"


def test_trials_of_two_processors_differ_in_nothing_else():
    script = runpy.run_path(str(ROOT / "benchmarks" / "processors.py"))
    pairs = script["pairs"]()
    assert len(pairs) == 9 and {(a.cpu, b.cpu) for a, b in pairs.values()} == {
        ("AMD EPYC", "Intel(R) Xeon(R) Processor")
    }
    for trial in pairs:
        place = f"{script['RESULTS']}/{'/'.join(map(str, trial))}/provenance.json"
        first, second = (json.loads(script["_git"]("show", f"{script[c]}:{place}")) for c in ("FIRST", "SECOND"))
        assert all(first[key] == second[key] for key in ("settings", "encoder_sha256", "environment", "precision"))
