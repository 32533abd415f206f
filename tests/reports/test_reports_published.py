"""Other people's figures: shown whole, compared as what they are, and looked at with suspicion."""

import pandas as pd
import pytest
from scipy import stats

from oyster.report import published

OURS = {
    (environment, encoder): [-100.0 - k, -110.0, -90.0]
    for environment in ("cheetah-vel", "point-robot")
    for k, encoder in enumerate(("mlp", "recurrent"))
}


def frame(*rows):
    return pd.DataFrame(rows, columns=["environment", "encoder", "seed", "value"])


def row_of(compared, environment, encoder):
    return compared.set_index(["environment", "encoder"]).loc[(environment, encoder)]


def test_every_published_row_is_there_with_its_blanks():
    board, seeds = published.leaderboard(), published.by_seed()
    assert board.entry.nunique() == 28 and len(board) == 3 * 28 and len(seeds) == 27
    assert board.drop_duplicates("entry").type.value_counts().to_dict() == {"agent": 15, "vanilla": 10, "baseline": 3}
    blank = board[board.value.isna()]
    assert set(blank.model) == {"deepseek-reasoner"} and len(blank) == 8
    assert set(seeds.encoder) == {"mlp", "recurrent", "attention"} and set(seeds.seed) == {42, 123, 456}
    assert (
        seeds.query("encoder == 'attention' and seed == 456 and environment == 'cheetah-vel'").value.item() == -83.0689
    )


def test_the_page_gets_every_row(results_of):
    context = published.page_context(results_of(OURS))
    assert len(context["entries"]) == 28 and len(context["runs"]) == 9 and len(context["beside"]) == 9
    assert context["environments"] == ["cheetah-vel", "sparse-point-robot", "point-robot"]
    assert context["entries"][6]["values"] == [None, None, -18.483]
    assert context["runs"][0] == {"encoder": "attention", "seed": 42, "values": [-95.017, 1.2005, -10.4356]}
    assert context["comparable"] is False


def test_our_difference_from_the_leaderboard_is_a_one_sample_t(results_of):
    row = row_of(published.beside(results_of(OURS)), "cheetah-vel", "mlp")
    theirs = stats.ttest_1samp([-100.0, -110.0, -90.0], -141.860).confidence_interval()
    assert row.to_leaderboard == pytest.approx(-100.0 + 141.860)
    assert (row.to_leaderboard_low, row.to_leaderboard_high) == pytest.approx(
        (theirs.low + 141.86, theirs.high + 141.86)
    )


def test_our_difference_from_the_earlier_run_is_welchs_t(results_of):
    row = row_of(published.beside(results_of(OURS)), "cheetah-vel", "mlp")
    earlier = [-162.2612, -170.8645, -104.786]
    theirs = stats.ttest_ind([-100.0, -110.0, -90.0], earlier, equal_var=False).confidence_interval()
    assert (row.to_earlier_low, row.to_earlier_high) == pytest.approx((theirs.low, theirs.high))


def test_without_our_seeds_the_published_rows_stay_and_nothing_is_claimed(results_of):
    compared = published.beside(results_of({("cheetah-vel", "mlp"): [-120.0], ("cheetah-vel", "mine"): [-1.0]}))
    one, none = row_of(compared, "cheetah-vel", "mlp"), row_of(compared, "point-robot", "attention")
    assert one.to_leaderboard == pytest.approx(21.86) and pd.isna(one.to_leaderboard_low)
    assert none.n == 0 and pd.isna(none.to_leaderboard) and none.leaderboard == -10.837


def test_that_the_two_sources_differ_is_computed(results_of):
    compared = published.beside(results_of(OURS))
    sentence = published.sources(compared)
    assert "differ in 9 of 9 cells" in sentence and "recurrent on sparse-point-robot: 2.82" in sentence
    alike = compared.assign(leaderboard=compared.earlier)
    assert "differ in 0 of 9 cells" in published.sources(alike)


def test_identical_published_values_of_different_encoders_are_flagged():
    (sentence,) = published.suspicious(published.by_seed())
    assert sentence == "sparse-point-robot, seed 42: attention and mlp have the identical return 1.2005."
    told = published.suspicious_published()
    assert "Earlier run. sparse-point-robot, seed 42" in told[0]
    assert any("entries 13 (qwen3.6-plus, vanilla) and 27 (qwen3.6-plus, agent)" in sentence for sentence in told)


def test_plausible_values_are_not_flagged():
    assert (
        published.suspicious(frame(("a", "x", 1, 0.5), ("a", "x", 2, 0.6), ("a", "y", 1, 0.6), ("b", "y", 1, 0.5)))
        == []
    )
    assert published.suspicious(frame()) == []
    assert published.suspicious(frame(("a", "x", 1, 1.0), ("a", "y", 1, 0.99)), {"a": (0.0, 1.0)}) == []


def test_no_spread_over_seeds_and_more_than_the_task_known_gives_are_flagged():
    rows = frame(("a", "x", 1, 0.0), ("a", "x", 2, 0.0), ("a", "y", 1, 1.2))
    flat, better = published.suspicious(rows, {"a": (0.0, 1.0)})
    assert "a, x: all 2 seeds have the identical return 0, which is what Idle returns" in flat
    assert "a, y, seed 1: 1.20 is better than Oracle (1.00)" in better


def test_identical_results_of_our_own_are_flagged(results_of):
    last = {("a", "x"): [1.5, 2.0], ("a", "y"): [1.5, 2.1]}
    (sentence,) = published.suspicious_results(results_of(last))
    assert "a, seed 1: x and y have the identical return 1.5, and the same mean of the last five iterations" in sentence
    last5 = {("a", "x"): [1.0, 2.0], ("a", "y"): [1.1, 2.1]}
    (sentence,) = published.suspicious_results(results_of(last, last5=last5))
    assert "last five" not in sentence
