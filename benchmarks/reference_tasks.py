"""Which training tasks the reference collects: the same ones in all its runs, whatever their seed.

Its environments seed NumPy's global generator with a constant when they are made, and from there on the tasks to
collect, the tasks of every gradient step and the transitions drawn from its buffers are one fixed sequence. No episode
of cheetah-vel or sparse-point-robot ends early, so how much each buffer holds is known beforehand, and the sequence can
be drawn again without training anything (for encoders without IS_RECURRENT; ordered context is drawn otherwise).

`python benchmarks/reference_tasks.py` prints the tables of docs/reproduction.md: how often each range of tasks is
collected there, and in the trials here.
"""

import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from oyster.envs import load_family
from oyster.envs.family import TASK_SEED
from oyster.runtime import seeds
from oyster.settings import Settings, load_params, trial_settings


class Ranges(NamedTuple):
    """What the tasks of an environment are counted by."""

    quantity: Callable[[np.ndarray], np.ndarray]  # (task, parameter) → (task,)
    bounds: list[float]
    unit: str


ENVIRONMENTS = {
    "cheetah-vel": Ranges(lambda tasks: tasks[:, 0], [0.0, 0.75, 1.5, 2.25, 3.0], " m/s"),
    "sparse-point-robot": Ranges(
        lambda goals: np.degrees(np.arctan2(goals[:, 1], goals[:, 0])), [0.0, 45.0, 90.0, 135.0, 180.0], "°"
    ),
}


def reference_tasks(s: Settings) -> np.ndarray:
    """The training task of every collection: (iteration, collection)."""
    rng = np.random.RandomState(TASK_SEED)
    num_tasks = s.num_train_tasks + s.num_test_tasks
    if s.environment == "sparse-point-robot":  # the task list comes first
        rng.shuffle(np.empty((num_tasks, 2)))
    else:
        rng.uniform(0.0, 3.0, num_tasks)
    train_tasks = np.arange(s.num_train_tasks)
    in_context, in_replay = np.full((2, s.num_train_tasks), s.num_initial_steps)
    collected = np.empty((s.num_iterations, s.num_tasks_sample), int)

    def infer(task: int) -> None:  # from random transitions of the task's context buffer
        rng.randint(0, in_context[task], s.embedding_batch_size)

    for iteration in range(s.num_iterations):
        for collection in range(s.num_tasks_sample):
            task = collected[iteration, collection] = rng.randint(s.num_train_tasks)
            in_context[task] = s.num_steps_prior
            in_replay[task] += s.num_steps_prior
            for _ in range(s.num_steps_posterior // s.max_path_length):
                in_context[task] += s.max_path_length
                in_replay[task] += s.max_path_length
                infer(task)
            for _ in range(s.num_extra_rl_steps_posterior // s.max_path_length):
                in_replay[task] += s.max_path_length
                infer(task)
        for _ in range(s.num_train_steps_per_itr):
            tasks = rng.choice(train_tasks, s.meta_batch)
            for task in tasks:
                infer(task)
            for task in tasks:
                rng.randint(0, in_replay[task], s.batch_size)
        for task in rng.choice(train_tasks, s.num_test_tasks):  # it looks at some training tasks before it meta-tests
            for _ in range(s.num_steps_per_eval // s.max_path_length):
                infer(task)
    return collected


def our_tasks(s: Settings) -> np.ndarray:
    """The same of a trial here, from its stream of tasks alone."""
    rng = seeds.generator(s.seed, "tasks")
    collected = np.empty((s.num_iterations, s.num_tasks_sample), int)
    for iteration in range(s.num_iterations):
        collected[iteration] = rng.integers(s.num_train_tasks, size=s.num_tasks_sample)
        rng.integers(s.num_train_tasks, size=(s.num_train_steps_per_itr, s.meta_batch))
    return collected


def summary(environment: str) -> str:
    """In Markdown: training tasks, test tasks and collections by the range that a task lies in."""
    params = load_params(Path(__file__).resolve().parents[1] / "params.yaml")

    def settings(seed: int) -> Settings:
        return trial_settings(params, environment=environment, encoder="mlp", seed=seed, budget="benchmark")

    trials = [settings(seed) for seed in params.grid["benchmark"].seeds]
    quantity, bounds, unit = ENVIRONMENTS[environment]
    num_train, num_test = trials[0].num_train_tasks, trials[0].num_test_tasks
    values = quantity(load_family(environment).draw_tasks(num_train + num_test))
    rows = {"test tasks there are": np.arange(num_train, num_train + num_test)}
    rows |= {"training tasks there are": np.arange(num_train)}
    rows["collected by the reference, every seed"] = reference_tasks(trials[0])
    rows |= {f"collected here, seed {s.seed}": our_tasks(s) for s in trials}
    ranges = [f"{low:g} to {high:g}{unit}" for low, high in pairwise(bounds)]
    lines = [["", *ranges], ["---"] * (1 + len(ranges))]
    lines += [[name, *np.histogram(values[tasks], bounds)[0]] for name, tasks in rows.items()]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


if __name__ == "__main__":
    print(*map(summary, ENVIRONMENTS), sep="\n", end="")
