"""docs/precision.md says what its scripts print: of recorded measurements, and of two commits of the results."""

import json
import runpy
from pathlib import Path

import pandas as pd
import pytest
from click import ClickException

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def processors():
    return runpy.run_path(str(ROOT / "benchmarks" / "processors.py"))


@pytest.mark.parametrize(
    "script, table",
    [
        ("precision", "summary"),
        ("precision", "processor_summary"),
        ("processors", "summary"),
        ("processors", "cell_summary"),
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


def test_trials_of_two_processors_differ_in_nothing_else(processors):
    pairs = processors["pairs"]()
    kept = {tuple(row) for row in pd.read_csv(processors["KEPT"])[processors["TRIAL"]].itertuples(index=False)}
    assert len(pairs) == 9 + len(kept) and {(a.cpu, b.cpu) for a, b in pairs.values()} == {
        ("AMD EPYC", "Intel(R) Xeon(R) Processor")
    }
    for trial in pairs.keys() - kept:
        place = f"{processors['RESULTS']}/{'/'.join(map(str, trial))}/provenance.json"
        first, second = (
            json.loads(processors["_git"]("show", f"{processors[c]}:{place}")) for c in ("FIRST", "SECOND")
        )
        assert all(first[key] == second[key] for key in ("settings", "encoder_sha256", "environment", "precision"))


def test_a_trial_of_the_other_processor_is_kept_once_and_no_other_trial_is(processors, tmp_path):
    kept = tmp_path / "kept.csv"
    kept.write_text(processors["KEPT"].read_text().splitlines()[0] + "\n")
    processors["keep"].__globals__["KEPT"] = kept
    own = ROOT / "results" / "benchmark" / "point-robot" / "mlp" / "42"
    metrics, provenance = (json.loads((own / f"{name}.json").read_text()) for name in ("metrics", "provenance"))

    def keep(changed: dict) -> None:
        (tmp_path / "metrics.json").write_text(json.dumps(metrics | {"meta_test_return": -1.0}))
        (tmp_path / "provenance.json").write_text(json.dumps(provenance | changed))
        processors["keep"](tmp_path)

    other = {"hardware": provenance["hardware"] | {"cpu": "AMD EPYC"}}
    for changed, complaint in [
        ({}, "the same CPU"),
        (other | {"dirty": True}, "uncommitted"),
        (other | {"settings_sha256": "0"}, "differ in settings_sha256"),
        (other | {"encoder_sha256": "0"}, "differ in encoder_sha256"),
        (other | {"commit": "7084499e92098bbe787631fbea4dbf5338999c46"}, "differ in the code"),
    ]:
        with pytest.raises(ClickException, match=complaint):
            keep(changed)
    with pytest.raises(ClickException, match=r"metrics\.json: No such file"):
        processors["keep"](tmp_path / "nothing")
    assert len(pd.read_csv(kept)) == 0
    keep(other)
    keep(other)
    (row,) = pd.read_csv(kept).itertuples()
    assert (row.environment, row.encoder, row.seed, row.cpu) == ("point-robot", "mlp", 42, "AMD EPYC")
    assert processors["pairs"]()["point-robot", "mlp", 42][0].last == -1.0
