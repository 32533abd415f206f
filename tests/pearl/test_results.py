"""The files that a trial leaves, from a meta-test made by hand: every number stands where its name says."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from oyster.algorithms.pearl.learner import Row
from oyster.envs import load_family
from oyster.envs.reference_policies import reference_returns
from oyster.grid import load_params, trial_settings
from oyster.reproduce.keep import FOLDER
from oyster.runtime.errors import TrialFailure
from oyster.trial.meta_test import MetaTest, Run
from oyster.trial.results import write_results
from oyster.trial.training import progress_line

FAMILY = load_family("point-robot")
LINE = progress_line(Row)
TASKS = np.array([[0.5, 0.25], [-0.5, 0.75]])
SETTINGS = trial_settings(
    load_params(FOLDER / "params.yaml"), environment="point-robot", agent="mlp", seed=7, preset="canary"
).model_copy(update={"latent_dim": 2})


def gaussian(number: float, bottleneck: bool = True) -> tuple[np.ndarray, np.ndarray | None]:
    mean = np.array([number, number + 0.5], np.float32)
    return mean, mean + 0.25 if bottleneck else None


def run(task: int, evaluation: int, lengths: list[int], bottleneck: bool = True) -> Run:
    number = 10.0 * task + evaluation
    traces = [np.full((length, 2), number + 0.125 * k, np.float32) for k, length in enumerate(lengths)]
    posteriors = [gaussian(number + k, bottleneck) for k in range(len(lengths) + 1)]
    return Run(task, evaluation, [number + 100 * k for k in range(len(lengths))], posteriors, traces)


def trained(test: MetaTest | None, num_rows: int = 7) -> SimpleNamespace:
    weight = torch.arange(6.0)
    return SimpleNamespace(
        rows=[LINE(k, 10 * k, k, 1.5 * k**2, *([0.5] * 6)) for k in range(num_rows)],
        last_test=test,
        start=lambda: {"first_rewards": [1.5]},
        agent=SimpleNamespace(state_dict=lambda: {"a": weight, "b": weight[2:]}),
    )


def read(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


RUNS = [run(0, 0, [3, 2]), run(0, 1, [1]), run(1, 0, [3, 3]), run(1, 1, [2, 1, 4])]


@pytest.fixture
def written(tmp_path) -> Path:
    write_results(tmp_path / "a" / "result", SETTINGS, FAMILY, TASKS, Row, trained(MetaTest(RUNS)))
    return tmp_path / "a" / "result"


def test_metrics_are_of_the_last_test_and_of_five_iterations(written):
    metrics = json.loads((written / "metrics.json").read_text())
    last = [run.returns[-1] for run in RUNS]
    assert metrics["task_returns"] == [np.mean(last[:2]), np.mean(last[2:])]
    assert metrics["meta_test_return"] == np.mean(metrics["task_returns"])
    assert metrics["meta_test_return_last5"] == np.mean([1.5 * k**2 for k in (2, 3, 4, 5, 6)])
    assert metrics["trajectory_returns"] == [np.mean([0, 1, 10, 11])]  # one run has a single trajectory
    assert metrics["failure"] is None
    assert (metrics["environment"], metrics["encoder"], metrics["seed"], metrics["budget"]) == (
        "point-robot", "mlp", 7, "canary",
    )  # fmt: skip
    expected = reference_returns(FAMILY, TASKS)
    assert metrics["scripted_returns"] == expected
    assert json.loads((written / "start.json").read_text()) == {"first_rewards": [1.5]}


def test_adaptation_has_a_row_a_trajectory(written):
    header, *rows = read(written / "adaptation.csv")
    assert header == ["task", *FAMILY.parameter_names, "evaluation", "trajectory", "return"]
    assert [list(map(float, row)) for row in rows] == [
        [run.task, *TASKS[run.task], run.evaluation, k, value] for run in RUNS for k, value in enumerate(run.returns)
    ]


class Solvable(FAMILY):
    success = True


def test_success_is_recorded_where_the_family_says_so(tmp_path, written):
    assert "success_rate" not in json.loads((written / "metrics.json").read_text())
    solved = [one._replace(successes=[k > 0 for k in range(len(one.returns))]) for one in RUNS]
    write_results(tmp_path, SETTINGS, Solvable, TASKS, Row, trained(MetaTest(solved)))
    assert json.loads((tmp_path / "metrics.json").read_text())["success_rate"] == 0.75
    header, *rows = read(tmp_path / "adaptation.csv")
    assert header[-2:] == ["return", "success"]
    assert [row[-1] for row in rows] == ["0.0", "1.0", "0.0", "0.0", "1.0", "0.0", "1.0", "1.0"]
    write_results(tmp_path / "failed", SETTINGS, Solvable, TASKS, Row, None, TrialFailure("bad luck", 2))
    assert json.loads((tmp_path / "failed" / "metrics.json").read_text())["success_rate"] is None
    assert read(tmp_path / "failed" / "adaptation.csv") == [header]


def test_posteriors_have_one_row_more_than_trajectories(written):
    header, *rows = read(written / "posteriors.csv")
    assert header == ["task", "evaluation", "trajectory", "mean_0", "mean_1", "variance_0", "variance_1"]
    assert [list(map(float, row)) for row in rows] == [
        [run.task, run.evaluation, k, *mean, *variance] for run in RUNS
        for k, (mean, variance) in enumerate(run.posteriors)
    ]  # fmt: skip


def test_without_a_bottleneck_variances_are_blank(tmp_path):
    write_results(tmp_path, SETTINGS, FAMILY, TASKS[:1], Row, trained(MetaTest([run(0, 0, [2], bottleneck=False)])))
    assert [row[3:] for row in read(tmp_path / "posteriors.csv")[1:]] == [
        ["0.0", "0.5", "", ""],
        ["1.0", "1.5", "", ""],
    ]


def test_traces_are_padded_with_nan(written):
    with np.load(written / "trajectories.npz") as archive:
        assert archive.files == [FAMILY.trace_name]
        traces = archive[FAMILY.trace_name]
    assert traces.shape == (2, 2, 3, 4, 2) and traces.dtype == np.float32
    expected = np.full_like(traces, np.nan)
    for one in RUNS:
        for k, trace in enumerate(one.traces):
            expected[one.task, one.evaluation, k, : len(trace)] = trace
    np.testing.assert_array_equal(traces, expected)
    assert np.isnan(traces).any() and not np.isnan(traces).all()


def test_progress_and_weights_are_written_whole(written):
    header, *rows = read(written / "progress.csv")
    assert header == list(LINE._fields) and len(rows) == 7 and rows[3][:4] == ["3", "30", "3", "13.5"]
    weights = load_file(written / "weights.safetensors")
    assert weights["a"].tolist() == [0, 1, 2, 3, 4, 5] and weights["b"].tolist() == [2, 3, 4, 5]


def unreadable() -> dict:
    raise TrialFailure("no state_dict")


@pytest.mark.parametrize("there", ["all", "no weights", "nothing"])
def test_a_failure_leaves_every_file(there, tmp_path):
    """And claims no meta-test: that of the iteration before is not the trial's result."""
    training = None if there == "nothing" else trained(MetaTest(RUNS), num_rows=2)
    if there == "no weights":
        training.agent.state_dict = unreadable
    write_results(tmp_path, SETTINGS, FAMILY, TASKS, Row, training, TrialFailure("bad luck", 2))
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["failure"] == {"reason": "bad luck", "iteration": 2}
    assert metrics["meta_test_return"] is metrics["meta_test_return_last5"] is None
    assert metrics["trajectory_returns"] == metrics["task_returns"] == []
    assert len(read(tmp_path / "progress.csv")) == (1 if there == "nothing" else 3)
    assert len(read(tmp_path / "adaptation.csv")) == len(read(tmp_path / "posteriors.csv")) == 1
    assert np.load(tmp_path / "trajectories.npz")[FAMILY.trace_name].shape == (0,)
    assert set(load_file(tmp_path / "weights.safetensors")) == ({"a", "b"} if there == "all" else set())
    assert json.loads((tmp_path / "start.json").read_text()) == ({} if there == "nothing" else {"first_rewards": [1.5]})
