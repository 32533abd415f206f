"""Names in params.yaml are files, folders and stages of DVC: one that cannot be all three is refused."""

from pathlib import Path

import pytest
import yaml

from oyster.grid import load_params, trial_settings
from oyster.params import RESERVED
from oyster.runtime.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
NEW = {
    "grids": {"preset": "demo", "environments": ["point-robot"], "agents": ["mlp"], "seeds": [1]},
    "agents": {"encoder": "mlp"},
    "presets": {"extends": "demo"},
}


def load(tmp_path: Path, change):
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["presets"] = {"compact": {"extends": "demo", "pearl": {"all": {"net_size": 64}}}}
    change(content)
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return load_params(path)


def add(kind: str, name: str):
    """An entry of that name, beside those that are there."""

    def change(params):
        params[kind][name] = NEW[kind]

    return change


@pytest.mark.parametrize("kind", NEW)
@pytest.mark.parametrize(
    "name", ["mlp.v2", ".mlp", "../mlp", "a/b", "a b", "-mlp", "_mlp", "é", "a\n", "", "x" * 65, "$x", "MLP", "mlp_v2"]
)
def test_names_that_are_not_one_folder_on_every_disk_are_refused(kind, name, tmp_path):
    with pytest.raises(InputError, match=rf"{kind}\..*expected a name of") as caught:
        load(tmp_path, add(kind, name))
    assert "small letters" in str(caught.value) or "64" in str(caught.value)


@pytest.mark.parametrize("kind", NEW)
@pytest.mark.parametrize("name", ["mine", "mlp-2", "2layers", "x" * 64])
def test_other_names_are_accepted(kind, name, tmp_path):
    assert name in getattr(load(tmp_path, add(kind, name)), kind)


@pytest.mark.parametrize("name", ["mlp.v2", "mlp.py", "../mlp", "a/b", "a b", "-mlp", "_mlp", "é", "", "x" * 65])
def test_encoders_that_are_no_file_in_their_folder_are_refused(name, tmp_path):
    with pytest.raises(
        InputError, match=r"agents\.mlp\.encoder: given .*expected (the name of a file|a name of at most)"
    ):
        load(tmp_path, lambda p: p["agents"].update(mlp={"encoder": name}))


@pytest.mark.parametrize("name", ["mlp_v2", "MLP2", "2layers", "x" * 64])
def test_encoders_may_be_called_as_files_are(name, tmp_path):
    params = load(tmp_path, lambda p: p["agents"].update(mine={"encoder": name}))
    assert trial_settings(params, environment="point-robot", agent="mine", seed=1, preset="demo").encoder == name


@pytest.mark.parametrize("kind", NEW)
@pytest.mark.parametrize("name", RESERVED)
def test_names_that_the_project_uses_itself_are_refused(kind, name, tmp_path):
    with pytest.raises(InputError, match=rf"{kind}\.{name}: `{name}` is taken \(") as caught:
        load(tmp_path, add(kind, name))
    assert RESERVED[name] in str(caught.value)


def test_unknown_names_and_keys_suggest_the_nearest(tmp_path):
    def misspell(params):
        params["presets"]["compact"]["pearl"]["all"]["net_sizes"] = 64
        params["agents"]["mlp"]["settings"] = {"discont": 0.9}
        params["evaluation"]["demo"]["point-robot"]["evaluation"] = 2
        params["runtme"] = "host"
        params["grids"]["demo"]["sedes"] = [1]

    with pytest.raises(InputError) as caught:
        load(tmp_path, misspell)
    for words in (
        "presets.compact.pearl.all.net_sizes: given 64; no such key, did you mean net_size?",
        "agents.mlp.settings.discont: given 0.9; no such key, did you mean discount?",
        "evaluation.demo.point-robot.evaluation: given 2; no such key, did you mean evaluations?",
        "runtme: given 'host'; no such key, did you mean runtime?",
        "grids.demo.sedes: given [1]; no such key, did you mean seeds?",
    ):
        assert words in str(caught.value)

    def misname(params):
        params["grids"]["demo"].update(agents=["mpl"], environments=["point-robto"], beside=["benchmrk"])
        params["presets"]["compact"]["pearl"]["point-robt"] = {}
        params["presets"]["other"] = {"extends": "smal"}
        params["evaluation"]["dmo"] = {}
        params["evaluation"]["demo"]["cheetah-vl"] = params["evaluation"]["demo"]["all"]

    with pytest.raises(InputError) as caught:
        load(tmp_path, misname)
    for words in (
        "grids.demo.agents: lists 'mpl', which `agents:` does not have, did you mean mlp?",
        "grids.demo.environments: lists 'point-robto', which oyster/envs does not have, did you mean point-robot?",
        "grids.demo.beside: lists 'benchmrk', which is no other grid, did you mean benchmark?",
        "presets.compact.pearl.point-robt: no such family, did you mean point-robot?",
        "presets.other.extends: there is no preset 'smal', did you mean small?",
        "evaluation.dmo: no such preset, did you mean demo?",
        "evaluation.demo.cheetah-vl: no such family, did you mean cheetah-vel?",
    ):
        assert words in str(caught.value)


def test_asked_for_something_unknown_the_nearest_is_suggested():
    params = load_params(ROOT / "params.yaml")
    good = {"environment": "point-robot", "agent": "mlp", "seed": 0, "preset": "demo"}
    with pytest.raises(InputError, match=r"no task family 'point_robot', did you mean point-robot\?"):
        trial_settings(params, **good | {"environment": "point_robot"})
    with pytest.raises(InputError, match=r"no preset 'benchmrak', did you mean benchmark\?"):
        trial_settings(params, **good | {"preset": "benchmrak"})
    with pytest.raises(InputError, match=r"no agent 'mpl', did you mean mlp\?"):
        trial_settings(params, **good | {"agent": "mpl"})
