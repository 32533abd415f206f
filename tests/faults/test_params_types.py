"""A value of params.yaml is of the type that its key asks for, or the file is refused: nothing is converted."""

import datetime
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from oyster.grid import load_params, trial_settings
from oyster.params import Agent, Params
from oyster.runtime.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
GOOD = {"environment": "point-robot", "agent": "mlp", "seed": 0, "preset": "demo"}


def load(tmp_path: Path, change):
    """params.yaml with a preset `compact` and a grid of it, after a change."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["presets"] = {"compact": {"extends": "demo", "pearl": {"all": {}}}}
    content["grids"]["compact"] = content["grids"]["demo"] | {"preset": "compact"}
    change(content)
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    return load_params(path)


def compact(params) -> dict:
    return params["presets"]["compact"]["pearl"]["all"]


WRONG = {
    "net_size": [True, "5", 5.0, 10**10, None, [5], {"a": 5}],
    "num_steps_prior": [False, "0", 0.0, 10**10],
    "learning_rate": [True, "0.1", 2.0e9, [0.1]],
    "use_information_bottleneck": [1, 0, "true", "yes", None],
    "encoder_hidden_sizes": [[True], ["64"], [64.0], [10**10], 64, "64", {"64": 64}, [[64]], []],
    "precision": [32, True, ["float32"]],
    "embedding_mini_batch_size": [True, "5", 5.0],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in WRONG.items() for value in values])
def test_nothing_is_converted(key, value, tmp_path):
    told = rf"{key}(\.0)?: given .*; (expected|it should be)"
    with pytest.raises(InputError, match=rf"(?s)(presets\.compact\.|Preset 'compact').*{told}"):
        load(tmp_path, lambda p: p["presets"]["compact"]["pearl"]["all"].update({key: value}))
    with pytest.raises(InputError, match=rf"(?s)(agents\.mlp\.settings\.|agent 'mlp').*{told}"):
        load(tmp_path, lambda p: p["agents"]["mlp"].update(settings={key: value}))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda p: compact(p).update(use_next_obs_in_context=1), "use_next_obs_in_context: given 1; expected true"),
        (
            lambda p: compact(p).update(discount="0.9"),
            "presets.compact.pearl.all.discount: given '0.9'; expected a number",
        ),
        (lambda p: p["presets"].update(compact=3), "presets.compact: given 3; expected a mapping"),
        (
            lambda p: p["presets"]["compact"].update(extends=["demo"]),
            "presets.compact.extends: given ['demo']; expected t",
        ),
        (lambda p: p["evaluation"]["demo"]["point-robot"].update(test_tasks="2"), "test_tasks: given '2'; expected an"),
        (lambda p: p["evaluation"].update(demo=[]), "evaluation.demo: given []; expected a mapping"),
        (lambda p: p["grids"]["demo"].update(agents="mlp"), "grids.demo.agents: given 'mlp'; expected a list"),
        (lambda p: p["grids"]["demo"].update(environments=[[]]), "grids.demo.environments.0: given []; expected text"),
        (lambda p: p["grids"]["demo"].update(seeds=[1, "2"]), "grids.demo.seeds.1: given '2'; expected an integer"),
        (lambda p: p["grids"].update(demo=[]), "grids.demo: given []; expected a mapping"),
        (lambda p: p.update(agents=["mlp"]), "agents: given ['mlp']; expected a mapping"),
        (lambda p: p.update(runtime=None), "runtime: given null; it should be 'host'"),
        (lambda p: p["agents"].update(mlp=4), "agents.mlp: given 4; expected a mapping"),
        (lambda p: p["agents"]["mlp"].update(arguments=4), "agents.mlp.arguments: given 4; expected a mapping"),
        (lambda p: p["agents"]["mlp"].update(encoder=4), "agents.mlp.encoder: given 4; expected text"),
    ],
)
def test_the_key_the_value_and_what_is_expected_are_told(change, told, tmp_path):
    with pytest.raises(InputError) as caught:
        load(tmp_path, change)
    assert told in str(caught.value)
    assert str(caught.value).count("\n") == 1, "one wrong value is one line"


def test_integers_are_numbers(tmp_path):
    params = load(tmp_path, lambda p: compact(p).update(reward_scale=5, kl_lambda=1))
    settings = trial_settings(params, **GOOD | {"environment": "cheetah-vel", "preset": "compact"})
    assert (type(settings.reward_scale), settings.reward_scale, settings.kl_lambda) == (float, 5.0, 1.0)


@pytest.mark.parametrize(
    "value",
    [
        datetime.date(2024, 1, 1), {1}, b"x", float("nan"), float("-inf"), 2**63, 10**5000, "\ud800", (1, 2), {1: 2},
        {"\ud800": 1}, object(), [[{"a": {2.5: 1}}]],
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
@pytest.mark.parametrize("place", [lambda value: value, lambda value: {"deep": [value]}])
def test_arguments_of_encoders_are_plain_data(value, place):
    with pytest.raises(ValidationError, match=r"\.odd.*given .*expected plain data"):
        Agent(encoder="mlp", arguments={"odd": place(value)})


def test_arguments_of_encoders_are_nobody_elses():
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    given = {"layers": [{"size": 5}], "names": ["a"], "none": None, "yes": True, "half": 0.5}
    content["agents"]["mlp"]["arguments"] = given
    params = Params.model_validate(content)
    first, second = (trial_settings(params, **GOOD).encoder_arguments for _ in range(2))
    assert first == second == given
    first["layers"][0]["size"] = 6
    first["names"].append("b")
    assert second == params.agents["mlp"].arguments == given == trial_settings(params, **GOOD).encoder_arguments
