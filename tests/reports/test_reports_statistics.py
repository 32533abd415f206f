"""Statistics against what can be worked out by hand."""

import math

import numpy as np
import pytest

from reports.statistics import mean, standard_deviation, summarise, t_interval


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


@pytest.mark.parametrize("n", [3, 5])
def test_interval_covers_the_true_mean_as_often_as_it_says(n):
    samples = np.random.default_rng(0).normal(7.0, 3.0, size=(2000, n))  # (experiment, seed)
    covered = [low <= 7.0 <= high for low, high in map(t_interval, samples)]
    assert 0.93 <= np.mean(covered) <= 0.97


def test_what_n_cannot_support_is_nan():
    one, none = summarise([4.0]), summarise([])
    assert (one.n, one.mean) == (1, 4.0)
    assert math.isnan(one.standard_deviation) and math.isnan(one.low) and math.isnan(one.high)
    assert none.n == 0
    assert all(math.isnan(value) for value in none[1:])
