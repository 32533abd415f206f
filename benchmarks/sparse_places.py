"""Where the agents of sparse-point-robot go once exploring has met no goal.

`python benchmarks/sparse_places.py` prints the table of docs/reproduction.md, from `trajectories.npz` and
`adaptation.csv` of every finished trial under results/benchmark.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from oyster.settings import load_params, trial_settings

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = "sparse-point-robot"


def row(result: Path, num_exploring: int) -> list[str]:
    """What the evaluations of one trial's last meta-test did; angles in degrees, distances from the start."""
    adaptation = pd.read_csv(result / "adaptation.csv")
    returns = adaptation.pivot_table(index=["task", "evaluation"], columns="trajectory", values="return").to_numpy()
    with np.load(result / "trajectories.npz") as arrays:
        positions = arrays["positions"]  # (task, evaluation, trajectory, step, 2)
    positions = positions.reshape(-1, *positions.shape[2:])  # (task · evaluation, …), as returns
    reach = np.linalg.norm(positions[:, :num_exploring], axis=-1).max(axis=-1).mean()
    explored, kept = (returns[:, :num_exploring] > 0).any(axis=1), returns[:, -1] > 0
    end = positions[~explored, -1, -1]
    if not len(end):
        where = ""
    else:
        low, middle, high = np.percentile(np.degrees(np.arctan2(end[:, 1], end[:, 0])), [10, 50, 90])
        where = f"{middle:.0f}° ({low:.0f}° to {high:.0f}°), {np.linalg.norm(end, axis=-1).mean():.2f} out"
    return [f"{reach:.2f}", str(explored.sum()), str((explored & kept).sum()), where,
            f"{(~explored & kept).sum()} of {(~explored).sum()}"]  # fmt: skip


def summary() -> str:
    """In Markdown, a finished trial a row."""
    params = load_params(ROOT / "params.yaml")
    grid = params.grid["benchmark"]
    heads = ["encoder", "seed", "reach, exploring", "explored a goal", "… and kept it"]
    heads += ["no goal explored: where the last trajectory ends", "… on a goal"]
    lines = [heads, ["---"] * len(heads)]
    for encoder in grid.encoders:
        for seed in grid.seeds:
            result = ROOT / "results" / "benchmark" / ENVIRONMENT / encoder / str(seed)
            if (result / "trajectories.npz").exists():
                settings = trial_settings(
                    params, environment=ENVIRONMENT, encoder=encoder, seed=seed, budget="benchmark"
                )
                lines.append([encoder, str(seed), *row(result, settings.num_exp_traj_eval)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    print(summary(), end="")
