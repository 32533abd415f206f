"""verify compares every deterministic file of a result, the arrays too, and knows a recorded failure again."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from oyster.algorithms.pearl import settings as pearl
from oyster.algorithms.pearl.settings import Settings, find_encoder_file
from oyster.grid import encoder_agent, load_params, trial_settings
from oyster.reproduce.comparison import compare
from oyster.reproduce.keep import FOLDER
from oyster.reproduce.verify import verify
from oyster.runtime.records import DETERMINISTIC, WEIGHTS
from oyster.trial.run import run_trial

FAILING = """
import torch
from torch import nn
from rlkit.torch.core import PyTorchModule


class Failing(PyTorchModule):
    def __init__(self, hidden_sizes, input_size, output_size, **kwargs):
        self.save_init_params(locals())
        super().__init__()
        self.output_size = output_size
        self.layer = nn.Linear(input_size, output_size)
        self.calls = 0

    def forward(self, input, return_preactivations=False):
        self.calls += torch.is_grad_enabled()  # gradient steps
        if self.calls > 14:
            raise ValueError("this encoder has had enough")
        return self.layer(input)

    def reset(self, num_tasks=1):
        pass
"""


def settings(encoder: str) -> Settings:
    params = load_params(FOLDER / "params.yaml")
    resolved = trial_settings(
        params, environment="point-robot", agent=encoder_agent(params, encoder), seed=1, preset="canary"
    )
    return resolved.model_copy(update={"num_iterations": 2, "num_train_steps_per_itr": 10, "evaluations": 1})


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "result"
    run_trial(settings("mlp"), {"encoder": find_encoder_file("mlp")}, out, device="cpu")
    return out


@pytest.fixture
def result(trained, tmp_path) -> Path:
    """A result with its weights in a tree of their own, as the pipeline leaves them."""
    folder = tmp_path / "results" / "mlp"
    shutil.copytree(trained, folder)
    weights_of(folder).parent.mkdir(parents=True)
    shutil.move(folder / WEIGHTS, weights_of(folder))
    return folder


def weights_of(result: Path) -> Path:
    return result.parents[1] / "weights" / result.name / WEIGHTS


def silent(message: str) -> None:
    pass


def nudge(array: np.ndarray) -> np.ndarray:
    """Another number in the last bit of one entry."""
    array = array.copy()
    array.flat[3] = np.nextafter(array.flat[3], np.float32(np.inf))
    return array


def alter(path: Path) -> str:
    """The least change of a file, and how a verdict names it."""
    if path.suffix == ".npz":
        ((name, array),) = np.load(path).items()
        np.savez_compressed(path, **{name: nudge(array)})
        return f"trajectories.npz, row 0, column {name}: recorded float32 {array.shape}"
    if path.name == WEIGHTS:
        weights = load_file(path)
        save_file(weights | {"vf.fc1.weight": nudge(weights["vf.fc1.weight"])}, path)
        return f"{WEIGHTS}, row 0, column vf.fc1.weight: recorded float32 (32, 32)"
    if path.suffix == ".csv":
        *lines, last = path.read_text().splitlines()
        kept, _, number = last.rpartition(",")
        changed = np.nextafter(float(number), np.inf) if number and float(number) else 1e-9  # a variance may be blank
        path.write_text("\n".join([*lines, f"{kept},{changed}"]) + "\n")
        return f"{path.name}, row {len(lines) - 1}, column "
    content = json.loads(path.read_text())
    key = "task_returns" if path.name == "metrics.json" else "first_rewards"
    content[key][1] = float(np.nextafter(content[key][1], np.inf))
    path.write_text(json.dumps(content))
    return f"{path.name}, row 0, column {key}[1]: recorded"


def test_the_untouched_result_is_identical(result):
    assert verify(result, say=silent).word == "identical"


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_the_least_change_of_any_file_is_seen(name, result):
    path = weights_of(result) if name == WEIGHTS else result / name
    told = alter(path)
    verdict = verify(result, say=silent)
    assert verdict.word == "different" and verdict.reason.startswith(told), verdict.reason


def test_weights_that_lie_in_the_result_itself_are_seen_too(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "result")
    told = alter(tmp_path / "result" / WEIGHTS)
    assert verify(tmp_path / "result", say=silent).reason.startswith(told)


@pytest.mark.parametrize(
    "other",
    [
        np.array([[1, 2], [3, 5]], np.float32),
        np.array([[1, 2], [3, 4]], np.float32).view(np.int32),  # the same bytes
        np.array([1, 2, 3, 4], np.float32),
        np.array([[1, 2, 3, 4]], np.float32),
    ],
    ids=["value", "type", "dimensions", "shape"],
)
def test_arrays_are_the_same_in_value_type_and_shape(other, tmp_path):
    array = np.array([[1, 2], [3, 4]], np.float32)
    for name, content in (("one", array), ("same", array.copy()), ("other", other)):
        np.savez(tmp_path / f"{name}.npz", positions=content)
        save_file({"positions": content}, tmp_path / f"{name}.safetensors")
    for suffix in ("npz", "safetensors"):
        one, same, changed = (tmp_path / f"{name}.{suffix}" for name in ("one", "same", "other"))
        assert compare(one, same) is None
        assert compare(one, changed).column == "positions"


def test_arrays_with_nan_in_the_same_places_are_the_same(tmp_path):
    for name in ("one", "two"):
        np.savez(tmp_path / f"{name}.npz", positions=np.array([1, np.nan], np.float32))
    assert compare(tmp_path / "one.npz", tmp_path / "two.npz") is None


# --- a failure --------------------------------------------------------------------------------------------------------


@pytest.fixture
def failed(tmp_path, monkeypatch) -> Path:
    (tmp_path / "failing.py").write_text(FAILING)
    monkeypatch.setattr(pearl, "ENCODERS", tmp_path)
    out = tmp_path / "result"
    run_trial(settings("failing"), {"encoder": tmp_path / "failing.py"}, out, device="cpu", record_failure=True)
    assert json.loads((out / "metrics.json").read_text())["failure"]["iteration"] == 1
    return out


@pytest.mark.parametrize("iterations", [None, 1, 2])  # it failed in the second
def test_a_recorded_failure_holds(failed, iterations):
    verdict = verify(failed, iterations=iterations, say=silent)
    assert (verdict.word, verdict.holds) == ("identical", True), verdict.reason


@pytest.mark.parametrize("key, value", [("reason", "bad luck"), ("iteration", 0)])
def test_another_failure_is_different(key, value, failed):
    metrics = json.loads((failed / "metrics.json").read_text())
    metrics["failure"][key] = value
    (failed / "metrics.json").write_text(json.dumps(metrics))
    verdict = verify(failed, say=silent)
    assert verdict.word == "different" and f"column failure.{key}: recorded {value}" in verdict.reason
