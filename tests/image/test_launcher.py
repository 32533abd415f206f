"""docker/run: what it asks of an engine. The engines here are fakes that print what they are given."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DIGEST = "sha256:" + "ab" * 32
ENGINE = """#!/bin/sh
if [ "$1 $2" = "image inspect" ]; then [ "$3" = "$KNOWN" ]; exit; fi
printf '%s\\n' "$@"
"""


class Launcher:
    """The launcher in a tree of its own, with fake engines (and, if asked, a fake nvidia-smi) first on the PATH."""

    def __init__(self, folder: Path):
        self.folder, self.tools = folder / "tree", folder / "bin"
        (self.folder / "docker").mkdir(parents=True)
        self.tools.mkdir()
        shutil.copy(ROOT / "docker" / "run", self.folder / "docker" / "run")
        for name in ("sh", "dirname", "sed", "head", "expr", "id", "git", "true"):
            (self.tools / name).symlink_to(shutil.which(name))

    def record(self, runtime: str, image: str = DIGEST, variant: str = "cuda") -> None:
        content = {"runtime": runtime, "python": "3.11", "variant": variant, "image": image}
        (self.folder / "docker" / "environment.json").write_text(json.dumps(content, indent=2))

    def tool(self, name: str, script: str) -> None:
        (self.tools / name).write_text(script)
        (self.tools / name).chmod(0o755)

    def run(self, *command: str, cwd: str = ".", **environment: str) -> subprocess.CompletedProcess:
        environment = {"PATH": str(self.tools), "KNOWN": DIGEST} | environment
        launcher = self.folder / "docker" / "run"
        return subprocess.run(
            [launcher, *command],
            cwd=self.folder / cwd,
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )


@pytest.fixture
def launcher(tmp_path) -> Launcher:
    return Launcher(tmp_path)


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_a_container_gets_the_tree_and_nothing_else(launcher, engine):
    launcher.tool(engine, ENGINE)
    launcher.record(engine)
    (launcher.folder / "sub folder").mkdir()
    done = launcher.run("python", "-c", "a  b", "", cwd="sub folder")
    assert done.returncode == 0, done.stderr
    given = done.stdout.split("\n")[:-1]
    assert given[-5:] == [DIGEST, "python", "-c", "a  b", ""]
    options = given[:-5]
    for hardening in ("--network=none", "--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--rm"):
        assert hardening in options
    assert options[options.index("--tmpfs") + 1] == "/tmp"
    assert options[options.index("--user") + 1] == f"{os.getuid()}:{os.getgid()}"
    assert [options[n + 1] for n, word in enumerate(options) if word == "--volume"] == [
        f"{launcher.folder}:{launcher.folder}"
    ]
    assert options[options.index("--workdir") + 1] == str(launcher.folder / "sub folder")
    assert f"OYSTER_RUNTIME={engine}" in options and f"OYSTER_IMAGE_DIGEST={DIGEST}" in options
    assert not any("OYSTER_GPUS" in option or "gpu" in option for option in options)
    assert ("--userns=keep-id" in options) == (engine == "podman" and os.getuid() != 0)


def test_podman_keeps_the_id_of_a_user_who_is_not_root(launcher):
    launcher.tool("podman", ENGINE)
    (launcher.tools / "id").unlink()
    launcher.tool("id", "#!/bin/sh\necho 1000\n")
    launcher.record("podman")
    given = launcher.run("true").stdout.split("\n")
    assert "--userns=keep-id" in given and "1000:1000" in given


@pytest.mark.parametrize(
    ("engine", "asked"),
    [("docker", ["--gpus", "all"]), ("podman", ["--device", "nvidia.com/gpu=all"]), ("apptainer", ["--nv"])],
)
def test_gpus_are_passed_through_and_said_so(launcher, engine, asked):
    launcher.tool(engine, ENGINE)
    launcher.tool("nvidia-smi", '#!/bin/sh\n[ "$1" = -L ] && echo "GPU 0: one"\n')
    launcher.record(engine)
    sif(launcher)
    given = launcher.run("true", CUDA_VISIBLE_DEVICES="0,1").stdout
    assert "\n".join(asked) in given and "OYSTER_GPUS=all" in given and "CUDA_VISIBLE_DEVICES" in given
    launcher.record(engine, variant="cpu")  # nothing in that image could use them
    given = launcher.run("true").stdout
    assert "\n".join(asked) not in given and "OYSTER_GPUS" not in given
    launcher.record(engine)
    launcher.tool("nvidia-smi", "#!/bin/sh\necho 'no driver' >&2\nexit 9\n")
    given = launcher.run("true").stdout
    assert "\n".join(asked) not in given and "OYSTER_GPUS" not in given


def sif(launcher) -> Path:
    path = launcher.folder / ".pipeline" / "images" / f"{'ab' * 32}.sif"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_apptainer_runs_the_file_made_of_the_recorded_image(launcher):
    launcher.tool("apptainer", ENGINE)
    launcher.record("apptainer")
    missing = launcher.run("true")
    assert missing.returncode == 2 and DIGEST in missing.stderr and "python docker/environment.py" in missing.stderr
    path = sif(launcher)
    given = launcher.run("python", "a  b").stdout.split("\n")[:-1]
    assert given[-3:] == [str(path), "python", "a  b"]
    for hardening in ("--containall", "--no-privs", "--net"):
        assert hardening in given
    assert given[given.index("--network") + 1] == "none"
    assert given[given.index("--bind") + 1] == given[given.index("--pwd") + 1] == str(launcher.folder)
    assert f"OYSTER_RUNTIME=apptainer,OYSTER_IMAGE_DIGEST={DIGEST}" in given


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_a_published_image_is_run_by_name_and_digest(launcher, engine):
    launcher.tool(engine, ENGINE)
    reference = f"example.org/lab/oyster@{DIGEST}"
    launcher.record(engine, image=reference)
    given = launcher.run("true", KNOWN=reference).stdout.split("\n")
    assert reference in given and f"OYSTER_IMAGE_DIGEST={DIGEST}" in given


def test_a_worktrees_git_folder_comes_along_to_be_read(launcher, tmp_path):
    launcher.tool("podman", ENGINE)
    main, tree = tmp_path / "main", tmp_path / "worktree"
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run([*git, "init", "--quiet", main], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "first"], cwd=main, check=True)
    subprocess.run([*git, "worktree", "add", "--quiet", tree], cwd=main, check=True)
    shutil.copytree(launcher.folder / "docker", tree / "docker")
    launcher.folder = tree
    launcher.record("podman")
    given = launcher.run("true").stdout.split("\n")
    assert f"{main}/.git:{main}/.git:ro" in given and f"{tree}:{tree}" in given


@pytest.mark.parametrize("engine", ["docker", "podman", "apptainer"])
def test_an_engine_that_is_not_there_is_named(launcher, engine):
    launcher.record(engine)
    done = launcher.run("true")
    assert done.returncode == 2 and f"asks for {engine}, which is not on the PATH" in done.stderr


def test_an_image_that_is_not_there_is_named_and_nothing_runs(launcher):
    launcher.tool("podman", ENGINE)
    launcher.record("podman")
    done = launcher.run("true", KNOWN="another")
    assert done.returncode == 2 and done.stdout == ""
    assert f"podman has no image {DIGEST} here" in done.stderr and "python docker/environment.py" in done.stderr


@pytest.mark.parametrize("image", ["", "oyster:cuda", "sha256:abc", DIGEST + "0"])
def test_only_a_digest_is_run(launcher, image):
    launcher.tool("podman", ENGINE)
    launcher.record("podman", image=image)
    done = launcher.run("true", KNOWN=image)
    assert done.returncode == 2 and "names no image by digest" in done.stderr and done.stdout == ""


def test_outside_the_tree_it_says_what_the_container_sees(launcher):
    launcher.tool("podman", ENGINE)
    launcher.record("podman")
    done = launcher.run("true", cwd="..")
    assert done.returncode == 2 and f"the container sees only {launcher.folder}" in done.stderr


def test_a_host_runs_it_as_it_is(launcher):
    launcher.record("host")
    done = launcher.run("sh", "-c", 'echo "$1"; exit 7', "sh", "a  b")
    assert (done.returncode, done.stdout) == (7, "a  b\n")
