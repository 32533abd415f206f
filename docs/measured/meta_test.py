"""A hundred last meta-tests of each of the 27 agents beside the one that counts: prints what reproduction.md quotes.

meta_test.csv has a row per agent: the mean of a hundred repeated tests and their standard deviation. Intervals are
one-sample t over the three seeds. Run it from the project's root:

    python docs/measured/meta_test.py
"""

from pathlib import Path

import pandas as pd

from oyster.report.published import leaderboard
from oyster.report.statistics import intervals
from oyster.report.statistics.words import interval, number

MEASURED = Path("docs/measured/meta_test.csv")


def main() -> None:
    measured = pd.read_csv(MEASURED)
    board = leaderboard().query("type == 'baseline'").set_index(["environment", "model"]).value
    for (environment, encoder), agents in measured.groupby(["environment", "encoder"]):
        published = intervals.constant(board[environment, f"{encoder}_encoder"])
        found = intervals.difference(intervals.mean_estimate(agents["mean"]), published)
        print(
            f"{environment}, {encoder}: mean of a hundred {number(agents['mean'].mean())}, minus the leaderboard's "
            f"{number(found.value)} ({interval(found.low, found.high)}); sd of one test "
            f"{', '.join(map(number, agents['sd']))}"
        )


if __name__ == "__main__":
    main()
