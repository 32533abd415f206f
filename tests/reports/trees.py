"""Results trees made up for the reports' tests, in the format that trials write."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml

from oyster.report.build import build
from oyster.report.read.grid import Grid, read_grid
from oyster.report.read.results import trial_command

GRID = {
    "environments": ["cheetah-vel", "sparse-point-robot", "point-robot"],
    "encoders": ["mlp", "recurrent", "attention"],
    "seeds": [42, 123],
}
PARAMS = yaml.safe_load((Path(__file__).resolve().parents[2] / "params.yaml").read_text(encoding="utf-8"))
TRAJECTORIES = {"cheetah-vel": 3, "sparse-point-robot": 20, "point-robot": 3}
SCALE = {"cheetah-vel": (-400.0, -110.0), "sparse-point-robot": (0.0, 4.0), "point-robot": (-21.0, -11.5)}
# What doing nothing and acting with the task known return, on average over the tasks.
SCRIPTED = {"cheetah-vel": (-320.0, 0.0), "sparse-point-robot": (0.0, 12.0), "point-robot": (-22.0, -6.0)}
OTHER = "point-robot"  # whose numbers an environment of any other name gets


class Shape(NamedTuple):
    """How much there is of everything in a trial; None: as it is usual for its environment."""

    tasks: int = 4
    latent_dim: int = 3
    evaluations: int | None = None
    trajectories: int | None = None
    steps: int = 20
    alike: bool = False  # every posterior


USUAL = Shape()


@dataclass(frozen=True)
class Tree:
    """A place with params.yaml and results/, to write trials into and build reports from."""

    root: Path
    name: str
    grid: dict
    shape: Shape = USUAL

    def __post_init__(self) -> None:
        self.results.mkdir(parents=True, exist_ok=True)
        if not self.params.exists():  # another process may be reading it
            axes = {"agents" if axis == "encoders" else axis: names for axis, names in self.grid.items()}
            # JSON is YAML, with any name safely quoted.
            params = PARAMS | {"grids": {self.name: {"preset": self.name} | axes}}
            self.params.write_text(json.dumps(params), encoding="utf-8")

    @property
    def results(self) -> Path:
        return self.root / "results" / self.name

    @property
    def params(self) -> Path:
        return self.root / "params.yaml"

    def read_grid(self) -> Grid:
        return read_grid(self.params, self.name)

    def build(self, out: str | Path = "report") -> Path:
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
        kind = environment if environment in SCALE else OTHER
        start, end = SCALE[kind]
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
        count = 0 if failure else self.shape.trajectories or TRAJECTORIES[kind]
        by_trajectory = (1 - np.arange(count)[::-1] / max(count - 1, 1)) * abs(end) / 3 + (
            0 if failure else progress[-1] - abs(end) / 3
        )
        offsets = (
            np.linspace(-1, 1, self.shape.tasks) if self.shape.tasks > 1 else np.zeros(1)
        )  # a task's return beside the mean over tasks
        names, parameters = _tasks(kind, self.shape.tasks)
        evaluations = self.shape.evaluations or (1 if kind == "cheetah-vel" else 2)
        runs = [(task, evaluation) for task in range(self.shape.tasks) for evaluation in range(evaluations)]
        rows = [
            ",".join(map(str, [task, *parameters[task], evaluation, trajectory, value + offsets[task]]))
            for task, evaluation in runs
            for trajectory, value in enumerate(by_trajectory)
        ]
        header = ",".join(["task", *names, "evaluation", "trajectory", "return"])
        (place / "adaptation.csv").write_text("\n".join([header, *rows]) + "\n")
        rows, dimensions = [], self.shape.latent_dim
        for task, evaluation in runs if count else []:
            for trajectory in range(count + 1):
                moved = trajectory > 0 and not self.shape.alike
                mean = ([*parameters[task], float(task)][0]) * np.arange(1, dimensions + 1) * moved
                mean += random.normal(0, 0.1, dimensions) * moved
                variance = np.full(dimensions, 1 / (1 + trajectory))
                rows.append(",".join(map(str, [task, evaluation, trajectory, *mean, *variance])))
        header = ",".join(f"{name}_{k}" for name in ("mean", "variance") for k in range(dimensions))
        (place / "posteriors.csv").write_text("\n".join(["task,evaluation,trajectory," + header, *rows]) + "\n")
        np.savez_compressed(
            place / "trajectories.npz", **_trace(kind, parameters, evaluations, count, self.shape.steps, random)
        )
        metrics = {
            "environment": environment, "encoder": encoder, "agent": encoder, "seed": seed, "preset": self.name,
            "meta_test_return": None if failure else float(progress[-1]),
            "meta_test_return_last5": None if failure else float(progress[-5:].mean()),
            "trajectory_returns": list(by_trajectory), "task_returns": [] if failure else list(progress[-1] + offsets),
            "scripted_returns": {
                "doing_nothing": list(SCRIPTED[kind][0] + offsets), "task_known": list(SCRIPTED[kind][1] + offsets),
            },
            "failure": failure,
        }  # fmt: skip
        (place / "metrics.json").write_text(json.dumps(metrics))
        recorded = {
            "commit": "3f2a9c1d5e7b8a6042c1d9e8f7a6b5c4d3e2f101", "dirty": False, "diff_sha256": None,
            "settings": {}, "settings_sha256": "a" * 64, "encoder_sha256": "b" * 64,
            "environment": {"lock_sha256": "c" * 64, "python": "3.11", "torch": "2.13.0", "mujoco": "3.3.0",
                            "numpy": "2.3.0", "runtime": "host", "image_digest": None, "off_lock": []},
            "hardware": {"cpu": "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz", "cores": 2, "gpu": None},
            "device": "cpu", "precision": "float32", "threads": 1, "wall_seconds": 41.7 + seed,
            "iteration_seconds": [6.5 * (i + 1) for i in range(iterations)],
            "environment_steps": 6000, "gradient_steps": 1200,
            "gradient_steps_per_second": 96.4, "peak_memory_mb": 412.0, "parameters": 83610,
            "command": trial_command(self.read_grid(), (environment, encoder, seed)),
        }  # fmt: skip
        (place / "provenance.json").write_text(json.dumps(recorded | (provenance or {})))
        return place


def _tasks(kind: str, count: int) -> tuple[list[str], list[list[float]]]:
    """Names of a family's parameters, and those of its tasks."""
    if kind == "cheetah-vel":
        return ["target_velocity"], [[velocity] for velocity in np.linspace(0.3, 2.7, count)]
    angles = np.linspace(0, np.pi, count)
    return ["goal_x", "goal_y"], [[np.cos(angle), np.sin(angle)] for angle in angles]


def _trace(kind: str, parameters: list, evaluations: int, count: int, steps: int, random) -> dict[str, np.ndarray]:
    """What trajectories looked like: noise in the first, nearly the right thing in the last."""
    name = "forward_velocity" if kind == "cheetah-vel" else "positions"
    if count == 0:
        return {name: np.zeros((0,), np.float32)}
    steps += kind != "cheetah-vel"  # positions begin with the start state
    wanted = np.array(parameters)[:, None, None, None, :]  # (task, 1, 1, 1, parameter)
    known = np.linspace(0, 1, count)[:, None, None]  # (trajectory, 1, 1)
    reached = wanted * known * np.linspace(0, 1, steps)[:, None]  # (task, 1, trajectory, step, parameter)
    reached = reached + random.normal(0, 0.05, (len(parameters), evaluations, *reached.shape[2:]))
    return {name: (reached[..., 0] if kind == "cheetah-vel" else reached).astype(np.float32)}
