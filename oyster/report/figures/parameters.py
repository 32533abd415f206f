"""What tasks are drawn at and coloured by: their true parameters; and which seed and tasks stand for the rest."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import to_hex

from oyster.envs import families, load_family
from oyster.envs.family import TaskFamily
from oyster.report.read.results import Results


class Scale(NamedTuple):
    """One number per task: `values` (index: task), what it is called, and the colours it is drawn in."""

    values: pd.Series
    words: str
    colours: str = "viridis"
    low: float | None = None
    high: float | None = None

    @property
    def ends(self) -> tuple[float, float]:
        """What the first and the last colour stand for."""
        low = self.values.min() if self.low is None else self.low
        return low, self.values.max() if self.high is None else self.high

    def colour(self, task: float) -> str:
        """The colour of a task."""
        low, high = self.ends
        return to_hex(colormaps[self.colours]((self.values[task] - low) / ((high - low) or 1.0)))


def parameters(results: Results, environment: str) -> pd.DataFrame:
    """The true parameters of an environment's test tasks, a column each; index: task."""
    names = results.parameter_names(environment)
    rows = results.adaptation[results.adaptation.environment == environment]
    return rows.drop_duplicates("task").set_index("task")[names].sort_index()


def family_of(results: Results, environment: str) -> type[TaskFamily] | None:
    """The task family; None where there is none any more, or where it names other parameters than the results."""
    if environment not in families():
        return None
    family = load_family(environment)
    return family if list(family.parameter_names) == results.parameter_names(environment) else None


def are_goals(results: Results, environment: str) -> bool:
    """Whether tasks are places on the plane: the family says so, or, where it is not known, their two parameters."""
    family = family_of(results, environment)
    return len(results.parameter_names(environment)) == 2 and (family is None or family.target == "place")


def places(tasks: pd.DataFrame) -> np.ndarray:
    """Where the goals of `parameters` rows are, (task, 2): the parameters of that name, or the only two."""
    return tasks[["goal_x", "goal_y"] if "goal_x" in tasks else list(tasks)].to_numpy()


def varying(table: pd.DataFrame) -> pd.DataFrame:
    """`parameters`, of more than two without those that are the same in all tasks."""
    differ = table.nunique() > 1
    return table.loc[:, differ] if len(table.columns) > 2 and differ.any() else table


def scale(results: Results, environment: str) -> Scale | None:
    """The number that says it all of a task: its one parameter, or the angle of a goal on a circle round the origin."""
    table, family = varying(parameters(results, environment)), family_of(results, environment)
    if len(table) == 0 or len(table.columns) == 0:
        return None
    if len(table.columns) == 1:
        if family is not None and family.target == "direction" and family.trace_columns[:2] == ("x", "y"):
            return Scale(np.degrees(table.iloc[:, 0]) % 360, "direction (degrees)", "twilight_shifted", 0.0, 360.0)
        return Scale(table.iloc[:, 0], spaced(table.columns[0]))
    if are_goals(results, environment):
        radius = np.hypot(table.iloc[:, 0], table.iloc[:, 1])
        if radius.max() - radius.min() <= 1e-3 * radius.max():
            return Scale(_angle(table), "goal angle (degrees)")
    return None


def hue(results: Results, environment: str) -> Scale | None:
    """`scale`, or what tells tasks apart where there is none: the direction of a goal, else the first parameter.

    Where a family has too many parameters for columns: the task's number.
    """
    found = scale(results, environment)
    table = varying(parameters(results, environment))
    if found is not None or len(table) == 0:
        return found
    if len(table.columns) == 0:
        numbers = pd.Series(table.index, table.index, dtype=float)
        return None if family_of(results, environment) is None else Scale(numbers, "task")
    if are_goals(results, environment):
        return Scale(_angle(table), "direction of the goal (degrees)", "twilight_shifted", 0.0, 360.0)
    return Scale(table.iloc[:, 0], spaced(table.columns[0]))


def along(results: Results, environment: str) -> Scale | None:
    """What an axis of tasks shows: `scale`, else `hue`, unless tasks are places that are better shown as a map."""
    found = scale(results, environment)
    if found is not None or are_goals(results, environment) or family_of(results, environment) is None:
        return found
    return hue(results, environment)


def median_trial(results: Results, environment: str, encoder: str) -> int | None:
    """The seed whose return is the median of the finished seeds (the lower of two): it stands for the others where
    seeds cannot be averaged. None without a finished trial.
    """
    trials = results.trials.query("status == 'finished' and environment == @environment and encoder == @encoder")
    trials = trials.sort_values(["meta_test_return", "seed"])
    return int(trials.seed.iloc[(len(trials) - 1) // 2]) if len(trials) else None


def spread_out(results: Results, environment: str, count: int) -> list[float]:
    """`count` tasks at even ranks of their `hue`, the lowest and the highest among them: a handful for pictures."""
    found = hue(results, environment)
    if found is None:
        return []
    ranked = found.values.sort_values(kind="stable").index
    ranks = np.unique(np.linspace(0, len(ranked) - 1, min(count, len(ranked))).round().astype(int))
    return [ranked[rank] for rank in ranks]


def spaced(name: str) -> str:
    return name.replace("_", " ")


def _angle(table: pd.DataFrame) -> pd.Series:
    """Of goals seen from the origin, in [0, 360) degrees."""
    return np.degrees(np.arctan2(table.iloc[:, 1], table.iloc[:, 0])) % 360
