"""Task lists of families that mix several kinds of task: an equal number of each variant, in order."""

from collections.abc import Sequence

import numpy as np

from oyster.envs.family import TASK_SEED
from oyster.runtime.errors import InputError


def variant_tasks(
    ranges: Sequence[tuple[float, float]], num_train: int, num_test: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Training and test tasks, (task, 2) each: the variant's number, and a value within its range (low, high).

    Evenly spaced values, shuffled, of which the first train. Another seed draws uniform values: another shuffle would
    train on the test's. InputError unless both counts are multiples of the number of variants.
    """
    if num_train % len(ranges) or num_test % len(ranges):
        raise InputError(
            f"There are {len(ranges)} variants, each with as many tasks: train_tasks and test_tasks are multiples of "
            f"{len(ranges)}, as {2 * len(ranges)} and {len(ranges)}, not {num_train} and {num_test}."
        )
    rng = np.random.RandomState(seed)
    lists: tuple[list, list] = [], []
    for number, (low, high) in enumerate(ranges):
        first, count = num_train // len(ranges), (num_train + num_test) // len(ranges)
        values = np.linspace(low, high, count) if seed == TASK_SEED else rng.uniform(low, high, size=count)
        if seed == TASK_SEED:
            rng.shuffle(values)
        for tasks, part in zip(lists, (values[:first], values[first:]), strict=True):
            tasks += [(number, value) for value in part]
    return np.array(lists[0], float).reshape(-1, 2), np.array(lists[1], float).reshape(-1, 2)
