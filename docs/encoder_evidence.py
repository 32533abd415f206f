"""Is reward pooling better? Prints the tests that docs/encoder.md fixed before their first trial.

    python docs/encoder_evidence.py

Per environment: Welch's test of the last return against the opponent, p corrected by Holm over the three. Beside it the
mean of the last five iterations, which no test is made of. A first table has every return, with a letter for the kind
of processor that made it. A second one sets our mean beside the leaderboard's best and the best fixed policy. A third
one has the encoder without `belief_to_act`, which enters no test.

Results count that carry the key which the tree asks for. Where a trial failed, that is its encoder's failure: the
environment shows nothing, and enters Holm's correction with a p of 1. Exit 1 while a trial is missing.
"""

import json
import os
import sys
from pathlib import Path
from string import ascii_lowercase

import pandas as pd

from oyster.grid import Params, load_params
from oyster.report.best_fixed import fixed_returns
from oyster.report.published import leaderboard
from oyster.report.read.grid import read_grid
from oyster.report.read.results import load
from oyster.report.statistics import words
from oyster.report.statistics.intervals import difference, holm, mean_estimate, t_interval
from oyster.status import DONE, MISSING, states

ROOT = Path(__file__).resolve().parents[1]
OURS = "reward-pooling"
OPPONENTS = {"cheetah-vel": "mlp", "sparse-point-robot": "recurrent", "point-robot": "recurrent"}
SEEDS = (42, 123, 456, 1, 2)
PLAIN, PLAIN_SEEDS = "reward-pooling-plain", (42, 123, 456)
LAST, LAST_FIVE = "meta_test_return", "meta_test_return_last5"


def recorded(params: Params, grid: str) -> pd.DataFrame:
    """A row per trial of a grid that has ended; the returns are NaN where it failed."""
    rows = []
    for each in states(params, grid):
        folder, settings = each.keyed.folder, each.keyed.trial.settings
        if each.word in DONE:
            metrics, origin = (json.loads((folder / name).read_text()) for name in ("metrics.json", "provenance.json"))
            processor = f"{origin['hardware']['cpu']}, family {origin['hardware']['cpu_family']}"
            trial = (settings.environment, settings.agent, settings.seed)
            rows.append((*trial, processor, metrics[LAST], metrics[LAST_FIVE]))
        elif each.word != MISSING:
            print(f"not counted: {folder} is {each.word} ({each.why})")
    columns = ["environment", "agent", "seed", "processor", LAST, LAST_FIVE]
    return pd.DataFrame(rows, columns=columns).astype({"seed": int, LAST: float, LAST_FIVE: float})


def mean_and_interval(returns: pd.Series) -> str:
    return f"{words.number(returns.mean())} ({words.interval(*t_interval(returns))})"


def print_returns(sides: list[pd.DataFrame], seeds: tuple[int, ...], letters: dict[str, str]) -> None:
    """Every last return in a Markdown table, a row per side, with the letter of its processor."""
    print(f"| environment | agent | {' | '.join(f'seed {seed}' for seed in seeds)} | mean (95 %) | last five |")
    print("| --- " * (len(seeds) + 4) + "|")
    for side in sides:
        by_seed = side.set_index("seed")
        cells = [f"{words.number(by_seed[LAST][seed])} {letters[by_seed.processor[seed]]}" for seed in seeds]
        means = (mean_and_interval(side[LAST]), words.number(side[LAST_FIVE].mean()))
        print(f"| {' | '.join([side.environment.iloc[0], side.agent.iloc[0], *cells, *means])} |")


def print_goals(sides: dict[str, list[pd.DataFrame]]) -> None:
    """Our mean beside what a leaderboard's entry reached, and what one answer to all tasks reaches."""
    best = leaderboard().groupby("environment").value.max()
    print(f"| environment | {OURS}, mean (95 %) | leaderboard's best (published) | best fixed policy |")
    print("| --- " * 4 + "|")
    for environment, (ours, _) in sides.items():
        grid = f"evidence-{environment}"
        fixed = fixed_returns(load(ROOT / "results" / grid, read_grid(ROOT / "params.yaml", grid)))[environment]
        beside = (words.number(best[environment]), words.number(fixed))
        print(f"| {' | '.join([environment, mean_and_interval(ours[LAST]), *beside])} |")
    print()


def print_plain(rows: pd.DataFrame, letters: dict[str, str]) -> None:
    print()
    if len(rows) < len(OPPONENTS) * len(PLAIN_SEEDS):
        print(f"{PLAIN}: its trials are not complete, and no number of it stands here.")
        return
    print_returns([rows[rows.environment == environment] for environment in OPPONENTS], PLAIN_SEEDS, letters)


def main() -> int:
    os.chdir(ROOT)
    params, sides, missing = load_params(), {}, 0
    for environment, opponent in OPPONENTS.items():
        rows = recorded(params, f"evidence-{environment}")
        sides[environment] = [rows[rows.agent == agent] for agent in (OURS, opponent)]
        for agent, side in zip((OURS, opponent), sides[environment], strict=True):
            missing += len(SEEDS) - len(side)
            if len(side) < len(SEEDS):
                print(f"{environment}, {agent}: {len(side)} of {len(SEEDS)} trials")
    if missing:
        print(
            f"{missing} of {2 * len(OPPONENTS) * len(SEEDS)} trials are missing: no test is made before all are there."
        )
        return 1
    plain = recorded(params, "evidence-plain")
    rows = [side for both in sides.values() for side in both]
    letters = dict(zip(sorted(set(pd.concat([*rows, plain]).processor)), ascii_lowercase, strict=False))
    print_returns(rows, SEEDS, letters)
    print(f"\nProcessors: {'; '.join(f'{letter}: {name}' for name, letter in letters.items())}.\n")
    print_goals(sides)
    found = {
        environment: difference(*(mean_estimate(side[LAST]) for side in both)) for environment, both in sides.items()
    }
    failed = {environment: any(side[LAST].isna().any() for side in both) for environment, both in sides.items()}
    corrected = holm([1.0 if failed[environment] else found[environment].p for environment in found])
    for (environment, each), p in zip(found.items(), corrected, strict=True):
        if failed[environment]:
            print(f"- {environment}: a trial failed (nan), so nothing is shown there.")
            continue
        last_five = " and ".join(words.number(side[LAST_FIVE].mean()) for side in sides[environment])
        print(
            f"- {environment}: {OURS} minus {OPPONENTS[environment]} {words.number(each.value)} "
            f"({words.interval(each.low, each.high)}), p = {p:.2g} (Holm over {len(corrected)}); last five {last_five}."
        )
    print_plain(plain, letters)
    return 0


if __name__ == "__main__":
    sys.exit(main())
