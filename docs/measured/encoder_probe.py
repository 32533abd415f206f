"""How trained agents search and adapt: they meet 40 tasks of another list, five times each.

    python docs/measured/encoder_probe.py results/screening/sparse-point-robot/reward-pooling/1000 …

Per agent: the mean return of the last trajectory with its standard error. Where reward is sparse, also the share of
runs with a rewarded step in the first five trajectories and in all but the last, and how many trajectories after the
first rewarded one are rewarded too.
"""

import argparse

import numpy as np

from oyster.library import TrainedAgent, load
from oyster.runtime.seeds import separate_torch_stream
from oyster.trial.meta_test import meta_test

NUM_TASKS, EVALUATIONS, TASK_SEED = 40, 5, 999


def returns_of(place: str) -> tuple[TrainedAgent, np.ndarray]:
    """Of every run the return of each trajectory, (run, trajectory)."""
    agent = load(place)
    tasks = agent.family.draw_tasks(NUM_TASKS, TASK_SEED)
    settings = agent.settings.model_copy(update={"evaluations": EVALUATIONS})
    rows = agent.family(len(tasks) * EVALUATIONS)
    with separate_torch_stream(0, 0):
        runs = meta_test(agent.module, rows, tasks, settings, np.random.default_rng(5)).runs
    return agent, np.array([run.returns for run in runs])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+")
    for place in parser.parse_args().results:
        agent, returns = returns_of(place)
        last = returns[:, -1]
        told = [f"last {last.mean():.2f} ± {last.std(ddof=1) / len(last) ** 0.5:.2f}"]
        if agent.family.sparse:
            rewarded = returns > 0
            found = rewarded[:, :-1].any(axis=1)
            after = np.concatenate([run[run.argmax() + 1 :] for run in rewarded[found]]) if found.any() else []
            told += [f"first five {rewarded[:, :5].any(axis=1).mean():.2f}", f"ever {found.mean():.2f}"]
            told += [f"again {np.mean(after):.2f}"] if len(after) else []
        else:
            told.append("by trajectory " + " ".join(f"{value:.2f}" for value in returns.mean(axis=0)))
        print(f"{place}: {', '.join(told)}")


if __name__ == "__main__":
    main()
