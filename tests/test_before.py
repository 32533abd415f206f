"""Files of before agents and presets: what was recorded then is the same trial now."""

import json
from pathlib import Path

import pytest

from oyster.algorithms.pearl.settings import Settings
from oyster.before import grids_of_before, settings_of_before
from oyster.envs import load_family
from oyster.grid import Grid, load_params, trial_settings
from oyster.report.read.grid import read_grid
from oyster.runtime.errors import InputError
from oyster.runtime.yaml_file import read_plain_yaml

ROOT = Path(__file__).resolve().parents[1]
RECORDS = sorted((ROOT / "results" / "benchmark").glob("*/*/*/provenance.json"))
PARAMS = """
grid:
  small: {environments: [point-robot], encoders: [mlp, attention], seeds: [3, 1]}
encoders: {mlp: {}}
environments: {}
budgets: {}
"""


def test_there_are_recorded_settings():
    assert len(RECORDS) >= 27


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: "-".join(path.parts[-4:-1]))
def test_a_recorded_trial_is_the_trial_of_today(path):
    recorded = json.loads(path.read_text())["settings"]
    settings = Settings.model_validate(settings_of_before(recorded))
    asked = {key: getattr(settings, key) for key in ("environment", "agent", "seed", "preset")}
    assert [*asked.values()] == [*path.parts[-4:-2], int(path.parts[-2]), "benchmark"]
    assert settings == trial_settings(load_params(ROOT / "params.yaml"), **asked)
    family = load_family(settings.environment)
    if "budget" in recorded:
        assert (family.horizon, family.sparse) == (recorded["max_path_length"], recorded["sparse_rewards"])


def test_an_encoders_name_becomes_an_agents():
    told = settings_of_before({"encoder": "My_Own", "budget": "demo", "num_evals": 3, "max_path_length": 20})
    expected = {"agent": "my-own", "encoder": "My_Own", "preset": "demo", "evaluations": 3, "task_seed": 1337}
    assert told == expected


def test_settings_of_now_stay_as_they_are():
    asked = {"environment": "point-robot", "agent": "mlp", "seed": 0, "preset": "demo"}
    settings = trial_settings(load_params(ROOT / "params.yaml"), **asked).model_dump(mode="json")
    assert settings_of_before(settings) == settings


def test_a_grid_of_before_is_read_with_the_preset_of_its_name(tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS)
    grid = Grid.model_validate(grids_of_before(read_plain_yaml(tmp_path / "params.yaml"))["small"])
    assert (grid.preset, grid.environments, grid.agents) == ("small", ("point-robot",), ("mlp", "attention"))
    assert grid.seeds == (3, 1)
    shown = read_grid(tmp_path / "params.yaml", "small")  # by the report, which reads commits of then
    assert (shown.environments, shown.encoders, shown.seeds) == (grid.environments, grid.agents, grid.seeds)


def test_what_is_no_grid_is_left_for_the_model_to_refuse():
    assert grids_of_before({"grid": {"small": 3}}) == {"small": 3}


def test_grids_of_now_stay_as_they_are():
    grids = {"small": {"preset": "demo"}}
    assert grids_of_before({"grids": grids}) == grids and grids_of_before({}) is None


def test_the_params_of_before_are_refused_and_each_key_of_then_is_named(tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS)
    with pytest.raises(InputError, match="is of an older version") as caught:
        load_params(tmp_path / "params.yaml")
    message = str(caught.value)
    assert "\n" not in message
    for words in ("`grid` is now grids", "`encoders` is now agents", "`budgets` is now presets", "`environments` is"):
        assert words in message
    (tmp_path / "params.yaml").write_text("budgets: {}\n")
    with pytest.raises(InputError, match=r"older version: `budgets` is now presets\. "):
        load_params(tmp_path / "params.yaml")
