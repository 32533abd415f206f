"""Tables in the repository's own texts: made from results, and true at this commit."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from reports import words
from reports.__main__ import main
from reports.fill import TABLES, fill
from reports.grid import InputError, read_grid
from reports.results import load

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def results(full):
    tree, _ = full
    return load(tree.results, tree.read_grid())


@pytest.mark.parametrize("name", ["README.md", "docs/reproduction.md"])
def test_the_repositorys_own_tables_are_those_of_its_results(name):
    text = (ROOT / name).read_text()
    assert "<!-- table " in text
    filled = fill(text, load(ROOT / "results/benchmark", read_grid(ROOT / "params.yaml", "benchmark")))
    assert filled == text, f"`python -m reports fill {name}` brings it up to date"


def test_a_table_holds_the_means_of_its_cells(results):
    text = fill("before\n<!-- table headline -->\nold\n<!-- end -->\nafter\n", results)
    assert text.startswith("before\n<!-- table headline -->\n| encoder |") and text.endswith("<!-- end -->\nafter\n")
    values = results.trials.query("encoder == 'mlp' and environment == 'point-robot'").meta_test_return
    [row] = [line for line in text.splitlines() if line.startswith("| mlp |")]
    assert f"{values.mean():.2f}".replace("-", "\N{MINUS SIGN}") in row and "n = 2" in row
    assert fill(text, results) == text


def test_one_seed_has_no_interval_and_none_no_number(new_tree):
    tree = new_tree(encoders=["mlp"], seeds=[42])
    tree.write_trial("point-robot", "mlp", 42)
    results = load(tree.results, tree.read_grid())
    row = TABLES["headline"](results).splitlines()[-1]
    assert row.count("\N{EN DASH}") == 2 and "(n = 1)" in row and " to " not in row
    assert "1 of 3 trials" in TABLES["state"](results)


def test_trials_of_two_machines_are_counted_and_their_costs_kept_apart(new_tree):
    tree = new_tree(encoders=["mlp"], seeds=[1, 2, 3])
    for seed, cpu in enumerate(["older", "newer", "newer"], start=1):
        tree.write_trial("point-robot", "mlp", seed, provenance={"hardware": {"cpu": cpu, "cores": 2}})
    results = load(tree.results, tree.read_grid())
    assert "; newer, 2 cores (2); older, 2 cores (1); commit " in TABLES["state"](results)
    rows = [line.split(" | ")[2:4] for line in TABLES["cost"](results).splitlines() if "| mlp |" in line]
    assert rows == [["older, 2 cores", "1"], ["newer, 2 cores", "2"]]


def test_curves_hold_every_trial_below_the_references_run(new_tree):
    tree = new_tree(encoders=["mlp", "attention"], seeds=[1, 2])
    for encoder, seed in [("mlp", 1), ("mlp", 2), ("attention", 2)]:
        tree.write_trial("point-robot", encoder, seed, final=-seed)
    tree.write_trial("point-robot", "attention", 1, failure={"type": "RuntimeError", "message": "no"})
    lines = TABLES["curves"](load(tree.results, tree.read_grid())).splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith("| point-robot")]
    assert [trial for _, trial, *_ in rows] == [
        "reference's code, mlp, seed 42", "ours, mlp, seed 1", "ours, mlp, seed 2", "ours, attention, seed 2",
    ]  # fmt: skip
    assert [curve.split()[-1] for _, _, curve, _ in rows[1:]] == [f"{words.MINUS}{end}.0" for end in (1, 2, 2)]


@pytest.mark.parametrize("name", list(TABLES))
def test_every_table_is_made_of_any_tree(name, results, new_tree):
    assert TABLES[name](results).endswith("\n")
    tree = new_tree("empty")
    assert TABLES[name](load(tree.results, tree.read_grid())).endswith("\n")


def test_marks_that_cannot_be_filled_are_told(results):
    with pytest.raises(InputError, match=r"no table nonsense\. Known: headline"):
        fill("<!-- table nonsense -->\n<!-- end -->\n", results)
    with pytest.raises(InputError, match="has no `<!-- end -->`"):
        fill("<!-- table headline -->\n", results)


def test_the_command_fills_checks_and_refuses(full, tmp_path):
    tree, _ = full
    options = ["--grid", tree.name, "--params", str(tree.params), "--results", str(tree.results)]
    file = tmp_path / "text.md"
    file.write_text("<!-- table headline -->\n<!-- end -->\n")
    run = CliRunner().invoke
    assert run(main, ["fill", str(file), "--check", *options]).exit_code == 1
    assert "mlp" not in file.read_text()
    assert run(main, ["fill", str(file), *options]).exit_code == 0
    assert "| mlp |" in file.read_text()
    assert run(main, ["fill", str(file), "--check", *options]).exit_code == 0
    refused = run(main, ["fill", str(tmp_path / "nothing.md"), *options])
    assert refused.exit_code == 2 and "cannot be read" in refused.output
    assert [path.name for path in tmp_path.iterdir() if path.suffix] == ["text.md"]
