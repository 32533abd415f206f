"""Statistics over seeds: pure functions on arrays. What n cannot support comes out as NaN, never as a number.

Methods were chosen for what they cover at few seeds, which tests measure by simulation. For normal seeds every 95 %
interval of a mean or a difference covers 93 to 97 % at 3, 5 and 10 seeds; that of a probability of improvement covers
more at three, where only ten values of it are possible. Of skewed seeds the mean's interval covers less, at any method
that few seeds allow: for exponential ones 88 % at 3 and 5 seeds and 90 % at 10; for log-normal ones about 83 %.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

NAN = float("nan")
BOOTSTRAP_FROM = 10  # seeds; below, a bootstrap of so few values is no interval
RESAMPLES = 5000
POWER, SIGNIFICANCE = 0.80, 0.05
MOST_SEEDS = 1000  # above, `seeds_needed` says infinity


class Interval(NamedTuple):
    """A 95 % interval and the method it comes from, in words."""

    low: float
    high: float
    method: str


class Summary(NamedTuple):
    """n values in five numbers; low and high bound the 95 % Student-t interval of the mean."""

    n: int
    mean: float
    standard_deviation: float
    low: float
    high: float


class Estimate(NamedTuple):
    """An estimate with its standard error and degrees of freedom: floats, or arrays of one shape."""

    value: float
    standard_error: float
    degrees: float


class Difference(NamedTuple):
    """First minus second, its 95 % interval and the two-sided p of no difference; floats, or arrays of one shape."""

    value: float
    low: float
    high: float
    p: float


def mean(values: ArrayLike) -> float:
    """The arithmetic mean; NaN of nothing."""
    values = np.asarray(values, dtype=float)  # (n,)
    return float(values.mean()) if values.size else NAN


def standard_deviation(values: ArrayLike) -> float:
    """The sample standard deviation, with n - 1 in the denominator; NaN below two values."""
    values = np.asarray(values, dtype=float)  # (n,)
    return float(values.std(ddof=1)) if values.size > 1 else NAN


def t_interval(values: ArrayLike, confidence: float = 0.95) -> tuple[float, float]:
    """The two-sided Student-t interval of the mean; (NaN, NaN) below two values.

    It assumes roughly normal seeds, and is wide at few: 2.5 standard deviations each way at n = 3.
    """
    values = np.asarray(values, dtype=float)  # (n,)
    if values.size < 2:
        return NAN, NAN
    quantile = stats.t.ppf(0.5 + confidence / 2, values.size - 1)
    half_width = float(quantile) * standard_deviation(values) / values.size**0.5
    return mean(values) - half_width, mean(values) + half_width


def summarise(values: ArrayLike) -> Summary:
    """n, mean, standard deviation and 95 % interval of the values given."""
    values = np.asarray(values, dtype=float)  # (n,)
    return Summary(values.size, mean(values), standard_deviation(values), *t_interval(values))


def interval(values: ArrayLike) -> Interval:
    """The 95 % interval of the mean: Student's t below ten values, from ten on the bootstrap; it says which.

    The bootstrap is the percentile one with Hesterberg's expansion (The American Statistician 69, 2015, section 4.3),
    without which it covers 90 % instead of 95 at n = 10. NaN where values have no spread: that equal seeds are as
    certain as a width of zero says, nobody believes.
    """
    values = np.asarray(values, dtype=float)  # (n,)
    if values.size < 2:
        return Interval(NAN, NAN, "no interval: one seed has no spread" if values.size else "no seed")
    if np.ptp(values) == 0:
        return Interval(NAN, NAN, "no interval: all seeds gave the same value")
    if values.size < BOOTSTRAP_FROM:
        return Interval(*t_interval(values), "Student's t")
    n = values.size
    tail = stats.norm.cdf(-np.sqrt(n / (n - 1)) * stats.t.ppf(0.975, n - 1))
    low, high = stats.bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, confidence_level=1 - 2 * tail, method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return Interval(float(low), float(high), "bootstrap, expanded percentiles")


def normalise(values: ArrayLike, idle: float, oracle: float) -> np.ndarray:
    """Returns on the scale where idle is 0 and the oracle 1; NaN if the two are equal."""
    reach = oracle - idle
    return (np.asarray(values, dtype=float) - idle) / (reach if reach else NAN)


def interquartile_mean(values: ArrayLike, axis: int | None = None) -> float | np.ndarray:
    """Mean of what is left without the lowest and the highest quarter (each rounded down); NaN of nothing."""
    return stats.trim_mean(values, 0.25, axis=axis) if np.size(values) else NAN


def mean_estimate(values: ArrayLike) -> Estimate:
    """The mean with the standard error that Student's t goes with, which is NaN below two values."""
    values = np.asarray(values, dtype=float)  # (n,)
    if values.size < 2:
        return Estimate(mean(values), NAN, NAN)
    if np.ptp(values) == 0:  # exactly, where the sum of squares may not be
        return Estimate(float(values[0]), 0.0, values.size - 1)
    return Estimate(mean(values), standard_deviation(values) / values.size**0.5, values.size - 1)


def stratified_estimate(strata: Sequence[ArrayLike], seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """The interquartile mean of all strata's values together, with its stratified-bootstrap standard error.

    strata: an array (n,) of scores an environment. As in rliable (Agarwal et al. 2021), seeds are resampled within
    each environment. Percentiles of so few seeds are too narrow (79 to 87 % at three seeds in three environments), so
    the bootstrap gives the standard error here, widened by the root of n / (n - 1), and Student's t the quantile with
    n - 1 degrees of freedom a stratum that varies: 92 to 96 % where environments are alike, 88 to 95 % where levels and
    spreads differ as in the benchmark. There the interquartile mean itself changes with n, since it drops whole seeds
    of one environment: what is covered is its mean at this n. In one environment of two or three seeds that is the t
    interval itself. The error is NaN where a stratum has fewer than two values.
    """
    strata = [np.asarray(stratum, dtype=float) for stratum in strata]
    value = interquartile_mean(np.concatenate(strata)) if strata else NAN
    fewest = min((stratum.size for stratum in strata), default=0)
    if fewest < 2:
        return Estimate(float(value), NAN, NAN)
    rng = np.random.default_rng(seed)
    resampled = [stratum[rng.integers(0, stratum.size, (resamples, stratum.size))] for stratum in strata]
    error = interquartile_mean(np.concatenate(resampled, axis=1), axis=1).std(ddof=1)  # of (resample,)
    degrees = sum(stratum.size - 1 for stratum in strata if np.ptp(stratum) > 0)
    if not degrees:
        return Estimate(float(value), 0.0, fewest - 1)  # exactly, whatever rounding makes of the error
    return Estimate(float(value), float(error * np.sqrt(fewest / (fewest - 1))), degrees)


def interval_of(estimate: Estimate) -> tuple[float, float]:
    """The 95 % interval by Student's t; (NaN, NaN) where nothing varied."""
    error = estimate.standard_error or NAN
    half_width = stats.t.ppf(0.975, estimate.degrees) * error
    return float(estimate.value - half_width), float(estimate.value + half_width)


def difference(first: Estimate, second: Estimate) -> Difference:
    """First minus second by Welch's t, with Satterthwaite's degrees of freedom.

    One without error (all seeds alike, or a figure that is given) leaves the other's one-sample t; where neither or
    an unknown one has an error, interval and p are NaN.
    """
    value = np.subtract(first.value, second.value)
    a, b = np.square(first.standard_error), np.square(second.standard_error)
    total = np.where(np.add(a, b) > 0, np.add(a, b), NAN)
    degrees = total**2 / (a**2 / first.degrees + b**2 / second.degrees)
    error = np.sqrt(total)
    half_width = stats.t.ppf(0.975, degrees) * error
    return Difference(value, value - half_width, value + half_width, 2 * stats.t.sf(np.abs(value) / error, degrees))


def constant(value: float) -> Estimate:
    """A figure that is given without any spread, such as a published mean."""
    return Estimate(value, 0.0, 1.0)


def holm(p: ArrayLike) -> np.ndarray:
    """Holm's adjusted p of one family of tests, (test,); NaN are no tests and stay NaN."""
    p = np.asarray(p, dtype=float)
    adjusted = np.full(p.shape, NAN)
    tests = np.flatnonzero(~np.isnan(p))
    order = tests[np.argsort(p[tests], kind="stable")]
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(order.size, 0, -1)))
    return adjusted


def improvement(first: ArrayLike, second: ArrayLike) -> float:
    """P(X > Y) + P(X = Y) / 2 of two samples (n,), (m,): Mann and Whitney's U over n m; NaN of nothing."""
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if not first.size or not second.size:
        return NAN
    return float((np.sign(first[:, None] - second[None, :]).mean() + 1) / 2)


def improvement_interval(probability: ArrayLike, n: ArrayLike, m: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % interval of P(X > Y) by Newcombe's method 5 (Statistics in Medicine 25, 2006); arrays of one shape.

    It inverts a score test, hence stays open where all of one sample lie above all of the other, where a bootstrap
    says [1, 1]. With Student's quantile (n + m - 2 degrees of freedom) for the normal one: with that, three seeds
    above three others would exclude one half, which the exact test does not (p = 0.1). NaN where n or m is below two.
    """
    probability, n, m = np.broadcast_arrays(*(np.asarray(given, dtype=float) for given in (probability, n, m)))
    others, quantile = (n + m) / 2 - 1, stats.t.ppf(0.975, n + m - 2)

    def rejected(theta: np.ndarray) -> np.ndarray:
        shape = 1 + others * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return np.abs(theta - probability) > quantile * np.sqrt(theta * (1 - theta) * shape / (n * m))

    def bound(outer: float) -> np.ndarray:
        """Bisect between the estimate, which is never rejected, and the end of the scale."""
        inside, outside = probability.copy(), np.full(probability.shape, outer)
        for _ in range(50):
            middle = (inside + outside) / 2
            far = rejected(middle)
            inside, outside = np.where(far, inside, middle), np.where(far, middle, outside)
        return np.where((n > 1) & (m > 1), (inside + outside) / 2, NAN)

    return bound(0.0), bound(1.0)


def mean_of_intervals(value: ArrayLike, low: ArrayLike, high: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mean over the last axis of independent estimates, its interval from theirs (MOVER, Zou and Donner 2008)."""
    value, low, high = (np.asarray(given, dtype=float) for given in (value, low, high))
    middle = value.mean(axis=-1)
    down, up = (np.sqrt(np.square(value - bound).sum(axis=-1)) / value.shape[-1] for bound in (low, high))
    return middle, middle - down, middle + up


def power(effect: ArrayLike, n: ArrayLike, significance: float = SIGNIFICANCE) -> np.ndarray:
    """Power of the two-sided two-sample t test with n a group; effect: difference in standard deviations."""
    effect, n = np.asarray(effect, dtype=float), np.asarray(n, dtype=float)
    degrees, centre = 2 * n - 2, effect * np.sqrt(n / 2)
    critical = stats.t.ppf(1 - significance / 2, degrees)
    found = stats.nct.sf(critical, degrees, centre) + stats.nct.cdf(-critical, degrees, centre)
    return np.where(np.isnan(found), 1.0, found)  # far beyond what SciPy evaluates, the power is one


def seeds_needed(effect: ArrayLike, tests: int = 1) -> np.ndarray:
    """The fewest seeds a group that find an effect (in standard deviations) at 80 % power; infinity above 1,000.

    tests: how many are made beside each other; each is then made at its share of the 5 % (Bonferroni). NaN where the
    effect is not known. Rough wherever the effect was itself estimated from few seeds.
    """
    effect = np.abs(np.asarray(effect, dtype=float))
    usable = np.where(np.isnan(effect), 1.0, np.minimum(effect, 20))
    low, high = np.full(effect.shape, 1), np.full(effect.shape, MOST_SEEDS + 1)  # one is too few, high may do
    while np.any(high - low > 1):
        middle = (low + high) // 2
        enough = (middle > 1) & (power(usable, np.maximum(middle, 2), SIGNIFICANCE / max(tests, 1)) >= POWER)
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(np.isnan(effect), NAN, np.where(high > MOST_SEEDS, np.inf, high))
