"""Statistics against closed forms, published worked values and SciPy's own, and what the intervals really cover."""

import math

import numpy as np
import pytest
from scipy import stats

from oyster.report.statistics import intervals as module
from oyster.report.statistics.intervals import (
    Estimate,
    constant,
    difference,
    holm,
    improvement,
    improvement_interval,
    interquartile_mean,
    interval,
    interval_of,
    mean,
    mean_estimate,
    mean_of_intervals,
    normalise,
    power,
    seeds_needed,
    standard_deviation,
    stratified_estimate,
    summarise,
    t_interval,
)

EXPERIMENTS = 2000


def random():
    return np.random.default_rng(0)


def estimates(samples):
    """`mean_estimate` of every row of (experiment, seed)."""
    n = samples.shape[1]
    return Estimate(samples.mean(axis=1), samples.std(axis=1, ddof=1) / n**0.5, np.full(len(samples), n - 1))


def intervals(samples):
    """`interval` of every row of (experiment, seed), as two arrays.

    From ten seeds on all at once, the bootstrap's draws being the same for every row; the first rows are held to it.
    """
    n = samples.shape[1]
    if n < module.BOOTSTRAP_FROM:
        return np.transpose([interval(sample)[:2] for sample in samples])
    tail = stats.norm.cdf(-np.sqrt(n / (n - 1)) * stats.t.ppf(0.975, n - 1))
    drawn = random().integers(0, n, (module.RESAMPLES, n))
    times = np.stack([(drawn == seed).sum(axis=1) for seed in range(n)], axis=1)  # (resample, seed)
    found = np.quantile(times @ samples.T / n, [tail, 1 - tail], axis=0)
    for row in range(25):
        assert interval(samples[row])[:2] == pytest.approx(tuple(found[:, row]), rel=1e-9)
    return found


def stratified_estimates(scores, resamples=400):
    """`stratified_estimate` of every row of (experiment, environment, seed), many at once; the first are held to it."""
    experiments, environments, n = scores.shape
    errors = np.empty(experiments)
    for rows in np.array_split(np.arange(experiments), max(experiments // 100, 1)):
        resampled = np.empty((len(rows), resamples, environments * n))
        for place, k in enumerate(rows):
            rng = np.random.default_rng(k)
            drawn = [stratum[rng.integers(0, n, (resamples, n))] for stratum in scores[k]]
            resampled[place] = np.concatenate(drawn, axis=1)
        errors[rows] = interquartile_mean(resampled, axis=2).std(axis=1, ddof=1)
    values = interquartile_mean(scores.reshape(experiments, -1), axis=1)
    degrees = np.full(experiments, environments * (n - 1))
    found = Estimate(values, errors * (n / (n - 1)) ** 0.5, degrees)
    for k in range(25):
        one = stratified_estimate(scores[k], seed=k, resamples=resamples)
        assert one == pytest.approx(tuple(part[k] for part in found), rel=1e-9)
    return found


def coverage(low, high, truth):
    return np.mean((np.asarray(low) <= truth) & (truth <= np.asarray(high)))


def test_mean_and_standard_deviation_of_a_worked_example():
    values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]  # squared deviations from 5 sum to 32
    assert mean(values) == 5.0
    assert standard_deviation(values) == pytest.approx(math.sqrt(32 / 7), rel=1e-15)


def test_interval_of_two_values_is_the_cauchy_quantile():
    # With one degree of freedom Student's t is Cauchy: its 97.5 % quantile is tan(0.475 pi).
    low, high = t_interval([1.0, 3.0])
    assert low == pytest.approx(2 - math.tan(0.475 * math.pi))
    assert high == pytest.approx(2 + math.tan(0.475 * math.pi))


def test_interval_of_three_values_has_the_closed_form_of_two_degrees_of_freedom():
    # t quantile at p with two degrees of freedom: (2p - 1) * sqrt(2 / (4 p (1 - p))).
    quantile = 0.95 * math.sqrt(2 / (4 * 0.975 * 0.025))
    low, high = t_interval([-1.0, 0.0, 1.0])
    assert (low, high) == (pytest.approx(-quantile / math.sqrt(3)), pytest.approx(quantile / math.sqrt(3)))


@pytest.mark.parametrize("n", [3, 5, 10])
def test_interval_covers_the_true_mean_as_often_as_it_says(n):
    samples = random().normal(7.0, 3.0, (EXPERIMENTS, n))
    assert interval(samples[0]).method == ("Student's t" if n < 10 else "bootstrap, expanded percentiles")
    assert 0.93 <= coverage(*intervals(samples), 7.0) <= 0.97


@pytest.mark.parametrize(
    ("draw", "truth", "covered"),
    [("exponential", 1.0, {3: 0.88, 5: 0.88, 10: 0.90}), ("lognormal", math.exp(0.5), {3: 0.84, 5: 0.82, 10: 0.85})],
)
def test_skewed_seeds_are_covered_less_often_and_as_often_as_stated(draw, truth, covered):
    for n, stated in covered.items():
        samples = getattr(random(), draw)(size=(EXPERIMENTS, n))
        assert coverage(*intervals(samples), truth) == pytest.approx(stated, abs=0.02)


def test_the_plain_percentile_bootstrap_would_cover_too_little_at_ten_seeds():
    # Why the percentiles are expanded.
    samples = random().normal(size=(EXPERIMENTS, 10))
    resampled = samples[:, random().integers(0, 10, (1000, 10))].mean(axis=-1)  # (experiment, resample)
    assert coverage(*np.quantile(resampled, [0.025, 0.975], axis=1), 0.0) < 0.92


@pytest.mark.filterwarnings("error")
def test_what_n_cannot_support_is_nan_and_says_why():
    one, none = summarise([4.0]), summarise([])
    assert (one.n, one.mean) == (1, 4.0)
    assert math.isnan(one.standard_deviation) and math.isnan(one.low) and math.isnan(one.high)
    assert none.n == 0
    assert all(math.isnan(value) for value in none[1:])
    for values, why in (([], "no seed"), ([4.0], "one seed"), ([4.0] * 3, "same value"), ([0.1] * 12, "same value")):
        shown = interval(values)
        assert math.isnan(shown.low) and math.isnan(shown.high) and why in shown.method


def test_interquartile_mean_by_hand():
    assert interquartile_mean([100.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, -50.0]) == pytest.approx((2 + 3 + 4 + 5) / 4)
    assert interquartile_mean(range(9)) == 4.0  # a quarter of nine, rounded down: two go at each end
    assert interquartile_mean([1.0, 2.0, 6.0]) == 3.0  # of three nothing goes
    assert math.isnan(interquartile_mean([]))


def test_normalised_scores_put_the_bounds_at_zero_and_one():
    assert normalise([-300.0, -75.0, 0.0], idle=-300.0, oracle=0.0) == pytest.approx([0, 0.75, 1])
    assert np.isnan(normalise([1.0], 2.0, 2.0)).all()


def test_the_stratified_bootstrap_resamples_within_each_environment():
    # Across environments these would vary; within each nothing does.
    assert stratified_estimate([[0.0] * 3, [1.0] * 3]) == Estimate(0.5, 0.0, 2)
    assert np.isnan(interval_of(stratified_estimate([[0.1] * 3, [1.0] * 3]))).all()
    assert math.isnan(stratified_estimate([[0.0, 1.0], [1.0]]).standard_error)
    assert math.isnan(stratified_estimate([]).value)


def test_in_one_environment_of_three_seeds_the_stratified_interval_is_the_t_interval():
    values = [0.2, 0.5, 0.6]
    assert interval_of(stratified_estimate([values])) == pytest.approx(t_interval(values), abs=0.02)


def test_the_stratified_standard_error_of_two_pairs_has_a_closed_form():
    # The interquartile mean of (0, a) and (0, b) and so on, four values, leaves out the lowest and the highest. With
    # strata (0, 2) and (10, 12): a resample's inner two are the higher of the first and the lower of the second,
    # 2 with probability 3/4 and 10 with 3/4, so the variance of their mean is 2 * 3/16 * 2**2 / 4 = 3/8.
    estimate = stratified_estimate([[0.0, 2.0], [10.0, 12.0]])
    assert estimate.value == 6.0 and estimate.degrees == 2
    assert estimate.standard_error == pytest.approx(math.sqrt(3 / 8) * math.sqrt(2), rel=0.03)


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("levels", [(0.5, 0.5, 0.5), (0.3, 0.5, 0.7)])
def test_aggregate_intervals_cover_as_stated(n, levels):
    # Normal scores, symmetric about 0.5, whose interquartile mean hence is 0.5; for both encoders of a difference.
    rng, both = random(), []
    for _ in range(2):
        scores = rng.normal(np.array(levels)[:, None], 0.1, (EXPERIMENTS, 3, n))
        both.append(stratified_estimates(scores))
    low, high = zip(*(interval_of(Estimate(*one)) for one in np.array(both[0]).T), strict=True)
    assert 0.92 <= coverage(low, high, 0.5) <= 0.97
    apart = difference(*both)
    assert 0.93 <= coverage(apart.low, apart.high, 0.0) <= 0.975


@pytest.mark.parametrize("n", [3, 5])
def test_of_unlike_environments_the_score_at_this_many_seeds_is_covered(n):
    """Levels and spreads are those of the benchmark's mlp. The interquartile mean of endless seeds is another one."""
    levels, spreads = np.array([0.789, 0.029, 0.574]), np.array([0.012, 0.050, 0.059])
    values, errors, degrees = stratified_estimates(
        random().normal(levels[:, None], spreads[:, None], (EXPERIMENTS, 3, n))
    )
    low, high = zip(*(interval_of(Estimate(*one)) for one in zip(values, errors, degrees, strict=True)), strict=True)
    assert 0.85 <= coverage(low, high, np.mean(values)) <= 0.97
    endless = interquartile_mean(random().normal(levels[:, None], spreads[:, None], (3, 100_000)).ravel())
    assert np.mean(values) < endless - 0.01


def test_difference_is_welchs_t_as_scipy_computes_it():
    first, second = [3.0, 4.5, 5.0, 9.0], [1.0, 1.5, 7.0]
    ours = difference(mean_estimate(first), mean_estimate(second))
    theirs = stats.ttest_ind(first, second, equal_var=False)
    assert ours.p == pytest.approx(theirs.pvalue)
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval()))


def test_difference_from_a_figure_without_spread_is_the_one_sample_t():
    ours = difference(mean_estimate([3.0, 4.5, 5.0]), constant(2.0))
    theirs = stats.ttest_1samp([3.0, 4.5, 5.0], 2.0)
    low, high = theirs.confidence_interval()
    assert ours == pytest.approx((4.1666666666666667 - 2, low - 2, high - 2, theirs.pvalue))


@pytest.mark.parametrize("second", [mean_estimate([1.0]), mean_estimate([1.0, 1.0])])
def test_a_difference_without_a_known_error_has_no_interval(second):
    value, low, high, p = difference(mean_estimate([2.0, 2.0]), second)
    assert value == 1.0 and np.isnan([low, high, p]).all()


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("spread", [1.0, 3.0])
def test_difference_intervals_cover_as_often_as_they_say(n, spread):
    rng = random()
    first, second = (estimates(rng.normal(0, scale, (10 * EXPERIMENTS, n))) for scale in (1.0, spread))
    apart, from_constant = difference(first, second), difference(first, constant(0.0))
    assert 0.93 <= coverage(apart.low, apart.high, 0.0) <= 0.97
    assert 0.93 <= coverage(from_constant.low, from_constant.high, 0.0) <= 0.97


def test_holms_worked_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, math.nan, 0.02]) == pytest.approx([0.6, math.nan, 0.04], nan_ok=True)
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0] and holm([]).size == 0


def test_power_and_seeds_of_the_textbook():
    # Cohen 1988: a group of 26, 64 and 393 or 394 for large, medium and small effects; 17 for one deviation.
    assert seeds_needed([1.0, 0.8, 0.5, 0.2]).tolist() == [17, 26, 64, 394]
    assert power(0.5, 64) == pytest.approx(0.801, abs=0.001)
    assert np.isinf(seeds_needed([0.0, 0.05])).all() and np.isnan(seeds_needed(math.nan))
    assert seeds_needed([1e9, -1.0]).tolist() == [2, 17]


def test_power_is_how_often_a_test_finds_the_effect():
    rng = random()
    found = stats.ttest_ind(rng.normal(1.5, 1, (20_000, 8)), rng.normal(0, 1, (20_000, 8)), axis=1).pvalue < 0.05
    assert power(1.5, 8) == pytest.approx(found.mean(), abs=0.01)


@pytest.mark.filterwarnings("error")
def test_improvement_is_mann_and_whitneys_u():
    first, second = [3.0, 1.0, 2.0, 2.0], [2.0, 0.0, 5.0]
    assert improvement(first, second) == stats.mannwhitneyu(first, second).statistic / 12
    assert improvement([1.0], [1.0]) == 0.5 and improvement([2.0], [1.0]) == 1.0
    assert math.isnan(improvement([], [1.0]))


def test_improvement_intervals_solve_the_score_equation_and_stay_open():
    (low, high), (mirrored_low, mirrored_high) = (improvement_interval(theta, 4, 6) for theta in (0.75, 0.25))
    assert (low, high) == pytest.approx((1 - mirrored_high, 1 - mirrored_low))
    variance = low * (1 - low) * (1 + 4 * ((1 - low) / (2 - low) + low / (1 + low))) / 24
    assert 0.75 - low == pytest.approx(stats.t.ppf(0.975, 8) * math.sqrt(variance))
    low, high = improvement_interval(1.0, 3, 3)  # three above three others: the exact test has p = 0.1
    assert low < 0.5 and high == 1.0
    assert np.isnan(improvement_interval(1.0, 1, 3)).all()


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
def test_improvement_intervals_cover_at_least_as_often_as_they_say(n, shift):
    rng, truth = random(), stats.norm.cdf(shift / 2**0.5)
    found = [
        improvement(a, b)
        for a, b in zip(rng.normal(shift, 1, (EXPERIMENTS, n)), rng.normal(0, 1, (EXPERIMENTS, n)), strict=True)
    ]
    covered = coverage(*improvement_interval(found, n, n), truth)
    assert covered >= 0.95 and (n < 10 or covered <= 0.98)


def test_the_mean_of_intervals_narrows_with_the_root_of_their_number():
    assert mean_of_intervals([0.6], [0.5], [0.8]) == pytest.approx((0.6, 0.5, 0.8))
    assert mean_of_intervals([0.6] * 4, [0.4] * 4, [0.7] * 4) == pytest.approx((0.6, 0.5, 0.65))
    middle, low, high = mean_of_intervals([[0.6], [0.2]], [[0.5], [0.1]], [[0.8], [0.5]])  # row by row
    assert [middle.tolist(), low.tolist(), high.tolist()] == [[0.6, 0.2], pytest.approx([0.5, 0.1]),
                                                              pytest.approx([0.8, 0.5])]  # fmt: skip


def test_the_same_values_give_the_same_numbers():
    values = random().normal(size=12)
    assert interval(values) == interval(values)
    assert stratified_estimate([values, values[:5]]) == stratified_estimate([values, values[:5]])
    assert module.stratified_estimate([values], seed=1) != stratified_estimate([values])


# --- in few numbers, what the simulations above hold in many ----------------------------------------------------------


def test_single_precision_and_integers_are_reckoned_in_double():
    """As the same numbers are in Python; in single precision the sums of these would be rounded."""
    values = np.float32([1e8, 1.0, 3.0, 1e8 + 8, 5.0, 7.0, 1e8, 1.0, 2.0, 3.0, 4.0])
    for found in (mean, standard_deviation, t_interval, summarise, interval, mean_estimate):
        assert found(values[:9]) == found(values[:9].tolist()), found
    assert interval(values) == interval(values.tolist())
    assert stratified_estimate([values]) == stratified_estimate([values.tolist()])
    assert normalise(values, 0.1, 0.7).tolist() == normalise(values.tolist(), 0.1, 0.7).tolist()
    assert improvement([True, True], [True, False]) == 0.75
    assert [part.tolist() for part in mean_of_intervals([1, 0], [0, 0], [1, 1])] == pytest.approx([0.5, 0, 0.5 + 0.5])
    assert power(np.int64(1), [17]) == power(1.0, 17.0) and power([0.5, 1], 30).shape == (2,)
    assert holm([0.02, None]).tolist() == pytest.approx([0.02, math.nan], nan_ok=True)


def test_from_ten_seeds_on_the_interval_is_the_bootstraps():
    values = random().normal(size=(25, 11))
    assert interval(values[0, :2]) == (*t_interval(values[0, :2]), "Student's t")
    assert interval(values[0, :9]) == (*t_interval(values[0, :9]), "Student's t")
    assert interval(values[0, :10]).method == "bootstrap, expanded percentiles"
    for n in (10, 11):
        low, high = intervals(values[:, :n])  # holds each to one that is reckoned otherwise
        assert (low < values[:, :n].mean(axis=1)).all() and (values[:, :n].mean(axis=1) < high).all()


@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_stratified_estimate_is_the_one_reckoned_otherwise(n):
    stratified_estimates(random().normal([[0.3], [0.5], [0.7]], 0.1, (25, 3, n)), resamples=50)


def test_the_stratified_estimate_counts_the_strata_that_vary():
    estimate = stratified_estimate([[0.0, 1.0, 2.0], [5.0] * 4, [1.0, 3.0]])
    assert estimate.degrees == 2 + 1
    flat = stratified_estimate([[1.0] * 4, [2.0] * 3])
    assert (flat.standard_error, flat.degrees) == (0.0, 2)
    one = stratified_estimate([[1.0, 2.0], [1.0]])
    assert one.value == pytest.approx(4 / 3) and math.isnan(one.standard_error) and math.isnan(one.degrees)
    assert stratified_estimate([[0.0, 2.0], [4.0, 7.0, 9.0]]).degrees == 3


def test_estimates_of_one_seed_of_equal_seeds_and_of_a_figure():
    assert mean_estimate([1.0, 2.0, 6.0]) == pytest.approx((3.0, math.sqrt(7 / 3), 2))
    assert mean_estimate([0.1] * 3) == (0.1, 0.0, 2)
    assert mean_estimate([4.0]) == pytest.approx((4.0, math.nan, math.nan), nan_ok=True)
    assert mean_estimate([1.0, 3.0]) == pytest.approx((2.0, 1.0, 1))
    assert (constant(3.0).value, constant(3.0).standard_error) == (3.0, 0.0)
    apart = difference(constant(3.0), mean_estimate([1.0, 2.0, 6.0]))
    assert apart.p == pytest.approx(1.0) and apart.low == pytest.approx(-apart.high)


def test_the_bounds_of_an_improvement_narrow_to_the_last_bit():
    """Of equal samples the interval is symmetric, and what it solves is solved far beyond what is shown."""
    low, high = improvement_interval([0.5, 0.75, 0.0], [5, 4, 2], [5, 4, 2])
    assert low[0] == pytest.approx(1 - high[0], abs=1e-13) and 0 < low[0] < 0.5
    assert low[2] == pytest.approx(0, abs=1e-13) and high[2] < 1  # two below two others
    one = high[1]
    variance = one * (1 - one) * (1 + 3 * ((1 - one) / (2 - one) + one / (1 + one))) / 16
    assert one - 0.75 == pytest.approx(stats.t.ppf(0.975, 6) * math.sqrt(variance), abs=1e-12)
    assert np.isnan(improvement_interval(1.0, 3, 1)).all() and not np.isnan(improvement_interval(1.0, 2, 2)).any()
    assert math.isnan(improvement([1.0], []))


def test_a_power_between_two_tails():
    """Of no effect it is the significance; a sign changes nothing; what SciPy cannot evaluate is certain."""
    assert power(0.0, 5) == pytest.approx(0.05)
    assert power(-0.7, 12) == pytest.approx(power(0.7, 12))
    assert power([1e9, 1e3], 2).tolist() == [1.0, 1.0]


def test_a_power_at_three_seeds_is_what_a_test_finds():
    rng = random()
    found = stats.ttest_ind(rng.normal(3, 1, (8000, 3)), rng.normal(0, 1, (8000, 3)), axis=1).pvalue < 0.05
    assert power(3, np.int64(3)) == pytest.approx(found.mean(), abs=0.02)


def test_the_seeds_needed_are_the_fewest():
    for effect in (5.0, 2.5, 1.3, 0.4, 0.13):
        needed = int(seeds_needed(effect))
        assert power(effect, needed) >= 0.8 and (needed == 2 or power(effect, needed - 1) < 0.8)
    of_three = int(seeds_needed(1.3, tests=3))
    assert of_three > seeds_needed(1.3) and power(1.3, of_three, 0.05 / 3) >= 0.8 > power(1.3, of_three - 1, 0.05 / 3)
    assert seeds_needed([19.0, math.inf]).tolist() == [2, 2]
    needed = seeds_needed(np.linspace(0.126, 0.125, 201))
    assert needed[np.isfinite(needed)].max() == 1000 and np.isinf(needed[-1])
