"""Algorithms of one's own, as packages: each trains, resumes, verifies, is seen and reported by an engine that knows
none of them.
"""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import yaml

from oyster.algorithms import find
from oyster.envs.family import Step
from oyster.envs.point_robot import PointRobot
from oyster.grid import load_params, trial_settings
from oyster.key import Tree
from oyster.report.commands import build
from oyster.reproduce.verify import verify
from oyster.runtime.errors import InputError
from oyster.runtime.records import DETERMINISTIC
from oyster.simulate.rollouts import simulate
from oyster.trial.run import CarriedKey, Trial, run_trial

TOYS = {"wanderer": "tests.toys.wanderer", "gru": "tests.toys.gru"}
YIELDS = 6  # of either, within its two iterations
PARAMS = {
    "grids": {"toys": {"preset": "tiny", "environments": ["point-robot"], "agents": [*TOYS], "seeds": [1]}},
    "agents": {name: {"algorithm": package} for name, package in TOYS.items()},
    "evaluation": {"tiny": {"point-robot": {"train_tasks": 3, "test_tasks": 2, "evaluations": 2}}},
}


@pytest.fixture
def params(tmp_path) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(PARAMS))
    return path


def settings(params: Path, toy: str, **overrides):
    read = load_params(params)
    return trial_settings(read, environment="point-robot", agent=toy, seed=1, preset="tiny", overrides=overrides)


def outputs(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in DETERMINISTIC}


def killed_at(number: int, s, out: Path) -> None:
    """A process of its own, which SIGKILL ends at that call of its progress."""
    child = os.fork()
    if child == 0:
        calls = [0]

        def count(training, row) -> None:
            calls[0] += row is None
            if calls[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)

        run_trial(s, {}, out, device="cpu", checkpoint_minutes=0.0, on_progress=count)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)


@pytest.mark.parametrize("toy", TOYS)
def test_killed_at_every_yield_it_ends_with_the_same_bytes(toy, params, tmp_path):
    s = settings(params, toy)
    run_trial(s, {}, tmp_path / "whole", device="cpu")
    said: list[str] = []
    for number in range(2, YIELDS + 1):
        killed_at(number, s, tmp_path / str(number))
        run_trial(s, {}, tmp_path / str(number), device="cpu", warn=said.append)
        assert outputs(tmp_path / str(number)) == outputs(tmp_path / "whole")
    assert len([line for line in said if "going on from" in line]) == YIELDS - 1


@pytest.mark.parametrize("toy", TOYS)
def test_it_is_verified_seen_and_reported(toy, params, tmp_path, monkeypatch):
    s, tree = settings(params, toy), Tree()
    key = tree.trial_key(s, {})
    own = {f"tests/toys/{toy}/{name}.py" for name in ("__init__", "learner", "settings")}
    assert own <= key.parts["algorithm"].keys() and "oyster/rl/adam.py" not in key.parts["engine"]
    out = tmp_path / "results" / "toys" / "point-robot" / toy / "1"
    run_trial(s, {}, out, key=CarriedKey(key.text, key.parts, []), device="cpu")
    assert verify(out, device="cpu").word == "identical"
    assert verify(out, iterations=1, device="cpu").word == "identical"
    simulation = simulate(out, device="cpu")
    assert simulation.difference() == 0
    monkeypatch.chdir(tmp_path)
    (words,) = build("toys", None, tmp_path / "page", None, params)
    assert "1 of 2 trials" in words
    page = (tmp_path / "page" / "index.html").read_text()
    assert toy in page and "The trial counts" not in page  # every file of it can be used
    with pytest.raises(InputError, match="has no encoder"):
        simulate(out, encoder="mlp", device="cpu")


@pytest.mark.parametrize("counted", [[1, 0], [-1, 0], [0, 3], [3, 3], [-4, -1]])
def test_trajectories_that_no_run_has_cannot_count(counted, params):
    with pytest.raises(InputError, match="counted is"):
        settings(params, "gru", counted=counted)


def test_what_counts_is_what_the_settings_say(params, tmp_path):
    run_trial(settings(params, "gru"), {}, tmp_path / "out", device="cpu")
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert len(metrics["trajectory_returns"]) == 3
    assert metrics["meta_test_return"] == pytest.approx(np.mean(metrics["trajectory_returns"][:2]))


class Ending(PointRobot):
    """Task k's episodes end after 3 + 4k steps."""

    def reset(self, tasks, rng):
        self.lived, self.ends = 0, 3 + 4 * np.arange(self.num_rows)
        return super().reset(tasks, rng)

    def step(self, action) -> Step:
        self.lived += 1
        return super().step(action)._replace(terminal=self.lived == self.ends)


def test_episodes_of_unequal_length(params):
    """A row that has ended learns nothing more, neither in training nor in its memory."""
    trial = Trial(settings(params, "gru"), {}, "cpu")
    trial.family = Ending
    training = trial.assemble()
    rows = list(training.run())
    lived = sum(min(3 + 4 * k, Ending.horizon) for k in range(3))
    assert [row.environment_steps for row in rows] == [lived, 2 * lived]
    runs = training.last_test.runs
    assert [[len(trace) - 1 for trace in run.traces] for run in runs] == [[3 + 4 * k] * 3 for k in range(4)]


@pytest.mark.parametrize(
    ("agent", "told"),
    [
        ({"algorithm": "tests.toys.wanderer", "encoder": "mlp"}, "takes no encoder"),
        ({"algorithm": "tests.toys.nobody"}, "there is no algorithm 'tests.toys.nobody'"),
        ({"algorithm": "perl", "encoder": "mlp"}, "did you mean pearl?"),
        ({"algorithm": "tests.toys.wanderer", "settings": {"num_chunk": 3}}, "did you mean num_chunks?"),
        ({"algorithm": "pearl"}, "agents.wanderer.encoder: missing"),
    ],
)
def test_an_agent_that_cannot_be_used_is_refused_in_words(agent, told, params):
    content = yaml.safe_load(params.read_text())
    content["agents"]["wanderer"] = agent
    params.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError) as refused:
        load_params(params)
    assert told in str(refused.value)


def test_every_algorithm_has_what_the_house_asks(params):
    root = Path(__file__).resolve().parents[1] / "oyster" / "algorithms"
    for folder in (path for path in root.iterdir() if (path / "learner.py").exists()):
        assert {"settings.py", "learner.py", "presets.yaml"} <= {path.name for path in folder.iterdir()}, folder
        assert find(folder.name).presets.exists()
