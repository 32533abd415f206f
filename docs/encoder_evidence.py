"""Is reward pooling better? Prints the tests that docs/encoder.md fixed before their first trial.

    python docs/encoder_evidence.py

Per environment: Welch's test of the last return against the opponent, p corrected by Holm over the three. Beside it the
mean of the last five iterations, which no test is made of. Results count that carry the key which the tree asks for.
Where a trial failed, that is its encoder's failure: the environment shows nothing, and enters Holm's correction with a
p of 1. Exit 1 while a trial is missing.
"""

import json
import os
import sys
from pathlib import Path

import pandas as pd

from oyster.grid import Params, load_params
from oyster.report.statistics import words
from oyster.report.statistics.intervals import difference, holm, mean_estimate
from oyster.status import DONE, MISSING, states

ROOT = Path(__file__).resolve().parents[1]
OURS = "reward-pooling"
OPPONENTS = {"cheetah-vel": "mlp", "sparse-point-robot": "recurrent", "point-robot": "recurrent"}
SEEDS = (42, 123, 456, 1, 2)
LAST, LAST_FIVE = "meta_test_return", "meta_test_return_last5"


def recorded(params: Params, environment: str) -> pd.DataFrame:
    """A row per trial of a grid that has ended: agent, last return, mean of the last five; NaN where it failed."""
    rows = []
    for each in states(params, f"evidence-{environment}"):
        if each.word in DONE:
            metrics = json.loads((each.keyed.folder / "metrics.json").read_text())
            rows.append(
                {"agent": each.keyed.trial.settings.agent} | {name: metrics[name] for name in (LAST, LAST_FIVE)}
            )
        elif each.word != MISSING:
            print(f"not counted: {each.keyed.folder} is {each.word} ({each.why})")
    return pd.DataFrame(rows, columns=["agent", LAST, LAST_FIVE]).astype({LAST: float, LAST_FIVE: float})


def main() -> int:
    os.chdir(ROOT)
    params, sides, missing = load_params(), {}, 0
    for environment, opponent in OPPONENTS.items():
        rows = recorded(params, environment)
        sides[environment] = [rows[rows.agent == agent] for agent in (OURS, opponent)]
        for agent, side in zip((OURS, opponent), sides[environment], strict=True):
            missing += len(SEEDS) - len(side)
            told = ", ".join(f"{value:.2f}" for value in side[LAST])
            print(f"{environment}, {agent}: n = {len(side)} of {len(SEEDS)}, last {told or 'none'}")
    if missing:
        print(
            f"{missing} of {2 * len(OPPONENTS) * len(SEEDS)} trials are missing: no test is made before all are there."
        )
        return 1
    found = {
        environment: difference(*(mean_estimate(side[LAST]) for side in both)) for environment, both in sides.items()
    }
    failed = {environment: any(side[LAST].isna().any() for side in both) for environment, both in sides.items()}
    corrected = holm([1.0 if failed[environment] else found[environment].p for environment in found])
    for (environment, each), p in zip(found.items(), corrected, strict=True):
        if failed[environment]:
            print(f"{environment}: a trial failed (nan), so nothing is shown there.")
            continue
        last_five = " and ".join(words.number(side[LAST_FIVE].mean()) for side in sides[environment])
        print(
            f"{environment}: {OURS} minus {OPPONENTS[environment]} {words.number(each.value)} "
            f"({words.interval(each.low, each.high)}), p = {p:.2g} (Holm over {len(corrected)}); last five {last_five}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
