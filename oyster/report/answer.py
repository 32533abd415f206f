"""What the page's first part says: the answer in one table, then every comparison in words.

Rows are agents; the frames call them encoders.

Only finished trials count. The page gets plain values: numbers, None where there is none, and text.
"""

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd
from markupsafe import Markup

from oyster.report import published, tables, verdict
from oyster.report.best_fixed import fixed_returns
from oyster.report.read.results import TRIAL, Results, anchor
from oyster.report.statistics import intervals, pairs, words
from oyster.report.statistics.pairs import AGGREGATE, BETTER, LAST, LAST5, Cell

BASELINE = "mlp"
SENTENCES = 10  # pairs of a group that are all told in words; of more, those with the best and with the baseline
ROWS = 300  # further pairs of a group that the page lists; the tables beside it hold all
LAST_ITERATIONS = 5


def page_context(results: Results) -> dict:
    """The variables of answer.html.j2, comparisons.html.j2 and published.html.j2."""
    every, last5 = pairs.every_pair(results), pairs.every_pair(results, LAST5)
    return {
        "precision": tables.precision(results.trials),
        "verdict": verdict.verdict(results, every),
        "otherwise": verdict.otherwise(every, last5),
        "answer": answer(results),
        "comparisons": comparisons(results, every, last5),
        "published": published.page_context(results),
    }


def answer(results: Results) -> dict:
    """The first table: a row per agent, a cell per environment, and one over all where there are several.

    rows: encoder, cells (as `_cell` gives them). references: in the table's order what needs no training, by column.
    no_better: sentences about agents that return no more than who needs no context. methods: what the intervals are.
    unranked: whether no cell has a rank. num_tasks: test tasks by environment.
    """
    environments = results.grid.environments
    columns = [(name, pairs.environment_cells(results, name), False) for name in environments]
    if len(environments) > 1:
        columns.append((AGGREGATE, pairs.aggregate_cells(results), True))
    trials, curves = dict(list(results.trials.groupby(TRIAL[:2], sort=False))), results.curves()
    none = results.trials.head(0)  # of an agent that stands beside the grid, elsewhere than there
    rows = {encoder: [] for encoder in results.grid.encoders}
    for name, cells, is_aggregate in columns:
        ranks = pairs.ranks(cells, pairs.pairs(cells))
        values = [value for cell in cells for stratum in cell.strata for value in stratum]
        for cell in cells:
            entry = _cell(cell, ranks.get(cell.encoder), _strip(cell, values))
            entry |= {"environment": name, "is_aggregate": is_aggregate}
            if is_aggregate:
                strata = zip(environments, cell.strata, strict=False)  # there is none where it could not be formed
                entry["scores"] = [{"environment": place, "values": stratum.tolist()} for place, stratum in strata]
            else:
                planned = trials.get((name, cell.encoder), none)
                entry |= {"planned": len(planned), "seeds": list(_seeds(planned, curves))}
            rows[cell.encoder].append(entry)
    entries = [entry for row in rows.values() for entry in row]
    return {
        "environments": list(environments),
        "aggregate": AGGREGATE if len(environments) > 1 else None,
        "rows": [{"encoder": encoder, "cells": row} for encoder, row in rows.items()],
        "references": _references(results),
        "no_better": no_better(results),
        "methods": sorted({entry["method"] for entry in entries if entry["low"] is not None}),
        "unranked": not any(entry["rank"] for entry in entries),
        "num_tasks": results.task_returns.groupby("environment").task.nunique().to_dict(),
    }


def _references(results: Results) -> dict[str, dict[str, float]]:
    """By reference policy, by column: what Idle, Best fixed and Oracle return.

    No policy where it is known of no environment; over all environments its score, where it is known for each.
    """
    bounds = pairs.bounds(results)
    policies = {
        "Idle": results.scripted.groupby("environment").doing_nothing.mean().to_dict(),
        "Best fixed": fixed_returns(results),
        "Oracle": {name: high for name, (_, high) in bounds.items()},
    }
    for known in policies.values():
        if len(results.grid.environments) > 1 and set(results.grid.environments) <= {*known} & {*bounds}:
            scores = [intervals.normalise([known[name]], *bounds[name]) for name in results.grid.environments]
            known[AGGREGATE] = float(intervals.interquartile_mean(np.concatenate(scores)))
    return {name: known for name, known in policies.items() if known}


def no_better(results: Results) -> list[dict[str, str]]:
    """One environment and a sentence each, about agents whose mean return is no more than that of Best fixed."""
    sentences = []
    for name, fixed in fixed_returns(results).items():
        cells = [cell for cell in pairs.environment_cells(results, name) if cell.n]
        below = [cell.encoder for cell in cells if not cell.estimate.value > fixed]
        if below:
            who = "no agent is above" if len(below) == len(cells) else f"{words.listed(below)} is not above"
            who = who.replace(" is not", " are not") if len(cells) > len(below) > 1 else who
            text = (
                f"On {name} the mean return of {who} that of the reference policy Best fixed ({words.number(fixed)})."
            )
            sentences.append({"environment": name, "text": text})
    return sentences


def comparisons(results: Results, every: pd.DataFrame, last5: pd.DataFrame) -> dict:
    """groups: an environment each, and the aggregate, with its pairs in words; last5: what the last iteration's
    noise does to them. every, last5: `pairs.every_pair` of the last return, and of the mean of the last five."""
    places = [(name, "return") for name in results.grid.environments]
    places += [(AGGREGATE, "normalised score")] if len(places) > 1 else []
    return {
        "groups": [
            _group(name, every[(every.environment == name) & (every.scale == scale)]) | {"scale": scale}
            for name, scale in places
        ],
        "baseline": BASELINE,
        "last5": _last5(results, every, last5),
    }


def stability(results: Results) -> pd.DataFrame:
    """One row an environment and encoder: the mean after the last iteration and over the last five, their intervals,
    and two standard deviations: between seeds, and within a seed's last five iterations (root mean square of seeds).
    """
    finished = results.progress[results.progress.status == "finished"].sort_values([*TRIAL, "iteration"])
    last = finished.groupby(TRIAL, sort=False).tail(LAST_ITERATIONS)
    within = last.groupby(TRIAL, sort=False)[LAST].var(ddof=1).groupby(TRIAL[:2]).mean() ** 0.5
    rows = []
    for name in results.grid.environments:
        both = zip(*(pairs.environment_cells(results, name, metric) for metric in (LAST, LAST5)), strict=True)
        for final, five in both:
            rows.append({
                "environment": name, "encoder": final.encoder, "n": final.n,
                "last": final.estimate.value, "last_low": final.low, "last_high": final.high,
                "last5_n": five.n, "last5": five.estimate.value, "last5_low": five.low, "last5_high": five.high,
                "between_seeds": intervals.standard_deviation(final.strata[0]),
                "within_seed": within.get((name, final.encoder), math.nan),
            })  # fmt: skip
    return pd.DataFrame(rows)


def _cell(cell: Cell, rank: tuple[int, int] | None, strip: Markup) -> dict:
    known = {"value": cell.estimate.value, "low": cell.low, "high": cell.high}
    return {
        "encoder": cell.encoder,
        **{key: value if math.isfinite(value) else None for key, value in known.items()},
        "n": cell.n,
        "method": cell.method,
        "rank": rank and (str(rank[0]) if rank[0] == rank[1] else f"{rank[0]} to {rank[1]}"),
        "strip": strip,
    }


def _seeds(trials: pd.DataFrame, curves: set[str]) -> Iterable[dict]:
    for trial in trials.itertuples():
        finished = trial.status == "finished"
        place = anchor(trial.environment, trial.encoder, trial.seed)
        yield {
            "seed": trial.seed,
            "value": trial.meta_test_return if finished else None,
            "gap": None if finished else tables.gap_text(trial),
            "anchor": place,
            "curve": place in curves,
        }


def _strip(cell: Cell, column: list[float]) -> Markup:
    """Every seed of a cell as a dot and their mean as a stroke, on the scale of the whole column; blank for none."""
    if not cell.n:
        return Markup()
    low, reach = min(column), (max(column) - min(column)) or 1.0

    def place(value: float) -> str:
        return f"{4 + 112 * (value - low) / reach:.1f}"

    dots = "".join(
        f'<circle cx="{place(value)}" cy="7" r="3" fill="currentColor" fill-opacity="0.55"/>'
        for value in np.concatenate(cell.strata)
    )
    mean = place(cell.estimate.value)
    stroke = f'<path d="M{mean} 1V13" stroke="currentColor" stroke-width="1.5"/>'
    shape = 'class="strip" viewBox="0 0 120 14" width="120" height="14" aria-hidden="true" focusable="false"'
    return Markup(f"<svg {shape}>{dots}{stroke}</svg>")


def _group(name: str, group: pd.DataFrame) -> dict:
    """The pairs of one environment: all in words where they are few, else those that matter first."""
    tests = int(group.p.notna().sum())
    said = group
    if len(group) > SENTENCES:
        # `first` has the higher mean: who never comes second has the highest.
        leader = [encoder for encoder in group["first"].unique() if encoder not in set(group["second"])][:1]
        named = {*leader, BASELINE}
        said = group[group["first"].isin(named) | group["second"].isin(named)]
    rest = group.drop(said.index)
    rest = rest.sort_values("p_holm", kind="stable")
    return {
        "environment": name,
        "tests": tests,
        "pairs": len(group),
        "decided": int((group.verdict == BETTER).sum()),
        "sentences": [
            {"first": pair.first, "second": pair.second, "verdict": pair.verdict,
             "text": words.comparison(pair, tests)}
            for pair in said.itertuples()
        ],
        "rest": [
            {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}
            for row in rest.head(ROWS).to_dict("records")
        ],
        "unlisted": max(0, len(rest) - ROWS),
    }  # fmt: skip


def _last5(results: Results, every: pd.DataFrame, again: pd.DataFrame) -> dict:
    """rows of `stability`, and sentences about what averaging five iterations changes."""
    frame = stability(results)
    every, again = (pairs_[pairs_.scale == "return"] for pairs_ in (every, again))
    sentences = []
    for name in results.grid.environments:
        cells = frame[(frame.environment == name) & (frame.n > 0)]
        if len(cells) > 1:
            sentences.append({"environment": name, "text": f"On {name}: {_change(cells, every, again, name)}"})
    return {
        "rows": frame.astype(object).where(frame.notna(), None).to_dict("records"),
        "sentences": sentences,
    }


def _change(cells: pd.DataFrame, every: pd.DataFrame, again: pd.DataFrame, name: str) -> str:
    orders = [{(p.first, p.second) for p in frame[frame.environment == name].itertuples() if p.difference > 0}
              for frame in (every, again)]  # fmt: skip
    swapped = sorted((first, second) for first, second in orders[0] if (second, first) in orders[1])
    decided = [
        {(pair.first, pair.second) for pair in frame[frame.environment == name].itertuples() if pair.verdict == BETTER}
        for frame in (every, again)
    ]
    told = [f"{first} and {second}" for first, second in swapped[:3]]
    more = f", and {len(swapped) - 3} pairs more" if len(swapped) > 3 else ""
    parts = [f"the means of {', of '.join(told)}{more} change places" if swapped else "every pair keeps its order"]
    gained, lost = len(decided[1] - decided[0]), len(decided[0] - decided[1])
    if gained or lost:
        parts.append(f"pairs that become distinguishable: {gained}, that no longer are: {lost}")
    else:
        parts.append("no verdict changes")
    within, between = cells.within_seed.pow(2).mean() ** 0.5, cells.between_seeds.pow(2).mean() ** 0.5
    if math.isfinite(within) and math.isfinite(between):
        parts[-1] += (
            f". Standard deviations: {words.number(within)} between the last {LAST_ITERATIONS} iterations of a seed, "
            f"progress included; {words.number(between)} between the seeds of an agent"
        )
    return f"{'; '.join(parts)}."
