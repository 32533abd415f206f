"""What each part of reward pooling is worth: prints the table of docs/encoder.md from ablation.csv.

    python docs/measured/ablation.py                  # the table
    python docs/measured/ablation.py --from CHECKOUT  # first write ablation.csv anew

ablation.csv has a row per trial: its mean return over the last five iterations, and what encoder_probe.py sees in its
agent. CHECKOUT is the project at commit c0b9432, where the grids `ablation` and `ablation-search` have been trained.
Intervals are of a difference of two means over the five seeds, as Welch's test has them.
"""

import argparse
import json
from pathlib import Path

import pandas as pd
from encoder_probe import probe

from oyster.library import load
from oyster.report.statistics.intervals import difference, mean_estimate
from oyster.report.statistics.words import interval, number

MEASURED = Path(__file__).with_name("ablation.csv")
GRIDS = ("ablation", "ablation-search")
WHOLE = "reward-pooling"
WITHOUT = {  # agents in the order of the table
    "one-mean": "four means",
    "unscored": "the learned score",
    "uncut": "cuts",
    "plain": "`belief_to_act`",
    "near": "z from N(0, 3²)",
    "far": "the learned mixture",
}


def measure(checkout: Path) -> pd.DataFrame:
    rows = []
    for metrics in sorted(place for grid in GRIDS for place in checkout.glob(f"results/{grid}/*/*/*/metrics.json")):
        environment, agent, seed = metrics.parent.parts[-3:]
        file = "reward_pooling_unscored" if agent == f"{WHOLE}-unscored" else "reward_pooling"
        seen = probe(load(metrics.parent, encoder=checkout / f"encoders/{file}.py"))
        last_five = json.loads(metrics.read_text())["meta_test_return_last5"]
        rows.append((environment, agent, int(seed), last_five, seen.last, seen.found, seen.again))
        print(f"{len(rows)}: {environment} {agent} {seed}", flush=True)
    return pd.DataFrame(rows, columns=["environment", "agent", "seed", "last_five", "probed", "found", "again"])


def print_table(measured: pd.DataFrame) -> None:
    apart = "minus the whole (95 %)"
    print(f"| environment | without | last five | {apart} | probed | {apart} | found | again |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for environment, trials in measured.groupby("environment", sort=False):
        whole = trials[trials.agent == WHOLE]
        for agent, name in {WHOLE: "nothing", **{f"{WHOLE}-{part}": name for part, name in WITHOUT.items()}}.items():
            without = trials[trials.agent == agent]
            if without.empty:
                continue
            cells = [environment, name]
            for column in ("last_five", "probed"):
                found = difference(mean_estimate(without[column]), mean_estimate(whole[column]))
                cells.append(number(without[column].mean()))
                cells.append(f"{number(found.value)} ({interval(found.low, found.high)})" if agent != WHOLE else "")
            shares = [without[column].mean() for column in ("found", "again")]
            print(f"| {' | '.join(cells + ['' if pd.isna(share) else f'{100 * share:.0f} %' for share in shares])} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="checkout", type=Path)
    if checkout := parser.parse_args().checkout:
        measure(checkout).to_csv(MEASURED, index=False, float_format="%.4f")
    print_table(pd.read_csv(MEASURED))


if __name__ == "__main__":
    main()
