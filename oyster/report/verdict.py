"""The verdict: what the comparisons say, in one sentence; and whether a steadier measure says otherwise.

The sentence says no more than the pairs do, and all that they do.
A sentence that would be too long names fewer agents: first only the one ahead, then how many pairs differ.
"""

import pandas as pd

from oyster.report.read.results import Results
from oyster.report.statistics.pairs import AGGREGATE, BETTER, UNKNOWN
from oyster.report.statistics.words import listed

WORDS = 30  # of the sentence
PLACES = 3  # that are named where there are more than four


def verdict(results: Results, every: pd.DataFrame) -> str:
    """One sentence. every: the pairs of all environments and of the aggregate, as `pairs.every_pair` gives them."""
    finished = set(results.trials.encoder[results.trials.status == "finished"])
    if not finished:
        return "No trial has finished yet, so nothing can be said."
    if len(finished) == 1:
        return f"Only {finished.pop()} has finished trials, so there is nothing to compare it with."
    tested = every[every.verdict != UNKNOWN]
    if not len(tested):
        return "No two agents can be compared yet: it takes two finished seeds of each, and seeds that differ."
    seeds = _seeds(tested)
    decided = every[every.verdict == BETTER]
    if not len(decided):
        where = "in any environment or over all of them" if len(results.grid.environments) > 1 else "here"
        return f"No agent can be told apart from another {where}, at {seeds}."
    rest = "" if len(decided) == len(every) else f"; no other pair can be told apart at {seeds}"
    counted = f"{len(decided)} of {len(every)} pairs are told apart at {seeds}"
    forms = f"{'; '.join(_named(decided))}{rest}.", f"{'; '.join(_ahead(decided, every))}; {counted}."
    for form in forms:
        if len(form.split()) <= WORDS:
            return _capital(form)
    return f"{counted}, {_where(list(dict.fromkeys(decided.environment)))}."


def otherwise(every: pd.DataFrame, last5: pd.DataFrame) -> str:
    """What the mean of the last five iterations would say instead, in one sentence; blank where nothing is tested.

    every, last5: the same pairs by the last return, and by that mean.
    """
    if not (every.verdict != UNKNOWN).any():
        return ""
    by = "By the mean of the last five iterations"
    before, after = _told_apart(every), _told_apart(last5)
    changes = ((before - after, "no longer told apart"), (after - before, "told apart as well"))
    said = [f"{_counted(found)} are {what}" for found, what in changes if found]
    return f"{by}, {', and '.join(said)}." if said else f"{by} no verdict changes."


def _told_apart(pairs: pd.DataFrame) -> set[tuple[str, str, str]]:
    decided = pairs[pairs.verdict == BETTER]
    return set(zip(decided.environment, decided["first"], decided["second"], strict=True))


def _counted(found: set[tuple[str, str, str]]) -> str:
    """`x and y on a`, of several their number."""
    if len(found) > 1:
        return f"{len(found)} pairs"
    ((place, first, second),) = found
    return f"{first} and {second} {_where([place])}"


def _named(decided: pd.DataFrame) -> list[str]:
    """Who is better than whom, a clause each; environments of which the same is true share theirs."""
    said: dict[str, list[str]] = {}
    for place, group in decided.groupby("environment", sort=False):
        winners: dict[tuple[str, ...], list[str]] = {}
        for first, pairs in group.groupby("first", sort=False):
            winners.setdefault(tuple(pairs["second"]), []).append(first)
        clauses = [
            f"{listed(names)} {'is' if len(names) == 1 else 'are'} better than {listed(list(beaten))}"
            for beaten, names in winners.items()
        ]
        said.setdefault(", and ".join(clauses), []).append(place)
    return [f"{_where(places)} {clause}" for clause, places in said.items()]


def _ahead(decided: pd.DataFrame, every: pd.DataFrame) -> list[str]:
    """Who is better than most others, a clause for each environment."""
    clauses = []
    for place, group in decided.groupby("environment", sort=False):
        wins = group["first"].value_counts()
        ahead = wins.index[wins == wins.max()].tolist()
        there = every[every.environment == place]
        others = len({*there["first"], *there["second"]}) - 1
        be = "is" if len(ahead) == 1 else "are each"
        beaten = "all others" if wins.max() == others else f"{wins.max()} of {others} others"
        clauses.append(f"{_where([place])} {listed(ahead)} {be} better than {beaten}")
    return clauses


def _where(places: list[str]) -> str:
    """`on a, b and 3 other environments, and over all environments`."""
    names = [place for place in places if place != AGGREGATE]
    more = [f"{len(names) - PLACES} other environments"] if len(names) > PLACES + 1 else []
    parts = [f"on {listed([*names[:PLACES], *more] if more else names)}"] if names else []
    return ", and ".join([*parts, *([f"over {AGGREGATE}"] if AGGREGATE in places else [])])


def _seeds(tested: pd.DataFrame) -> str:
    """`3 seeds`, or `2 to 3 seeds`: how many the agents that could be compared have."""
    counts = [*tested.n_first, *tested.n_second]
    return f"{counts[0]} seeds" if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)} seeds"


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]
