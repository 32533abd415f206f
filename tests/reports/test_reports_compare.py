"""Two commits beside each other: what moved, whether by more than noise, what else differs; and clear refusals."""

import json
import shutil
import subprocess

import pandas as pd
import pytest
from click.testing import CliRunner

from oyster.cli import main
from oyster.report.compare.side_by_side import side_by_side
from oyster.report.read.grid import InputError

FATES = {
    "same": "identical to the last bit",
    "curve": "same returns, other records differ",
    "noise": "moved; noise may explain it",
    "more": "moved by more than noise",
    "gone": "vanished",
    "new": "appeared",
    "never": "in neither",
}


@pytest.fixture
def repository(new_tree):
    """Call it for a tree in git; `tree.commit(tag)` makes a commit of what is there."""

    def make(**overrides):
        tree = new_tree(**{"environments": ["point-robot"], "encoders": list(FATES), "seeds": [1, 2, 3]} | overrides)
        git(tree, "init", "--quiet")
        return tree

    return make


def git(tree, *arguments):
    who = ["-c", "user.name=Anyone", "-c", "user.email=anyone@example.org"]
    subprocess.run(["git", "-C", str(tree.root), *who, *arguments], check=True, capture_output=True)


def commit(tree, tag):
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "--allow-empty", "--message", tag)
    git(tree, "tag", tag)


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def shift(tree, encoder, by):
    for seed in tree.grid["seeds"]:
        path = tree.results / "point-robot" / encoder / str(seed) / "metrics.json"
        metrics = json.loads(path.read_text())
        returns = [value + by for value in metrics["task_returns"]]
        edit(path, meta_test_return=metrics["meta_test_return"] + by, task_returns=returns)


@pytest.fixture
def moved(repository):
    """Between the tags `before` and `after` each encoder met the fate that it is named after."""
    tree = repository()
    places = {}
    for encoder in FATES:
        for seed in tree.grid["seeds"]:
            if encoder not in ("new", "never"):
                places[encoder, seed] = tree.write_trial("point-robot", encoder, seed)
    commit(tree, "before")
    (places["curve", 2] / "progress.csv").write_text((places["curve", 1] / "progress.csv").read_text())
    shift(tree, "noise", 0.02)
    edit(places["noise", 1] / "provenance.json", precision="bfloat16", settings_sha256="9" * 64)
    shift(tree, "more", 100)
    for seed in tree.grid["seeds"]:
        edit(places["more", seed] / "provenance.json", commit="1" * 40)
        shutil.rmtree(places["gone", seed])
        tree.write_trial("point-robot", "new", seed)
    commit(tree, "after")
    return tree


def compared(tree, before="before", after="after", out="compared", grid="demo"):
    return side_by_side(tree.root, (before, after), grid, tree.root / out)


def test_each_fate_is_told_with_what_else_differs(moved):
    cells = {cell.encoder: cell for cell in compared(moved)}
    assert {name: cell.verdict for name, cell in cells.items()} == FATES
    assert cells["more"].difference == pytest.approx(100) and cells["more"].low > 0
    assert cells["noise"].difference == pytest.approx(0.02) and cells["noise"].low < 0.02 < cells["noise"].high
    assert cells["same"].difference == 0 and cells["same"].low is None and cells["gone"].difference is None
    assert cells["more"].causes == {"commit": 3} and cells["same"].causes == {}
    assert cells["noise"].causes == {"settings": 1, "precision": 1}
    assert cells["curve"].trials[1].differing == ["progress.csv"]
    page = (moved.root / "compared" / "index.html").read_text(encoding="utf-8")
    for words in (
        *FATES.values(),
        "settings",
        "(1 of 3 seeds)",
        "progress.csv",
        "15 of 21",
        "python -m oyster verify",
        "oyster report demo --compare before after",
    ):
        assert words in page
    assert "python -m oyster report demo --compare before after" in page
    assert str(moved.root) not in page and "/tmp" not in page
    table = pd.read_csv(moved.root / "compared" / "tables" / "cells.csv").set_index("encoder")
    assert table.verdict.to_dict() == FATES and table.difference["more"] == pytest.approx(100)
    assert len(pd.read_csv(moved.root / "compared" / "tables" / "trials.csv")) == 21


def test_the_same_commits_give_the_same_bytes_and_the_working_tree_is_left_alone(moved):
    compared(moved)
    first = (moved.root / "compared" / "index.html").read_bytes()
    shutil.rmtree(moved.results)  # what is not committed does not count
    compared(moved, out="again")
    assert (moved.root / "again" / "index.html").read_bytes() == first
    assert not moved.results.exists()


def test_a_cell_of_one_seed_cannot_be_told_from_noise(repository):
    tree = repository(encoders=["mlp"], seeds=[1])
    tree.write_trial("point-robot", "mlp", 1)
    commit(tree, "before")
    shift(tree, "mlp", 50)
    commit(tree, "after")
    (cell,) = compared(tree)
    assert cell.verdict == "moved; too few seeds to tell from noise" and cell.low is None


def test_grids_that_differ_are_joined(repository):
    tree = repository(encoders=["mlp"], seeds=[1])
    tree.write_trial("point-robot", "mlp", 1)
    commit(tree, "before")
    grid = {"environments": ["point-robot"], "encoders": ["<b>new</b>", "mlp"], "seeds": [1, 2]}
    tree.params.write_text(json.dumps({"grid": {"demo": grid}}))
    commit(tree, "after")
    cells = compared(tree)
    assert [(cell.encoder, cell.verdict, len(cell.trials)) for cell in cells] == [
        ("mlp", "identical to the last bit", 2), ("<b>new</b>", "in neither", 2),
    ]  # fmt: skip
    page = (tree.root / "compared" / "index.html").read_text(encoding="utf-8")
    assert "<b>new</b>" not in page and "not in the grid" in page


def test_what_cannot_be_compared_is_refused_and_nothing_is_written(repository):
    tree = repository(encoders=["mlp"], seeds=[1])
    commit(tree, "empty")
    tree.write_trial("point-robot", "mlp", 1)
    commit(tree, "full")
    tree.params.write_text("grid: {other: {}}")
    commit(tree, "gridless")
    for before, after, grid, words in [
        ("nosuch", "full", "demo", "no commit 'nosuch'"),
        ("--output=x", "full", "demo", "no commit '--output=x'"),
        ("empty", "full", "demo", "empty .* holds no results/demo"),
        ("full", "full", "benchmark", "holds no results/benchmark"),
        ("full", "gridless", "demo", "In gridless .*: params.yaml has no grid `demo`"),
    ]:
        with pytest.raises(InputError, match=words):
            compared(tree, before, after, grid=grid)
    with pytest.raises(InputError, match="holds other files"):
        compared(tree, "full", "full", out=".")
    assert not (tree.root / "compared").exists()


def test_outside_of_git_is_refused(new_tree, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(InputError, match="in no git repository"):
        compared(new_tree())


def test_the_command_says_what_moved(moved, monkeypatch):
    monkeypatch.chdir(moved.root)
    done = CliRunner().invoke(main, ["report", "demo", "--compare", "before", "after"])
    assert done.exit_code == 0, done.output
    assert "point-robot, more: moved by more than noise" in done.output
    assert (moved.root / "reports" / "compared" / "index.html").is_file()
    refused = CliRunner().invoke(main, ["report", "demo", "--compare", "before", "nosuch"])
    assert refused.exit_code == 2 and "no commit 'nosuch'" in refused.output
