"""A value of params.yaml is of the type that its key asks for, or the file is refused: nothing is converted."""

import datetime
import json
from pathlib import Path

import pytest
import yaml

from oyster.runtime.errors import InputError
from oyster.runtime.provenance import sha256_of_json
from oyster.settings import Params, Settings, load_params, trial_settings

ROOT = Path(__file__).resolve().parents[2]
RECORDS = sorted((ROOT / "results" / "benchmark").glob("*/*/*/provenance.json"))
GOOD = {"environment": "point-robot", "encoder": "mlp", "seed": 0, "budget": "demo"}


def load(tmp_path: Path, change):
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    change(content)
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    return load_params(path)


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
    with pytest.raises(InputError, match=rf"(?s)budgets\.demo.*{key}(\.0)?: given .*; (expected|it should be)"):
        load(tmp_path, lambda p: p["budgets"]["demo"]["all"].update({key: value}))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda p: p["environments"]["point-robot"].update(sparse_rewards=1), "sparse_rewards: given 1; expected true"),
        (lambda p: p["environments"]["point-robot"].update(discount="0.9"), "discount: given '0.9'; expected a number"),
        (lambda p: p["grid"]["demo"].update(encoders="mlp"), "grid.demo.encoders: given 'mlp'; expected a list"),
        (lambda p: p["grid"]["demo"].update(environments=[[]]), "grid.demo.environments.0: given []; expected text"),
        (lambda p: p["grid"]["demo"].update(seeds=[1, "2"]), "grid.demo.seeds.1: given '2'; expected an integer"),
        (lambda p: p["grid"].update(demo=[]), "grid.demo: given []; expected a mapping"),
        (lambda p: p.update(encoders=["mlp"]), "encoders: given ['mlp']; expected a mapping"),
        (lambda p: p.update(runtime=None), "runtime: given null; it should be 'host'"),
        (lambda p: p["encoders"].update(mlp=4), "encoders.mlp: given 4; expected a mapping"),
    ],
)
def test_the_key_the_value_and_what_is_expected_are_told(change, told, tmp_path):
    with pytest.raises(InputError) as caught:
        load(tmp_path, change)
    assert told in str(caught.value)
    assert str(caught.value).count("\n") == 1, "one wrong value is one line"


def test_integers_are_numbers(tmp_path):
    params = load(tmp_path, lambda p: p["environments"]["point-robot"].update(reward_scale=5, discount=1))
    settings = trial_settings(params, **GOOD)
    assert (type(settings.reward_scale), settings.reward_scale, settings.discount) == (float, 5.0, 1.0)


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: "-".join(path.parts[-4:-1]))
def test_recorded_settings_are_read_and_hash_as_recorded(path):
    record = json.loads(path.read_text())
    settings = Settings.model_validate(record["settings"]).model_dump(mode="json")
    assert json.dumps(settings) == json.dumps(record["settings"])
    assert sha256_of_json(settings) == record["settings_sha256"]


def test_there_are_recorded_settings():
    assert len(RECORDS) >= 27


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: "-".join(path.parts[-4:-1]))
def test_params_yaml_gives_the_recorded_settings(path):
    """Stricter reading has changed no trial."""
    record = json.loads(path.read_text())
    asked = {key: record["settings"][key] for key in ("environment", "encoder", "seed", "budget")}
    settings = trial_settings(load_params(ROOT / "params.yaml"), **asked)
    assert sha256_of_json(settings.model_dump(mode="json")) == record["settings_sha256"]


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
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    with pytest.raises(InputError, match=r"encoder_arguments\.odd.*given .*expected plain data"):
        trial_settings(Params.model_validate(content), **GOOD, encoder_arguments={"odd": place(value)})


def test_arguments_of_encoders_are_nobody_elses():
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["encoders"]["mlp"] = {"layers": [{"size": 5}], "names": ["a"], "none": None, "yes": True, "half": 0.5}
    params = Params.model_validate(content)
    first, second = (trial_settings(params, **GOOD).encoder_arguments for _ in range(2))
    assert first == second == content["encoders"]["mlp"]
    first["layers"][0]["size"] = 6
    first["names"].append("b")
    assert (
        second
        == params.encoders["mlp"]
        == content["encoders"]["mlp"]
        == trial_settings(params, **GOOD).encoder_arguments
    )
