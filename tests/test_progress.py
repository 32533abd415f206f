"""What a trial shows while it runs: a line per iteration in a log, a live line on a terminal."""

import csv
import io
import re
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from rich.console import Console

from oyster.algorithms.pearl.settings import Settings
from oyster.cli import main
from oyster.grid import load_params, trial_settings
from oyster.reproduce.keep import FOLDER
from oyster.trial import progress as progress_module
from oyster.trial.progress import REFRESH_SECONDS, TrialProgress


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(progress_module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def settings() -> Settings:
    return trial_settings(
        load_params(FOLDER / "params.yaml"), environment="point-robot", agent="mlp", seed=7, preset="canary"
    )  # two iterations of 60 gradient steps


def shown(terminal: bool) -> tuple[TrialProgress, io.StringIO]:
    text = io.StringIO()
    return TrialProgress(settings(), Console(file=text, force_terminal=terminal, width=150)), text


def at(iteration: int, steps_taken: int) -> SimpleNamespace:
    learner = SimpleNamespace(gradient_steps=60 * iteration + steps_taken)
    return SimpleNamespace(iteration=iteration, share=steps_taken / 60, learner=learner)


def row(value: float) -> SimpleNamespace:
    return SimpleNamespace(meta_test_return=value)


def test_a_log_gets_a_line_an_iteration_and_nothing_else(clock):
    progress, text = shown(terminal=False)
    with progress:
        progress(at(0, 1), None)
        clock.now += 10
        progress(at(0, 41), None)
        assert text.getvalue() == ""
        clock.now += 5
        progress(at(1, 0), row(-12.345))  # 59 steps since the first look, 15 seconds; 60 steps to go
        clock.now += 45
        progress(at(2, 0), row(3.0))
    assert text.getvalue().splitlines() == [
        "iteration 1/2  meta_test_return -12.35  3.9 gradient steps/s  0.3 min left",
        "iteration 2/2  meta_test_return 3.00  2.0 gradient steps/s  0.0 min left",
    ]


def test_the_speed_of_a_trial_that_goes_on_is_of_this_process(clock):
    progress, text = shown(terminal=False)
    with progress:
        progress(at(1, 20), None)  # gone on from there: 80 steps were taken by another process
        clock.now += 10
        progress(at(2, 0), row(1.0))
    assert "4.0 gradient steps/s" in text.getvalue()


def test_a_terminal_gets_a_live_line(clock):
    progress, text = shown(terminal=True)
    with progress:
        progress(at(0, 1), None)
        clock.now += 10
        progress(at(0, 41), None)
        (task,) = progress.bar.tasks
        assert (task.total, task.completed, task.description) == (2, pytest.approx(41 / 60), "point-robot mlp 7")
        assert task.fields == {"iteration": "1/2", "speed": "4", "latest": "not yet"}
        clock.now += 10
        progress(at(1, 0), row(-12.345))
        assert task.completed == 1 and task.fields == {"iteration": "2/2", "speed": "3", "latest": "-12.35"}
        progress(at(2, 0), row(-1.0))
        assert task.completed == 2 and task.fields["iteration"] == "2/2"  # there is no third
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.getvalue())
    assert re.search(r"point-robot mlp 7 .*iteration 2/2  \d+ steps/s  return -1\.00", plain)
    assert "meta_test_return" not in plain  # the log's line


def test_the_live_line_is_not_redrawn_at_every_step(clock):
    progress, _ = shown(terminal=True)
    with progress:
        (task,) = progress.bar.tasks
        for step in range(1, 11):
            clock.now += 0.6 * REFRESH_SECONDS
            progress(at(0, step), None)
        assert task.completed == pytest.approx(10 / 60)
        clock.now += 0.6 * REFRESH_SECONDS
        progress(at(0, 11), None)
        assert task.completed == pytest.approx(10 / 60)


@pytest.mark.parametrize("terminal", [False, True])
def test_a_note_is_printed_as_it_is(terminal):
    progress, text = shown(terminal)
    with progress:
        progress.warn("checkpoint 000001 [red] is damaged")
    assert "note: checkpoint 000001 [red] is damaged\n" in text.getvalue().replace("\r", "")


def test_the_command_prints_what_it_records_on_standard_error(tmp_path):
    arguments = ["--env", "point-robot", "--encoder", "mlp", "--seed", "1", "--preset", "canary", "--device", "cpu"]
    done = CliRunner().invoke(
        main, ["train", *arguments, "--params", str(FOLDER / "params.yaml"), "--out", str(tmp_path / "out")]
    )
    assert done.exit_code == 0 and done.stdout == ""
    with (tmp_path / "out" / "progress.csv").open(newline="") as file:
        returns = [f"{float(one['meta_test_return']):.2f}" for one in csv.DictReader(file)]
    found = re.findall(r"^iteration (\d)/2  meta_test_return (\S+)  [\d.]+ gradient steps/s", done.stderr, re.MULTILINE)
    assert found == [("1", returns[0]), ("2", returns[1])]
