"""Environment steps per second of every task family: `python benchmarks/families.py`

Prints a Markdown table: one row alone, a batch of 5 (an iteration's collection) and of 30 (the first one), random
actions drawn before, one thread, observation and reward included. CPU time, so that a busy machine does not count; wall
time of Meta-World's, which run in another process.
"""

import sys
import time

import numpy as np

from oyster.envs import families, load_family
from oyster.envs.contract import training_tasks
from oyster.envs.metaworld.ml1 import Ml1
from oyster.runtime.errors import NotInstalled

ROWS = (1, 5, 30)
SECONDS = 0.6  # of each measurement
BLOCK = 20  # steps between two looks at the clock


def steps_per_second(name: str, num_rows: int) -> float:
    family = load_family(name)
    rows, rng = family(num_rows), np.random.default_rng(0)
    tasks = training_tasks(family, num_rows)
    actions = rng.uniform(-1.0, 1.0, (BLOCK, num_rows, family.action_dim)).astype(np.float32)
    clock = time.perf_counter if issubclass(family, Ml1) else time.process_time
    taken, spent = 0, 0.0
    while spent < SECONDS:
        rows.reset(tasks, rng)
        started = clock()
        for action in actions:
            rows.step(action)
        spent += clock() - started
        taken += BLOCK * num_rows
    return taken / spent


def shown(value: float) -> str:
    return f"{value / 1e6:.1f} M" if value >= 1e6 else f"{value / 1e3:.3g} k"


def main(names: list[str]) -> None:
    print("| family | " + " | ".join("alone" if count == 1 else f"batch of {count}" for count in ROWS) + " |")
    print("|---|" + "--:|" * len(ROWS))
    for name in names or families():
        try:
            load_family(name).require_installed()
        except NotInstalled as error:
            print(f"| {name} | not installed: {error} |", flush=True)
            continue
        print(f"| {name} | " + " | ".join(shown(steps_per_second(name, count)) for count in ROWS) + " |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
