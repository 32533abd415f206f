"""The same trial gives the same bytes, whatever else the machine does; every random stream is the trial's own."""

import ast
import functools
import multiprocessing
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from oyster.algorithms.pearl.settings import Settings, find_encoder_file
from oyster.grid import load_params, trial_settings
from oyster.reproduce.keep import FOLDER
from oyster.runtime import seeds
from oyster.runtime.records import DETERMINISTIC
from oyster.trial.run import Trial, run_trial

ROOT = Path(__file__).resolve().parents[1]


def settings(environment: str, encoder: str = "mlp", seed: int = 5, **changes) -> Settings:
    params = load_params(FOLDER / "params.yaml")
    resolved = trial_settings(params, environment=environment, agent=encoder, seed=seed, preset="canary")
    return resolved.model_copy(update={"num_train_steps_per_itr": 10, **changes})


def outputs(trial: Settings, out: Path) -> dict[str, bytes]:
    run_trial(trial, {"encoder": find_encoder_file(trial.encoder)}, out, device="cpu")
    return {name: (out / name).read_bytes() for name in DETERMINISTIC}


def _burn(stop) -> None:
    matrix = np.ones((400, 400))
    while not stop.is_set():
        matrix = matrix @ matrix / 400


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_same_bytes_in_other_folders_on_a_loaded_machine(precision, tmp_path):
    trial = settings("cheetah-vel", precision=precision)
    alone = outputs(trial, tmp_path / "alone")
    context = multiprocessing.get_context("fork")
    stop = context.Event()
    load = [context.Process(target=_burn, args=(stop,)) for _ in range(2)]
    try:
        for process in load:
            process.start()
        loaded = outputs(trial, tmp_path / "elsewhere" / "deeper")
    finally:
        stop.set()
        for process in load:
            process.join()
    assert loaded == alone


@pytest.mark.parametrize("threads", [2, 5])
def test_same_bytes_with_any_number_of_physics_threads(threads, tmp_path, monkeypatch):
    trial = settings("cheetah-vel")
    one = outputs(trial, tmp_path / "one")
    assemble = Trial.assemble

    def assemble_with_threads(self):
        self.family = _with_threads(self.family, threads)
        return assemble(self)

    monkeypatch.setattr(Trial, "assemble", assemble_with_threads)
    assert outputs(trial, tmp_path / "several") == one


def _with_threads(family, threads):
    class Threaded(family):
        __init__ = functools.partialmethod(family.__init__, physics_threads=threads)

    return Threaded


def test_intra_op_threads_come_from_the_settings(tmp_path):
    torch.set_num_threads(2)
    run_trial(settings("point-robot"), {"encoder": find_encoder_file("mlp")}, tmp_path / "out", device="cpu")
    assert torch.get_num_threads() == 1


def test_seeds_differ_in_every_stream():
    draws = {
        (seed, stream): tuple(seeds.generator(seed, stream).random(4)) for seed in range(20) for stream in seeds.STREAMS
    }
    assert len(set(draws.values())) == len(draws)
    first = {tuple(seeds.generator(0, "meta_test", iteration).random(4)) for iteration in range(20)}
    assert len(first) == 20


def test_other_seeds_change_initialisation_collection_batches_and_test(tmp_path):
    trainings = []
    for seed in (1, 2):
        training = Trial(settings("cheetah-vel", seed=seed), {"encoder": find_encoder_file("mlp")}, "cpu").assemble()
        weights = {name: value.clone() for name, value in training.agent.state_dict().items()}
        row = next(training.run())
        trainings.append((training, weights, row))
    (one, weights_one, row_one), (two, weights_two, row_two) = trainings
    for name, weight in weights_one.items():
        if weight.dim() == 2:
            assert not torch.equal(weight, weights_two[name]), name
    first = one.learner.replay.episodes[0][0][0]
    assert not torch.equal(one.learner.store.rows[first], two.learner.store.rows[first])  # resets and actions
    for name in one.learner.rngs:
        assert one.learner.rngs[name].bit_generator.state != two.learner.rngs[name].bit_generator.state
    assert row_one.meta_test_return != row_two.meta_test_return
    np.testing.assert_array_equal(one.train_tasks, two.train_tasks)  # the task list is the benchmark's, not the seed's


def test_global_generators_are_left_alone():
    """NumPy's and Python's are never touched; Torch's only by the encoder and by layer initialisation."""
    for environment, encoder in (
        ("cheetah-vel", "mlp"),
        ("point-robot", "attention"),
        ("sparse-point-robot", "recurrent"),
    ):
        trial = Trial(settings(environment, encoder), {"encoder": find_encoder_file(encoder)}, "cpu")
        random.seed(7)
        before = random.getstate(), np.random.get_state()[1].tolist()
        training = trial.assemble()
        torch_before = torch.get_rng_state()
        list(training.run())
        assert torch.equal(torch.get_rng_state(), torch_before)
        assert (random.getstate(), np.random.get_state()[1].tolist()) == before


GLOBAL_DRAWS = {"seed", "rand", "randn", "randint", "random", "normal", "uniform", "choice", "shuffle", "permutation"}


def test_no_source_names_a_global_generator():
    """Found in the source, so that a path which no test runs is covered too."""
    named = []
    for path in sorted((ROOT / "oyster").rglob("*.py")):
        if path.name == "seeds.py" or "rlkit" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                name = ast.unparse(node)
                module, _, attribute = name.rpartition(".")
                if module in ("np.random", "numpy.random") and attribute in GLOBAL_DRAWS:
                    named.append(f"{path.name}: {name}")
                if name in ("torch.manual_seed", "torch.seed", "torch.set_rng_state", "torch.randn", "torch.rand"):
                    named.append(f"{path.name}: {name}")
            if isinstance(node, ast.Import) and any(alias.name == "random" for alias in node.names):
                named.append(f"{path.name}: import random")
    # verify draws which results to look at, and the checks of an encoder look whether it touches Python's generator.
    assert [name for name in named if not name.startswith("subject")] == ["verify.py: import random"]


def test_torch_stream_is_separate_and_restored():
    seeds.seed_torch(3)
    expected = torch.rand(3)
    seeds.seed_torch(3)
    with seeds.separate_torch_stream(3, 1):
        inside = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    assert not torch.equal(inside, expected)
