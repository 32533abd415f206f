"""Projects to run the real commands in: clones of the working tree with a grid and a budget of seconds."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ("point-robot", "sparse-point-robot")
AGENTS = ("mlp", "recurrent")
SEEDS = (1,)
TINY = {
    "num_iterations": 1,
    "net_size": 8,
    "encoder_hidden_sizes": [8],
    "meta_batch": 2,
    "batch_size": 8,
    "embedding_batch_size": 8,
    "num_initial_steps": 20,
    "num_tasks_sample": 1,
    "num_train_steps_per_itr": 2,
}
EVALUATION = {"train_tasks": 3, "test_tasks": 2, "evaluations": 1}


class Project:
    """A git repository with the project in it. `trained()` names the trials trained since it was last asked."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.seen = self._results()

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess:
        """Run a command in the project's root, with this interpreter's tools on the PATH."""
        environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        environment |= {"PYTHONDONTWRITEBYTECODE": "1", "DVC_NO_ANALYTICS": "1"}
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)
        if check and done.returncode:
            pytest.fail(f"{' '.join(command)} exited {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-5000:]}")
        return done

    def snakemake(self, *targets: str, check: bool = True) -> subprocess.CompletedProcess:
        return self.run("snakemake", "--cores", "2", *targets, check=check)

    def repro(self, *options: str) -> subprocess.CompletedProcess:
        return self.run("dvc", "repro", *options)

    def trained(self) -> set[str]:
        """`environment/encoder/seed` of every trial whose result is new."""
        now = self._results()
        new = {trial for trial, identity in now.items() if self.seen.get(trial) != identity}
        self.seen = now
        return new

    def commit(self, message: str = "results") -> None:
        self.run("git", "add", "--all")
        self.run(
            "git",
            "-c",
            "user.name=test",
            "-c",
            "user.email=test@example.org",
            "commit",
            "--quiet",
            "--allow-empty",
            "-m",
            message,
        )

    def status(self) -> str:
        return self.run("git", "status", "--porcelain").stdout

    def edit_params(self, change: Callable[[dict], None]) -> None:
        path = self.folder / "params.yaml"
        content = yaml.safe_load(path.read_text())
        change(content)
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    def append(self, path: str, text: str) -> None:
        with (self.folder / path).open("a") as file:
            file.write(text)

    def clone(self, folder: Path) -> "Project":
        """A fresh clone: what git has, and no more."""
        self.run("git", "clone", "--quiet", str(self.folder), str(folder))
        return Project(folder)

    def copy(self, folder: Path) -> "Project":
        """Everything as it is, DVC's cache and Snakemake's notes too."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)

    def _results(self) -> dict[str, tuple]:
        files = sorted(self.folder.glob("results/*/*/*/*/provenance.json"))
        return {"/".join(path.parts[-4:-1]): path.read_text() for path in files}


def all_trials(environments=ENVIRONMENTS, agents=AGENTS, seeds=SEEDS) -> set[str]:
    return {f"{env}/{agent}/{seed}" for env in environments for agent in agents for seed in seeds}


def shrink(params: dict) -> None:
    """A grid of four trials, seconds each, as `benchmark` and as `demo`."""
    axes = {"environments": [*ENVIRONMENTS], "agents": [*AGENTS], "seeds": [*SEEDS]}
    params["grids"] = {name: {"preset": preset} | axes for name, preset in (("benchmark", "tiny"), ("demo", "compact"))}
    params["evaluation"]["tiny"] = dict.fromkeys(ENVIRONMENTS, EVALUATION)
    sections = dict.fromkeys(("all", *ENVIRONMENTS), TINY)
    params["presets"] = {"tiny": {"extends": "demo", "pearl": sections}}
    params["presets"]["compact"] = {"extends": "tiny", "pearl": {"all": {"net_size": 4}}}


def make_untrained(folder: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for name in listed:
        if (ROOT / name).is_file() and not name.startswith(("results/", "reports/benchmark/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    project = Project(folder)
    project.run("git", "init", "--quiet", "--initial-branch", "main")
    project.edit_params(shrink)
    lock = folder / "dvc.lock"
    if lock.exists():  # of the real benchmark: only the record of the environment concerns this grid
        content = yaml.safe_load(lock.read_text())
        content["stages"] = {name: stage for name, stage in content["stages"].items() if name == "environment"}
        lock.write_text(yaml.safe_dump(content))
    project.commit("project")


@pytest.fixture(scope="session")
def untrained(made_once) -> Project:
    """The working tree as a fresh repository with one commit. Do not change it: copy it."""
    return Project(made_once("untrained", make_untrained))


@pytest.fixture(scope="session")
def trained(untrained, made_once) -> Project:
    """The project after its first `snakemake --cores 2`, committed. Do not change it: copy or clone it."""

    def train(folder: Path) -> None:
        shutil.copytree(untrained.folder, folder, symlinks=True, dirs_exist_ok=True)
        project = Project(folder)
        project.snakemake()
        project.commit()

    return Project(made_once("trained", train))


@pytest.fixture
def project(trained, tmp_path) -> Project:
    """A copy of the trained project to play with."""
    return trained.copy(tmp_path / "project")
