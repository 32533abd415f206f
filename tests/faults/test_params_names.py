"""Names in params.yaml are files, stages of DVC and levels of its keys: one that cannot be all three is refused."""

from pathlib import Path

import pytest
import yaml

from oyster.runtime.errors import InputError
from oyster.settings import load_params, trial_settings

ROOT = Path(__file__).resolve().parents[2]


def load(tmp_path: Path, change):
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    change(content)
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return load_params(path)


def add(kind: str, name: str):
    """An entry of that name, beside those that are there."""

    def change(params):
        params[kind][name] = next(iter(params[kind].values()))

    return change


@pytest.mark.parametrize("kind", ["grid", "encoders", "environments", "budgets"])
@pytest.mark.parametrize(
    "name", ["mlp.v2", ".mlp", "../mlp", "a/b", "a b", "-mlp", "_mlp", "é", "a\n", "", "x" * 65, "$x"]
)
def test_names_that_are_not_one_level_and_one_file_are_refused(kind, name, tmp_path):
    with pytest.raises(InputError, match=rf"{kind}\..*expected a name of") as caught:
        load(tmp_path, add(kind, name))
    assert "DVC reads a dot as a level" in str(caught.value) or "64" in str(caught.value)


@pytest.mark.parametrize("name", ["mlp", "mlp-2", "mlp_v2", "MLP2", "2layers", "x" * 64])
def test_other_names_are_accepted(name, tmp_path):
    params = load(tmp_path, lambda p: p.update(encoders=p["encoders"] | {name: {}}))
    assert trial_settings(params, environment="point-robot", encoder=name, seed=1, budget="demo").encoder == name


@pytest.mark.parametrize(
    ("name", "why"), [("all", "the part of a budget for every environment"), ("family", "family.py")]
)
def test_names_that_the_project_uses_itself_are_no_environments(name, why, tmp_path):
    with pytest.raises(InputError, match=rf"environments\.{name}: .*{why}"):
        load(tmp_path, add("environments", name))
    load(tmp_path, add("encoders", name))


@pytest.mark.parametrize("kind", ["grid", "encoders", "environments", "budgets"])
def test_names_that_differ_in_case_alone_are_refused_and_both_named(kind, tmp_path):
    name = next(iter(yaml.safe_load((ROOT / "params.yaml").read_text())[kind]))
    with pytest.raises(InputError, match=f"{kind}: {name} and {name.upper()} differ in case alone"):
        load(tmp_path, add(kind, name.upper()))


def test_two_trials_that_would_be_one_stage_of_dvc_are_refused_and_both_named(tmp_path):
    def change(params, encoders=("mlp", "robot-mlp")):
        add("encoders", "robot-mlp")(params)
        params["environments"]["point"] = params["environments"]["point-robot"]
        params["budgets"]["benchmark"]["point"] = params["budgets"]["benchmark"]["point-robot"]
        params["grid"]["benchmark"].update(environments=["point", "point-robot"], encoders=list(encoders))

    with pytest.raises(InputError) as caught:
        load(tmp_path, change)
    for words in (
        "grid.benchmark",
        "robot-mlp on point and mlp on point-robot",
        "train@point-robot-mlp-SEED",
        "rename",
    ):
        assert words in str(caught.value)
    load(tmp_path, lambda p: change(p, ["mlp", "recurrent"]))


def test_unknown_names_and_keys_suggest_the_nearest(tmp_path):
    def misspell(params):
        params["budgets"]["demo"]["all"]["net_sizes"] = params["budgets"]["demo"]["all"].pop("net_size")
        params["environments"]["point-robot"]["discont"] = 0.9
        params["runtme"] = "host"
        params["grid"]["demo"]["sedes"] = [1]

    with pytest.raises(InputError) as caught:
        load(tmp_path, misspell)
    for words in (
        "budgets.demo.all.net_sizes: given 64; no such key, did you mean net_size?",
        "environments.point-robot.discont: given 0.9; no such key, did you mean discount?",
        "runtme: given 'host'; no such key, did you mean runtime?",
        "grid.demo.sedes: given [1]; no such key, did you mean seeds?",
    ):
        assert words in str(caught.value)

    def misname(params):
        params["grid"]["demo"].update(encoders=["mpl"], environments=["point-robto"])
        params["budgets"]["demo"]["point-robt"] = {}

    with pytest.raises(InputError) as caught:
        load(tmp_path, misname)
    for words in (
        "grid.demo.encoders: lists 'mpl', which has no entry under `encoders:`, did you mean mlp?",
        "grid.demo.environments: lists 'point-robto', which has no entry under `environments:`, did you mean point",
        "budgets.demo.point-robt: no such environment, did you mean point-robot?",
    ):
        assert words in str(caught.value)


def test_asked_for_something_unknown_the_nearest_is_suggested():
    params = load_params(ROOT / "params.yaml")
    good = {"environment": "point-robot", "encoder": "mlp", "seed": 0, "budget": "demo"}
    with pytest.raises(InputError, match=r"no environment 'point_robot'.*, did you mean point-robot\?"):
        trial_settings(params, **good | {"environment": "point_robot"})
    with pytest.raises(InputError, match=r"no budget 'benchmrak'.*, did you mean benchmark\?"):
        trial_settings(params, **good | {"budget": "benchmrak"})


def test_a_budget_that_dvc_and_snakemake_could_not_resolve_is_refused(tmp_path):
    """They look for its part `all`, whatever stands there."""

    def change(params):
        everything = params["budgets"]["demo"].pop("all")
        params["budgets"]["demo"] = {name: everything | part for name, part in params["budgets"]["demo"].items()}

    with pytest.raises(InputError, match=r"budgets\.demo: has no part `all`; add `all: \{\}` there"):
        load(tmp_path, change)


@pytest.mark.parametrize("key", ["grid", "budgets"])
def test_what_the_pipeline_needs_is_asked_for(key, tmp_path):
    load_params(ROOT / "params.yaml", grids=("benchmark", "demo"))
    load(tmp_path, lambda p: p[key].pop("demo"))
    with pytest.raises(InputError, match=rf"`{key}\.demo`, which the pipeline needs \(there: benchmark"):
        load_params(tmp_path / "params.yaml", grids=("benchmark", "demo"))
