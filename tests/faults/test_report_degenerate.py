"""Results with as little in them as a budget allows give a report."""

import numpy as np
import pytest

from oyster.report.figures import tasks
from oyster.report.figures.posterior import _flattened
from oyster.report.read.grid import read_grid
from oyster.report.read.results import load
from tests.faults.report_trees import Shape, edit, small_tree

SHAPES = {
    "latent_dim 1": Shape(latent_dim=1),
    "latent_dim 30": Shape(latent_dim=30),
    "one task": Shape(tasks=1),
    "two tasks": Shape(tasks=2),
    "one evaluation": Shape(evaluations=1),
    "one trajectory": Shape(trajectories=1),
    "one step": Shape(steps=1),
    "posteriors all alike": Shape(alike=True),
    "as little as there can be": Shape(1, 1, 1, 1, 1, True),
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_smallest_budgets_give_a_report(tmp_path, name):
    tree = small_tree(tmp_path, SHAPES[name], environments=["point-robot", "cheetah-vel"], seeds=[1])
    tree.write_all(iterations=1 if "little" in name else 3)
    page = (tree.build() / "index.html").read_text(encoding="utf-8")
    assert "2 of 2 trials finished" in page and "could not be used" not in page
    assert 'id="figure-trajectories"' in page


def test_a_grid_of_failures_gives_a_report(tmp_path):
    tree = small_tree(tmp_path)
    for seed in (1, 2):
        tree.write_trial("point-robot", "mlp", seed, iterations=0, failure={"reason": "it broke", "iteration": 0})
    page = (tree.build() / "index.html").read_text(encoding="utf-8")
    assert "2 failed" in page and "could not be used" not in page


@pytest.mark.parametrize("points", [np.arange(5.0)[:, None], np.geomspace(1, 1e38, 12).reshape(6, 2)])
def test_posteriors_that_tsne_cannot_take_are_left_to_pca(points):
    (_, flat), (said, left_out) = _flattened(points).items()
    assert flat.shape == (len(points), 2) and left_out is None and "t-SNE" in said


def test_runs_of_unequal_length_each_count_with_their_own_last_trajectory(tmp_path):
    tree = small_tree(tmp_path, Shape(tasks=2, evaluations=1, trajectories=3), seeds=[1])
    place = tree.write_trial("point-robot", "mlp", 1)
    returns = {}
    for name in ("adaptation.csv", "posteriors.csv"):
        lines = (place / name).read_text().splitlines()
        shortened = [line for line in lines if not line.startswith("1,") or lines.index(line) < len(lines) - 1]
        (place / name).write_text("\n".join(shortened) + "\n")
        returns[name] = [float(line.split(",")[-1]) for line in shortened[1:]]
    last = [returns["adaptation.csv"][2], returns["adaptation.csv"][-1]]
    edit(place / "metrics.json", task_returns=last, meta_test_return=float(np.mean(last)), meta_test_return_last5=None)
    progress = (place / "progress.csv").read_text().splitlines()
    cells = progress[-1].split(",")
    progress[-1] = ",".join([*cells[:3], str(np.mean(last)), *cells[4:]])
    (place / "progress.csv").write_text("\n".join(progress) + "\n")
    with np.load(place / "trajectories.npz") as arrays:
        trace = arrays["positions"].copy()
    trace[1, 0, 2] = np.nan
    np.savez_compressed(place / "trajectories.npz", positions=trace)
    results = load(tree.results, read_grid(tree.params, "demo"))
    assert results.unusable == []
    assert tasks.task_returns(results, "point-robot")["return"].tolist() == pytest.approx(last)
    tree.build()
