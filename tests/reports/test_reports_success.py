"""Success rates: a table where a family of the grid says what success is, and no trace of them elsewhere."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from oyster.report import paper, tables
from oyster.report.read.results import load

SOLVED = {("mlp", 42): 0.25, ("mlp", 123): 0.75, ("recurrent", 42): 1.0}
ENVIRONMENT = "point-robot"


def add_success(place: Path, rate: float) -> None:
    """To the last trajectory of each run of a trial's four tasks, the first ones solved."""
    table = pd.read_csv(place / "adaptation.csv")
    last = table.groupby(["task", "evaluation"]).trajectory.transform("max") == table.trajectory
    table.assign(success=(last & (table.task < 4 * rate)).astype(float)).to_csv(place / "adaptation.csv", index=False)
    metrics = json.loads((place / "metrics.json").read_text())
    (place / "metrics.json").write_text(json.dumps(metrics | {"success_rate": rate}))


@pytest.fixture
def tree(new_tree):
    """Two environments, of which one has success rates; of three encoders one has not run."""
    tree = new_tree(environments=[ENVIRONMENT, "cheetah-vel"])
    for environment in (ENVIRONMENT, "cheetah-vel"):
        for encoder, seed in SOLVED:
            place = tree.write_trial(environment, encoder, seed)
            if environment == ENVIRONMENT:
                add_success(place, SOLVED[encoder, seed])
    return tree


def test_the_table_is_on_the_page_and_beside_it(tree):
    out = tree.build()
    table = pd.read_csv(out / "tables" / "success_rate.csv")
    assert table[["environment", "encoder", "n", "mean"]].to_numpy().tolist() == [
        [ENVIRONMENT, "mlp", 2, 0.5], [ENVIRONMENT, "recurrent", 1, 1.0],
    ]  # fmt: skip
    assert table.seeds[0] == "42: 0.25; 123: 0.75" and table.ci95_low[0] < 0.5 < table.ci95_high[0]
    assert np.isnan(table.ci95_low[1])
    page = (out / "index.html").read_text()
    assert page.count('id="success"') == 1 and "tables/success_rate.csv" in page
    trials = pd.read_csv(out / "tables" / "trials.csv").set_index(["environment", "encoder", "seed"]).success_rate
    assert trials[ENVIRONMENT, "mlp", 123] == 0.75 and trials[["cheetah-vel"]].isna().all()
    columns = pq.read_schema(out / "results.parquet").names
    assert columns[columns.index("return") + 1] == "success" and "success_rate" in columns
    printed = next(
        each for each in paper.all_tables(load(tree.results, tree.read_grid())) if each.name == "success_rate"
    )
    assert "0.500" in paper.markdown(printed) and "1.000" in paper.latex(printed)


def test_success_is_no_parameter_of_a_task(tree):
    assert load(tree.results, tree.read_grid()).parameter_names(ENVIRONMENT) == ["goal_x", "goal_y"]


def test_where_no_family_says_it_there_is_nothing_of_it(full):
    tree, out = full
    assert len(tables.success_rates(load(tree.results, tree.read_grid()))) == 0
    assert not (out / "tables" / "success_rate.csv").exists() and "uccess rate" not in (out / "index.html").read_text()
    assert "success" not in (out / "tables" / "trials.csv").read_text()
    assert not {"success", "success_rate"} & {*pq.read_schema(out / "results.parquet").names}


@pytest.mark.parametrize("what", ["half", "other rate", "no rate", "no column", "elsewhere"])
def test_a_success_that_cannot_be_is_refused(what, tree):
    place = tree.results / ENVIRONMENT / "mlp" / "42"
    table, metrics = pd.read_csv(place / "adaptation.csv"), json.loads((place / "metrics.json").read_text())
    if what == "half":
        table.success = 0.5
    elif what == "other rate":
        metrics["success_rate"] = 0.5
    elif what == "no rate":
        del metrics["success_rate"]
    elif what == "no column":
        table = table.drop(columns="success")
    else:
        table.insert(1, "success", table.pop("success"))
    table.to_csv(place / "adaptation.csv", index=False)
    (place / "metrics.json").write_text(json.dumps(metrics))
    (sentence,) = load(tree.results, tree.read_grid()).unusable
    expected = {"half": "neither 1.0 nor 0.0", "elsewhere": "expected those of a meta-test"}
    assert expected.get(what, "success_rate that metrics.json has") in sentence and "The trial counts" in sentence
