"""Do the tests notice a wrong module? Change it in one small way at a time, run its own tests, count what they catch.

`make mutants`, or `python -m tests.mutants NAME …`. The table in tests/mutants.md gets a row a module. A mutant that
survives must stand there too, with the reason why nothing changes; one that does not ends the command with 1.

Each mutant is a fork of one process that has imported what is slow (torch, pytest); an import hook gives it the changed
module in place of the real one. Texts are left alone, f-strings with them: what a message says is no behaviour.
"""

import ast
import contextlib
import copy
import gc
import importlib
import importlib.util
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from datetime import date
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import NamedTuple

# A fork must not inherit half a pool of threads; of pytest's plugins one is needed.
os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "tests" / "mutants.md"
SLOW = (
    "pytest", "pytest_timeout", "hypothesis.strategies", "torch._dynamo", "torch.distributions", "safetensors.torch",
    "safetensors.numpy", "scipy.stats", "pandas", "pydantic", "gymnasium", "mujoco", "click", "rich.console", "yaml",
    "seaborn", "PIL.Image", "jinja2",
)  # fmt: skip
PYTEST = shlex.split("-x -q -p pytest_timeout -p no:cacheprovider -p no:faulthandler")
GOLDEN, REPORTS = "tests/golden/test_golden.py", "tests/reports/test_reports"
# A module, and the tests that are about it: quick ones, and in this process, since a subprocess sees no mutant.
TESTS = {
    "oyster/algorithms/pearl/posterior.py": "tests/pearl/test_networks_and_posterior.py",
    "oyster/algorithms/pearl/gradient_step.py": "tests/golden/test_deterministic.py::"
    "test_the_gradient_step_reproduces_the_arrays "
    f"{GOLDEN}::test_gradient_step_reproduces_the_golden_arrays tests/pearl/test_gradient_step.py",
    "oyster/rl/fused_mlp.py": "tests/pearl/test_networks_and_posterior.py",
    "oyster/reproduce/comparison.py": "tests/test_comparison.py",
    "oyster/rl/replay.py": "tests/pearl/test_replay_and_rollout.py",
    "oyster/rl/rollout.py": "tests/pearl/test_replay_and_rollout.py",
    "oyster/trial/meta_test.py": "tests/pearl/test_meta_test_parts.py tests/pearl/test_ending_episodes.py "
    "tests/pearl/test_protocol.py -k meta_test",
    "oyster/report/statistics/intervals.py": f"{REPORTS}_statistics.py -k 'not cover and not how_often'",
    "oyster/report/statistics/pairs.py": f"{REPORTS}_aggregate.py {REPORTS}_tables.py "
    "-k 'not seldom and not thirty and not thousand and not hostile and not none_and_one and not say_the_precision'",
    "oyster/trial/results.py": "tests/pearl/test_results.py",
    "oyster/trial/training.py": "tests/pearl/test_training_state.py tests/pearl/test_protocol_details.py",
    "oyster/algorithms/pearl/learner.py": "tests/pearl/test_learner_parts.py tests/pearl/test_training_state.py "
    "tests/pearl/test_protocol.py tests/pearl/test_protocol_details.py tests/pearl/test_ending_episodes.py",
    "oyster/algorithms/pearl/adapter.py": "tests/pearl/test_meta_test_parts.py tests/pearl/test_ending_episodes.py "
    "tests/pearl/test_protocol.py -k meta_test",
    "oyster/algorithms/pearl/encoder_state.py": "tests/pearl/test_encoder_memory.py",
    "oyster/runtime/checkpoint.py": "tests/test_checkpoint.py",
    "oyster/reproduce/verify.py": "tests/test_verdicts.py",
    "oyster/runtime/provenance.py": "tests/test_provenance.py -k 'not a_trial_records'",
    "oyster/algorithms/settings.py": "tests/test_grid_limits.py tests/test_grid.py",
    "oyster/params.py": "tests/test_grid_limits.py tests/test_grid.py",
    "oyster/presets.py": "tests/test_grid_limits.py tests/test_grid_resolution.py tests/test_grid.py",
    "oyster/grid.py": "tests/test_grid_limits.py tests/test_grid_resolution.py tests/test_grid.py tests/test_before.py",
    "oyster/before.py": "tests/test_before.py",
}
SWAPPED = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,), ast.NotIn: (ast.In,), ast.And: (ast.Or,), ast.Or: (ast.And,),
    ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Div,), ast.Div: (ast.Mult,), ast.Pow: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,), ast.Mod: (ast.FloorDiv,), ast.MatMult: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,), ast.BitOr: (ast.BitAnd,), ast.BitXor: (ast.BitAnd,),
    ast.Continue: (ast.Break,), ast.Break: (ast.Continue,),
}  # fmt: skip


class Mutant(NamedTuple):
    name: str  # where, and what was changed into what
    code: object


def alternatives(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in a node's place."""
    for other in SWAPPED.get(type(node), ()):
        yield other()
    match node:
        case ast.Constant(value=bool()):
            yield ast.Constant(not node.value)
        case ast.Constant(value=int() | float()):
            yield ast.Constant(node.value * 2 if isinstance(node.value, float) and node.value else node.value + 1)
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield node.operand
        case ast.If() | ast.IfExp() | ast.While() if not isinstance(node.test, ast.Compare | ast.UnaryOp):
            changed = copy.copy(node)
            changed.test = ast.UnaryOp(ast.Not(), node.test)
            yield changed
        case ast.Return(value=ast.AST()) if not (isinstance(node.value, ast.Constant) and node.value.value is None):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(value=value) if not isinstance(value, ast.Constant):
            yield ast.Pass()
        case ast.Raise() | ast.AugAssign() | ast.Delete() | ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield ast.Pass()
        case ast.Call(func=ast.Name("min" | "max")):
            pass
        case ast.Call(args=[first, second, *rest]) if not any(isinstance(it, ast.Starred) for it in (first, second)):
            yield ast.Call(node.func, [second, first, *rest], node.keywords)
    if isinstance(node, ast.Call):
        for keyword in node.keywords:
            if keyword.arg not in (None, "strict"):  # strict=True is an assertion
                yield ast.Call(node.func, node.args, [kept for kept in node.keywords if kept is not keyword])


def slots(node: ast.AST, within: str = "") -> Iterator[tuple[str, ast.AST, str, int | None]]:
    """Every place for a node below `node`: the function or class it is in, its parent, the field and index there."""
    if isinstance(node, ast.JoinedStr | ast.Raise) or (isinstance(node, ast.keyword) and node.arg == "strict"):
        return
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        within = f"{within}.{node.name}".removeprefix(".")
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST):
                yield within, node, field, index
                yield from slots(child, within)


def put(parent: ast.AST, field: str, index: int | None, node: ast.AST) -> None:
    setattr(parent, field, node) if index is None else getattr(parent, field).__setitem__(index, node)


def mutants(path: str) -> Iterator[Mutant]:
    """Each way to change a module."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    seen: dict[str, int] = {}
    for within, parent, field, index in list(slots(tree)):
        place = getattr(parent, field)
        present = place if index is None else place[index]
        before = ast.unparse(parent)
        for other in alternatives(present):
            put(parent, field, index, other)
            name = f"{within or 'module'}: {change(before, ast.unparse(parent))}"
            seen[name] = seen.get(name, 0) + 1
            name += f" ({seen[name]})" if seen[name] > 1 else ""
            yield Mutant(name, compile(ast.fix_missing_locations(tree), str(ROOT / path), "exec"))
        put(parent, field, index, present)


def change(before: str, after: str) -> str:
    """The two texts where they differ, and a little of what surrounds that."""
    shorter = min(len(before), len(after))
    start = next((k for k in range(shorter) if before[k] != after[k]), shorter)
    end = next((k for k in range(shorter - start) if before[-1 - k] != after[-1 - k]), shorter - start)
    old, new = (text[max(0, start - 25) : len(text) - max(0, end - 25)] for text in (before, after))
    return " -> ".join("`" + " ".join(text.split()) + "`" for text in (old, new))


class Changed(SourceFileLoader):
    """Loads a module from a mutant's code; None: from its file."""

    def __init__(self, name: str, path: Path, code: object):
        super().__init__(name, str(path))
        self.code = code

    def get_code(self, fullname):
        return self.code or super().get_code(fullname)


def fork_tests(path: str, code: object) -> int:
    """Run a module's tests on a mutant (None: as it is) in a fork. Returns the fork's process id."""
    if pid := os.fork():
        return pid
    os.setpgid(0, 0)
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
    status = 70
    with contextlib.suppress(BaseException):
        import hypothesis
        import pytest

        hypothesis.settings.register_profile("mutants", database=None, derandomize=True)
        hypothesis.settings.load_profile("mutants")
        name = path.removesuffix(".py").replace("/", ".")
        loader = Changed(name, ROOT / path, code)
        spec = importlib.util.spec_from_file_location(name, ROOT / path, loader=loader)
        finder = type("Finder", (), {"find_spec": staticmethod(lambda wanted, *_: spec if wanted == name else None)})
        sys.meta_path.insert(0, finder)
        status = pytest.main([*PYTEST, *shlex.split(TESTS[path])])
    os._exit(int(status))


def survivors(path: str, jobs: int) -> tuple[int, list[str]]:
    """The number of a module's mutants, and the names of those that its tests do not notice."""
    began = time.monotonic()
    if os.waitpid(fork_tests(path, None), 0)[1]:
        raise SystemExit(f"{path}: its tests fail as it is: {TESTS[path]}")
    if not os.waitpid(fork_tests(path, compile("raise AssertionError", path, "exec")), 0)[1]:
        raise SystemExit(f"{path}: its tests do not import what is put in its place")
    limit = 3 * (time.monotonic() - began) + 5
    todo, running, alive = list(mutants(path)), {}, []
    waiting = todo[::-1]
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            running[fork_tests(path, mutant.code)] = mutant, time.monotonic()
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            mutant, _ = running.pop(pid)
            alive += [mutant.name] if status == 0 else []
            continue
        for late in [pid for pid, (_, since) in running.items() if time.monotonic() - since > limit]:
            os.killpg(late, signal.SIGKILL)
        time.sleep(0.01)
    return len(todo), alive


def record(path: str, total: int, alive: int) -> None:
    """Write a module's row into the table, in place of its last one."""
    row = f"| {path} | {total} | {total - alive} | {100 * (total - alive) / total:.0f} % | {date.today()} |"
    lines = RECORD.read_text(encoding="utf-8").splitlines()
    rows = [number for number, line in enumerate(lines) if line.startswith("| oyster/")]
    own = next((number for number in rows if lines[number].startswith(f"| {path} |")), None)
    if own is None:
        lines.insert(rows[-1] + 1, row)
    else:
        lines[own] = row
    RECORD.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(row, flush=True)


def main(arguments: list[str]) -> int:
    chosen = [path for path in TESTS if not arguments or any(name in path for name in arguments)]
    if not chosen:
        raise SystemExit(f"No module of that name; there are {', '.join(TESTS)}")
    for name in SLOW:
        importlib.import_module(name)
    gc.freeze()  # pytest collects at its end: not all of this again in every fork
    unexplained = 0
    for path in chosen:
        total, alive = survivors(path, int(os.environ.get("JOBS", 2)))
        record(path, total, len(alive))
        accepted = RECORD.read_text(encoding="utf-8").partition(f"### {path}\n")[2].partition("\n### ")[0]
        for name in alive:
            if f"- {name}" not in accepted:
                unexplained += 1
                print(f"  survives: {name}", flush=True)
    return int(unexplained > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
