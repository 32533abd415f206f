"""How trained agents search and adapt: they meet 40 tasks of another list, five times each.

    python docs/measured/encoder_probe.py results/screening/sparse-point-robot/reward-pooling/1000 …

Per agent: the mean return of the last trajectory with its standard error. Where reward is sparse, also the share of
runs with a rewarded step in the first five trajectories and in all but the last, and how many trajectories after the
first rewarded one are rewarded too.
"""

import argparse
from typing import NamedTuple

import numpy as np

from oyster.library import TrainedAgent, load
from oyster.runtime.seeds import separate_torch_stream
from oyster.trial.meta_test import meta_test

NUM_TASKS, EVALUATIONS, TASK_SEED = 40, 5, 999


class Probe(NamedTuple):
    """What the runs of one agent show; the shares are NaN where reward is not sparse."""

    by_trajectory: np.ndarray  # (trajectory,) mean return
    last: float  # mean return of the last trajectory
    last_error: float  # its standard error over the runs
    first_five: float  # share of the runs with a rewarded step in the first five trajectories
    found: float  # … in all but the last
    again: float  # share of the trajectories after the first rewarded one that are rewarded too


def probe(agent: TrainedAgent) -> Probe:
    tasks = agent.family.draw_tasks(NUM_TASKS, TASK_SEED)
    settings = agent.settings.model_copy(update={"evaluations": EVALUATIONS})
    rows = agent.family(len(tasks) * EVALUATIONS)
    with separate_torch_stream(0, 0):
        runs = meta_test(agent.module, rows, tasks, settings, np.random.default_rng(5)).runs
    returns = np.array([run.returns for run in runs])  # (run, trajectory)
    last = returns[:, -1]
    shares = (np.nan, np.nan, np.nan)
    if agent.family.sparse:
        rewarded = returns > 0
        found = rewarded[:, :-1].any(axis=1)
        after = [rewarded_later for run in rewarded[found] for rewarded_later in run[run.argmax() + 1 :]]
        shares = (rewarded[:, :5].any(axis=1).mean(), found.mean(), np.mean(after) if after else np.nan)
    return Probe(returns.mean(axis=0), last.mean(), last.std(ddof=1) / len(last) ** 0.5, *shares)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+")
    for place in parser.parse_args().results:
        agent = load(place)
        seen = probe(agent)
        told = [f"last {seen.last:.2f} ± {seen.last_error:.2f}"]
        if agent.family.sparse:
            told += [f"first five {seen.first_five:.2f}", f"ever {seen.found:.2f}", f"again {seen.again:.2f}"]
        else:
            told.append("by trajectory " + " ".join(f"{value:.2f}" for value in seen.by_trajectory))
        print(f"{place}: {', '.join(told)}")


if __name__ == "__main__":
    main()
