"""How a trial's settings come about from presets, agents and --set, and that nobody can change them afterwards."""

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from oyster.algorithms.pearl.settings import Settings
from oyster.envs import families
from oyster.grid import encoder_agent, evaluated_families, load_params, parse_overrides, trial_settings
from oyster.runtime.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
EXTENDED = {
    "compact": {"extends": "demo", "pearl": {"all": {"net_size": 11, "meta_batch": 5}}},
    "smaller": {"extends": "compact", "pearl": {"all": {"net_size": 7}, "point-robot": {"batch_size": 9}}},
}


def params_of(tmp_path, change=lambda params: None):
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    change(content)
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    return load_params(path)


def resolve(tmp_path, change=lambda params: None, environment="point-robot", preset="demo", **more) -> Settings:
    asked = {"environment": environment, "agent": "mlp", "seed": 7, "preset": preset} | more
    return trial_settings(params_of(tmp_path, change), **asked)


def with_presets(presets):
    return lambda params: params.update(presets=presets)


def test_the_more_particular_wins(tmp_path):
    presets = {"compact": {"extends": "demo", "pearl": {"all": {"net_size": 11}}}}
    change = with_presets(presets)
    assert resolve(tmp_path).net_size == 64
    assert resolve(tmp_path, change, preset="compact").net_size == 11
    presets["compact"]["pearl"]["point-robot"] = {"net_size": 12}
    assert resolve(tmp_path, change, preset="compact").net_size == 12
    assert resolve(tmp_path, change, preset="compact", environment="cheetah-vel").net_size == 11

    def and_of_the_agent(params):
        change(params)
        params["agents"]["mlp"]["settings"] = {"net_size": 13}

    assert resolve(tmp_path, and_of_the_agent, preset="compact").net_size == 13
    assert resolve(tmp_path, and_of_the_agent, preset="compact", agent="recurrent").net_size == 12
    assert resolve(tmp_path, and_of_the_agent, preset="compact", overrides={"net_size": 14}).net_size == 14


def test_a_family_of_an_extended_preset_is_more_particular_than_all_of_the_extending(tmp_path):
    change = with_presets({"compact": {"extends": "demo", "pearl": {"all": {"num_train_steps_per_itr": 3}}}})
    assert resolve(tmp_path, change, preset="compact").num_train_steps_per_itr == 500
    assert resolve(tmp_path, change, preset="compact", environment="cheetah-vel").num_train_steps_per_itr == 3


def test_a_preset_extends_through_several(tmp_path):
    """smaller < compact < demo < benchmark: each says what differs."""
    settings = resolve(tmp_path, with_presets(EXTENDED), preset="smaller")
    assert (settings.net_size, settings.batch_size) == (7, 9)  # smaller
    assert settings.meta_batch == 5  # compact
    assert (settings.num_iterations, settings.num_train_steps_per_itr) == (6, 500)  # demo
    assert (settings.latent_dim, settings.num_steps_prior) == (5, 200)  # benchmark
    assert settings.preset == "smaller"


def test_null_and_lists_take_the_place_of_what_they_override(tmp_path):
    presets = {
        "chunks": {"extends": "demo", "pearl": {"all": {"embedding_mini_batch_size": 5, "encoder_hidden_sizes": [3]}}},
        "whole": {"extends": "chunks", "pearl": {"all": {"embedding_mini_batch_size": None}}},
    }
    settings = resolve(tmp_path, with_presets(presets), preset="whole")
    assert settings.embedding_mini_batch_size is None and settings.encoder_hidden_sizes == (3,)
    assert resolve(tmp_path, with_presets(presets), preset="chunks").embedding_mini_batch_size == 5


@pytest.mark.parametrize(
    ("presets", "told"),
    [
        ({"a": {"extends": "a"}}, "presets.a extends itself, by way of a → a"),
        ({"a": {"extends": "b"}, "b": {"extends": "c"}, "c": {"extends": "a"}}, "by way of a → b → c → a"),
        ({"a": {"extends": "b"}, "b": {"extends": "dmo"}}, "presets.b.extends: there is no preset 'dmo', did you mean"),
        ({"demo": {"extends": "benchmark"}}, "presets.demo: pearl has a preset of that name; call yours otherwise"),
    ],
)
def test_a_preset_that_cannot_extend_is_told_whether_a_grid_uses_it_or_not(presets, told, tmp_path):
    with pytest.raises(InputError) as caught:
        params_of(tmp_path, with_presets(presets))
    assert told in str(caught.value)


def test_the_evaluation_is_the_presets_or_that_of_the_nearest_which_it_extends(tmp_path):
    def change(params):
        params["presets"] = EXTENDED
        own = {"train_tasks": 3, "test_tasks": 2, "evaluations": 1, "task_seed": 5}
        params["evaluation"]["compact"] = {"point-robot": own}

    settings = resolve(tmp_path, change, preset="smaller")
    assert (settings.train_tasks, settings.test_tasks, settings.task_seed) == (3, 2, 5)
    assert resolve(tmp_path, change, preset="smaller", environment="cheetah-vel").train_tasks == 10  # demo's
    assert resolve(tmp_path, change).train_tasks == 20  # untouched
    assert evaluated_families(params_of(tmp_path, change), "smaller") == families()  # demo has an `all`

    def and_none_for_all(params):
        change(params)
        params["grids"] = {"demo": params["grids"]["demo"] | {"environments": ["cheetah-dir"]}}
        named = {"cheetah-dir", "sparse-point-robot"}
        for lines in (params["evaluation"][preset] for preset in ("demo", "benchmark")):
            for family in lines.keys() - named:
                del lines[family]

    params = params_of(tmp_path, and_none_for_all)
    assert evaluated_families(params, "smaller") == ["point-robot", "cheetah-dir", "sparse-point-robot"]


def test_agents_meet_the_tasks_of_the_preset_whatever_their_settings(tmp_path):
    for key, value in (("train_tasks", 3), ("seed", 3), ("environment", "cheetah-vel")):
        with pytest.raises(InputError, match=f"{key}: given .*; no such key"):
            resolve(tmp_path, overrides={key: value})
        with pytest.raises(InputError, match=rf"agents\.mlp\.settings\.{key}: given .*; no such key"):
            resolve(tmp_path, lambda p, key=key, value=value: p["agents"]["mlp"].update(settings={key: value}))


def test_other_parts_of_the_file_change_nothing(tmp_path):
    def change(params):
        params["presets"] = EXTENDED
        params["evaluation"]["demo"]["sparse-point-robot"]["train_tasks"] = 3
        params["evaluation"]["benchmark"]["point-robot"]["train_tasks"] = 3
        params["agents"]["recurrent"] |= {"arguments": {"layers": 2}, "settings": {"net_size": 3}}
        params["grids"]["demo"]["seeds"] = [1]

    assert resolve(tmp_path, change) == resolve(tmp_path)


def test_a_trials_settings_are_its_identity_and_cannot_be_changed(tmp_path):
    settings = resolve(tmp_path)
    assert (settings.environment, settings.agent, settings.seed, settings.preset) == ("point-robot", "mlp", 7, "demo")
    with pytest.raises(ValidationError, match="frozen"):
        settings.seed = 8
    assert Settings.model_validate(settings.model_dump(mode="json")) == settings  # as provenance.json keeps it


# --- agents -----------------------------------------------------------------------------------------------------------


def test_an_agent_is_an_encoder_with_arguments_and_settings(tmp_path):
    def change(params):
        params["agents"]["wide"] = {"encoder": "attention", "arguments": {"num_heads": 8}, "settings": {"net_size": 3}}

    settings = resolve(tmp_path, change, agent="wide")
    assert (settings.agent, settings.encoder, settings.net_size) == ("wide", "attention", 3)
    assert settings.encoder_arguments == {"num_heads": 8}
    assert resolve(tmp_path, change, agent="attention").encoder_arguments == {"num_heads": 4}


@pytest.mark.parametrize(
    ("encoder", "name", "stem", "arguments"),
    [
        ("attention", "attention", "attention", {"num_heads": 4}),
        ("elsewhere/attention.py", "attention", "attention", {"num_heads": 4}),
        ("wide", "wide", "attention", {"num_heads": 8}),
        ("elsewhere/wide.py", "wide", "wide", {"num_heads": 8}),  # the file that is given, not the agent's
        ("mine", "mine", "mine", {}),
        ("My_Own", "my-own", "My_Own", {}),
        ("elsewhere/My_Own.py", "my-own", "My_Own", {}),
        ("elsewhere/mine", "mine", "mine", {}),
    ],
)
def test_an_encoder_by_name_or_file_is_the_agent_of_that_name_or_a_new_one(encoder, name, stem, arguments, tmp_path):
    def change(params):
        params["agents"]["wide"] = {"encoder": "attention", "arguments": {"num_heads": 8}, "settings": {"net_size": 3}}

    agent = encoder_agent(params_of(tmp_path, change), encoder)
    settings = resolve(tmp_path, change, agent=agent)
    assert (settings.agent, settings.encoder, settings.encoder_arguments) == (name, stem, arguments)
    assert settings.net_size == (3 if name == "wide" else 64)


@pytest.mark.parametrize("file", ["_mine.py", "my own.py", "é.py", ".py", "mine.v2.py", "x" * 65 + ".py"])
def test_a_file_whose_name_is_no_agents_is_refused(file, tmp_path):
    with pytest.raises(InputError, match=r"The encoder '.*' cannot be used:\n  - encoder: given .*; expected"):
        encoder_agent(params_of(tmp_path), file)


# --- --set ------------------------------------------------------------------------------------------------------------


def test_words_are_settings():
    words = ["learning_rate=1e-3", "num_iterations=5", "encoder_hidden_sizes=[8,16]", "precision=float32",
             "use_next_obs_in_context=true", "embedding_mini_batch_size=null", "num_iterations=6"]  # fmt: skip
    assert parse_overrides(words) == {
        "learning_rate": 0.001, "num_iterations": 6, "encoder_hidden_sizes": (8, 16), "precision": "float32",
        "use_next_obs_in_context": True, "embedding_mini_batch_size": None,
    }  # fmt: skip
    assert parse_overrides([]) == {}
    halves = parse_overrides(["test_length.steps=60", "test_length.trajectories=null"])
    assert halves == {"test_length": {"steps": 60, "trajectories": None}}


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("net_size", "--set net_size: expected KEY=VALUE"),
        ("net_sise=3", "net_sise: given 3; no such key, did you mean net_size?"),
        ("train_tasks=3", "train_tasks: given 3; no such key (there are: num_iterations,"),
        ("=3", "given 3; no such key"),
        ("net_size=5.0", "net_size: given 5.0; expected an integer"),
        ("net_size='5'", "net_size: given '5'; expected an integer"),
        ("net_size=0", "net_size: given 0; it should be greater than or equal to 1"),
        ("learning_rate=fast", "learning_rate: given 'fast'; expected a number"),
        ("net_size.a=1", "net_size: given {'a': 1}; expected an integer"),
        ("precision=${oc.env:HOME}", "precision: given '${oc.env:HOME}'; it should be 'float32'"),
        ("net_size=[1", "--set net_size=[1: the value cannot be read; expected a number"),
        ("net_size=${", "--set net_size=${: the value cannot be read"),
        ("net_size=*x", "--set net_size=*x: the value cannot be read"),
        ("net_size=\0", "--set net_size=\\x00: the value cannot be read"),
        ("net_size=" + "9" * 5000, "the value cannot be read"),
        ("net_size=" + "[" * 5000, "the value cannot be read"),
    ],
    ids=lambda text: text[:20],
)
def test_words_that_cannot_be_used_are_told(word, told):
    with pytest.raises(InputError) as caught:
        parse_overrides(["num_iterations=5", word])
    assert str(caught.value).startswith("--set") and told in str(caught.value)
