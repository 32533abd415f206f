"""Is reward pooling better? Prints the tests that docs/encoder.md fixed before their first trial.

    python docs/encoder_evidence.py

Per environment: Welch's test of the last return against the opponent, p corrected by Holm over the three. Beside it the
mean of the last five iterations, which no test is made of. Exit 1 while a trial is missing, or where one failed.
"""

import json
import sys
from pathlib import Path

import pandas as pd

from oyster.report.statistics import words
from oyster.report.statistics.intervals import difference, holm, mean_estimate

ROOT = Path(__file__).resolve().parents[1]
OURS = "reward-pooling"
OPPONENTS = {"cheetah-vel": "mlp", "sparse-point-robot": "recurrent", "point-robot": "recurrent"}
SEEDS = (42, 123, 456, 1, 2)
LAST, LAST_FIVE = "meta_test_return", "meta_test_return_last5"


def recorded(environment: str, agent: str) -> pd.DataFrame:
    """A row per finished trial of the evidence grid: its last return, and the mean of its last five."""
    folder = ROOT / "results" / f"evidence-{environment}" / environment / agent
    files = [folder / str(seed) / "metrics.json" for seed in SEEDS]
    rows = [json.loads(file.read_text()) for file in files if file.is_file()]
    values = [[row[name] for name in (LAST, LAST_FIVE)] for row in rows]
    return pd.DataFrame(values, columns=[LAST, LAST_FIVE], dtype=float)  # NaN of a trial that failed


def main() -> int:
    missing, compared = 0, {}
    for environment, opponent in OPPONENTS.items():
        for agent in (OURS, opponent):
            rows = recorded(environment, agent)
            missing += len(SEEDS) - len(rows)
            told = ", ".join(f"{value:.2f}" for value in rows[LAST])
            print(f"{environment}, {agent}: n = {len(rows)} of {len(SEEDS)}, last {told or 'none'}")
            compared[environment, agent] = rows
    if missing:
        print(
            f"{missing} of {2 * len(OPPONENTS) * len(SEEDS)} trials are missing: no test is made before all are there."
        )
        return 1
    if any(rows[LAST].isna().any() for rows in compared.values()):
        print("A trial failed (nan): that is its encoder's failure, and no mean or test is made without it.")
        return 1
    differences = {}
    for environment, opponent in OPPONENTS.items():
        ours, theirs = compared[environment, OURS], compared[environment, opponent]
        differences[environment] = difference(mean_estimate(ours[LAST]), mean_estimate(theirs[LAST]))
    corrected = holm([each.p for each in differences.values()])
    for (environment, each), p in zip(differences.items(), corrected, strict=True):
        ours, theirs = (compared[environment, agent] for agent in (OURS, OPPONENTS[environment]))
        print(
            f"{environment}: {OURS} minus {OPPONENTS[environment]} {words.number(each.value)} "
            f"({words.interval(each.low, each.high)}), p = {p:.2g} (Holm over {len(corrected)}); last five "
            f"{words.number(ours[LAST_FIVE].mean())} and {words.number(theirs[LAST_FIVE].mean())}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
