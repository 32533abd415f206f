"""The deterministic part of what a trial leaves: the same trial gives the same bytes.

A trial that its encoder made fail writes every one of these files too, with what there was until then.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from oyster.algorithms.settings import Settings
from oyster.envs.family import TaskFamily
from oyster.envs.reference_policies import reference_returns
from oyster.runtime.checkpoint import own_memory
from oyster.runtime.errors import TrialFailure
from oyster.runtime.records import SUCCESS, SUCCESS_RATE, WEIGHTS, Failure, Metrics, write_csv, write_json
from oyster.trial.meta_test import MetaTest, Run
from oyster.trial.training import Training, progress_line

LAST_ITERATIONS = 5


def write_results(
    folder: Path,
    settings: Settings,
    family: type[TaskFamily],
    test_tasks: np.ndarray,
    row: type,
    training: Training | None,
    failure: TrialFailure | None = None,
) -> None:
    """Write the RESULT_FILES of runtime.records but provenance.json, and weights.safetensors.

    `row`: the algorithm's. `training` is None where the agent failed before there was any.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = training.rows if training else []
    test = training.last_test if training and not failure else None
    write_json(folder / "metrics.json", _metrics(settings, family, test_tasks, rows, test, failure))
    write_json(folder / "start.json", training.start() if training else {})
    write_csv(folder / "progress.csv", progress_line(row)._fields, rows)
    _write_adaptation(folder / "adaptation.csv", family, test_tasks, test)
    _write_posteriors(folder / "posteriors.csv", _latent_dim(settings, test), test)
    trace = np.zeros((0,), np.float32) if test is None else _traces(test.runs, len(test_tasks))
    np.savez_compressed(folder / "trajectories.npz", **{family.trace_name: trace})
    save_file(own_memory(_weights(training)), folder / WEIGHTS)


def _weights(training: Training | None) -> dict[str, torch.Tensor]:
    """Empty where there are none, or where it is the encoder's state_dict that made the trial fail."""
    try:
        return training.agent.state_dict() if training else {}
    except TrialFailure:
        return {}


def _metrics(settings: Settings, family, test_tasks, rows: list[Any], test: MetaTest | None, failure) -> Metrics:
    last = [row.meta_test_return for row in rows[-LAST_ITERATIONS:]]
    return Metrics(
        environment=settings.environment,
        encoder=settings.agent,
        seed=settings.seed,
        budget=settings.preset,
        meta_test_return=test and test.meta_test_return(),
        meta_test_return_last5=test and float(np.mean(last)),
        trajectory_returns=test.trajectory_returns() if test else [],
        task_returns=test.task_returns() if test else [],
        **({SUCCESS_RATE: test and test.success_rate()} if family.success else {}),
        scripted_returns=reference_returns(family, test_tasks),
        failure=failure and Failure(reason=failure.reason, iteration=failure.iteration),
    )


def _write_adaptation(path: Path, family: type[TaskFamily], test_tasks: np.ndarray, test: MetaTest | None) -> None:
    header = ["task", *family.parameter_names, "evaluation", "trajectory", "return"]
    header += [SUCCESS] if family.success else []
    parameters = test_tasks[
        :, : len(family.parameter_names)
    ].tolist()  # too many for a column each: start.json has them
    rows = (
        [run.task, *parameters[run.task], run.evaluation, trajectory, value, *solved]
        for run in (test.runs if test else [])
        for trajectory, (value, *solved) in enumerate(_by_trajectory(run))
    )
    write_csv(path, header, rows)


def _by_trajectory(run: Run) -> Iterator[tuple[float, ...]]:
    """Return, and 1.0 or 0.0 for success where the family says so."""
    columns = [run.returns] if run.successes is None else [run.returns, map(float, run.successes)]
    return zip(*columns, strict=True)


def _latent_dim(settings: Settings, test: MetaTest | None) -> int:
    """Of the beliefs; where there are none, what the settings say."""
    beliefs = test.runs[0].posteriors if test else []
    return len(beliefs[0][0]) if beliefs else getattr(settings, "latent_dim", 0) if test is None else 0


def _write_posteriors(path: Path, latent_dim: int, test: MetaTest | None) -> None:
    """Row k of a run is the q(z|c) that trajectory k's z was drawn from; one more is that after the last."""
    header = ["task", "evaluation", "trajectory"]
    header += [f"{name}_{k}" for name in ("mean", "variance") for k in range(latent_dim)]
    rows = (
        [
            run.task,
            run.evaluation,
            trajectory,
            *mean.tolist(),
            *([""] * latent_dim if variance is None else variance.tolist()),
        ]
        for run in (test.runs if test else [])
        for trajectory, (mean, variance) in enumerate(run.posteriors)
    )
    write_csv(path, header, rows)


def _traces(runs: list[Run], num_tasks: int) -> np.ndarray:
    """(task, evaluation, trajectory, step, …) float32; NaN beyond the end of a shorter run or trajectory."""
    num_trajectories = max(len(run.traces) for run in runs)
    num_steps = max(len(trace) for run in runs for trace in run.traces)
    shape = (num_tasks, len(runs) // num_tasks, num_trajectories, num_steps, *runs[0].traces[0].shape[1:])
    traces = np.full(shape, np.nan, np.float32)
    for run in runs:
        for k, trace in enumerate(run.traces):
            traces[run.task, run.evaluation, k, : len(trace)] = trace
    return traces
