"""Where settings end: the last value that is taken and the first that is not; what stands in a message and what not."""

import json
import math
from copy import deepcopy
from pathlib import Path

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from oyster import settings as module
from oyster.runtime.errors import InputError
from oyster.runtime.yaml_file import WIDEST
from oyster.settings import Params, load_params, trial_settings

ROOT = Path(__file__).resolve().parents[1]
CONTENT = yaml.safe_load((ROOT / "params.yaml").read_text())
TRIAL = {"environment": "point-robot", "encoder": "mlp", "seed": 0, "budget": "demo"}


@pytest.fixture
def edited(tmp_path, monkeypatch):
    """Call it with a function that changes params.yaml's content, for a file of the changed content.

    The file is JSON, which is read in no time; files of YAML are for test_settings.py.
    """
    monkeypatch.setattr(module, "read_plain_yaml", lambda path: json.loads(Path(path).read_text()))

    def write(change) -> Path:
        content = deepcopy(CONTENT)
        change(content)
        (tmp_path / "params.yaml").write_text(json.dumps(content))
        return tmp_path / "params.yaml"

    return write


def refusal(path: Path, **options) -> str:
    with pytest.raises(InputError) as caught:
        load_params(path, **options)
    return str(caught.value)


@pytest.mark.parametrize("kind, taken, refused", [
    ("Count", [1, 10**9], [0, 10**9 + 1, 1.0, True]),
    ("CountOrZero", [0, 10**9], [-1, 10**9 + 1]),
    ("Positive", [1e-300, 1e9, 3], [0, -1.0, 1.1e9, math.nan, math.inf]),
    ("Fraction", [0.0, 1.0], [-1e-9, 1.0001]),
    ("Seed", [0, WIDEST - 1], [-1, WIDEST]),
    ("Name", ["a", "A-b_9", "x" * 64], ["", "-a", "a.b", "x" * 65, 3]),
    ("Arguments", [{}, {"a": [1, None, True, "x", 1.5, {"b": []}]}, {"a": -WIDEST}, {"a": WIDEST - 1}],
     [{"a": math.nan}, {"a": {1: 2}}, {"a": (1,)}, {"a": WIDEST}, {"a": -WIDEST - 1}, {"a": "\ud800"}, {"a": "\udfff"},
      {"a": object()}, {"\ud800": 1}, {"a": [math.inf]}]),
])  # fmt: skip
def test_the_last_that_is_taken_and_the_first_that_is_not(kind, taken, refused):
    adapter = TypeAdapter(getattr(module, kind), config={"strict": True} if kind != "Arguments" else None)
    for value in taken:
        assert adapter.validate_python(value) == value
    for value in refused:
        with pytest.raises(ValidationError):
            adapter.validate_python(value)


def test_arguments_are_copied_deeply():
    given = {"a": [{"b": 1}]}
    taken = TypeAdapter(module.Arguments).validate_python(given)
    assert taken == given and taken["a"] is not given["a"] and taken["a"][0] is not given["a"][0]


def test_odd_arguments_are_named_by_their_place():
    with pytest.raises(ValidationError, match=r"\.a\.1\.b: given nan"):
        TypeAdapter(module.Arguments).validate_python({"a": [0, {"b": math.nan}]})


def test_settings_cannot_be_changed_and_hold_tuples(edited):
    settings = trial_settings(load_params(edited(lambda p: None)), **TRIAL)
    with pytest.raises(ValidationError):
        settings.seed = 1
    assert isinstance(settings.encoder_hidden_sizes, tuple)


@pytest.mark.parametrize("change, fits", [
    ({"num_steps_prior": 0, "num_steps_posterior": 1}, True),
    ({"num_steps_prior": 1, "num_steps_posterior": 0}, True),
    ({"num_steps_prior": 5, "num_steps_posterior": 5}, True),
    ({"num_steps_prior": 0, "num_steps_posterior": 0}, False),
    ({"embedding_batch_size": 64, "embedding_mini_batch_size": 64}, True),
    ({"embedding_batch_size": 64, "embedding_mini_batch_size": 65}, False),
    ({"embedding_batch_size": 1, "embedding_mini_batch_size": None}, True),
    ({"num_steps_per_eval": 61, "num_exp_traj_eval": 3}, True),  # of 20 steps: 4 trajectories
    ({"num_steps_per_eval": 60, "num_exp_traj_eval": 3}, False),
    ({"num_steps_per_eval": 60, "num_exp_traj_eval": 2}, True),
])  # fmt: skip
def test_settings_fit_together_or_not(change, fits, edited):
    path = edited(lambda p: p["budgets"]["demo"]["point-robot"].update(change))
    if fits:
        settings = trial_settings(load_params(path), **TRIAL)
        assert {name: getattr(settings, name) for name in change} == change
    else:
        assert "budgets.demo with environments.point-robot cannot be used:\n  - " in refusal(path)


def test_the_more_particular_part_wins(edited):
    def change(params):
        params["budgets"]["demo"]["all"]["net_size"] = 11
        params["budgets"]["demo"]["point-robot"]["net_size"] = 12
        params["environments"]["point-robot"]["discount"] = 0.5

    params = load_params(edited(change))
    assert trial_settings(params, **TRIAL).net_size == 12 and trial_settings(params, **TRIAL).discount == 0.5
    assert trial_settings(params, **TRIAL | {"environment": "cheetah-vel"}).net_size == 11
    given = {"a": [1]}
    settings = trial_settings(params, **TRIAL, encoder_arguments=given)
    assert settings.encoder_arguments == given and settings.encoder_arguments["a"] is not given["a"]
    assert trial_settings(params, **TRIAL | {"encoder": "attention"}, encoder_arguments={}).encoder_arguments == {}


def names(message: str) -> list[str]:
    """What each line of a refusal is about."""
    return [line.removeprefix("  - ").partition(":")[0] for line in message.splitlines()[1:]]


@pytest.mark.parametrize("change, told", [
    (lambda p: p["environments"].update(all=p["environments"]["point-robot"]), ["environments.all"]),
    (lambda p: p["environments"].update(family=p["environments"]["point-robot"]), ["environments.family"]),
    (lambda p: p["encoders"].update(MLP={}), ["encoders"]),
    (lambda p: p["budgets"].update(Demo=p["budgets"]["demo"]), ["budgets"]),
    (lambda p: p["budgets"].update(new={}), ["budgets.new"]),
    (lambda p: p["budgets"]["demo"].update(ant={}), ["budgets.demo.ant"]),
    (lambda p: p["grid"]["demo"].update(seeds=[1, 2, 1]), ["grid.demo.seeds"]),
    (lambda p: p["grid"]["demo"].update(seeds=[1, 1, 1]), ["grid.demo.seeds"]),
    (lambda p: p["grid"]["demo"].update(environments=["point-robot", "point-robot"]), ["grid.demo.environments"]),
    (lambda p: p["grid"]["demo"].update(encoders=["mine", "mlp", "mlp"]), ["grid.demo.encoders"] * 2),
    (lambda p: p.update(extra=1), ["extra"]),
    (lambda p: p["grid"]["demo"].update(seeds=[]), ["grid.demo.seeds"]),
    (lambda p: p["grid"]["demo"].update(seeds=["x", 1.5]), ["grid.demo.seeds.0", "grid.demo.seeds.1"]),
    (lambda p: p["grid"]["demo"].update(seeds=["x"]), ["grid.demo.seeds.0"]),
    (lambda p: p["grid"].update(demo=3), ["grid.demo"]),
    (lambda p: p["encoders"].update(mlp={"a": [1, math.nan]}), ["encoders.mlp.a.1"]),
])  # fmt: skip
def test_each_problem_is_told_once_under_its_key(change, told, edited):
    assert names(refusal(edited(change))) == told


def test_a_grid_may_be_one_trial(edited):
    grid = {"environments": ["point-robot"], "encoders": ["mlp"], "seeds": [3]}
    assert load_params(edited(lambda p: p["grid"].update(demo=grid))).grid["demo"].seeds == (3,)


def test_trials_that_would_be_one_stage_are_told(edited):
    def change(params):
        room = params["environments"]["point-robot"]
        params["environments"] |= {"a": room, "a-b": room}
        params["encoders"] |= {"b-c": {}, "c": {}}
        params["grid"]["demo"] = {"environments": ["a", "a-b"], "encoders": ["b-c", "c"], "seeds": [1]}

    message = refusal(edited(change))
    assert "b-c on a and c on a-b would be one stage of DVC, train@a-b-c-SEED" in message
    assert message.count("one stage") == 1


def test_the_grids_that_a_pipeline_needs_are_asked_for(edited):
    assert load_params(edited(lambda p: None), grids=["demo", "benchmark"]).grid.keys() >= {"demo", "benchmark"}
    for key in ("grid", "budgets"):
        path = edited(lambda p, key=key: p[key].pop("demo"))
        load_params(path, grids=["benchmark"])
        assert f"`{key}.demo`" in refusal(path, grids=["benchmark", "demo"])


@pytest.mark.parametrize("change, nearest", [
    (lambda p: p["budgets"]["demo"]["all"].update(net_sise=3), "did you mean net_size?"),
    (lambda p: p["environments"]["point-robot"].update(discont=3), "did you mean discount?"),
    (lambda p: p["grid"]["demo"].update(seed=3), "did you mean seeds?"),
    (lambda p: p.update(grids={}), "did you mean grid?"),
    (lambda p: p["grid"]["demo"]["encoders"].append("mpl"), "did you mean mlp?"),
    (lambda p: p["grid"]["demo"].update(zzz=3), "(there are: environments, encoders, seeds)"),
])  # fmt: skip
def test_the_nearest_key_is_suggested(change, nearest, edited):
    assert nearest in refusal(edited(change))


def test_values_are_shown_short():
    for value, shown in ((None, "null"), (True, "true"), (3, "3"), ("é", "'\\xe9'"), ("x" * 78, f"'{'x' * 78}'")):
        assert module._short(value) == shown
    assert module._short("x" * 79) == "'" + "x" * 76 + "..."
    assert module._short(10**5000) == "an integer of thousands of digits"


def test_the_whole_file_is_refused_where_it_is_no_mapping_of_the_right_kind():
    with pytest.raises(InputError, match="here cannot be used"):
        module._validated(Params, {}, "here")
    assert module._nearest("mlpp", ["mlp", "x"]) == ", did you mean mlp?" and module._nearest("q", ["mlp"]) == ""
    assert module._list([]) == "none" and module._list(["a", "b"]) == "a, b"


def test_the_schema_is_indented_and_ends_in_a_newline():
    assert module.schema().startswith('{\n  "$defs"') and module.schema().endswith("}\n")
