"""The protocol's table, to the letter; and that whatever cannot be used in params.yaml is named."""

from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from oyster.runtime.errors import InputError
from oyster.settings import load_params, schema, trial_settings

ROOT = Path(__file__).resolve().parents[1]
CONTENT = yaml.safe_load((ROOT / "params.yaml").read_text())
COLUMNS = ("cheetah-vel", "point-robot", "sparse-point-robot")
BENCHMARK = {
    "num_iterations": (20, 20, 20),
    "num_train_tasks": (30, 40, 40),
    "num_test_tasks": (10, 10, 10),
    "meta_batch": (16, 16, 16),
    "batch_size": (256, 256, 256),
    "num_initial_steps": (2000, 200, 200),
    "num_tasks_sample": (5, 5, 10),
    "num_steps_prior": (400, 200, 100),
    "num_steps_posterior": (0, 0, 900),
    "num_extra_rl_steps_posterior": (600, 200, 0),
    "num_train_steps_per_itr": (2000, 1000, 1000),
    "num_evals": (1, 2, 2),
    "num_steps_per_eval": (600, 60, 400),
    "num_exp_traj_eval": (2, 1, 5),
    "embedding_batch_size": (100, 64, 1024),
    "max_path_length": (200, 20, 20),
    "discount": (0.99, 0.99, 0.90),
    "reward_scale": (5, 100, 100),
    "kl_lambda": (0.1, 0.1, 1.0),
    "sparse_rewards": (False, False, True),
    "latent_dim": (5, 5, 5),
    "net_size": (300, 300, 300),
    "encoder_hidden_sizes": ((200, 200, 200),) * 3,
    "learning_rate": (3e-4, 3e-4, 3e-4),
    "soft_target_tau": (0.005,) * 3,
    "use_information_bottleneck": (True,) * 3,
    "use_next_obs_in_context": (False,) * 3,
    "max_recurrent_context": (100, 100, 100),
    "update_post_train": (1, 1, 1),
}
PAPER = BENCHMARK | {
    "num_iterations": (500, 500, 500),
    "num_train_tasks": (100, 80, 80),
    "num_test_tasks": (30, 20, 20),
}


@pytest.mark.parametrize("budget, expected", [("benchmark", BENCHMARK), ("paper", PAPER)])
def test_budgets_are_the_protocols(budget, expected):
    params = load_params(ROOT / "params.yaml")
    for column, environment in enumerate(COLUMNS):
        settings = trial_settings(params, environment=environment, encoder="mlp", seed=0, budget=budget)
        for key, values in expected.items():
            assert getattr(settings, key) == values[column], (environment, key)


def test_the_benchmarks_grid_is_the_published_one():
    grid = load_params(ROOT / "params.yaml").grid["benchmark"]
    assert set(grid.environments) == set(COLUMNS)
    assert grid.encoders[:3] == ("mlp", "recurrent", "attention")
    assert grid.seeds[:3] == (42, 123, 456)


def test_schema_file_is_the_models():
    assert (ROOT / "params.schema.json").read_text() == schema(), "run: python -m oyster schema > params.schema.json"
    assert (ROOT / "params.yaml").read_text().startswith("# yaml-language-server: $schema=params.schema.json")


def edited(tmp_path, change) -> Path:
    content = deepcopy(CONTENT)
    change(content)
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize(
    "change, told",
    [
        (lambda p: p["budgets"]["demo"]["all"].update(net_size=0), ("budgets.demo.all.net_size", "0", "greater")),
        (lambda p: p["budgets"]["demo"]["point-robot"].update(meta_bach=3), ("point-robot.meta_bach", "no such key")),
        (lambda p: p["environments"]["point-robot"].update(discount=1.5), ("point-robot.discount", "1.5", "less than")),
        (lambda p: p["environments"]["point-robot"].pop("kl_lambda"), ("point-robot.kl_lambda", "missing")),
        (lambda p: p["budgets"]["demo"]["all"].update(precision="float16"), ("precision", "float16", "'float32' or")),
        (lambda p: p.update(runtime="rocket"), ("runtime", "rocket", "'host'", "'podman'")),
        (lambda p: p["grid"]["demo"].update(seeds=[]), ("grid.demo.seeds", "at least 1")),
        (lambda p: p["grid"]["demo"].update(seeds=["x"]), ("grid.demo.seeds.0", "'x'", "integer")),
        (lambda p: p["grid"]["demo"]["encoders"].append("mine"), ("grid.demo.encoders", "'mine'", "add `mine: {}`")),
        (lambda p: p["grid"]["demo"]["environments"].append("ant"), ("grid.demo.environments", "'ant'")),
        (lambda p: p["grid"]["demo"]["encoders"].append("mlp"), ("grid.demo.encoders", "twice")),
        (lambda p: p.pop("budgets"), ("budgets", "missing")),
    ],
)
def test_what_cannot_be_used_is_named(change, told, tmp_path):
    with pytest.raises(InputError) as caught:
        load_params(edited(tmp_path, change))
    for words in told:
        assert words in str(caught.value)


def test_all_errors_are_told_at_once(tmp_path):
    def spoil(params):
        params["budgets"]["demo"]["all"]["net_size"] = -1
        params["runtime"] = "rocket"

    with pytest.raises(InputError) as caught:
        load_params(edited(tmp_path, spoil))
    assert "net_size" in str(caught.value) and "rocket" in str(caught.value)


@pytest.mark.parametrize("text, told", [("a: [1", "not valid YAML"), ("", "holds nothing"), ("- 1", "holds a list")])
def test_files_that_are_no_params(text, told, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=told):
        load_params(path)
    with pytest.raises(InputError, match="cannot be read"):
        load_params(tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    "change, told",
    [
        ({"num_steps_prior": 0, "num_steps_posterior": 0}, "the context would stay empty"),
        ({"num_exp_traj_eval": 3}, "none would be left to act on the posterior"),
        ({"embedding_mini_batch_size": 1000}, "must not exceed embedding_batch_size"),
    ],
)
def test_settings_that_do_not_fit_together(change, told, tmp_path):
    with pytest.raises(InputError, match=told):  # at the door, before any trial of the grid `demo` starts
        load_params(edited(tmp_path, lambda p: p["budgets"]["demo"]["point-robot"].update(change)))


def test_a_budget_that_leaves_something_out_is_told(tmp_path):
    with pytest.raises(InputError, match="net_size: missing"):
        load_params(edited(tmp_path, lambda p: p["budgets"]["demo"]["all"].pop("net_size")))
    with pytest.raises(InputError, match="no part for environment 'point-robot'"):
        load_params(edited(tmp_path, lambda p: p["budgets"]["demo"].pop("point-robot")))


def test_unknown_names_list_the_known_ones():
    params = load_params(ROOT / "params.yaml")
    good = {"environment": "point-robot", "encoder": "mlp", "seed": 0, "budget": "demo"}
    with pytest.raises(InputError, match=r"no environment 'ant'.*cheetah-vel, point-robot"):
        trial_settings(params, **good | {"environment": "ant"})
    with pytest.raises(InputError, match=r"no budget 'huge'.*benchmark, demo, paper"):
        trial_settings(params, **good | {"budget": "huge"})


def test_arguments_of_a_listed_encoder_and_none_for_others():
    params = load_params(ROOT / "params.yaml")
    good = {"environment": "point-robot", "seed": 0, "budget": "demo"}
    assert trial_settings(params, encoder="attention", **good).encoder_arguments == {"num_heads": 4}
    assert trial_settings(params, encoder="unlisted", **good).encoder_arguments == {}
