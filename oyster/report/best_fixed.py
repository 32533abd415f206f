"""The best fixed answer: what a policy returns that answers every test task alike, and so needs no context.

Each family has its own (`best_fixed`); here it is asked for the very tasks that trials were tested on.
"""

import numpy as np
import pandas as pd

from oyster.envs import families, load_family
from oyster.report.read.results import Results

FIXED = "best_fixed"
DIGITS = 6  # a search on a grid is no more exact, and processors differ in the last bits of a cosine


def scripted(results: Results) -> pd.DataFrame:
    """`results.scripted` with the best fixed answer's return on each task; blank where it is not known."""
    frame = results.scripted.assign(**{FIXED: np.nan})
    for environment, tested in results.scripted.groupby("environment"):
        tasks = tested[results.parameter_names(environment)].to_numpy()
        if environment not in families() or not np.isfinite(tasks).all():
            continue
        family = load_family(environment)
        if tasks.shape[1] == family.task_width() and (returns := family.best_fixed(tasks)) is not None:
            frame.loc[tested.index, FIXED] = returns.round(DIGITS)
    return frame


def fixed_returns(results: Results) -> dict[str, float]:
    """By environment the best fixed answer's mean return over its test tasks, where it is known."""
    return scripted(results).groupby("environment", sort=False)[FIXED].mean().dropna().to_dict()
