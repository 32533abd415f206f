"""The record of the environment (docker/environment.py) and the launcher that obeys it (docker/run)."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Corner:
    """The few files of the project that the record and the launcher read, in a folder of their own."""

    def __init__(self, folder: Path):
        self.folder, self.file = folder, folder / "docker" / "environment.json"
        self.file.parent.mkdir()
        for name in ("docker/environment.py", "docker/run", "requirements.txt"):
            shutil.copy(ROOT / name, folder / name)
        self.tools = folder / "bin"  # all that is on the PATH: no engine of this machine
        self.params("runtime: host\n")

    def params(self, text: str) -> None:
        (self.folder / "params.yaml").write_text(text)

    def record(self, *options: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "docker/environment.py", *options]
        environment = os.environ | {"PATH": str(self.tools), "OYSTER_BUILD_OPTIONS": ""}
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)

    def engine(self, name: str, script: str) -> None:
        """A fake engine, and what the image is made of."""
        self.tools.mkdir(exist_ok=True)
        (self.tools / name).write_text(script)
        (self.tools / name).chmod(0o755)
        for path in (
            "image.py",
            "bill.py",
            "image.yaml",
            "Dockerfile",
            "requirements-cuda.txt",
            "requirements-cpu.txt",
        ):
            shutil.copy(ROOT / "docker" / path, self.file.parent / path)

    def launch(self, *command: str) -> subprocess.CompletedProcess:
        return subprocess.run(["docker/run", *command], cwd=self.folder, capture_output=True, text=True)

    def lock(self, package: str, version: str) -> None:
        path = self.folder / "requirements.txt"
        path.write_text(re.sub(rf"^{package}==\S+", f"{package}=={version}", path.read_text(), flags=re.MULTILINE))


@pytest.fixture
def corner(tmp_path) -> Corner:
    return Corner(tmp_path)


def test_the_record_names_what_is_locked(corner):
    assert corner.record().returncode == 0
    lock = (ROOT / "requirements.txt").read_bytes()
    assert json.loads(corner.file.read_text()) == {
        "runtime": "host",
        "lock_sha256": hashlib.sha256(lock).hexdigest(),
        "torch": re.search(rb"^torch==([\d.]+)", lock, flags=re.MULTILINE)[1].decode(),
    }
    assert {path.name for path in corner.file.parent.iterdir()} == {"environment.py", "run", "environment.json"}


def test_the_record_is_the_same_where_the_machine_differs_and_says_how(corner):
    corner.lock("numpy", "0.0.1")
    done = corner.record()
    assert done.returncode == 0
    assert "numpy is" in done.stderr and "0.0.1 in the lock" in done.stderr
    assert "mujoco is" not in done.stderr
    assert json.loads(corner.file.read_text())["torch"] in (corner.folder / "requirements.txt").read_text()


def test_a_build_of_the_locked_version_is_no_difference(corner):
    """2.13.0+cpu and 2.13.0 are the same public version: a CPU's results carry over to a machine with a GPU."""
    from importlib import metadata

    corner.lock("torch", metadata.version("torch").split("+")[0])
    assert "torch" not in corner.record("--warn").stderr


def test_asked_to_warn_it_writes_nothing(corner):
    corner.lock("mujoco", "0.0.1")
    done = corner.record("--warn")
    assert (done.returncode, corner.file.exists()) == (0, False)
    assert "mujoco is" in done.stderr


# A fake engine that knows an image once it has built it. It keeps the words of its last build.
ENGINE = """#!/bin/sh
case "$1 $2" in
    "info ") exit 0 ;;
    "build --file")
        for word in "$@"; do echo "$word"; done > built; expr "$*" : '.*oyster.inputs=\\([0-9a-f]*\\)' > inputs ;;
    "image inspect")
        [ -f built ] || exit 1
        read -r inputs < inputs
        echo '[{"Id": "ID", "Size": 5, "Labels": {"oyster.inputs": "'$inputs'"}}]' ;;
    *) exit 9 ;;
esac
""".replace("ID", "cd" * 32)


def test_a_container_runtime_builds_the_image_once_and_records_its_digest(corner):
    corner.engine("podman", ENGINE)
    for tool in ("expr", "git"):
        (corner.tools / tool).symlink_to(shutil.which(tool))
    corner.params("runtime: podman\n")
    pin = "docker.io/library/python:3.11-slim-bookworm@sha256:" + "0" * 64
    dockerfile = corner.file.parent / "Dockerfile"
    dockerfile.write_text(re.sub(r"^ARG BASE=.*", f"ARG BASE={pin}", dockerfile.read_text(), flags=re.MULTILINE))
    done = corner.record()
    assert done.returncode == 0, done.stderr
    content = json.loads(corner.file.read_text())
    assert content["image"] == "sha256:" + "cd" * 32
    assert (content["runtime"], content["variant"]) == ("podman", "cuda")
    requirements = (corner.file.parent / "requirements-cuda.txt").read_bytes()
    assert content["requirements_sha256"] == hashlib.sha256(requirements).hexdigest()
    built = corner.folder / "built"
    assert "VARIANT=cuda" in built.read_text() and "--timestamp" in built.read_text()

    before, _ = corner.file.read_bytes(), built.write_text("untouched")
    assert corner.record().returncode == 0
    assert corner.file.read_bytes() == before and built.read_text() == "untouched"
    with (corner.file.parent / "requirements-cuda.txt").open("a") as file:
        file.write("# other requirements\n")
    assert corner.record().returncode == 0
    assert built.read_text() != "untouched" and corner.file.read_bytes() != before


def test_a_base_without_a_digest_is_not_built(corner):
    corner.engine("podman", ENGINE)
    corner.params("runtime: podman\n")
    dockerfile = corner.file.parent / "Dockerfile"
    dockerfile.write_text(re.sub(r"^ARG BASE=.*", "ARG BASE=debian:12", dockerfile.read_text(), flags=re.MULTILINE))
    done = corner.record()
    assert done.returncode != 0 and "starts from debian:12, which has no digest" in done.stderr
    assert "make pin-base" in done.stderr and not corner.file.exists() and not (corner.folder / "built").exists()


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("variant: rocm\n", "variant 'rocm'; expected cuda or cpu"),
        ("variant: cpu\npublished: {cpu: 'example.org/oyster:cpu'}\n", "expected NAME@sha256:"),
    ],
)
def test_a_choice_of_image_that_cannot_be_used_is_named(corner, choice, message):
    corner.engine("podman", ENGINE)
    corner.params("runtime: podman\n")
    (corner.file.parent / "image.yaml").write_text(choice)
    done = corner.record()
    assert done.returncode != 0 and message in done.stderr and not corner.file.exists()


@pytest.mark.parametrize("runtime", ["docker", "podman", "apptainer"])
def test_a_runtime_that_cannot_be_had_fails_loudly_and_keeps_the_record(corner, runtime):
    corner.record()
    before = corner.file.read_bytes()
    corner.engine("other", ENGINE)
    corner.params(f"runtime: {runtime}\n")
    done = corner.record()
    assert done.returncode != 0
    assert runtime in done.stderr and "runtime: host" in done.stderr
    assert corner.file.read_bytes() == before


def test_a_lock_without_torch_is_named(corner):
    lock = corner.folder / "requirements.txt"
    lock.write_text(re.sub(r"^torch==.*\n", "", lock.read_text(), flags=re.MULTILINE))
    done = corner.record()
    assert done.returncode != 0 and "requirements.txt locks no version of torch" in done.stderr
    assert not corner.file.exists()


def test_the_launcher_refuses_a_runtime_it_does_not_know(corner):
    corner.file.write_text(json.dumps({"runtime": "rocket"}, indent=2))
    done = corner.launch("touch", "started")
    assert done.returncode == 2 and "'rocket' is not known" in done.stderr
    assert not (corner.folder / "started").exists()


def test_without_a_record_the_launcher_goes_by_params(corner):
    assert corner.launch("echo", "here").stdout == "here\n"
    corner.params("runtime: docker # soon\n")
    done = corner.launch("touch", "started")
    assert done.returncode == 2 and "'docker' has no recorded image" in done.stderr
    assert "dvc repro environment" in done.stderr and not (corner.folder / "started").exists()


def test_the_launcher_says_how_it_is_used(corner):
    done = corner.launch()
    assert done.returncode == 2 and "Usage: docker/run CMD" in done.stderr
