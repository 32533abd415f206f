"""Imports run one way, and an encoder file imports nothing of the tree."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from oyster.algorithms import names
from oyster.presets import algorithm_presets

ROOT = Path(__file__).resolve().parents[1]


def test_encoder_files_import_no_siblings():
    for path in (ROOT / "encoders").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or "."] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] in {"torch", "numpy", "math", "rlkit"}, f"{path.name} imports {name}"


# The house from the roof down: a module imports from its own floor (of its own room, unless named together) and below.
FLOORS = [
    {"cli", "__main__"},
    {"shell"},
    {"reproduce", "simulate", "library", "gym_env"},
    {"trial"},
    {"report"},
    {"status"},
    {"key"},
    {"grid", "check"},
    {"params"},
    {"presets"},
    {"algorithms"},
    {"rl"},
    {"before", "envs"},
    {"runtime", "rlkit"},
]


def imported(path: Path) -> Iterator[str]:
    """The modules of oyster that a file names in import statements, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "oyster":
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "oyster")


def test_imports_only_run_downwards():
    floor = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    for path in sorted((ROOT / "oyster").rglob("*.py")):
        room = path.relative_to(ROOT / "oyster").parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        for module in imported(path):
            target = [*module.split("."), ""][1]
            if target in floor:
                assert floor[target] >= floor[room], f"{path.relative_to(ROOT)} imports {module}"


def test_a_report_needs_no_torch():
    """It asks what there is to train, and reads files; nothing of the engine."""
    code = "import sys, oyster.report.commands; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_rooms_stay_small():
    """No module above 300 lines, no room of more than 14 files; envs/ holds a file per family."""
    for path in (ROOT / "oyster").rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 300, path
    for folder in {path.parent for path in (ROOT / "oyster").rglob("*.py")} - {ROOT / "oyster" / "envs"}:
        assert sum(path.is_file() and path.name != "__init__.py" for path in folder.iterdir()) <= 14, folder


@pytest.mark.parametrize("name", names())
def test_an_algorithms_folder_is_whole(name):
    folder = ROOT / "oyster" / "algorithms" / name
    for file in ("settings.py", "learner.py", "presets.yaml", "README.md"):
        assert (folder / file).is_file(), f"{name} has no {file}"
    assert {"demo", "benchmark", "paper"} <= set(algorithm_presets(name))
    assert [*(ROOT / "tests" / "golden").glob(f"{name}_*.npz")], f"no golden numbers of {name}"
