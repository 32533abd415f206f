"""Statistics over seeds: pure functions on one-dimensional arrays. What n cannot support comes out as NaN."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


class Summary(NamedTuple):
    """n values in five numbers; low and high bound the 95 % Student-t interval of the mean."""

    n: int
    mean: float
    standard_deviation: float
    low: float
    high: float


def mean(values: ArrayLike) -> float:
    """The arithmetic mean; NaN of nothing."""
    values = np.asarray(values, dtype=float)  # (n,)
    return float(values.mean()) if values.size else float("nan")


def standard_deviation(values: ArrayLike) -> float:
    """The sample standard deviation, with n - 1 in the denominator; NaN below two values."""
    values = np.asarray(values, dtype=float)  # (n,)
    return float(values.std(ddof=1)) if values.size > 1 else float("nan")


def t_interval(values: ArrayLike, confidence: float = 0.95) -> tuple[float, float]:
    """The two-sided Student-t interval of the mean; (NaN, NaN) below two values.

    It assumes roughly normal seeds, and is wide at few: 2.5 standard deviations each way at n = 3.
    """
    values = np.asarray(values, dtype=float)  # (n,)
    if values.size < 2:
        return float("nan"), float("nan")
    quantile = stats.t.ppf(0.5 + confidence / 2, values.size - 1)
    half_width = float(quantile) * standard_deviation(values) / values.size**0.5
    return mean(values) - half_width, mean(values) + half_width


def summarise(values: ArrayLike) -> Summary:
    """n, mean, standard deviation and 95 % interval of the values given."""
    values = np.asarray(values, dtype=float)  # (n,)
    return Summary(values.size, mean(values), standard_deviation(values), *t_interval(values))
