"""`oyster check NAME_OR_FILE` of a task family: does it do what training, tests and pictures take for granted?"""

import pickle
from collections.abc import Callable

import numpy as np

from oyster.check.finding import Finding
from oyster.envs.contract import MUST_HAVE, ROWS, Breach, started, training_tasks
from oyster.envs.family import TASK_SEED, Step, TaskFamily
from oyster.envs.reference_policies import reference_returns
from oyster.runtime.errors import InputError

SEED = 7  # of the actions
STEPS = 20  # at most, of a check
ORACLE_STEPS = 2000  # of idle and of the oracle, where they are compared


def seeded_tasks(family: type[TaskFamily]) -> str:
    """The same seed the same tasks; another seed other tasks, not another order of them."""
    train, test = family.tasks(*family.task_counts, TASK_SEED)
    again = family.tasks(*family.task_counts, TASK_SEED)
    if not all(np.array_equal(one, other) for one, other in zip((train, test), again, strict=True)):
        raise Breach("the same seed gave other tasks", "draw from np.random.RandomState(seed) alone")
    try:
        other = np.concatenate(family.tasks(*family.task_counts, TASK_SEED + 1))
    except (InputError, ValueError) as error:
        return f"it refuses another seed: {error}"
    if back := [task.tolist() for task in test if (other == task).all(axis=1).any()]:
        raise Breach(
            f"another seed draws the benchmark's test task {back[0]} again",
            "draw other tasks for another seed, or refuse it: else screening on other tasks trains on the test's",
        )
    return "each seed has a list of its own"


def repeatable(family: type[TaskFamily]) -> str:
    before = pickle.dumps(np.random.get_state())
    one, other = (_lived(family, seed=3) for _ in range(2))
    if not _alike(one, other):
        raise Breach("the same reset and actions gave other steps", "draw from the generator that reset is given alone")
    if pickle.dumps(np.random.get_state()) != before:
        raise Breach("it drew from NumPy's global generator", "draw from the generator that reset is given alone")
    return "the same generator and actions: the same steps"


def resets_anew(family: type[TaskFamily]) -> str:
    """A second episode is as the first one: nothing is left over."""
    rows, tasks = family(ROWS), training_tasks(family, ROWS)
    first = _live(rows, rows.reset(tasks, np.random.default_rng(3)))
    second = _live(rows, rows.reset(tasks, np.random.default_rng(3)))
    if not _alike(first, second):
        raise Breach("the second episode differs from the first", "let reset set all that step changes")
    return "an episode leaves nothing to the next"


def rows_apart(family: type[TaskFamily]) -> str:
    """Other rows' tasks do not touch a row."""
    tasks = training_tasks(family, ROWS)
    same = np.repeat(tasks[:1], ROWS, axis=0)
    steps = []
    for given in (same, tasks):
        rows = family(ROWS)
        steps.append(_live(rows, rows.reset(given, np.random.default_rng(3))))
    for one, other in zip(*steps, strict=True):
        if any(
            not np.array_equal(part[0], twin[0], equal_nan=True)
            for part, twin in zip(one.parts(), other.parts(), strict=True)
        ):
            raise Breach("other rows' tasks changed what the first row did", "compute each row from its own task")
    return "a row is what it is whatever the others are"


def clipping(family: type[TaskFamily]) -> str:
    wide, whole = (
        started(family, seed=3).step(np.full((ROWS, family.action_dim), size, np.float32)) for size in (3, 1)
    )
    if not _alike([wide], [whole]):
        raise Breach("an action of 3 does more than one of 1", "np.clip(action, -1.0, 1.0) first, in the reward too")
    return "actions beyond [-1, 1] are clipped"


def finite(family: type[TaskFamily]) -> str:
    for step in _lived(family, seed=3, scale=10.0):
        if not all(np.isfinite(part).all() for part in step[:3]):
            raise Breach(
                "observation or reward is not finite under extreme actions", "bound what the dynamics can reach"
            )
    return f"{min(STEPS, family.horizon)} steps of extreme actions"


def endings(family: type[TaskFamily]) -> str:
    ended = sum(bool(step.terminal.any()) for step in _lived(family, seed=3))
    return f"rows ended by themselves in {ended} of {min(STEPS, family.horizon)} steps of random actions"


def oracle(family: type[TaskFamily]) -> str:
    """A misplaced oracle would turn the scale upside down."""
    returns = reference_returns(family, family.tasks(*family.task_counts)[1], ORACLE_STEPS)
    if returns["task_known"] is None:
        return "neither oracle_action nor best_return: no score is normalised"
    idle, known = (float(np.mean(returns[name])) for name in ("doing_nothing", "task_known"))
    if known <= idle:
        raise Breach(
            f"the oracle returns {known:.2f}, idle {idle:.2f}",
            "let oracle_action act on the row's task, or say a higher best_return, or neither",
        )
    return f"oracle {known:.2f}, idle {idle:.2f}, means over test tasks"


CHECKS: dict[str, Callable[[type[TaskFamily]], str]] = {
    **MUST_HAVE,
    "seeded tasks": seeded_tasks,
    "repeatable": repeatable,
    "resets anew": resets_anew,
    "rows kept apart": rows_apart,
    "clipping": clipping,
    "finite": finite,
    "endings": endings,
    "oracle above idle": oracle,
}


def check_family(family: type[TaskFamily]) -> list[Finding]:
    """All findings; where one of the contract's fails, no more than these. NotInstalled where nothing can be tried."""
    family.require_installed()
    findings = []
    for name, check in CHECKS.items():
        try:
            findings.append(Finding(name, "info" if name == "endings" else "pass", check(family)))
        except Breach as breach:
            findings.append(Finding(name, "fail", breach.seen, breach.fix))
        except Exception as error:  # a family's own code may raise anything
            findings.append(Finding(name, "fail", f"it raised {type(error).__name__}: {error}", "let it run through"))
        if name in MUST_HAVE and findings[-1].verdict == "fail":
            return [*findings, Finding("all further checks", "info", f"left out: they need '{name}' to hold")]
    return findings


def _lived(family: type[TaskFamily], seed: int, scale: float = 1.0) -> list[Step]:
    rows = family(ROWS)
    return _live(rows, rows.reset(training_tasks(family, ROWS), np.random.default_rng(seed)), scale)


def _live(rows: TaskFamily, observation: np.ndarray, scale: float = 1.0) -> list[Step]:
    """Steps of random actions, copied: a family may give views of what it changes."""
    actions = np.random.default_rng(SEED)
    size, steps = (rows.num_rows, rows.action_dim), []
    for _ in range(min(STEPS, rows.horizon)):
        step = rows.step((scale * actions.uniform(-1.0, 1.0, size)).astype(np.float32))
        steps.append(Step(*(np.array(part) for part in step.parts())))
    return steps


def _alike(one: list[Step], other: list[Step]) -> bool:
    pairs = ((a, b) for s, t in zip(one, other, strict=True) for a, b in zip(s.parts(), t.parts(), strict=True))
    return all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)
