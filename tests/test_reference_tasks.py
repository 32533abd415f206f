"""benchmarks/reference_tasks.py and reference_order.py: what docs/reproduction.md quotes of them, and that trials
collect what they say.
"""

import runpy
from pathlib import Path

import pytest

from oyster.canary import FOLDER
from oyster.encoder_file import find_encoder_file
from oyster.settings import load_params, trial_settings
from oyster.trial import Trial

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(ROOT / "benchmarks" / "reference_tasks.py"))


@pytest.fixture(scope="module")
def order():
    return runpy.run_path(str(ROOT / "benchmarks" / "reference_order.py"))


@pytest.mark.parametrize("environment", ["cheetah-vel", "sparse-point-robot"])
def test_the_table_in_the_text_is_what_the_script_prints(script, environment):
    assert script["summary"](environment) in (ROOT / "docs" / "reproduction.md").read_text()


def test_the_curves_in_the_text_are_the_recorded_ones(order):
    assert order["summary"]() + "\n" in (ROOT / "docs" / "reproduction.md").read_text()


def canary_trial(environment: str, seed: int) -> Trial:
    params = load_params(FOLDER / "params.yaml")
    settings = trial_settings(params, environment=environment, encoder="mlp", seed=seed, budget="canary")
    return Trial(settings, find_encoder_file("mlp"), "cpu")


def watched_run(training, monkeypatch) -> tuple[list, list]:
    """Train. Returns the tasks of each collection, but for the initial one, and those of each gradient step."""
    collected, learned, keep_context = [], [], training._keep_context
    draw_batch = training._draw_batch

    def watch_context(tasks, rows):
        collected.append(tasks.tolist())
        keep_context(tasks, rows)

    def watch_batch(tasks, context):
        learned.append(tasks.tolist())
        return draw_batch(tasks, context)

    monkeypatch.setattr(training, "_keep_context", watch_context)
    monkeypatch.setattr(training, "_draw_batch", watch_batch)
    assert len(list(training.run())) == training.settings.num_iterations > 1
    return collected[1:], learned


@pytest.mark.parametrize("seed", [0, 42])
def test_a_trial_collects_the_tasks_that_its_stream_foretells(script, seed, monkeypatch):
    training = canary_trial("cheetah-vel", seed).assemble()
    collected, _ = watched_run(training, monkeypatch)
    assert collected == script["our_tasks"](training.settings).tolist()


@pytest.mark.parametrize("environment", ["cheetah-vel", "sparse-point-robot"])
def test_in_the_references_order_only_the_collected_tasks_are_others(script, order, environment, monkeypatch):
    _, learned = watched_run(canary_trial(environment, 42).assemble(), monkeypatch)
    monkeypatch.setattr("oyster.trial.MetaTraining", order["OrderedTraining"])
    training = canary_trial(environment, 42).assemble()
    collected, learned_in_order = watched_run(training, monkeypatch)
    assert collected == script["reference_tasks"](training.settings).tolist()
    assert collected != script["our_tasks"](training.settings).tolist()
    assert learned_in_order == learned
