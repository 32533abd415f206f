"""What a person sees who runs a command with a params.yaml that cannot be used: a sentence, and no traceback."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from oyster.cli import main

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "params.yaml").read_bytes()
LATIN_1 = "# réseau\n".encode("latin-1") + TEXT
CONFLICT = TEXT.replace(b"runtime: host", b"<<<<<<< HEAD\nruntime: host\n=======\nruntime: docker\n>>>>>>> other")
OCTAL = TEXT.replace(b"seeds: [42, 123, 456]", b"seeds: [042]")


def run(folder: Path, *command: str) -> subprocess.CompletedProcess:
    tools = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=folder, env=os.environ | tools, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr and '  File "' not in done.stderr, done.stderr
    return done


@pytest.fixture
def copy(tmp_path) -> Path:
    """What Snakemake and DVC read, where it can be spoilt."""
    for name in ("oyster", "docker", "profiles", "reports", "encoders"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "benchmark"))
    for name in ("Snakefile", "dvc.yaml", "params.yaml", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (LATIN_1, "line 1 holds the byte 0xE9"),
        (CONFLICT, "line 3 is a conflict marker"),
        (OCTAL, "grids.benchmark.seeds.0: given 042"),
        (b"", "holds nothing"),
        (b"grid: {}\n", "is of an older version: `grid` is now grids"),
        (b"[" * 2000, "levels deep"),
    ],
    ids=["latin-1", "conflict", "octal", "empty", "older", "deep"],
)
def test_snakemake_says_what_oyster_says(copy, content, told):
    (copy / "params.yaml").write_bytes(content)
    done = run(copy, "snakemake", "-n")
    assert done.returncode != 0
    assert "error: params.yaml" in done.stderr and told in done.stderr


ARGUMENTS = {
    "train": ["--env", "point-robot", "--encoder", "mlp", "--seed", "1", "--preset", "tiny"],
    "check": ["mlp", "--env", "point-robot", "--preset", "tiny"],
}


@pytest.mark.parametrize("content", [LATIN_1, CONFLICT, OCTAL, b"", b"[" * 2000])
@pytest.mark.parametrize("command", ARGUMENTS)
def test_oyster_ends_with_2_and_a_sentence(tmp_path, command, content):
    path, out = tmp_path / "params.yaml", tmp_path / "out"
    path.write_bytes(content)
    arguments = [*ARGUMENTS[command], "--params", str(path), *(["--out", str(out)] if command == "train" else [])]
    done = CliRunner().invoke(main, [command, *arguments])
    assert done.exit_code == 2 and done.stderr.startswith(f"error: {path}")
    assert not out.exists()


def test_oyster_started_from_a_shell_does_too(tmp_path):
    (tmp_path / "params.yaml").write_bytes(LATIN_1)
    command = ["check", *ARGUMENTS["check"], "--params", str(tmp_path / "params.yaml")]
    done = run(ROOT, sys.executable, "-m", "oyster", *command)
    assert done.returncode == 2 and "line 1 holds the byte 0xE9" in done.stderr


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (LATIN_1, "params.yaml cannot be read as YAML"),
        (CONFLICT, "params.yaml cannot be read as YAML"),
        (b"", "expected one of host, docker"),
        (b"- runtime: host\n", "expected one of host, docker"),
        (b"runtime: [host]\n", "is ['host']; expected one of host, docker"),
        (b"runtime: rocket\n", "is 'rocket'; expected one of host, docker"),
        (b"runtime: 2024-13-45\n", "month must be in 1..12"),
        (b"[" * 2000, "params.yaml cannot be read as YAML"),
        (b"runtime: !!bool host\n", "params.yaml cannot be read as YAML"),
        (b"runtime: !!timestamp host\n", "params.yaml cannot be read as YAML"),
        (None, "params.yaml cannot be read (No such file"),
    ],
)
def test_the_record_of_the_environment_says_what_cannot_be_used(copy, content, told):
    (copy / "params.yaml").write_bytes(content) if content is not None else (copy / "params.yaml").unlink()
    before = (copy / "docker" / "environment.json").read_bytes()
    done = run(copy, sys.executable, "docker/environment.py")
    assert done.returncode == 1 and done.stderr.startswith("docker/environment.py: ") and told in done.stderr
    assert (copy / "docker" / "environment.json").read_bytes() == before


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("variant: cuda # é\n".encode("latin-1"), "docker/image.yaml cannot be read as YAML"),
        (b"<<<<<<< HEAD\nvariant: cuda\n", "docker/image.yaml cannot be read as YAML"),
        (b"", "docker/image.yaml holds None"),
        (b"variant: [cuda]\n", "variant ['cuda']; expected cuda or cpu"),
        (b"published: [x]\n", "published: ['x']; expected {cuda"),
        (b"published: {cuda: 5}\n", "image 5; expected NAME@sha256"),
        (None, "docker/image.yaml cannot be read (No such file"),
    ],
)
def test_the_choice_of_image_says_what_cannot_be_used(copy, content, told):
    path = copy / "docker" / "image.yaml"
    path.write_bytes(content) if content is not None else path.unlink()
    (copy / "bin").mkdir()
    (copy / "bin" / "podman").write_text('#!/bin/sh\ntest "$1" = info\n')
    (copy / "bin" / "podman").chmod(0o755)
    (copy / "params.yaml").write_text("runtime: podman\n")
    done = run(copy, "sh", "-c", "PATH=$PWD/bin:$PATH exec python docker/environment.py")
    assert done.returncode == 1 and done.stderr.startswith("docker/image.py: ") and told in done.stderr
