"""Fixtures of the reports' tests: results trees, and Results made up of returns alone."""

import json
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pandas as pd
import pytest

from oyster.report import build
from oyster.report.read.grid import Grid
from oyster.report.read.results import Results, load
from tests.reports.trees import GRID, Tree


@pytest.fixture
def new_tree(tmp_path):
    """Call it for a fresh Tree; keyword arguments override parts of the grid."""
    return lambda name="demo", **overrides: Tree(tmp_path / name, name, GRID | overrides)


@pytest.fixture
def results_of(tmp_path):
    """Call it with {(environment, encoder): returns by seed, None where one is missing} for Results of just these.

    `bounds`: environment -> scripted returns of doing nothing and of the task known. Seeds count from 1.
    """

    def make(returns: dict, bounds: dict | None = None, last5: dict | None = None) -> Results:
        environments, encoders = (tuple(dict.fromkeys(key[axis] for key in returns)) for axis in (0, 1))
        seeds = range(1, 1 + max(map(len, returns.values())))
        empty = load(tmp_path, Grid("demo", environments, encoders, tuple(seeds)))
        rows = empty.trials.to_dict("records")
        for row in rows:
            key, place = (row["environment"], row["encoder"]), row["seed"] - 1
            value = ([*returns.get(key, []), *[None] * len(seeds)])[place]
            if value is not None:
                five = last5[key][place] if last5 else value
                row |= {"status": "finished", "reason": "", "meta_test_return": value, "meta_test_return_last5": five}
        scripted = pd.DataFrame(
            [(name, 0.0, *both) for name, both in (bounds or {}).items()],
            columns=["environment", "task", "doing_nothing", "task_known"],
        )
        trials = pd.DataFrame(rows, columns=empty.trials.columns).astype(empty.trials.dtypes)
        return replace(empty, trials=trials, scripted=scripted)

    return make


@pytest.fixture(scope="session")
def full(made_once) -> tuple[Tree, Path]:
    """Eighteen finished trials, and the report built from them once. Do not change them.

    Beside these are what a paper gets, paper/, and what both drew, drawn.json (kind → panel → SVG): drawn once.
    """

    def make(folder: Path) -> None:
        tree = Tree(folder, "demo", GRID)
        tree.write_all()
        drawn = build.draw(load(tree.results, tree.read_grid()))
        with patch.object(build, "draw", lambda results: drawn):
            tree.build()
            build.build_paper(tree.read_grid(), tree.results, folder / "paper")
        (folder / "drawn.json").write_text(json.dumps({spec.kind: panels for spec, panels in drawn}))

    folder = made_once("full", make)
    return Tree(folder, "demo", GRID), folder / "report"
