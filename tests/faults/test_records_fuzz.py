"""Spoilt results and the commands that read them, with the script that `make fuzz` runs for thousands."""

from pathlib import Path

from oyster.trial.saved import read_result
from oyster.trial.saved_agent import load_agent
from tests.faults.fuzz_records import ROOT, WEIGHTS, fuzz, fuzz_commands


def test_spoilt_results_are_read_or_named(trained: Path, tmp_path: Path):
    settings, _ = read_result(trained)
    agent = load_agent(settings, {"encoder": ROOT / "encoders" / "mlp.py"}, trained / WEIGHTS, "cpu")[1]
    fuzz(150, 1, trained, agent, tmp_path)


def test_spoilt_results_given_to_the_commands(trained: Path, tmp_path: Path):
    fuzz_commands(2, 1, trained, tmp_path)
