"""Other people's numbers beside ours, and what in either looks too odd to be believed.

The published files are read as they are; nothing here changes them.
"""

import math

import numpy as np
import pandas as pd

from oyster.report import tables
from oyster.report.read.results import Results
from oyster.report.statistics import intervals, pairs, words

TOLERANCE = 0.01  # of the reach from idle to oracle: how much better than the oracle is still rounding


def leaderboard() -> pd.DataFrame:
    """All rows of the public leaderboard, long: entry (its row, from 1), model, type, environment, value.

    A blank value is a run that failed.
    """
    wide = pd.read_csv(tables.PUBLISHED / "leaderboard.csv")
    wide.insert(0, "entry", range(1, len(wide) + 1))
    return tables.long_format(wide, "entry", "model", "type")


def by_seed() -> pd.DataFrame:
    """The earlier published run of the baselines, long: encoder, seed, environment, value."""
    frame = tables.long_format(pd.read_csv(tables.PUBLISHED / "baselines_by_seed.csv"), "encoder", "seed")
    frame = frame.assign(encoder=frame.encoder.str.removesuffix("_encoder"))
    return frame.sort_values(["environment", "encoder", "seed"], ignore_index=True)


def beside(results: Results) -> pd.DataFrame:
    """One row a published baseline and environment: ours, both published ones, and the three differences.

    `to_leaderboard`: our mean minus the leaderboard's, a one-sample t interval (the leaderboard's mean comes without
    spread, so its own noise is not in it). `to_earlier`: our mean minus the earlier run's, Welch's interval.
    `sources`: the leaderboard's mean minus the earlier run's, one-sample t on the earlier run's seeds.
    """
    board, earlier = leaderboard().query("type == 'baseline'"), by_seed()
    values, rows = pairs.returns(results), []
    for row in board.itertuples():
        encoder = row.model.removesuffix("_encoder")
        ours = values.get((row.environment, encoder), np.zeros(0))
        theirs = earlier[(earlier.environment == row.environment) & (earlier.encoder == encoder)].value
        mine, past = intervals.mean_estimate(ours), intervals.mean_estimate(theirs)
        given = intervals.constant(row.value)
        rows.append(
            {"environment": row.environment, "encoder": encoder, "n": ours.size, "mean": mine.value}
            | {"leaderboard": row.value, "earlier_n": len(theirs), "earlier": past.value}
            | _difference("to_leaderboard", mine, given)
            | _difference("to_earlier", mine, past)
            | _difference("sources", given, past)
        )
    return pd.DataFrame(rows)


def page_context(results: Results) -> dict:
    """The variables of published.html.j2; None where there is no number."""
    board, seeds, compared = leaderboard(), by_seed(), beside(results)
    environments = board.environment.unique().tolist()
    entries = [
        {"entry": entry, "model": rows.model.iloc[0].removesuffix("_encoder"), "type": rows.type.iloc[0],
         "values": [_known(value) for value in rows.set_index("environment").value[environments]]}
        for entry, rows in board.groupby("entry")
    ]  # fmt: skip
    runs = [
        {"encoder": encoder, "seed": seed, "values": rows.set_index("environment").value[environments].tolist()}
        for (encoder, seed), rows in seeds.groupby(["encoder", "seed"])
    ]
    return {
        "environments": environments,
        "entries": entries,
        "runs": runs,
        "beside": [{key: _known(value) for key, value in row.items()} for row in compared.to_dict("records")],
        "sources": sources(compared),
        "suspicious": {"published": suspicious_published(), "ours": suspicious_results(results)},
        "comparable": tables.comparable(results),
    }


def sources(compared: pd.DataFrame) -> str:
    """How far the two published sources of the same baselines lie apart, in a sentence."""
    differ = compared[compared.leaderboard.round(3) != compared.earlier.round(3)]
    outside = int(((compared.sources_low > 0) | (compared.sources_high < 0)).sum())
    largest = compared.loc[compared.sources.abs().div(compared.earlier.abs()).idxmax()]
    return (
        f"The two published sources of the same baselines differ in {len(differ)} of {len(compared)} cells. Relative "
        f"to its size the largest difference is that of {largest.encoder} on {largest.environment}: "
        f"{words.number(largest.leaderboard)} on the leaderboard, {words.number(largest.earlier)} in the earlier run. "
        f"In {outside} cells the leaderboard's mean lies outside the 95 % interval of the earlier run's three seeds."
    )


def suspicious(frame: pd.DataFrame, bounds: dict[str, tuple[float, float]] | None = None) -> list[str]:
    """Sentences about returns that are hard to believe; none may mean that all is well.

    frame: environment, encoder, seed, value (and `last5` where known). bounds: by environment the mean returns of
    idle and of the oracle. Told are: the same value for different encoders on one seed, the same value for every seed
    of an encoder, and values better than the oracle's.
    """
    frame, bounds = frame.dropna(subset="value"), bounds or {}
    found = []
    for (environment, seed, value), group in frame.groupby(["environment", "seed", "value"], sort=False):
        if group.encoder.nunique() > 1:
            names = words.listed(sorted(group.encoder.unique()))
            told = f"{environment}, seed {seed}: {names} have the identical return {_exact(value)}"
            told += _floor(value, environment, bounds)
            if group.get("last5", pd.Series(dtype=float)).nunique() == 1:
                told += ", and the same mean of the last five iterations"
            found.append(f"{told}.")
    for (environment, encoder), group in frame.groupby(["environment", "encoder"], sort=False):
        if len(group) > 1 and group.value.nunique() == 1:
            value = group.value.iloc[0]
            told = f"all {len(group)} seeds have the identical return {_exact(value)}"
            found.append(f"{environment}, {encoder}: {told}{_floor(value, environment, bounds)}.")
    for row in frame[frame.environment.isin(bounds)].itertuples():
        idle, oracle = bounds[row.environment]
        if row.value > oracle + TOLERANCE * abs(oracle - idle):
            found.append(
                f"{row.environment}, {row.encoder}, seed {row.seed}: {words.number(row.value)} is better than "
                f"Oracle ({words.number(oracle)})."
            )
    return found


def suspicious_results(results: Results) -> list[str]:
    """`suspicious` of our own finished trials."""
    finished = results.trials[results.trials.status == "finished"]
    return suspicious(
        finished.rename(columns={pairs.LAST: "value", pairs.LAST5: "last5"}), bounds=pairs.bounds(results)
    )


def suspicious_published() -> list[str]:
    """`suspicious` of the earlier run, and numbers that several leaderboard entries share to the last digit."""
    found = [f"Earlier run. {sentence}" for sentence in suspicious(by_seed())]
    board = leaderboard().dropna(subset="value")
    for (environment, value), group in board.groupby(["environment", "value"], sort=False):
        if len(group) > 1:
            entries = words.listed([f"{row.entry} ({row.model}, {row.type})" for row in group.itertuples()])
            found.append(f"Leaderboard. {environment}: entries {entries} have the identical return {_exact(value)}.")
    return found


def _difference(name: str, first: intervals.Estimate, second: intervals.Estimate) -> dict:
    value, low, high, _ = intervals.difference(first, second)
    return {name: float(value), f"{name}_low": float(low), f"{name}_high": float(high)}


def _known(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value


def _exact(value: float) -> str:
    """Every digit, as it is equality that is told."""
    return f"{value:.10g}".replace("-", words.MINUS)


def _floor(value: float, environment: str, bounds: dict[str, tuple[float, float]]) -> str:
    floor = bounds.get(environment, (math.nan,))[0]
    return ", which is what Idle returns" if math.isclose(value, floor, abs_tol=1e-9) else ""
