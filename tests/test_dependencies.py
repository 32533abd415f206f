"""Imports run one way, and an encoder file imports nothing of the tree."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_encoder_files_import_no_siblings():
    for path in (ROOT / "encoders").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or "."] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] in {"torch", "numpy", "math", "rlkit"}, f"{path.name} imports {name}"


FLOORS = [
    {"cli", "__main__"},
    {"train", "keep", "record"},
    {
        "status",
        "verify",
        "simulate",
        "render",
        "saved_agent",
        "trial",
        "conformance",
        "progress",
        "comparison",
        "worktree",
    },
    {"key", "grid"},
    {"pearl", "encoder_file", "local_files"},
    {"before", "envs", "settings", "runtime", "rlkit"},
]


def test_imports_only_run_downwards():
    floor = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    for path in sorted((ROOT / "oyster").rglob("*.py")):
        room = path.relative_to(ROOT / "oyster").parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("oyster."):
                target = node.module.split(".")[1]
                assert floor[target] >= floor[room], f"{path.relative_to(ROOT)} imports {node.module}"


def test_a_report_needs_no_torch():
    """It asks what there is to train, and reads files; nothing of the engine."""
    code = "import sys, reports.commands; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
    allowed = {"before", "grid", "key", "status", "runtime"}
    for path in (ROOT / "reports").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[1] for name in names if name.startswith("oyster.")} <= allowed, path
