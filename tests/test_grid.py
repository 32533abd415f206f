"""The protocol's table, to the letter; and that whatever cannot be used in params.yaml is named."""

from itertools import product
from pathlib import Path

import pytest
import yaml

from oyster.algorithms import find
from oyster.algorithms.settings import Evaluation, Length
from oyster.envs import load_family
from oyster.grid import load_params, trial_settings, trials
from oyster.params import schema
from oyster.runtime.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = ("cheetah-vel", "point-robot", "sparse-point-robot")
BENCHMARK = {
    "num_iterations": (20, 20, 20),
    "train_tasks": (30, 40, 40),
    "test_tasks": (10, 10, 10),
    "meta_batch": (16, 16, 16),
    "batch_size": (256, 256, 256),
    "num_initial_steps": (2000, 200, 200),
    "num_tasks_sample": (5, 5, 10),
    "num_steps_prior": (400, 200, 100),
    "num_steps_posterior": (0, 0, 900),
    "num_extra_rl_steps_posterior": (600, 200, 0),
    "num_train_steps_per_itr": (2000, 1000, 1000),
    "evaluations": (1, 2, 2),
    "test_length": tuple(Length(steps=steps) for steps in (600, 60, 400)),
    "counted": ((-1, -1),) * 3,
    "num_exp_traj_eval": (2, 1, 5),
    "embedding_batch_size": (100, 64, 1024),
    "discount": (0.99, 0.99, 0.90),
    "reward_scale": (5, 100, 100),
    "kl_lambda": (0.1, 0.1, 1.0),
    "latent_dim": (5, 5, 5),
    "net_size": (300, 300, 300),
    "encoder_hidden_sizes": ((200, 200, 200),) * 3,
    "learning_rate": (3e-4, 3e-4, 3e-4),
    "soft_target_tau": (0.005,) * 3,
    "use_information_bottleneck": (True,) * 3,
    "use_next_obs_in_context": (False,) * 3,
    "max_recurrent_context": (100, 100, 100),
    "update_post_train": (1, 1, 1),
    "embedding_mini_batch_size": (None, None, None),
    "precision": ("bfloat16",) * 3,
    "threads": (1, 1, 1),
}
PAPER = BENCHMARK | {
    "num_iterations": (500, 500, 500),
    "train_tasks": (100, 80, 80),
    "test_tasks": (30, 20, 20),
    "precision": ("float32",) * 3,
}
FAMILIES = {"horizon": (200, 20, 20), "sparse": (False, False, True)}


@pytest.mark.parametrize("preset, expected", [("benchmark", BENCHMARK), ("paper", PAPER)])
def test_presets_are_the_protocols(preset, expected):
    assert expected.keys() == (find("pearl").section.model_fields | Evaluation.model_fields).keys() - {"task_seed"}
    params = load_params(ROOT / "params.yaml")
    for column, environment in enumerate(COLUMNS):
        settings = trial_settings(params, environment=environment, agent="mlp", seed=0, preset=preset)
        for key, values in expected.items():
            assert getattr(settings, key) == values[column], (environment, key)


def test_families_are_the_protocols():
    for key, values in FAMILIES.items():
        assert tuple(getattr(load_family(environment), key) for environment in COLUMNS) == values, key


def test_the_benchmarks_grid_is_the_published_one():
    grid = load_params(ROOT / "params.yaml").grids["benchmark"]
    assert grid.preset == "benchmark"
    assert set(grid.environments) == set(COLUMNS)
    assert grid.agents[:3] == ("mlp", "recurrent", "attention")
    assert grid.seeds[:3] == (42, 123, 456)


def test_the_trials_of_a_grid_are_in_the_files_order():
    params = load_params(ROOT / "params.yaml")
    grid, of_demo = params.grids["demo"], trials(params, "demo")
    assert [trial.identity for trial in of_demo] == [*product(grid.environments, grid.agents, grid.seeds)]
    assert of_demo[1].place == "demo/cheetah-vel/mlp/123"
    asked = {"environment": "cheetah-vel", "agent": "mlp", "seed": 123, "preset": "demo"}
    assert of_demo[1].settings == trial_settings(params, **asked)
    with pytest.raises(InputError, match="no grid 'dmo', did you mean demo"):
        trials(params, "dmo")


def test_schema_file_is_the_models():
    assert (ROOT / "params.schema.json").read_text() == schema(), "run: make schema > params.schema.json"
    assert (ROOT / "params.yaml").read_text().startswith("# yaml-language-server: $schema=params.schema.json")


def edited(tmp_path, change) -> Path:
    """params.yaml with `compact`, a preset and a grid of one's own, after a change."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["presets"] = {"compact": {"extends": "demo", "pearl": {"all": {"net_size": 32}, "point-robot": {}}}}
    content["grids"]["compact"] = {
        "preset": "compact",
        "environments": ["point-robot"],
        "agents": ["mlp"],
        "seeds": [1],
    }
    change(content)
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def compact(params) -> dict:
    return params["presets"]["compact"]["pearl"]


@pytest.mark.parametrize(
    "change, told",
    [
        (lambda p: compact(p)["all"].update(net_size=0), ("presets.compact.pearl.all.net_size", "0", "greater")),
        (lambda p: compact(p)["point-robot"].update(meta_bach=3), ("point-robot.meta_bach", "no such key")),
        (lambda p: compact(p)["point-robot"].update(discount=1.5), ("point-robot.discount", "1.5", "less than")),
        (lambda p: compact(p)["all"].update(precision="float16"), ("precision", "float16", "'float32' or")),
        (lambda p: p["evaluation"]["demo"]["point-robot"].update(test_tasks=0), ("demo.point-robot.test_tasks", "0")),
        (lambda p: p["evaluation"]["demo"]["point-robot"].pop("test_tasks"), ("point-robot.test_tasks", "missing")),
        (lambda p: p["agents"]["mlp"].update(settings={"net_size": -1}), ("agents.mlp.settings.net_size", "-1")),
        (lambda p: p["agents"]["mlp"].update(algorithm="ppo"), ("agents.mlp.algorithm", "'ppo'", "there are: pearl")),
        (lambda p: p["agents"].update(mlp={}), ("agents.mlp.encoder", "missing")),
        (lambda p: p.update(runtime="rocket"), ("runtime", "rocket", "'host'", "'podman'")),
        (lambda p: p["grids"]["demo"].update(seeds=[]), ("grids.demo.seeds", "at least 1")),
        (lambda p: p["grids"]["demo"].update(seeds=["x"]), ("grids.demo.seeds.0", "'x'", "integer")),
        (lambda p: p["grids"]["demo"].update(preset="dmo"), ("grids.demo", "no preset 'dmo', did you mean demo?")),
        (lambda p: p["grids"]["demo"].pop("preset"), ("grids.demo.preset", "missing")),
        (lambda p: p["grids"]["demo"]["agents"].append("mine"), ("grids.demo.agents", "'mine'", "`agents:` does not")),
        (
            lambda p: p["grids"]["demo"]["environments"].append("ant"),
            ("grids.demo.environments", "'ant'", "oyster/env"),
        ),
        (lambda p: p["grids"]["demo"]["agents"].append("mlp"), ("grids.demo.agents", "twice")),
        (lambda p: p["grids"]["demo"].update(beside=["demo"]), ("grids.demo.beside", "'demo'", "no other grid")),
        (lambda p: p.pop("agents"), ("agents", "missing")),
    ],
)
def test_what_cannot_be_used_is_named(change, told, tmp_path):
    with pytest.raises(InputError) as caught:
        load_params(edited(tmp_path, change))
    for words in (str(tmp_path / "params.yaml"), *told):
        assert words in str(caught.value)


def test_all_errors_are_told_at_once(tmp_path):
    def spoil(params):
        compact(params)["all"]["net_size"] = -1
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
    with pytest.raises(InputError, match=rf"(?s)grids\.compact: .*{told}"):  # before any trial of the grid starts
        load_params(edited(tmp_path, lambda p: compact(p)["point-robot"].update(change)))


def test_a_preset_that_leaves_something_out_is_told(tmp_path):
    def change(params):
        del params["presets"]["compact"]["extends"]
        params["evaluation"]["compact"] = params["evaluation"]["demo"]

    with pytest.raises(InputError, match="latent_dim: missing"):
        load_params(edited(tmp_path, change))


def test_an_evaluation_that_is_not_there_is_told(tmp_path):
    def change(params):
        for preset in ("demo", "benchmark"):
            del params["evaluation"][preset]["all"]

    with pytest.raises(
        InputError, match=r"evaluation\.benchmark\.cheetah-vel is missing: .*families there: .*point-robot"
    ):
        load_params(edited(tmp_path, change))


def test_unknown_names_list_the_known_ones():
    params = load_params(ROOT / "params.yaml")
    good = {"environment": "point-robot", "agent": "mlp", "seed": 0, "preset": "demo"}
    for environment in ("ant", "family", "a.b", "../x", ""):
        with pytest.raises(InputError, match=rf"no task family '{environment}'.*cheetah-vel, .*point-robot, "):
            trial_settings(params, **good | {"environment": environment})
    with pytest.raises(InputError, match=r"no preset 'huge'.*benchmark, demo, paper, screening, small"):
        trial_settings(params, **good | {"preset": "huge"})
    with pytest.raises(InputError, match=r"no agent 'none'.*attention, mlp, recurrent"):
        trial_settings(params, **good | {"agent": "none"})
