"""Results trees made up for the reports' tests, in the format that trials write."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from reports.build import build
from reports.grid import Grid, read_grid
from reports.results import trial_command

GRID = {
    "environments": ["cheetah-vel", "sparse-point-robot", "point-robot"],
    "encoders": ["mlp", "recurrent", "attention"],
    "seeds": [42, 123],
}
TRAJECTORIES = {"cheetah-vel": 3, "sparse-point-robot": 20, "point-robot": 3}
SCALE = {"cheetah-vel": (-400.0, -110.0), "sparse-point-robot": (0.0, 4.0), "point-robot": (-21.0, -11.5)}


@dataclass(frozen=True)
class Tree:
    """A place with params.yaml and results/, to write trials into and build reports from."""

    root: Path
    name: str
    grid: dict

    def __post_init__(self) -> None:
        self.results.mkdir(parents=True)
        # JSON is YAML, with any name safely quoted.
        self.params.write_text(json.dumps({"grid": {self.name: self.grid}}), encoding="utf-8")

    @property
    def results(self) -> Path:
        return self.root / "results" / self.name

    @property
    def params(self) -> Path:
        return self.root / "params.yaml"

    def read_grid(self) -> Grid:
        return read_grid(self.params, self.name)

    def build(self, out: str = "report") -> Path:
        build(self.read_grid(), self.results, self.root / out)
        return self.root / out

    def write_all(self, iterations: int = 6) -> None:
        for identity in self.read_grid().trials():
            self.write_trial(*identity, iterations=iterations)

    def write_trial(
        self,
        environment: str,
        encoder: str,
        seed: int,
        iterations: int = 6,
        final: float | None = None,
        failure: dict | None = None,
        provenance: dict | None = None,
    ) -> Path:
        """One trial's files, with invented numbers; `failure`: it failed after `iterations` whole ones."""
        place = self.results / environment / encoder / str(seed)
        place.mkdir(parents=True)
        random = np.random.default_rng([seed, *encoder.encode(), *environment.encode()])
        start, end = SCALE[environment]
        progress = start + (end - start) * (1 - np.exp(-3 * np.arange(1, iterations + 1) / max(iterations, 1)))
        progress += random.normal(0, abs(end - start) * 0.06, iterations)
        if final is not None:
            progress[-1] = final
        rows = [
            f"{i},{1000 * (i + 1)},{200 * (i + 1)},{value},{value - 1},1.5,2.5,-3.5,4.5,0.1"
            for i, value in enumerate(progress)
        ]
        header = "iteration,environment_steps,gradient_steps,meta_test_return,train_return,"
        header += "qf_loss,vf_loss,policy_loss,kl_divergence,posterior_variance"
        (place / "progress.csv").write_text("\n".join([header, *rows]) + "\n")
        count = 0 if failure else TRAJECTORIES[environment]
        by_trajectory = np.linspace(0, 1, count) * abs(end) / 3 + (0 if failure else progress[-1] - abs(end) / 3)
        rows = [
            f"{task},0.5,0,{trajectory},{value + (task - 0.5) * 2}"
            for task in range(2)
            for trajectory, value in enumerate(by_trajectory)
        ]
        header = "task,target_velocity,evaluation,trajectory,return"
        (place / "adaptation.csv").write_text("\n".join([header, *rows]) + "\n")
        metrics = {
            "environment": environment, "encoder": encoder, "seed": seed, "budget": self.name,
            "meta_test_return": None if failure else float(progress[-1]),
            "meta_test_return_last5": None if failure else float(progress[-5:].mean()),
            "trajectory_returns": list(by_trajectory), "task_returns": [], "failure": failure,
        }  # fmt: skip
        (place / "metrics.json").write_text(json.dumps(metrics))
        recorded = {
            "commit": "3f2a9c1d5e7b8a6042c1d9e8f7a6b5c4d3e2f101", "dirty": False, "diff_sha256": None,
            "settings": {}, "settings_sha256": "a" * 64, "encoder_sha256": "b" * 64,
            "environment": {"lock_sha256": "c" * 64, "python": "3.11", "torch": "2.13.0", "mujoco": "3.3.0",
                            "numpy": "2.3.0", "runtime": "host", "image_digest": None, "off_lock": []},
            "hardware": {"cpu": "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz", "cores": 2, "gpu": None},
            "device": "cpu", "precision": "float32", "threads": 1, "wall_seconds": 41.7 + seed,
            "iteration_seconds": [], "environment_steps": 6000, "gradient_steps": 1200,
            "gradient_steps_per_second": 96.4, "peak_memory_mb": 412.0, "parameters": 83610,
            "command": trial_command(self.name, environment, encoder, seed),
        }  # fmt: skip
        (place / "provenance.json").write_text(json.dumps(recorded | (provenance or {})))
        return place


@pytest.fixture
def new_tree(tmp_path):
    """Call it for a fresh Tree; keyword arguments override parts of the grid."""
    return lambda name="demo", **overrides: Tree(tmp_path / name, name, GRID | overrides)


@pytest.fixture(scope="session")
def full(tmp_path_factory) -> tuple[Tree, Path]:
    """Eighteen finished trials, and the report built from them once."""
    tree = Tree(tmp_path_factory.mktemp("full"), "demo", GRID)
    tree.write_all()
    return tree, tree.build()
