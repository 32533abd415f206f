"""What a task family must do before training in it makes sense: looked at in milliseconds, before every trial.

`oyster check` shows these first and goes on from there.
"""

from difflib import get_close_matches

import numpy as np

from oyster.envs.family import TARGETS, TASK_SEED, TaskFamily
from oyster.runtime.errors import InputError, MachineError, describe

DECLARED = ("horizon", "observation_dim", "action_dim", "parameter_names", "trace_name")
ROWS = 3


class Breach(Exception):
    """A family does not keep its contract: what was seen, and how to fix it."""

    def __init__(self, seen: str, fix: str):
        super().__init__(f"{seen}. To fix it: {fix}")
        self.seen, self.fix = seen, fix


def require_family(family: type[TaskFamily]) -> None:
    """InputError where a family breaks one of these; NotInstalled where it cannot be tried here."""
    family.require_installed()
    for name, requirement in MUST_HAVE.items():
        try:
            requirement(family)
        except Breach as breach:
            raise InputError(f"The task family {family.__name__} cannot be used ({name}): {breach}") from breach
        except MachineError:
            raise
        except Exception as error:  # a family's own code may raise anything
            raise InputError(f"The task family {family.__name__} cannot be used ({name}): {describe(error)}") from error


def declared(family: type[TaskFamily]) -> str:
    """What grids, tables and pictures ask of the class alone."""
    if missing := [name for name in DECLARED if not hasattr(family, name)]:
        raise Breach(
            f"it declares no {', '.join(missing)}", "say them in the class, as oyster/envs/point_robot.py does"
        )
    for name in ("horizon", "observation_dim", "action_dim"):
        value = getattr(family, name)
        if type(value) is not int or value < 1:
            raise Breach(f"{name} is {value!r}", "an integer above 0")
    if family.target not in TARGETS:
        raise Breach(f"target is {family.target!r}", f"one of {', '.join(TARGETS)}")
    return f"observations of {family.observation_dim}, actions of {family.action_dim}, {family.horizon} steps"


def hooks(family: type[TaskFamily]) -> str:
    """A misspelt hook would be ignored without a word."""
    known = [name for name in {*dir(TaskFamily), *TaskFamily.__annotations__} if not name.startswith("_")]
    own = [name for base in family.__mro__[:-1] if base is not TaskFamily for name in vars(base) if name[0] != "_"]
    for name in sorted(set(own) - set(known)):
        if near := get_close_matches(name, known, n=1, cutoff=0.75):
            raise Breach(f"it defines {name}", f"is {near[0]} meant? What is its own should begin with _")
    return f"overrides {', '.join(sorted(set(own) & set(known) - set(DECLARED))) or 'nothing'}"


def task_lists(family: type[TaskFamily]) -> str:
    counts, width = family.task_counts, family.task_width()
    for name, tasks, count in zip(("training", "test"), family.tasks(*counts, TASK_SEED), counts, strict=True):
        if not isinstance(tasks, np.ndarray) or tasks.shape != (count, width):
            seen = getattr(tasks, "shape", type(tasks).__name__)
            raise Breach(
                f"{count} {name} tasks are {seen}",
                f"an array (task, parameter), here ({count}, {width}): parameter_names, or task_dim",
            )
        if not np.isfinite(tasks).all():
            raise Breach(f"{name} tasks hold what is not finite", "finite numbers")
    return f"(task, {width}): {', '.join(family.parameter_names) or 'no column each'}"


def one_step(family: type[TaskFamily]) -> str:
    """Shapes and types of a reset and a step: a wrong one would be broadcast, and train to the end."""
    rows = started(family)
    step = rows.step(np.zeros((ROWS, family.action_dim), np.float32))
    expected = {
        "observation": (step.observation, (ROWS, family.observation_dim), np.float32),
        "reward": (step.reward, (ROWS,), np.float32),
        "sparse_reward": (step.sparse_reward, (ROWS,), np.float32),
        "terminal": (step.terminal, (ROWS,), np.bool_),
    }
    if family.success:
        expected["success"] = (step.success, (ROWS,), np.bool_)
    elif step.success is not None:
        raise Breach("step gives success", "declare `success = True` in the class, or leave it out")
    for name, (value, shape, kind) in expected.items():
        _require_array(f"step's {name}", value, shape, kind)
    if family.trace_at_reset:
        _require_array("trace()", rows.trace(), step.trace.shape, step.trace.dtype)
    if (action := rows.oracle_action()) is not None:
        _require_array("oracle_action()", action, (ROWS, family.action_dim), action.dtype)
    last = (len(family.trace_columns),) if family.trace_columns else step.trace.shape[1:]
    _require_array("step's trace", step.trace, (ROWS, *last), step.trace.dtype)
    return "shapes and types as declared"


def started(family: type[TaskFamily], num_rows: int = ROWS, seed: int = 0) -> TaskFamily:
    """Rows just after their reset, each in a task of its own. Breach where the reset is of another shape or type."""
    rows = family(num_rows)
    observation = rows.reset(training_tasks(family, num_rows), np.random.default_rng(seed))
    _require_array("reset's observation", observation, (num_rows, family.observation_dim), np.float32)
    return rows


def training_tasks(family: type[TaskFamily], num_rows: int) -> np.ndarray:
    """One per row, (row, parameter); the first ones again where there are fewer."""
    tasks = family.tasks(*family.task_counts, TASK_SEED)[0]
    return tasks[np.arange(num_rows) % len(tasks)]


def _require_array(name: str, value: object, shape: tuple[int, ...], kind: type) -> None:
    seen = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
    if not isinstance(value, np.ndarray) or value.shape != shape or value.dtype != kind:
        raise Breach(
            f"{name} is {seen}", f"expected {np.dtype(kind).name} {shape}: the rows first, then what one row has"
        )


MUST_HAVE = {"declared": declared, "hooks": hooks, "tasks": task_lists, "reset and step": one_step}
