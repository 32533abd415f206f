"""What a place alone is worth on sparse-point-robot: the returns of one who ignores its context.

`python benchmarks/sparse_standing.py` prints the table of docs/reproduction.md: walk straight to one place, whatever
the task, and stay. No training, no encoder.
"""

import sys
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from oyster.envs import load_family
from oyster.envs.family import split_tasks
from oyster.settings import load_params, trial_settings

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = "sparse-point-robot"
DISTANCES = [0.6, 0.7, 0.8, 0.85, 0.9, 1.0, 1.1, 1.2]  # from the start, the centre of the half circle of goals
ANGLES = np.arange(0, 181, 3)  # degrees
MAX_MOVE = 0.1  # an axis and a step, as the family has it


class Returns(NamedTuple):
    """Mean undiscounted returns over goals."""

    sparse: float  # the one that is reported
    dense: float  # the one that critics learn from


def standing(place: np.ndarray, goals: np.ndarray, steps: int) -> Returns:
    """Of walking straight to `place` (2,) and staying there, in `steps` steps, over `goals` (task, 2)."""
    family = load_family(ENVIRONMENT)(len(goals))
    position = family.reset(goals, np.random.default_rng(0))
    sparse = dense = 0.0
    for _ in range(steps):
        step = family.step(np.clip((place - position) / MAX_MOVE, -1.0, 1.0))
        position = step.observation
        sparse, dense = sparse + float(step.sparse_reward.mean()), dense + float(step.reward.mean())
    return Returns(sparse, dense)


def at(distance: float, degrees: float) -> np.ndarray:
    return distance * np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])


def summary() -> str:
    """In Markdown, a distance a row: the angle that is best on the test tasks, and what standing there returns."""
    params = load_params(ROOT / "params.yaml")
    s = trial_settings(params, environment=ENVIRONMENT, encoder="mlp", seed=42, budget="benchmark")
    goals = load_family(ENVIRONMENT).draw_tasks(s.num_train_tasks + s.num_test_tasks)
    train, test = (
        partial(standing, goals=part, steps=s.max_path_length)
        for part in split_tasks(goals, s.num_train_tasks, s.num_test_tasks)
    )
    lines = [
        [
            "out",
            "best angle",
            "test tasks",
            "training tasks, there",
            "test tasks, mean of all angles",
            "dense at best, training tasks",
        ]
    ]
    lines.append(["---"] * len(lines[0]))
    for distance in DISTANCES:
        returns = [test(at(distance, degrees)).sparse for degrees in ANGLES]
        dense = max(train(at(distance, degrees)).dense for degrees in ANGLES)
        best = ANGLES[int(np.argmax(returns))]
        felt = [f"{best}°", f"{max(returns):.2f}", f"{train(at(distance, best)).sparse:.2f}"]
        lines.append(
            [f"{distance:g}", *(felt if max(returns) else ["", "0.00", ""]), f"{np.mean(returns):.2f}", f"{dense:.2f}"]
        )
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    print(summary(), end="")
