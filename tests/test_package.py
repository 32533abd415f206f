"""The installable package: what it does outside a project, and which engine a project accepts."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TREE = ("oyster", "encoders", "docker", "reports/published", "Snakefile", "params.yaml", "requirements.txt")
TREE += ("pyproject.toml", "README.md")


def run(place: Path, *command: str | Path, **environment: str) -> subprocess.CompletedProcess:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run([*map(str, command)], cwd=place, env=kept | environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """Another clone of the project, so to speak."""
    folder = tmp_path_factory.mktemp("clone")
    for name in TREE:
        place = folder / name
        ignore = shutil.ignore_patterns("__pycache__")
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place, ignore=ignore)
        else:
            shutil.copy(ROOT / name, place)
    return folder


@pytest.fixture(scope="module")
def installed(copy, tmp_path_factory) -> Path:
    """`pip install .` of it, into a folder of its own."""
    target = tmp_path_factory.mktemp("installed")
    install = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", target, ".")
    done = run(copy, sys.executable, *install)
    assert done.returncode == 0, done.stderr
    return target


def oyster(installed: Path, place: Path, *arguments: str | Path) -> subprocess.CompletedProcess:
    return run(place, sys.executable, installed / "bin" / "oyster", *arguments, PYTHONPATH=str(installed))


def test_outside_a_project_it_tells_its_version_and_checks_files(installed, tmp_path):
    version = oyster(installed, tmp_path, "--version")
    assert version.returncode == 0 and version.stdout.startswith("oyster 0.") and str(installed) in version.stdout
    encoder, family = tmp_path / "my_encoder.py", tmp_path / "my_family.py"
    shutil.copy(ROOT / "encoders" / "mlp.py", encoder)
    shutil.copy(ROOT / "oyster" / "envs" / "point_robot.py", family)
    for name in ("my_encoder.py", "my_family.py", "sparse-point-robot"):
        done = oyster(installed, tmp_path, "check", name, *(["--env", "point-robot"] if "encoder" in name else []))
        assert done.returncode == 0 and "No check failed" in done.stdout, done.stdout + done.stderr


def test_outside_a_project_all_else_is_refused_in_a_sentence(installed, tmp_path):
    done = oyster(installed, tmp_path, "status")
    assert done.returncode == 2 and "There is no params.yaml" in done.stderr and "Traceback" not in done.stderr


def test_outside_a_project_it_is_a_library(installed, tmp_path):
    code = """import sys, oyster
agent = oyster.load(sys.argv[1], encoder=sys.argv[2])
print(oyster.envs.make(agent.environment).reset()[0].shape, agent.adapter(3).belief().mean.shape)"""
    places = (ROOT / "agents" / "point-robot.safetensors", ROOT / "encoders" / "reward_pooling.py")
    done = run(tmp_path, sys.executable, "-c", code, *places, PYTHONPATH=str(installed))
    assert done.stdout.strip() == "(2,) (3, 5)", done.stderr
    done = run(
        tmp_path, sys.executable, "-c", code.replace(", encoder=sys.argv[2]", ""), *places, PYTHONPATH=str(installed)
    )
    assert "InputError" in done.stderr and "the path of a .py file" in done.stderr


def test_an_installed_engine_that_is_not_the_trees_is_refused(installed, copy):
    done = oyster(installed, copy, "status", "demo")
    assert done.returncode == 2 and f"The engine that runs is that of {installed}" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


def test_a_tree_runs_its_own_engine_whatever_is_installed(installed, copy):
    done = run(copy, sys.executable, "-m", "oyster", "--version", PYTHONPATH=str(installed))
    assert done.stdout.strip().endswith(f"in {copy}")
    done = run(copy, Path(sys.executable).with_name("snakemake"), "-n", "demo", PYTHONPATH=str(installed))
    assert done.returncode == 0 and "report" in done.stdout, done.stderr


def test_the_project_is_found_upwards_and_paths_are_as_typed(copy, tmp_path):
    command = (sys.executable, "-c", "from oyster.cli import main; main()")
    done = run(copy / "encoders", *command, "check", "mlp.py", "--env", "point-robot", PYTHONPATH=str(copy))
    assert done.returncode == 0 and "mlp.py at the sizes" in done.stdout, done.stderr
    done = run(copy / "encoders", *command, "status", "demo", PYTHONPATH=str(copy))
    assert "of 18 trials" in done.stdout
    done = run(copy / "docker", *command, "verify", "run", PYTHONPATH=str(copy))
    assert done.returncode == 2 and str(copy / "docker" / "run") in done.stderr


def test_names_are_completed(copy):
    asked = {"_OYSTER_COMPLETE": "bash_complete", "COMP_WORDS": "oyster train --env sparse-", "COMP_CWORD": "3"}
    command = "from oyster.cli import main; main(prog_name='oyster')"
    done = run(copy, sys.executable, "-c", command, PYTHONPATH=str(copy), **asked)
    assert done.stdout.split() == ["plain,sparse-point-robot"]


def test_another_rlkit_is_refused_in_a_sentence(copy):
    code = "import sys, types; sys.modules['rlkit'] = types.ModuleType('rlkit'); import oyster"
    done = run(copy, sys.executable, "-c", code, PYTHONPATH=str(copy))
    assert done.returncode == 1 and "ImportError: Another rlkit was imported before oyster" in done.stderr
