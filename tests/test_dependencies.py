"""A trial's declared dependencies are exactly what it reads: compared with the modules that a real trial imports."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
# The command line and what it shows: imported by the command, with no way to change a result.
BESIDE = {"oyster/cli.py", "oyster/progress.py"}

CODE = """
import json, sys, tempfile
from pathlib import Path
from oyster.cli import main
environment, encoder = sys.argv[1:]
with tempfile.TemporaryDirectory() as folder:
    arguments = ["train", "--env", environment, "--encoder", encoder, "--seed", "1", "--budget", "canary"]
    arguments += ["--device", "cpu", "--params", "tests/canary/params.yaml", "--out", folder + "/out"]
    main(arguments, standalone_mode=False)
files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
print(json.dumps([file for file in files if file]))
"""


def declared(environment: str, encoder: str) -> list[str]:
    deps = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["train"]["deps"]
    return [dep.replace("${item.env}", environment).replace("${item.encoder}", encoder) for dep in deps]


@pytest.mark.parametrize(
    "environment, encoder", [("cheetah-vel", "mlp"), ("point-robot", "recurrent"), ("sparse-point-robot", "attention")]
)
def test_declared_dependencies_are_what_is_imported(environment, encoder):
    command = [sys.executable, "-c", CODE, environment, encoder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    files = {Path(file) for file in json.loads(done.stdout.splitlines()[-1])}
    inside = {file.relative_to(ROOT).as_posix() for file in files if file.is_relative_to(ROOT)}
    inside = {name for name in inside if not name.startswith(".venv/")} - BESIDE
    paths = declared(environment, encoder)
    assert all((ROOT / path).exists() for path in paths)
    uncovered = {name for name in inside if not any(name == path or name.startswith(path + "/") for path in paths)}
    assert uncovered == set()
    not_code = {"docker/environment.json", "oyster/__main__.py"}  # read by the launcher; run and not imported here
    unused = {path for path in paths if not any(n == path or n.startswith(path + "/") for n in inside)} - not_code
    assert unused == set()


def test_encoder_files_import_no_siblings():
    for path in (ROOT / "encoders").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or "."] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] in {"torch", "numpy", "math", "rlkit"}, f"{path.name} imports {name}"


FLOORS = [
    {"cli", "__main__"},
    {
        *("trial", "verify", "comparison", "canary", "keep_results", "conformance", "progress", "worktree"),
        *("archive", "import_checks", "import_results", "saved_agent", "simulate", "render"),
    },
    {"pearl", "encoder_file", "local_files"},
    {"envs", "settings", "runtime", "rlkit"},
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


def test_reports_import_nothing_of_the_engine_but_how_a_file_is_read():
    """So that a report needs no torch."""
    allowed = {"oyster.runtime.errors", "oyster.runtime.yaml_file"}
    for path in (ROOT / "reports").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name for name in names if name.split(".")[0] == "oyster"} <= allowed, path
