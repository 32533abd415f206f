"""What is averaged over environments counts each of them, and how many seeds a pair needs, both worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from reports import comparisons, exports, pairs
from reports.pairs import AGGREGATE, Cell
from reports.statistics import Estimate

BOUNDS = {"a": (0.0, 10.0), "b": (-100.0, 0.0), "c": (5.0, 25.0)}
# Scores x: .1 .2 .3 on a, .5 .6 .7 on b, .9 1 .8 on c; y has them in other environments.
RETURNS = {
    ("a", "x"): [1.0, 2.0, 3.0], ("b", "x"): [-50.0, -40.0, -30.0], ("c", "x"): [23.0, 25.0, 21.0],
    ("a", "y"): [9.0, 10.0, 8.0], ("b", "y"): [-50.0, -40.0, -35.0], ("c", "y"): [7.0, 9.0, 11.0],
}  # fmt: skip
# Of nine scores two are left out at each end.
X, Y = np.mean([0.3, 0.5, 0.6, 0.7, 0.8]), np.mean([0.3, 0.5, 0.6, 0.65, 0.8])


@pytest.fixture
def results(results_of):
    return results_of(RETURNS, BOUNDS)


def test_the_aggregate_is_the_interquartile_mean_over_all_environments(results):
    x, y = pairs.aggregate_cells(results)
    assert (x.estimate.value, y.estimate.value) == (pytest.approx(X), pytest.approx(Y))
    for cell in (x, y):
        assert [len(stratum) for stratum in cell.strata] == [3, 3, 3] and cell.estimate.degrees == 6


def test_the_answer_and_the_table_say_the_same(results):
    frame = next(table.frame for table in exports.all_tables(results) if table.name == "normalised_score")
    assert frame.set_index("encoder")["mean"].to_dict() == pytest.approx({"x": X, "y": Y})
    rows = {row["encoder"]: row["cells"][-1] for row in comparisons.answer(results)["rows"]}
    assert {name: cell["value"] for name, cell in rows.items()} == pytest.approx({"x": X, "y": Y})
    assert [part["environment"] for part in rows["x"]["scores"]] == ["a", "b", "c"]
    assert rows["x"]["scores"][2]["values"] == pytest.approx([0.9, 1.0, 0.8])


def test_the_pair_over_all_environments_is_of_the_aggregates(results):
    every = pairs.every_pair(results).set_index("environment")
    assert every.index.tolist() == ["a", "b", "c", AGGREGATE]
    pair = every.loc[AGGREGATE]
    assert (pair["first"], pair["second"]) == ("x", "y") and pair.difference == pytest.approx(X - Y)
    # P(x > y) is 0 on a and 1 on c. On b, of nine pairs of seeds, x is higher in four and equal in two.
    assert pair.improvement == pytest.approx((0 + (4 + 2 / 2) / 9 + 1) / 3)


def test_scripts_are_averaged_over_all_environments_too(results):
    scripted = comparisons.answer(results)["scripted"]
    assert scripted["Doing nothing"][AGGREGATE] == 0 and scripted["Task known"][AGGREGATE] == 1


def test_the_best_single_answer_is_averaged_over_all_environments_too(results, monkeypatch):
    monkeypatch.setattr(comparisons, "single_answers", lambda results: {"a": 2.0, "b": -50.0, "c": 21.0})
    scripted = comparisons.answer(results)["scripted"]["Best single answer"]
    assert scripted[AGGREGATE] == pytest.approx(np.mean([0.2, 0.5, 0.8]))  # of three nothing is left out


# --- how many seeds a pair needs --------------------------------------------------------------------------------------


def cell(encoder: str, value: float, deviation: float, n: int) -> Cell:
    return Cell(encoder, (np.zeros(n),), Estimate(value, deviation / n**0.5, n - 1), 0.0, 0.0, "")


@pytest.mark.parametrize("effect, needed", [(1.0, 17), (0.8, 26), (0.5, 64), (0.2, 394)])  # Cohen 1988
@pytest.mark.parametrize("deviations, seeds", [((2, 2), (3, 3)), ((2, 4), (3, 3)), ((1, 7), (4, 9)), ((7, 1), (4, 9))])
def test_the_deviation_is_that_of_a_seed_pooled_over_both(effect, needed, deviations, seeds):
    pooled = np.sqrt((deviations[0] ** 2 + deviations[1] ** 2) / 2)
    cells = [cell("x", 100 + effect * pooled, deviations[0], seeds[0]), cell("y", 100.0, deviations[1], seeds[1])]
    for order in (cells, cells[::-1]):
        assert pairs.pairs(order).seeds_needed.tolist() == [needed]


def test_seeds_needed_of_returns_by_hand(results_of):
    # Deviations 2 and 2, means 1.6 apart: an effect of 0.8.
    returns = {("a", "x"): [-0.4, 1.6, 3.6], ("a", "y"): [-2.0, 0.0, 2.0]}
    frame = pairs.pairs(pairs.environment_cells(results_of(returns), "a"))
    assert frame.seeds_needed.tolist() == [26]
    assert pd.isna(pairs.pairs([cell("x", 1.0, 0.0, 3), cell("y", 0.0, 0.0, 3)]).seeds_needed).all()
