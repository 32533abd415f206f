"""What can be had without using the context: one answer for every task, no training, no encoder.

`python benchmarks/without_context.py` prints two tables of docs/reproduction.md: what the best single answer returns in
each environment of the benchmark (a place to walk to, a speed to run at), and on sparse-point-robot what a place
returns by its distance from the start. An encoder that helps an agent is above that, or its figure shows nothing.
It also writes reports/without_context.csv, from which a report tells the same: the best single answer for the test
tasks of each budget in params.yaml, a row a task.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from oyster.algorithms.pearl.settings import Settings
from oyster.envs import load_family
from oyster.envs.family import TASK_SEED
from oyster.envs.reference_policies import reference_returns
from oyster.grid import load_params, trial_settings

ROOT = Path(__file__).resolve().parents[1]
REPORTED = ROOT / "reports" / "without_context.csv"
BUDGET = "benchmark"
STARTS = 200  # random start states of point-robot that a return is averaged over
DISTANCES = [0.6, 0.7, 0.8, 0.85, 0.9, 1.0, 1.1, 1.2]  # from the centre of sparse-point-robot's half circle of goals
ANGLES = np.arange(0, 181)  # degrees


class Returns(NamedTuple):
    """Mean undiscounted returns, (task,) each."""

    reported: np.ndarray
    learned_from: np.ndarray  # the dense one, where they differ


def walk(place: np.ndarray, goals: np.ndarray, s: Settings) -> Returns:
    """Of a point robot that walks straight to `place` (2,) and stays, over `goals` (task, 2)."""
    family = load_family(s.environment)
    starts = 1 if family.sparse else STARTS
    goals = np.repeat(goals, starts, axis=0)
    robots, guides = (family(len(goals)) for _ in range(2))
    robots.reset(goals, np.random.default_rng(TASK_SEED))
    guides.reset(np.tile(place, (len(goals), 1)), np.random.default_rng(TASK_SEED))  # who know the place as a goal
    reported, learned_from = np.zeros((2, len(goals)))
    for _ in range(family.horizon):
        action = guides.oracle_action()
        guides.step(action)
        step = robots.step(action)
        reported, learned_from = reported + step.sparse_reward, learned_from + step.reward
    return Returns(*(total.reshape(-1, starts).mean(axis=1) for total in (reported, learned_from)))


def run(speed: np.ndarray, tasks: np.ndarray, s: Settings) -> Returns:
    """At most, of a half-cheetah that runs at `speed` (1,): as if it ran so from the first step, at no cost."""
    bound = -load_family(s.environment).horizon * np.abs(tasks - speed)[:, 0]
    return Returns(bound, bound)


def polar(distance: float, degrees: float) -> np.ndarray:
    return distance * np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])


class Case(NamedTuple):
    """An environment's single answers, what each returns, and how it is named."""

    answers: list[np.ndarray]
    returns: Callable[[np.ndarray, np.ndarray, Settings], Returns]
    name: Callable[[np.ndarray], str]


CASES = {
    "cheetah-vel": Case([np.array([v]) for v in np.arange(0, 3.01, 0.1)], run, lambda v: f"run at {v[0]:.1f} m/s"),
    "sparse-point-robot": Case(
        [polar(distance, degrees) for distance in DISTANCES for degrees in ANGLES],
        walk,
        lambda p: f"stand at {np.degrees(np.arctan2(p[1], p[0])):.0f}°, {np.hypot(*p):.1f} out",
    ),
    "point-robot": Case(
        [np.array([x, y]) for x in np.arange(-0.5, 0.51, 0.1) for y in np.arange(-0.5, 0.51, 0.1)],
        walk,
        lambda p: f"stand at ({p[0]:z.1f}, {p[1]:z.1f})",
    ),
}


def settings_and_tasks(environment: str, budget: str = BUDGET) -> tuple[Settings, np.ndarray, np.ndarray]:
    params = load_params(ROOT / "params.yaml")
    s = trial_settings(params, environment=environment, agent="mlp", seed=42, preset=budget)
    return s, *load_family(environment).tasks(s.train_tasks, s.test_tasks)


def best(environment: str, budget: str = BUDGET) -> tuple[np.ndarray, np.ndarray]:
    """The single answer that is best for the test tasks, and what it returns on each."""
    s, _, test = settings_and_tasks(environment, budget)
    case = CASES[environment]
    returns = [case.returns(answer, test, s).reported for answer in case.answers]
    first = int(np.argmax([values.mean() for values in returns]))
    return case.answers[first], returns[first]


def per_task() -> pd.DataFrame:
    """A row a budget, environment and test task: what identifies it (true parameters, what the two scripts return), the
    best single answer and its return.
    """
    frames, ends = [], ["doing_nothing", "task_known", "answer", "single_answer"]
    for budget, parts in load_params(ROOT / "params.yaml").evaluation.items():
        for environment in (name for name in CASES if name in parts):
            _, _, test = settings_and_tasks(environment, budget)
            family = load_family(environment)
            answer, returns = best(environment, budget)
            row = {"budget": budget, "environment": environment, "task": range(len(test))}
            row |= dict(zip(family.parameter_names, test.T, strict=True))
            row |= reference_returns(family, test)
            frames.append(pd.DataFrame(row | {"answer": CASES[environment].name(answer), "single_answer": returns}))
    frame = pd.concat(frames, ignore_index=True)
    return frame[[*frame.columns.drop(ends), *ends]]


def markdown(*rows: list[str]) -> str:
    heads, *others = rows
    return "".join(f"| {' | '.join(row)} |\n" for row in (heads, ["---"] * len(heads), *others))


def summary() -> str:
    """An environment a row: the answer that is best for the test tasks, and the one that training would teach."""
    rows = [["environment", "best answer for the test tasks", "returns there"]]
    rows[0] += ["best answer for the training tasks", "returns on the test tasks"]
    for environment, case in CASES.items():
        s, train, test = settings_and_tasks(environment)
        answer, returns = best(environment)
        taught = case.answers[int(np.argmax([case.returns(a, train, s).learned_from.mean() for a in case.answers]))]
        rows.append([environment, case.name(answer), f"{returns.mean():.2f}"])
        rows[-1] += [case.name(taught), f"{case.returns(taught, test, s).reported.mean():.2f}"]
    return markdown(*rows)


def distance_summary() -> str:
    """sparse-point-robot, a distance a row: the angle that is best on the test tasks, and the returns there."""
    s, train, test = settings_and_tasks("sparse-point-robot")
    rows = [["out", "best angle", "test tasks", "training tasks, there", "test tasks, mean of all angles"]]
    rows[0].append("dense at best, training tasks")
    for distance in DISTANCES:
        returns = [walk(polar(distance, degrees), test, s).reported.mean() for degrees in ANGLES]
        dense = max(walk(polar(distance, degrees), train, s).learned_from.mean() for degrees in ANGLES)
        angle = ANGLES[int(np.argmax(returns))]
        felt = [f"{angle}°", f"{max(returns):.2f}", f"{walk(polar(distance, angle), train, s).reported.mean():.2f}"]
        rows.append([f"{distance:g}", *(felt if max(returns) else ["", "0.00", ""]), f"{np.mean(returns):.2f}"])
        rows[-1].append(f"{dense:.2f}")
    return markdown(*rows)


if __name__ == "__main__":
    print(summary(), distance_summary(), sep="\n", end="")
    partial = REPORTED.with_suffix(".partial")
    per_task().to_csv(partial, index=False)
    os.replace(partial, REPORTED)
