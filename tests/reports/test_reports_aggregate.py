"""What is averaged over environments counts each of them, and how many seeds a pair needs, both worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from oyster.report import answer, paper
from oyster.report.statistics import pairs
from oyster.report.statistics.intervals import Estimate
from oyster.report.statistics.pairs import AGGREGATE, Cell

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
    frame = next(table.frame for table in paper.all_tables(results) if table.name == "normalised_score")
    assert frame.set_index("encoder")["mean"].to_dict() == pytest.approx({"x": X, "y": Y})
    rows = {row["encoder"]: row["cells"][-1] for row in answer.answer(results)["rows"]}
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
    ends = answer.answer(results)["references"]
    assert ends["Idle"][AGGREGATE] == 0 and ends["Oracle"][AGGREGATE] == 1


def test_the_best_single_answer_is_averaged_over_all_environments_too(results, monkeypatch):
    monkeypatch.setattr(answer, "fixed_returns", lambda results: {"a": 2.0, "b": -50.0, "c": 21.0})
    scripted = answer.answer(results)["references"]["Best fixed"]
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
    small = [cell("x", effect / 100, 0.01, 3), cell("y", 0.0, 0.01, 3)]  # as scores are, between 0 and 1
    assert pairs.pairs(small).seeds_needed.tolist() == [needed]


def test_seeds_needed_of_returns_by_hand(results_of):
    # Deviations 2 and 2, means 1.6 apart: an effect of 0.8.
    returns = {("a", "x"): [-0.4, 1.6, 3.6], ("a", "y"): [-2.0, 0.0, 2.0]}
    frame = pairs.pairs(pairs.environment_cells(results_of(returns), "a"))
    assert frame.seeds_needed.tolist() == [26]
    assert pd.isna(pairs.pairs([cell("x", 1.0, 0.0, 3), cell("y", 0.0, 0.0, 3)]).seeds_needed).all()


# --- pairs, one property at a time ------------------------------------------------------------------------------------


def test_the_higher_mean_is_first_and_equals_keep_their_order():
    none = Cell("none", (), Estimate(np.nan, np.nan, np.nan), np.nan, np.nan, "")
    cells = [cell("a", 1.0, 1.0, 4), cell("b", 3.0, 2.0, 3), none, cell("c", 3.0, 1.0, 5)]
    frame = pairs.pairs(cells)
    assert list(zip(frame["first"], frame["second"], strict=True)) == [("b", "a"), ("c", "a"), ("b", "c")]
    assert frame.n_first.tolist() == [3, 5, 3] and frame.n_second.tolist() == [4, 4, 5]
    assert frame.difference.tolist() == [2.0, 2.0, 0.0]
    assert (frame.low < frame.difference).all() and (frame.difference < frame.high).all()
    assert len(pairs.pairs(cells[:1])) == 0 and pairs.pairs(cells[:1]).columns.tolist() == frame.columns.tolist()
    alone = pairs.pairs([cells[0], none])
    assert (alone.dtypes == frame.dtypes)[["n_first", "difference", "improvement", "seeds_needed"]].all()
    assert len(alone) == 0 and pairs.ranks(cells[:1], alone) == {}


@pytest.mark.parametrize("apart, verdict", [(0.30, pairs.BETTER), (0.27, pairs.OPEN), (0.25, pairs.OPEN)])
def test_a_pair_is_decided_at_five_percent(apart, verdict):
    """Of a hundred seeds each, deviation one: p is 0.035, 0.058 and 0.079."""
    frame = pairs.pairs([cell("x", apart, 1.0, 100), cell("y", 0.0, 1.0, 100)])
    assert frame.verdict.tolist() == [verdict] and (frame.p[0] < 0.05) == (verdict == pairs.BETTER)


def test_those_without_spread_are_named():
    frame = pairs.pairs([cell("x", 3.0, 0.0, 3), cell("y", 2.0, 0.0, 3), cell("z", 1.0, 1.0, 3)])
    assert frame.alike.tolist() == ["x; y", "x", "y"]
    assert frame.verdict[0] == pairs.UNKNOWN and np.isnan(frame.p_holm[0])
    assert pairs.ranks([cell("x", 3.0, 0.0, 3), cell("y", 2.0, 0.0, 3)], frame[:1]) == {}


def test_an_environment_has_a_cell_an_encoder(results_of):
    returns = {("a", "y"): [1.0, 3.0], ("a", "x"): [5.0], ("b", "z"): [1.0, 2.0]}
    results = results_of(returns, last5={("a", "y"): [2.0, 6.0], ("a", "x"): [7.0], ("b", "z"): [1.0, 2.0]})
    y, x, z = pairs.environment_cells(results, "a")
    assert [(one.encoder, one.n) for one in (y, x, z)] == [("y", 2), ("x", 1), ("z", 0)]
    assert y.strata[0].tolist() == [1.0, 3.0] and y.estimate.value == 2.0 and y.low < 2 < y.high
    assert (y.method, z.method) == ("Student's t", "no seed") and np.isnan(z.estimate.value)
    assert pairs.environment_cells(results, "a", pairs.LAST5)[0].estimate.value == 4.0
    every = pairs.every_pair(results_of({key: returns[key] for key in list(returns)[:2]}, {"a": (0.0, 9.0)}))
    assert every.columns.tolist()[:4] == ["environment", "scale", "first", "second"] and len(every) == 1
    assert (every.environment[0], every.scale[0]) == ("a", "return")


def test_a_trial_that_failed_has_no_return(results):
    results.trials.loc[results.trials.encoder == "x", "status"] = "failed"
    assert {encoder for _, encoder in pairs.returns(results)} == {"y"}
    results.trials.loc[results.trials.seed == 2, "meta_test_return"] = np.nan
    assert pairs.returns(results)["a", "y"].tolist() == [9.0, 8.0]


def test_the_bounds_are_means_over_test_tasks(results):
    results.scripted.loc[len(results.scripted)] = ["a", 1.0, 4.0, 20.0]
    assert pairs.bounds(results) == {"a": (2.0, 15.0), "b": (-100.0, 0.0), "c": (5.0, 25.0)}


def test_the_aggregate_says_where_its_interval_comes_from(results_of):
    x, y = pairs.aggregate_cells(results_of(RETURNS, BOUNDS))
    assert x.method == y.method == "stratified bootstrap"
    assert x.low < x.estimate.value < x.high and (x.n, y.n) == (3, 3)
    one = RETURNS | {("b", "x"): [-50.0]}
    x, _ = pairs.aggregate_cells(results_of(one, BOUNDS))
    assert "one seed somewhere" in x.method and np.isnan(x.low) and x.n == 1
    x, _ = pairs.aggregate_cells(results_of({key: [7.0, 7.0] for key in RETURNS}, BOUNDS))
    assert "no spread" in x.method and np.isnan([x.low, x.high]).all() and x.n == 2
    x, y = pairs.aggregate_cells(results_of(RETURNS | {("b", "x"): []}, BOUNDS))
    assert (x.method, x.n, x.strata) == ("no seed on b", 0, ()) and y.n == 3
    assert np.isnan([*x.estimate, x.low, x.high]).all()
    assert len(pairs.pairs([x, y])) == 0


def test_encoders_are_resampled_apart(results_of):
    """Two of the same returns differ by the noise of their bootstraps, and by nothing when it is done again."""
    same = {(place, name): RETURNS[place, "x"] for place in "abc" for name in "xy"}
    x, y = pairs.aggregate_cells(results_of(same, BOUNDS))
    assert x.estimate.value == y.estimate.value and x.estimate.standard_error != y.estimate.standard_error
    again = pairs.aggregate_cells(results_of(same, BOUNDS))
    assert [one.estimate for one in again] == [x.estimate, y.estimate]


def test_two_environments_have_an_aggregate_too(results_of):
    every = pairs.every_pair(results_of({key: RETURNS[key] for key in RETURNS if key[0] != "c"}, BOUNDS))
    assert every.environment.tolist() == ["a", "b", AGGREGATE] and every.index.tolist() == [0, 1, 2]


def test_the_last_five_iterations_have_pairs_of_their_own(results_of):
    results = results_of(RETURNS, BOUNDS, last5={key: RETURNS[key[0], "yx"[key[1] == "y"]] for key in RETURNS})
    every = pairs.every_pair(results, pairs.LAST5).set_index("environment")
    assert (every.loc[AGGREGATE, "first"], every.loc["a", "first"]) == ("y", "x")
    assert every.scale.tolist() == ["return"] * 3 + ["normalised score"]


def test_ranks_count_those_that_are_decided():
    frame = pd.DataFrame(
        [("a", "b", pairs.BETTER), ("a", "c", pairs.BETTER), ("b", "c", pairs.OPEN), ("a", "d", pairs.UNKNOWN)],
        columns=["first", "second", "verdict"],
    )
    cells = [cell(name, 0.0, 1.0, 3) for name in "abcd"]
    assert pairs.ranks(cells, frame) == {"a": (1, 1), "b": (2, 3), "c": (2, 3)}
    frame.loc[len(frame)] = ("c", "d", pairs.BETTER)
    assert pairs.ranks(cells, frame) == {"a": (1, 2), "b": (2, 4), "c": (2, 3), "d": (2, 4)}
