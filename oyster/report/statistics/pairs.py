"""Encoders compared: what is known of each in an environment and over all, every pair, and the ranks these allow.

What the data cannot order stays unordered: a rank is given only as far as Holm-adjusted differences support it.
"""

import math
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from oyster.report.read.results import TRIAL, Results
from oyster.report.statistics import intervals

LAST, LAST5 = "meta_test_return", "meta_test_return_last5"
SIGNIFICANCE = 0.05
BETTER, OPEN, UNKNOWN = "better", "not distinguishable", "cannot be compared"
AGGREGATE = "all environments"


class Cell(NamedTuple):
    """What is known of one encoder in one environment, or (scores, not returns) over all of them.

    strata: values by seed, an array an environment. Two estimates are compared through `estimate`.
    """

    encoder: str
    strata: tuple[np.ndarray, ...]
    estimate: intervals.Estimate
    low: float
    high: float
    method: str

    @property
    def n(self) -> int:
        """Seeds; over several environments the fewest in one."""
        return min((stratum.size for stratum in self.strata), default=0)


def bounds(results: Results) -> dict[str, tuple[float, float]]:
    """By environment the mean returns of idle and of the oracle over its test tasks, where both are known."""
    means = results.scripted.groupby("environment")[["doing_nothing", "task_known"]].mean().dropna()
    return {row.Index: (row.doing_nothing, row.task_known) for row in means.itertuples()}


def returns(results: Results, metric: str = LAST) -> dict[tuple[str, str], np.ndarray]:
    """(environment, encoder) → the finished trials' returns, by seed in the grid's order; no key where none is."""
    finished = results.trials[(results.trials.status == "finished") & results.trials[metric].notna()]
    return {key: group[metric].to_numpy() for key, group in finished.groupby(TRIAL[:2], sort=False)}


def environment_cells(results: Results, environment: str, metric: str = LAST) -> list[Cell]:
    """A cell an encoder, in the grid's order, of the finished trials' returns."""
    by_encoder = returns(results, metric)
    cells = []
    for encoder in results.grid.encoders:
        values = by_encoder.get((environment, encoder), np.zeros(0))
        estimate = intervals.mean_estimate(values)
        cells.append(Cell(encoder, (values,), estimate, *intervals.interval(values)))
    return cells


def aggregate_cells(results: Results, metric: str = LAST) -> list[Cell]:
    """A cell an encoder: the interquartile mean of normalised scores over every environment of the grid.

    An encoder without a finished seed in one of them, or an environment without an oracle, leaves no
    aggregate: a mean over other environments would be a mean of something else.
    """
    scale, by_encoder = bounds(results), returns(results, metric)
    cells = []
    for number, encoder in enumerate(results.grid.encoders):
        values = {name: by_encoder.get((name, encoder), np.zeros(0)) for name in results.grid.environments}
        unscaled = [name for name in values if name not in scale]
        absent = [name for name, stratum in values.items() if not stratum.size]
        if unscaled or absent:
            why = f"no oracle on {', '.join(unscaled)}" if unscaled else f"no seed on {', '.join(absent)}"
            cells.append(Cell(encoder, (), intervals.Estimate(*[math.nan] * 3), math.nan, math.nan, why))
            continue
        strata = tuple(intervals.normalise(stratum, *scale[name]) for name, stratum in values.items())
        estimate = intervals.stratified_estimate(strata, seed=number)
        known = estimate.standard_error > 0
        method = "stratified bootstrap" if known else "no interval: one seed somewhere, or no spread"
        cells.append(Cell(encoder, strata, estimate, *intervals.interval_of(estimate), method))
    return cells


def pairs(cells: list[Cell]) -> pd.DataFrame:
    """Every pair of encoders compared: one row a pair, the one with the higher mean as `first`.

    Columns: first, second, n_first, n_second, difference, low, high, p, p_holm (over the pairs of these cells),
    improvement, improvement_low, improvement_high (P(first > second), mean over environments), seeds_needed (each,
    for the difference observed), alike (names whose seeds all gave the same value), verdict (of the first: better,
    not distinguishable, cannot be compared).
    """
    found = [
        (x, y) if not y.estimate.value > x.estimate.value else (y, x) for x, y in combinations(cells, 2) if x.n and y.n
    ]
    first = intervals.Estimate(*_columns(x.estimate for x, _ in found))
    second = intervals.Estimate(*_columns(y.estimate for _, y in found))
    difference = intervals.difference(first, second)
    n_first, n_second = (
        np.array([cell.n for cell in side], dtype=int) for side in ([x for x, _ in found], [y for _, y in found])
    )
    # What one more seed would vary by, were it one in each environment: the standard errors, undone.
    alike = ["; ".join(cell.encoder for cell in pair if cell.estimate.standard_error == 0) for pair in found]
    deviation = np.sqrt((first.standard_error**2 * n_first + second.standard_error**2 * n_second) / 2)
    p_holm = intervals.holm(difference.p)
    verdict = np.where(np.isnan(p_holm), UNKNOWN, np.where(p_holm < SIGNIFICANCE, BETTER, OPEN))
    probability, low, high = _improvements(found)
    return pd.DataFrame({
        "first": [x.encoder for x, _ in found], "second": [y.encoder for _, y in found],
        "n_first": n_first, "n_second": n_second,
        "difference": difference.value, "low": difference.low, "high": difference.high,
        "p": difference.p, "p_holm": p_holm,
        "improvement": probability, "improvement_low": low, "improvement_high": high,
        "seeds_needed": intervals.seeds_needed(
            difference.value / np.where(deviation > 0, deviation, np.nan), int(np.isfinite(difference.p).sum())
        ),
        "alike": alike, "verdict": verdict,
    })  # fmt: skip


def ranks(cells: list[Cell], compared: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """Encoder → the best and the worst rank that the pairs allow; absent where they say nothing about it.

    The best is one more than those that are significantly better, the worst leaves out those that are worse. With an
    interval for fewer than two encoders, or where nothing is distinguishable, nobody has a rank.
    """
    usable = compared[compared.verdict != UNKNOWN]
    tested = {*usable["first"], *usable["second"]}
    ranked = [cell.encoder for cell in cells if cell.encoder in tested]
    decided = usable[usable.verdict == BETTER]
    wins, losses = decided["first"].value_counts(), decided["second"].value_counts()
    spans = {name: (1 + int(losses.get(name, 0)), len(ranked) - int(wins.get(name, 0))) for name in ranked}
    return {name: span for name, span in spans.items() if span != (1, len(ranked))}


def every_pair(results: Results, metric: str = LAST) -> pd.DataFrame:
    """The pairs of every environment, then those of the aggregate (column `scale`: return, or normalised score)."""
    frames = [
        pairs(environment_cells(results, name, metric)).assign(environment=name, scale="return")
        for name in results.grid.environments
    ]
    if len(results.grid.environments) > 1:
        frames.append(pairs(aggregate_cells(results, metric)).assign(environment=AGGREGATE, scale="normalised score"))
    frame = pd.concat(frames, ignore_index=True)
    return frame[["environment", "scale", *frame.columns.drop(["environment", "scale"])]]


def _columns(estimates) -> np.ndarray:
    """(field, pair) of a sequence of estimates, with a column even for none."""
    return np.array([tuple(estimate) for estimate in estimates], dtype=float).reshape(-1, 3).T


def _improvements(found: list[tuple[Cell, Cell]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """P(first > second) of each pair and its interval, averaged over the strata: three arrays (pair,)."""
    if not found:
        return (np.zeros(0),) * 3
    strata = [
        [(intervals.improvement(a, b), a.size, b.size) for a, b in zip(x.strata, y.strata, strict=True)]
        for x, y in found
    ]
    probability, n, m = np.moveaxis(np.array(strata, dtype=float), -1, 0)  # (pair, stratum) each
    return intervals.mean_of_intervals(probability, *intervals.improvement_interval(probability, n, m))
