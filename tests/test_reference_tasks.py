"""benchmarks/reference_tasks.py: what docs/reproduction.md quotes of it, and that trials here collect what it says."""

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


def test_the_table_in_the_text_is_what_the_script_prints(script):
    assert script["summary"]() in (ROOT / "docs" / "reproduction.md").read_text()


@pytest.mark.parametrize("seed", [0, 42])
def test_a_trial_collects_the_tasks_that_its_stream_foretells(script, seed, monkeypatch):
    params = load_params(FOLDER / "params.yaml")
    settings = trial_settings(params, environment="cheetah-vel", encoder="mlp", seed=seed, budget="canary")
    training = Trial(settings, find_encoder_file("mlp"), "cpu").assemble()
    kept, keep_context = [], training._keep_context

    def watched(tasks, collected):
        kept.append(tasks.tolist())
        keep_context(tasks, collected)

    monkeypatch.setattr(training, "_keep_context", watched)
    assert len(list(training.run())) == settings.num_iterations > 1
    assert kept[1:] == script["our_tasks"](settings).tolist()  # the first is the initial collection: every task
