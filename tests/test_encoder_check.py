"""The conformance kit: every broken encoder is caught by the check that is meant for it, every unusual one passes."""

import functools
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import oyster.trial.run
from oyster.algorithms import find
from oyster.algorithms.pearl import learner
from oyster.algorithms.pearl.contract import MUST_HAVE, require_contract
from oyster.algorithms.pearl.encoder_file import load_encoder_class
from oyster.algorithms.pearl.settings import ENCODERS
from oyster.algorithms.pearl.subject import Subject
from oyster.check import practice
from oyster.check.encoder import CHECKS, check_encoder
from oyster.cli import main
from oyster.envs import families, load_family
from oyster.grid import encoder_agent, load_params, trial_settings
from oyster.params import Preset
from oyster.runtime.errors import TrialFailure
from oyster.runtime.records import RESULT_FILES, WEIGHTS

HERE = Path(__file__).parent
PARAMS = load_params(HERE.parent / "params.yaml")

# File → the checks that fail, no more and no fewer.
BROKEN = {
    "no_kwargs": {"constructor"},
    "wrong_names": {"constructor"},
    "no_save_init_params": {"save_init_params"},
    "wrong_output_size": {"output_size"},
    "no_reset": {"reset"},
    "wrong_shape": {"forward, 3-D"},
    "two_d_only": {"forward, 3-D"},
    "three_d_only": {"forward, 2-D"},
    "no_preactivations": {"return_preactivations"},
    "numpy_noise": {"random numbers", "checkpoints"},
    "python_random": {"random numbers", "checkpoints"},
    "reseeds_torch": {"random numbers"},
    "random_in_eval": {"random numbers"},
    "own_generator": {"repeatable", "checkpoints"},
    "pools_over_tasks": {"tasks kept apart"},
    "cumulates_over_tasks": {"tasks kept apart"},
    "batch_norm": {"tasks kept apart", "calls kept apart", "shapes"},
    "forgets_reset": {"calls kept apart"},
    "module_state": {"instances kept apart"},
    "keeps_graph": {"graphs released", "finite in training", "save and load", "checkpoints"},
    "unsaved_state": {"checkpoints"},
    "grows_graph": {"graphs released"},
    "grows_memory": {"graphs released"},
    "nan_after_a_while": {"finite in training"},
    "detached": {"gradients"},
    "unused_parameter": {"gradients"},
    "order_dependent": {"order of the context"},
    "overflow": {"finite"},
    "needs_two_transitions": {"shapes"},
    "plain_state": {"save and load"},
}
WARNED = {"late_save_init_params": "save_init_params"}
# `train` refuses these before it trains, by the requirement named.
REFUSED = {name: next(iter(checks)) for name, checks in BROKEN.items() if len(checks) == 1 and checks <= set(MUST_HAVE)}
REFUSED |= {
    "own_generator": "repeatable",
    "detached": "gradient",
    "numpy_noise": "repeatable",
    "python_random": "repeatable",
}
REFUSED |= {"batch_norm": "tasks kept apart"}


def path(name: str) -> Path:
    return next(file for folder in ("broken", "unusual") if (file := HERE / f"{folder}_encoders/{name}.py").exists())


def files(folder: str) -> list[str]:
    return sorted(file.stem for file in (HERE / folder).glob("*.py"))


def quick_check(file: Path, **options):
    return check_encoder(file, PARAMS, environment="point-robot", preset="demo", num_steps=150, timing=False, **options)


@functools.cache
def findings_of(name: str):
    """What a quick check finds in a broken or an unusual encoder: looked at by several tests, checked once."""
    return quick_check(path(name))


def verdicts(findings, verdict: str) -> set[str]:
    return {finding.check for finding in findings if finding.verdict == verdict}


def settings(encoder: str, environment: str = "point-robot", **changes):
    agent = encoder_agent(PARAMS, encoder)
    resolved = trial_settings(PARAMS, environment=environment, agent=agent, seed=1, preset="demo")
    return resolved.model_copy(update=changes)


def tiny(encoder: str):
    """A trial of a second."""
    return settings(
        encoder,
        num_iterations=2,
        train_tasks=3,
        test_tasks=2,
        num_tasks_sample=2,
        num_initial_steps=20,
        num_steps_prior=20,
        num_train_steps_per_itr=5,
        evaluations=1,
        meta_batch=2,
        batch_size=8,
        embedding_batch_size=8,
        net_size=16,
        encoder_hidden_sizes=(16,),
    )


# --- the broken, the unusual and our own ----------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:std\\(\\)")
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_encoder_fails_the_check_that_is_meant_for_it(name):
    findings = findings_of(name)
    assert verdicts(findings, "fail") == BROKEN[name]
    assert all(finding.seen and finding.fix for finding in findings if finding.verdict == "fail")


@pytest.mark.parametrize("name", WARNED)
def test_a_questionable_encoder_is_warned_about(name):
    findings = findings_of(name)
    assert verdicts(findings, "fail") == set()
    assert verdicts(findings, "warning") == {WARNED[name]}


def test_every_broken_encoder_is_listed_here():
    assert files("broken_encoders") == sorted([*BROKEN, *WARNED])


@pytest.mark.parametrize("name", files("unusual_encoders"))
def test_an_unusual_but_correct_encoder_passes(name):
    findings = findings_of(name)
    assert verdicts(findings, "fail") | verdicts(findings, "warning") == set()
    assert {finding.check for finding in findings} >= set(CHECKS)


@pytest.mark.parametrize("name", ["mlp", "recurrent", "attention"])
def test_the_encoders_of_the_repository_pass(name):
    findings = quick_check(ENCODERS / f"{name}.py")
    assert verdicts(findings, "fail") | verdicts(findings, "warning") == set()


def test_what_a_recurrent_encoder_does_with_the_order_is_reported():
    order = {finding.check: finding for finding in findings_of("gru")}["order of the context"]
    assert order.verdict == "info" and "order-aware" in order.seen


def test_without_an_environment_the_contract_is_checked_at_the_sizes_of_the_presets_grid_or_of_all(tmp_path):
    narrow = tmp_path / "narrow.py"
    source = path("residual_gate").read_text()
    narrow.write_text(
        source.replace("        super().__init__()", "        assert input_size == 27\n        super().__init__()")
    )
    params = PARAMS.model_copy(update={"presets": {"own": Preset(extends="demo")}})
    findings = check_encoder(narrow, params, preset="demo", num_steps=5, timing=False)
    assert verdicts(findings, "fail") == {"sizes of point-robot", "sizes of sparse-point-robot"}
    findings = check_encoder(narrow, params, preset="own", num_steps=5, timing=False)  # one family of each size
    failed = [load_family(name.removeprefix("sizes of ")) for name in verdicts(findings, "fail")]
    sizes = {(family.observation_dim, family.action_dim) for family in map(load_family, families())}
    assert {(family.observation_dim, family.action_dim) for family in failed} == sizes - {(20, 6)}


@pytest.mark.parametrize("change", [{"use_information_bottleneck": False}, {"use_next_obs_in_context": True}])
def test_other_settings_can_be_checked_too(change):
    own = Preset(extends="demo", pearl={"all": find("pearl").section(**change)})
    params = PARAMS.model_copy(update={"presets": {"own": own}})
    findings = check_encoder(
        ENCODERS / "mlp.py", params, environment="point-robot", preset="own", num_steps=20, timing=False
    )
    assert verdicts(findings, "fail") == set()


def test_checking_leaves_torchs_generator_where_it_was():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    quick_check(path("dropout"))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_costs_of_mlp_are_those_of_mlp():
    mlp = Subject(load_encoder_class(ENCODERS / "mlp.py"), settings("mlp"), load_family("point-robot"))
    cost = practice.measure_cost(mlp, mlp)
    assert 0.5 < cost.milliseconds / cost.milliseconds_mlp < 2.0
    assert cost.num_steps == mlp.settings.num_iterations * mlp.settings.num_train_steps_per_itr


def test_a_slow_encoder_trains_for_fewer_steps(monkeypatch):
    monkeypatch.setattr(practice, "TRAINING_SECONDS", 0.0)
    trained = {finding.check: finding for finding in quick_check(ENCODERS / "mlp.py")}["finite in training"]
    assert trained.seen.startswith("1 gradient step")


# --- what `train` refuses -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REFUSED)
def test_train_refuses_what_breaks_the_contract_with_the_same_words(name):
    encoder_class, own = load_encoder_class(path(name)), settings(name)
    with pytest.raises(TrialFailure) as refusal:
        require_contract(encoder_class, own, load_family("point-robot"))
    with pytest.raises(TrialFailure) as breach:
        MUST_HAVE[REFUSED[name]](Subject(encoder_class, own, load_family("point-robot")))
    assert refusal.value.reason == breach.value.reason
    shown = {finding.check: finding for finding in findings_of(name)}
    if REFUSED[name] in BROKEN[name]:
        finding = shown[REFUSED[name]]
        assert refusal.value.reason == f"{finding.seen}. To fix it: {finding.fix}"


@pytest.mark.parametrize("name", [*files("unusual_encoders"), "nan_after_a_while", "order_dependent", *WARNED])
def test_train_does_not_refuse_what_keeps_the_contract(name):
    encoder_class, before = load_encoder_class(path(name)), torch.get_rng_state()
    require_contract(encoder_class, settings(name), load_family("point-robot"))
    assert torch.equal(torch.get_rng_state(), before)


def test_arguments_from_params_that_the_constructor_does_not_take_are_named():
    own = settings("rlkit_mlp", encoder_arguments={"num_heads": 4})
    with pytest.raises(TrialFailure, match="takes no num_heads"):
        require_contract(load_encoder_class(path("rlkit_mlp")), own, load_family("point-robot"))


def test_a_refused_encoder_trains_nothing_and_can_be_recorded(tmp_path):
    refused = path("pools_over_tasks")
    with pytest.raises(TrialFailure, match="posteriors of the others"):
        oyster.trial.run.run_trial(tiny(refused.stem), {"encoder": refused}, tmp_path / "refused", device="cpu")
    assert not (tmp_path / "refused").exists()
    oyster.trial.run.run_trial(
        tiny(refused.stem), {"encoder": refused}, tmp_path / "recorded", device="cpu", record_failure=True
    )
    assert "posteriors of the others" in (tmp_path / "recorded/metrics.json").read_text()


@pytest.mark.parametrize("file", [ENCODERS / "mlp.py", path("dropout"), path("gru")], ids=lambda file: file.stem)
def test_the_check_leaves_every_result_as_it_was(file, tmp_path, monkeypatch):
    oyster.trial.run.run_trial(tiny(file.stem), {"encoder": file}, tmp_path / "checked", device="cpu")
    monkeypatch.setattr(learner, "require_contract", lambda *_: [])
    oyster.trial.run.run_trial(tiny(file.stem), {"encoder": file}, tmp_path / "unchecked", device="cpu")
    for name in (*RESULT_FILES, WEIGHTS):
        if name != "provenance.json":
            assert (tmp_path / "checked" / name).read_bytes() == (tmp_path / "unchecked" / name).read_bytes(), name


# --- the command ----------------------------------------------------------------------------------------------------


def command(*arguments: str):
    return CliRunner().invoke(main, ["check", *arguments, "--params", str(HERE.parent / "params.yaml")])


def test_the_command_shows_a_table_and_exits_0_for_a_correct_encoder():
    result = command("attention", "--preset", "demo")
    assert result.exit_code == 0, result.output
    assert "No check failed." in result.output
    assert all(name in result.output for name in [*CHECKS, "parameters", "times mlp", "h of gradient steps"])


def test_the_command_exits_1_for_a_broken_one_and_says_how_to_mend_it():
    result = command(str(path("no_save_init_params")), "--preset", "demo", "--env", "point-robot")
    assert result.exit_code == 1
    assert "1 failed: save_init_params" in result.output and "first statement" in result.output


@pytest.mark.parametrize("arguments", [["nowhere.py"], ["mlp", "--env", "mars"], ["mlp", "--preset", "none"]])
def test_the_command_exits_2_for_what_it_cannot_find(arguments):
    assert command(*arguments).exit_code == 2


def test_the_command_exits_2_for_an_unreadable_file(tmp_path):
    (tmp_path / "torn.py").write_text("class Torn(")
    assert command(str(tmp_path / "torn.py")).exit_code == 2


def test_an_environment_that_was_asked_for_is_timed_alone(monkeypatch):
    timed = []

    def cost(own, mlp):
        timed.append(own.settings.environment)
        return practice.Cost(own.settings.environment, 1.0, 1.0, 10)

    monkeypatch.setattr(practice, "measure_cost", cost)
    check_encoder(ENCODERS / "mlp.py", PARAMS, environment="point-robot", num_steps=1)
    assert timed == ["point-robot"]
