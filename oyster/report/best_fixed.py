"""The best single answer: what an agent returns that answers every test task alike, and so needs no context.

without_context.csv has it a row a test task, for the task lists of params.yaml's budgets; `python
benchmarks/without_context.py` computes it from the task families, without any training.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from oyster.report.read.results import Results
from oyster.report.read.trial_files import SCRIPTED

FILE = Path(__file__).parents[2] / "reports" / "without_context.csv"
SINGLE = "single_answer"


def scripted(results: Results) -> pd.DataFrame:
    """`results.scripted` with the best single answer's return on each task; blank where the file does not have just the
    tasks that an environment's trials were tested on, or has them for other lengths or rewards.
    """
    frame, known = results.scripted.assign(**{SINGLE: np.nan}), pd.read_csv(FILE)
    for environment, tested in results.scripted.groupby("environment"):
        names = [*results.parameter_names(environment), *SCRIPTED]
        for _, listed in known[known.environment == environment].groupby("budget"):
            if _same_tasks(tested.reindex(columns=names), listed.reindex(columns=names)):
                frame.loc[tested.index, SINGLE] = listed[SINGLE].to_numpy()
    return frame


def single_answers(results: Results) -> dict[str, float]:
    """By environment the best single answer's mean return over its test tasks, where it is known."""
    return scripted(results).groupby("environment", sort=False)[SINGLE].mean().dropna().to_dict()


def _same_tasks(tested: pd.DataFrame, listed: pd.DataFrame) -> bool:
    """Whether two lists hold the same tasks in the same order: true parameters, and what the two scripts return, which
    other lengths or rewards would change, and another processor's rounding hardly does.
    """
    return tested.shape == listed.shape and np.allclose(tested, listed, rtol=1e-3, atol=1e-6)
