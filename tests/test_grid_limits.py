"""Where settings end: the last value that is taken and the first that is not; what stands in a message and what not."""

import json
import math
from copy import deepcopy
from pathlib import Path

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from oyster import grid, presets
from oyster import params as params_module
from oyster.algorithms import find, settings
from oyster.algorithms.settings import Length
from oyster.grid import load_params, trial_settings
from oyster.params import Params, schema
from oyster.runtime.errors import InputError
from oyster.runtime.validated import listed, nearest, short, validated
from oyster.runtime.yaml_file import WIDEST

ROOT = Path(__file__).resolve().parents[1]
CONTENT = yaml.safe_load((ROOT / "params.yaml").read_text()) | {
    "presets": {"compact": {"extends": "demo", "pearl": {"all": {}, "point-robot": {}}}}
}
CONTENT["grids"]["compact"] = {"preset": "compact", "environments": ["point-robot"], "agents": ["mlp"], "seeds": [1]}
TRIAL = {"environment": "point-robot", "agent": "mlp", "seed": 0, "preset": "compact"}


@pytest.fixture
def edited(tmp_path, monkeypatch):
    """Call it with a function that changes params.yaml's content and a preset `compact`, for a file of all that.

    The file is JSON, which is read in no time; files of YAML are for test_grid.py.
    """
    read = grid.read_plain_yaml
    of_json = {tmp_path / "params.yaml"}
    monkeypatch.setattr(grid, "read_plain_yaml", lambda p: json.loads(p.read_text()) if p in of_json else read(p))

    def write(change) -> Path:
        content = deepcopy(CONTENT)
        change(content)
        (tmp_path / "params.yaml").write_text(json.dumps(content))
        return tmp_path / "params.yaml"

    return write


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_params(path)
    return str(caught.value)


@pytest.mark.parametrize("kind, taken, refused", [
    ("Count", [1, 10**9], [0, 10**9 + 1, 1.0, True]),
    ("CountOrZero", [0, 10**9], [-1, 10**9 + 1]),
    ("Positive", [1e-300, 1e9, 3], [0, -1.0, 1.1e9, math.nan, math.inf]),
    ("Fraction", [0.0, 1.0], [-1e-9, 1.0001]),
    ("Seed", [0, WIDEST - 1], [-1, WIDEST]),
    ("Name", ["a", "9-b", "x" * 64], ["", "-a", "a.b", "A", "a_b", "a\n", "x" * 65, 3]),
    ("FileName", ["a", "A-b_9", "x" * 64], ["", "-a", "_a", "a.b", "a\n", "x" * 65, 3]),
    ("Arguments", [{}, {"a": [1, None, True, "x", 1.5, {"b": []}]}, {"a": -WIDEST}, {"a": WIDEST - 1}],
     [{"a": math.nan}, {"a": {1: 2}}, {"a": (1,)}, {"a": WIDEST}, {"a": -WIDEST - 1}, {"a": "\ud800"}, {"a": "\udfff"},
      {"a": object()}, {"\ud800": 1}, {"a": [math.inf]}]),
])  # fmt: skip
def test_the_last_that_is_taken_and_the_first_that_is_not(kind, taken, refused):
    adapter = TypeAdapter(getattr(settings, kind), config={"strict": True} if kind != "Arguments" else None)
    for value in taken:
        assert adapter.validate_python(value) == value
    for value in refused:
        with pytest.raises(ValidationError):
            adapter.validate_python(value)


def test_arguments_are_copied_deeply():
    given = {"a": [{"b": 1}]}
    taken = TypeAdapter(settings.Arguments).validate_python(given)
    assert taken == given and taken["a"] is not given["a"] and taken["a"][0] is not given["a"][0]


def test_odd_arguments_are_named_by_their_place():
    with pytest.raises(ValidationError, match=r"\.a\.1\.b: given nan"):
        TypeAdapter(settings.Arguments).validate_python({"a": [0, {"b": math.nan}]})


def test_settings_cannot_be_changed_and_hold_tuples(edited):
    resolved = trial_settings(load_params(edited(lambda p: None)), **TRIAL)
    with pytest.raises(ValidationError):
        resolved.seed = 1
    assert isinstance(resolved.encoder_hidden_sizes, tuple)


@pytest.mark.parametrize("change, fits", [
    ({"num_steps_prior": 0, "num_steps_posterior": 1}, True),
    ({"num_steps_prior": 1, "num_steps_posterior": 0}, True),
    ({"num_steps_prior": 5, "num_steps_posterior": 5}, True),
    ({"num_steps_prior": 0, "num_steps_posterior": 0}, False),
    ({"embedding_batch_size": 64, "embedding_mini_batch_size": 64}, True),
    ({"embedding_batch_size": 64, "embedding_mini_batch_size": 65}, False),
    ({"embedding_batch_size": 1, "embedding_mini_batch_size": None}, True),
    ({"test_length": {"steps": 61}, "num_exp_traj_eval": 3}, True),  # of 20 steps: 4 trajectories
    ({"test_length": {"steps": 60}, "num_exp_traj_eval": 3}, False),
    ({"test_length": {"steps": 60}, "num_exp_traj_eval": 2}, True),
])  # fmt: skip
def test_settings_fit_together_or_not(change, fits, edited):
    path = edited(lambda p: p["presets"]["compact"]["pearl"]["point-robot"].update(change))
    if fits:
        resolved = trial_settings(load_params(path), **TRIAL)
        asked = {name: Length(**value) if name == "test_length" else value for name, value in change.items()}
        assert {name: getattr(resolved, name) for name in change} == asked
    else:
        assert "grids.compact: Preset 'compact' on point-robot" in refusal(path)


def names(message: str) -> list[str]:
    """What each line of a refusal is about."""
    return [line.removeprefix("  - ").partition(":")[0] for line in message.splitlines()[1:]]


@pytest.mark.parametrize("change, told", [
    (lambda p: p["presets"].update(all={}), ["presets.all"]),
    (lambda p: p["presets"].update(demo={}), ["presets.demo"]),
    (lambda p: p["presets"].update(demo={"extends": "demo"}), ["presets.demo"]),
    (lambda p: p["presets"].update(new={"extends": "dmo"}), ["presets.new.extends"]),
    (lambda p: p["presets"].update(new={"extends": "dmo"}, newer={"extends": "new"}), ["presets.new.extends"]),
    (lambda p: p["presets"]["compact"]["pearl"].update(ant={}), ["presets.compact.pearl.ant"]),
    (lambda p: p["agents"].update(family={"encoder": "mlp"}), ["agents.family"]),
    (lambda p: p["agents"].update(MLP={"encoder": "mlp"}), ["agents.MLP"]),
    (lambda p: p["agents"].update(mlp={"encoder": "mlp.py"}), ["agents.mlp.encoder"]),
    (lambda p: p["evaluation"].update(ant={}), ["evaluation.ant"]),
    (lambda p: p["evaluation"]["demo"].update(ant=p["evaluation"]["demo"]["point-robot"]), ["evaluation.demo.ant"]),
    (lambda p: p["grids"].update(trial=p["grids"]["demo"]), ["grids.trial"]),
    (lambda p: p["grids"]["demo"].update(seeds=[1, 2, 1]), ["grids.demo.seeds"]),
    (lambda p: p["grids"]["demo"].update(seeds=[1, 1, 1]), ["grids.demo.seeds"]),
    (lambda p: p["grids"]["demo"].update(environments=["point-robot", "point-robot"]), ["grids.demo.environments"]),
    (lambda p: p["grids"]["demo"].update(agents=["mine", "ours"]), ["grids.demo.agents"] * 2),
    (lambda p: p["grids"]["demo"].update(beside=["compact", "compact"]), ["grids.demo.beside"]),
    (lambda p: p["grids"]["demo"].update(beside=["smal"]), ["grids.demo.beside"]),
    (lambda p: p.update(extra=1), ["extra"]),
    (lambda p: p["grids"]["demo"].update(seeds=[]), ["grids.demo.seeds"]),
    (lambda p: p["grids"]["demo"].update(seeds=["x", 1.5]), ["grids.demo.seeds.0", "grids.demo.seeds.1"]),
    (lambda p: p["grids"]["demo"].update(seeds=["x"]), ["grids.demo.seeds.0"]),
    (lambda p: p["agents"]["mlp"].update(arguments={"a": [1, math.nan]}), ["agents.mlp.arguments.a.1"]),
    (lambda p: p["grids"].update(demo=3), ["grids.demo"]),
])  # fmt: skip
def test_each_problem_is_told_once_under_its_key(change, told, edited):
    assert names(refusal(edited(change))) == told


def test_trials_that_would_be_one_stage_are_told(edited, monkeypatch):
    def change(params):
        params["agents"]["robot-mlp"] = {"encoder": "mlp"}
        params["grids"]["demo"] |= {"environments": ["point", "point-robot"], "agents": ["mlp", "robot-mlp"]}

    names = [*params_module.families(), "point"]
    monkeypatch.setattr(params_module, "families", lambda: names)
    message = refusal(edited(change))
    assert "robot-mlp on point and mlp on point-robot would be one stage of DVC, train@point-robot-mlp-SEED" in message
    assert message.count("one stage") == 1


def test_a_family_with_a_name_that_stands_for_something_else_is_told(edited, monkeypatch):
    names = [*params_module.families(), "all"]
    monkeypatch.setattr(params_module, "families", lambda: names)
    assert "oyster/envs.all: `all` is taken (it stands for every family" in refusal(edited(lambda p: None))


def test_a_section_of_no_family_in_an_algorithms_presets_is_told(tmp_path, monkeypatch):
    (tmp_path / "presets.yaml").write_text("demo: {all: {}, point-robto: {net_size: 3}}")
    monkeypatch.setattr(presets, "find", lambda name: find(name)._replace(presets=tmp_path / "presets.yaml"))
    algorithm_presets = presets.algorithm_presets.__wrapped__  # without what is remembered
    with pytest.raises(InputError, match=r"presets\.yaml, demo\.point-robto: no such family, did you mean point-robot"):
        algorithm_presets("pearl")


@pytest.mark.parametrize("change, suggested", [
    (lambda p: p["presets"]["compact"]["pearl"]["all"].update(net_sise=3), "did you mean net_size?"),
    (lambda p: p["agents"]["mlp"].update(settings={"discont": 3}), "did you mean discount?"),
    (lambda p: p["agents"]["mlp"].update(encodr="mlp"), "did you mean encoder?"),
    (lambda p: p["evaluation"]["demo"]["point-robot"].update(test_task=3), "did you mean test_tasks?"),
    (lambda p: p["presets"]["compact"].update(extend="demo"), "did you mean extends?"),
    (lambda p: p["grids"]["demo"].update(seed=3), "did you mean seeds?"),
    (lambda p: p.update(preset={}), "did you mean presets?"),
    (lambda p: p["grids"]["demo"]["agents"].append("mpl"), "did you mean mlp?"),
    (lambda p: p["grids"]["demo"].update(zzz=3), "(there are: preset, environments, agents, seeds, beside)"),
])  # fmt: skip
def test_the_nearest_key_is_suggested(change, suggested, edited):
    assert suggested in refusal(edited(change))


def test_values_are_shown_short():
    for value, shown in ((None, "null"), (True, "true"), (3, "3"), ("é", "'\\xe9'"), ("x" * 78, f"'{'x' * 78}'")):
        assert short(value) == shown
    assert short("x" * 79) == "'" + "x" * 76 + "..."
    assert short(10**5000) == "an integer of thousands of digits"


def test_the_whole_file_is_refused_where_it_is_no_mapping_of_the_right_kind():
    with pytest.raises(InputError, match="here cannot be used"):
        validated(Params, {}, "here")
    assert nearest("mlpp", ["mlp", "x"]) == ", did you mean mlp?" and nearest("q", ["mlp"]) == ""
    assert listed([]) == "none" and listed(["a", "b"]) == "a, b"


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_task_seed_that_numpy_cannot_take_is_told(edited, seed):
    line = {"train_tasks": 2, "test_tasks": 1, "evaluations": 1, "task_seed": seed}
    message = refusal(edited(lambda content: content["evaluation"]["demo"].update({"point-robot": line})))
    assert "evaluation.demo.point-robot.task_seed" in message and str(seed) in message


def test_the_schema_is_indented_and_ends_in_a_newline():
    assert schema().startswith('{\n  "$defs"') and schema().endswith("}\n")


@pytest.mark.parametrize(
    ("environment", "line", "told"),
    [
        ("ant-dir", {"train_tasks": 30, "test_tasks": 10, "evaluations": 1}, "AntDir has 2 tasks, the same for"),
        ("cheetah-vel-ood", {"train_tasks": 9, "test_tasks": 6, "evaluations": 1}, "test_tasks"),
    ],
)
def test_tasks_that_a_family_does_not_have_are_told_before_any_trial(edited, environment, line, told):
    def change(content):
        content["grids"]["compact"]["environments"] = [environment]
        content["evaluation"]["compact"] = {environment: line}

    message = refusal(edited(change))
    assert "grids.compact" in message and told in message
