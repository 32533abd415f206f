"""benchmarks/meta_test.py: what docs/reproduction.md quotes of it, and the other reading that it tries out."""

import runpy
from pathlib import Path

import pytest
import torch

from oyster.algorithms.pearl.settings import find_encoder_file
from oyster.grid import load_params, trial_settings
from oyster.trial.run import Trial

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(ROOT / "benchmarks" / "meta_test.py"))


@pytest.fixture
def trial():
    settings = trial_settings(
        load_params(ROOT / "params.yaml"), environment="point-robot", agent="recurrent", seed=0, preset="demo"
    )
    trial = Trial(settings, {"encoder": find_encoder_file("recurrent")}, "cpu")
    trial.assemble()
    return trial


@pytest.fixture
def agent(trial):
    agent = trial.training.agent
    for parameter in agent.context_encoder.parameters():  # far enough from zero that a context makes a difference
        parameter.data.normal_(0, 0.5, generator=torch.Generator().manual_seed(parameter.numel()))
    return agent


@pytest.mark.parametrize("table", ["summary", "readings_summary"])
def test_the_tables_in_the_text_are_those_of_the_recorded_repetitions(script, table):
    assert script[table]() in (ROOT / "docs" / "reproduction.md").read_text()


@torch.no_grad()
def test_a_carried_state_sees_two_contexts_as_one_until_z_returns_to_the_prior(script, agent):
    first, second = torch.randn(2, 3, 7, 5, generator=torch.Generator().manual_seed(1))  # (task, transition, feature)
    alone, together = agent.infer(second), agent.infer(torch.cat([first, second], dim=1))
    script["carry_state"](agent)
    agent.prior(3)
    agent.infer(first)
    carried = agent.infer(second)
    torch.testing.assert_close(carried.mean, together.mean)
    assert not torch.allclose(carried.mean, alone.mean)
    agent.prior(3)
    torch.testing.assert_close(agent.infer(second).mean, alone.mean)


def test_another_reading_differs_by_nothing_but_itself(script, trial, monkeypatch):
    repeat = script["repeat"]
    monkeypatch.setitem(repeat.__globals__, "REPETITIONS", 2)
    act, given = trial.training.agent.actor, []
    monkeypatch.setattr(trial.training.agent, "actor", lambda z, rng: given.append((z, rng)) or act(z, rng))
    protocol, sampled = repeat(trial, script["PROTOCOL"]), repeat(trial, script["SAMPLED"])
    plain, noisy = given[: len(given) // 2], given[len(given) // 2 :]
    assert [rng for _, rng in plain] == [None] * len(plain)
    assert all(rng is not None for _, rng in noisy)
    torch.testing.assert_close(plain[0][0], noisy[0][0], rtol=0, atol=0)  # the same z on the same start
    assert (protocol != sampled).all()


def test_the_cap_leaves_the_last_transitions_of_a_context(script, trial, monkeypatch):
    repeat = script["repeat"]
    monkeypatch.setitem(repeat.__globals__, "REPETITIONS", 1)
    monkeypatch.setattr(type(trial.training), "context_length", 7)
    infer, given = trial.training.agent.infer, []
    monkeypatch.setattr(trial.training.agent, "infer", lambda context: given.append(context) or infer(context))
    repeat(trial, script["PROTOCOL"])
    whole = [*given]
    given.clear()
    repeat(trial, script["CAPPED"])
    assert {context.shape[1] for context in given} == {7}
    torch.testing.assert_close(given[0], whole[0][:, -7:], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("environment", "encoder", "capped"),
    [("cheetah-vel", "mlp", True), ("cheetah-vel", "recurrent", True), ("point-robot", "mlp", False)],
)
def test_the_cap_is_tried_where_a_meta_test_explores_more_than_training_shows(script, environment, encoder, capped):
    settings = trial_settings(
        load_params(ROOT / "params.yaml"), environment=environment, agent=encoder, seed=0, preset="benchmark"
    )
    trial = Trial(settings, {"encoder": find_encoder_file(encoder)}, "cpu")
    trial.assemble()
    assert ("capped_context" in script["variants"](trial)) is capped
