"""The reference's own code beside ours: prints every value that docs/explanation/investigations.md quotes of it.

fidelity.csv has one row per iteration: what either code returned, and its losses. p is Mann and Whitney's, two-sided.
Our seeds 13 and 14 ran on the first kind of processor too, and enter no test. `python docs/measured/fidelity.py`
"""

from pathlib import Path

import pandas as pd
from scipy.stats import mannwhitneyu

FIRST, SECOND = "AMD (not recorded)", "AMD 25/1"  # kinds of processor
LAST = 5  # iterations whose mean is compared
LOSSES = ["qf_loss", "vf_loss", "kl_divergence"]
RUNS = ["environment", "code", "processor", "seed"]
BY_ENVIRONMENT = ("point-robot", "sparse-point-robot", "cheetah-vel")


def of_last(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per trial: means over its last five iterations."""
    ordered = rows.sort_values("iteration").groupby(RUNS)[["meta_test_return", *LOSSES]]
    return ordered.apply(lambda trial: trial.tail(LAST).mean()).reset_index()


def select(runs: pd.DataFrame, code: str, environment: str, seeds: range, processor: str) -> pd.DataFrame:
    wanted = (runs.code == code) & (runs.environment == environment) & (runs.processor == processor)
    return runs[wanted & runs.seed.isin(seeds)]


def number(value: float) -> str:
    """One digit after the point, or two where it is small; a true minus sign."""
    return f"{value:.{1 if abs(value) >= 20 else 2}f}".replace("-", "\N{MINUS SIGN}")


def comparison(title: str, reference: pd.DataFrame, ours: pd.DataFrame) -> str:
    cells = [title]
    for side in (reference, ours):
        cells += [str(len(side)), number(side.meta_test_return.mean())]
    returns = [side.meta_test_return for side in (reference, ours)]
    method = "exact" if pd.concat(returns).is_unique else "asymptotic"  # SciPy's exact test knows no ties
    p = mannwhitneyu(*returns, method=method).pvalue
    return f"| {' | '.join(cells)} | {p:.{2 if p >= 0.01 else 3}f} |"


def lines() -> list[str]:
    runs = of_last(pd.read_csv(Path(__file__).with_name("fidelity.csv")))
    robots = {
        name: [select(runs, code, name, range(1, 7), FIRST) for code in ("reference", "oyster")]
        for name in BY_ENVIRONMENT[:2]
    }
    early, fresh = (
        [select(runs, code, "cheetah-vel", seeds, processor) for code in ("reference", "oyster")]
        for seeds, processor in ((range(1, 13), FIRST), (range(13, 23), SECOND))
    )
    every = [pd.concat(sides) for sides in zip(early, fresh, strict=True)]
    again = select(runs, "oyster", "cheetah-vel", range(1, 6), SECOND)
    before = select(runs, "oyster", "cheetah-vel", range(1, 6), FIRST)
    return [
        "| trials | reference: trials | mean | ours: trials | mean | p |",
        "| --- | --- | --- | --- | --- | --- |",
        *(comparison(f"{name}, seeds 1 to 6", *sides) for name, sides in robots.items()),
        comparison("cheetah-vel, seeds 1 to 12 (reference: to 9), looked at while they came in", *early),
        comparison("cheetah-vel, seeds 13 to 22 (reference: to 20), fixed beforehand", *fresh),
        comparison("cheetah-vel, all of these", *every),
        "",
        *(losses(name, *sides) for name, sides in (robots | {"cheetah-vel": every}).items()),
        between("reference", early[0], fresh[0]),
        between("ours", early[1], fresh[1]),
        f"- cheetah-vel, our seeds 1 to 5: {number(before.meta_test_return.mean())} on the first kind of processor, "
        f"{number(again.meta_test_return.mean())} on a second.",
    ]


def between(code: str, early: pd.DataFrame, fresh: pd.DataFrame) -> str:
    """The two batches of seeds of one code."""
    p = mannwhitneyu(early.meta_test_return, fresh.meta_test_return, method="exact").pvalue
    means = (number(side.meta_test_return.mean()) for side in (early, fresh))
    return f"- cheetah-vel, {code}, first seeds against fresh ones: {' and '.join(means)}, p = {p:.1g}."


def losses(environment: str, reference: pd.DataFrame, ours: pd.DataFrame) -> str:
    theirs, mine = ([f"{side[name].mean():,.0f}" for name in LOSSES] for side in (reference, ours))
    return (
        f"- {environment}, losses of critics and value function, and KL: {', '.join(theirs)} for the reference, "
        f"{', '.join(mine)} for ours."
    )


if __name__ == "__main__":
    print("\n".join(lines()))
