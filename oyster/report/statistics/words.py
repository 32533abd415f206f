"""Numbers and comparisons as sentences, for the page and for who reads the tables without it."""

import math

from oyster.report.statistics.pairs import BETTER, UNKNOWN

MINUS = "\N{MINUS SIGN}"


def number(value: float | None, digits: int = 2) -> str:
    """A number with a true minus sign; blank where there is none."""
    if value is None or not math.isfinite(value):
        return ""
    text = f"{value:.{digits}f}"
    return f"{MINUS}{text[1:]}" if text.startswith("-") else text


def interval(low: float | None, high: float | None) -> str:
    """`1.20 to 7.20`; blank where there is none."""
    return f"{number(low)} to {number(high)}" if number(low) and number(high) else ""


def seeds(count: float | None) -> str:
    """How many seeds each, as roughly as it is known."""
    if count is None or math.isnan(count):
        return ""
    return "more than 1,000 seeds each" if math.isinf(count) else f"about {count:.0f} seeds each"


def listed(names: list[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def comparison(pair, tests: int) -> str:
    """One row of `pairs.pairs` in words; tests: how many pairs were tested beside each other."""
    first, second = pair.first, pair.second
    what = "score" if pair.scale == "normalised score" else "mean return"
    ahead = f"The {what} of {first} is {number(pair.difference)} higher"
    if pair.difference == 0:
        ahead = f"Their {what} is the same"
    if pair.verdict == UNKNOWN:
        few = min(pair.n_first, pair.n_second) < 2
        why = "it takes two seeds of each" if few else "no seed of theirs differs from another"
        return f"{first} and {second} cannot be compared ({why}). {ahead}."
    measured = (
        f"{ahead} (95 % interval {interval(pair.low, pair.high)}). Probability of improvement: "
        f"{number(pair.improvement)} ({interval(pair.improvement_low, pair.improvement_high)})."
    )
    alike = f" All seeds of {pair.alike} gave the same value, whose error counts as zero here." if pair.alike else ""
    if pair.verdict == BETTER:
        p = "p < 0.001" if pair.p_holm < 0.001 else f"p = {number(pair.p_holm, 3)}"
        return f"{first} is better than {second} ({p}). {measured}{alike}"
    count = str(pair.n_first) if pair.n_first == pair.n_second else f"{pair.n_first} and {pair.n_second}"
    alone = f" Tested alone they would pass for different; as one of {tests} pairs they do not."
    lost = alone if pair.p < 0.05 else ""
    settle = seeds(pair.seeds_needed)
    settle = f" Were the difference truly this large, {settle} would settle this pair at 80 % power." if settle else ""
    return f"{first} and {second} are not distinguishable at {count} seeds. {measured}{lost}{settle}{alike}"
