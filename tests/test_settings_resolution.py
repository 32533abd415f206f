"""How a trial's settings come about from the parts of params.yaml, and that nobody can change them afterwards."""

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from oyster.settings import Settings, load_params, trial_settings

ROOT = Path(__file__).resolve().parents[1]


def resolve(tmp_path, change=lambda params: None, environment="point-robot") -> Settings:
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    change(content)
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    return trial_settings(load_params(path), environment=environment, encoder="mlp", seed=7, budget="demo")


def test_the_environments_part_of_a_budget_overrides_what_is_for_all(tmp_path):
    def change(params):
        params["budgets"]["demo"]["all"].update(net_size=11, meta_batch=5)
        params["budgets"]["demo"]["point-robot"].update(net_size=22)

    assert resolve(tmp_path, change).net_size == 22
    assert resolve(tmp_path, change, environment="cheetah-vel").net_size == 11


def test_other_parts_of_the_file_change_nothing(tmp_path):
    def change(params):
        params["budgets"]["demo"]["cheetah-vel"].update(net_size=22)
        params["budgets"]["benchmark"]["all"].update(net_size=33)
        params["environments"]["cheetah-vel"].update(discount=0.5)
        params["encoders"]["recurrent"] = {"layers": 2}

    assert resolve(tmp_path, change) == resolve(tmp_path)


def test_a_trials_settings_are_its_identity_and_cannot_be_changed(tmp_path):
    settings = resolve(tmp_path)
    assert (settings.environment, settings.encoder, settings.seed, settings.budget) == ("point-robot", "mlp", 7, "demo")
    with pytest.raises(ValidationError, match="frozen"):
        settings.seed = 8
    assert Settings.model_validate(settings.model_dump(mode="json")) == settings  # as provenance.json keeps it
