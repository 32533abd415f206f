"""oyster as a library: a loaded agent acts as the recorded meta-test did, from a result's folder and from one file."""

import json
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

import oyster
from agents.pack import pack
from oyster.algorithms.pearl.settings import find_encoder_file
from oyster.cli import main
from oyster.grid import load_params, trial_settings
from oyster.reproduce.keep import FOLDER
from oyster.runtime import seeds
from oyster.runtime.errors import InputError
from oyster.simulate.rollouts import simulate
from oyster.trial.run import CarriedKey, run_trial
from oyster.trial.saved import recorded_returns

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = sorted((ROOT / "agents").glob("*.safetensors"))
CASES = {"cheetah-vel": "recurrent", "sparse-point-robot": "mlp"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A tree with a tiny result of two families, the weights under weights/."""
    root = tmp_path_factory.mktemp("tree")
    for environment, encoder in CASES.items():
        settings = trial_settings(
            load_params(FOLDER / "params.yaml"), environment=environment, agent=encoder, seed=1, preset="canary"
        ).model_copy(update={"num_train_steps_per_itr": 10})
        out, weights = (root / kind / "canary" / environment / encoder / "1" for kind in ("results", "weights"))
        sources = {"encoder": find_encoder_file(encoder)}
        run_trial(settings, sources, out, weights=weights, device="cpu", key=CarriedKey("0123456789abcdef", {}, []))
    return root


def of(tree: Path, environment: str) -> Path:
    return tree / "results" / "canary" / environment / CASES[environment] / "1"


@pytest.fixture(params=CASES)
def result(request, tree) -> Path:
    return of(tree, request.param)


def meta_test(agent: "oyster.library.TrainedAgent") -> list[float]:
    """The trial's last meta-test once more, through what the library offers alone, in adaptation.csv's order."""
    s = agent.settings
    tasks = np.repeat(agent.test_tasks, s.evaluations, axis=0)
    rng = seeds.generator(s.seed, "meta_test", s.num_iterations - 1)  # resets and latent variables share it
    rows, adapter = agent.family(len(tasks)), agent.adapter(len(tasks), seed=rng)
    returns = []
    while len(returns) * agent.family.horizon < s.test_length.steps:
        adapter.begin()
        observation, rewards = rows.reset(tasks, rng), []
        for t in range(agent.family.horizon):
            action = adapter.act(observation)
            step = rows.step(action)
            rewards.append((step.sparse_reward if rows.sparse else step.reward).copy())
            ended = step.terminal | (t + 1 == rows.horizon)
            adapter.observe(observation, action, rewards[-1], step.observation, step.terminal, ended)
            observation = step.observation.copy()
        returns.append(np.stack(rewards, axis=1).sum(axis=1, dtype=np.float64))
    return np.stack(returns, axis=1).reshape(-1).tolist()


# --- acting -----------------------------------------------------------------------------------------------------------


def test_an_adapter_returns_what_the_recorded_meta_test_returned(result):
    agent = oyster.load(result)
    assert meta_test(agent) == recorded_returns(result / "adaptation.csv")
    assert agent.environment in repr(agent) and f"{agent.meta_test_return:.2f}" in repr(agent)


def test_beliefs_are_the_recorded_posteriors(tree):
    agent = oyster.load(of(tree, "sparse-point-robot"))
    with (of(tree, "sparse-point-robot") / "posteriors.csv").open() as file:
        header, first = file.readline().strip().split(","), file.readline().strip().split(",")
    belief = agent.adapter(4).belief()
    assert belief.mean.shape == belief.variance.shape == (4, agent.settings.latent_dim)
    assert [float(v) for k, v in zip(header, first, strict=True) if re.match("variance", k)] == belief.variance[
        0
    ].tolist()


def test_a_belief_that_the_encoder_draws_follows_the_adapters_seed_alone(tmp_path):
    settings = trial_settings(
        load_params(FOLDER / "params.yaml"), environment="sparse-point-robot", agent="mlp", seed=1, preset="canary"
    ).model_copy(update={"encoder": "reward_pooling", "num_train_steps_per_itr": 4})
    run_trial(settings, {"encoder": find_encoder_file("reward_pooling")}, tmp_path / "1", device="cpu")
    agent = oyster.load(tmp_path / "1")

    def drawn(seed: int, torch_seed: int) -> np.ndarray:
        torch.manual_seed(torch_seed)
        before = torch.get_rng_state()
        found = agent.adapter(num_rows=50, seed=seed).belief().mean
        assert torch.equal(torch.get_rng_state(), before)
        return found

    assert len(np.unique(drawn(0, 0), axis=0)) > 5
    np.testing.assert_array_equal(drawn(0, 0), drawn(0, 1))
    assert (drawn(0, 0) != drawn(1, 0)).any()


def test_one_row_may_come_without_its_axis(tree):
    agent = oyster.load(of(tree, "sparse-point-robot"))
    plain, rows = agent.adapter(), agent.adapter(1)
    for adapter in (plain, rows):
        adapter.begin()
    for _ in range(3):
        action = plain.act([0.1, 0.2])
        assert action.shape == (2,) and rows.act([[0.1, 0.2]]).tolist() == [action.tolist()]
        plain.observe([0.1, 0.2], action, 0.5, [0.2, 0.2], False, False)
        rows.observe([[0.1, 0.2]], [action], [0.5], [[0.2, 0.2]], [False], [False])
    assert plain.belief().mean.tolist() == rows.belief().mean.tolist()


def test_a_row_that_ended_or_idles_is_not_learned_from(tree):
    agent = oyster.load(of(tree, "sparse-point-robot"))
    beliefs = []
    for steps, counted in ((3, 3), (5, 3), (3, 1)):  # of the second row; after the third step both have ended
        adapter = agent.adapter(2)
        for _ in range(agent.settings.num_exp_traj_eval):
            adapter.begin()
            for t in range(steps):
                seen, ended = np.full((2, 2), t / 10), [t == 2, t == 2]
                adapter.observe(seen, seen, [1, 1], seen, ended, ended, active=[True, t < counted])
        beliefs.append(adapter.belief().mean)
    np.testing.assert_array_equal(beliefs[0], beliefs[1])
    np.testing.assert_array_equal(beliefs[0][0], beliefs[2][0])
    assert (beliefs[0][1] != beliefs[2][1]).any()
    adapter = agent.adapter(2)
    adapter.begin()
    adapter.observe(seen, seen, [1, 1], seen, [False, False], [False, False], active=[True, False])
    with pytest.raises(InputError, match=r"rows \[1\] have observed nothing"):
        adapter.belief()


def test_the_process_is_as_it_was_before(tree):
    agent = None
    torch.manual_seed(3)
    torch.set_flush_denormal(False)
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(3)
    torch.use_deterministic_algorithms(False)
    try:
        agent = oyster.load(of(tree, "sparse-point-robot"))
        adapter = agent.adapter()
        adapter.begin()
        adapter.act([0.0, 0.0])
        assert torch.get_num_threads() == 3 and not torch.are_deterministic_algorithms_enabled()
        assert torch.tensor([1e-40]).mul(1.0).item() > 0 and torch.equal(torch.get_rng_state(), state)
    finally:
        torch.set_num_threads(threads)


def test_importing_the_package_imports_no_torch():
    code = "import sys, oyster; oyster.envs.families(); sys.exit('torch' in sys.modules or 'gymnasium' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


# --- one file ---------------------------------------------------------------------------------------------------------


def test_a_packed_agent_acts_alike_without_the_critics(result, tmp_path):
    packed = pack(result, tmp_path / "agent.safetensors")
    pack(result, tmp_path / "again.safetensors")
    assert (tmp_path / "agent.safetensors").read_bytes() == (tmp_path / "again.safetensors").read_bytes()
    parts = {name.split(".")[0] for name in load_file(tmp_path / "agent.safetensors")}
    assert parts == set(packed.acting) == {"policy", "context_encoder"}
    assert packed.key == "0123456789abcdef" and packed.settings["environment"] in CASES
    agent, whole = oyster.load(tmp_path / "agent.safetensors"), oyster.load(result)
    assert meta_test(agent) == packed.returns == recorded_returns(result / "adaptation.csv")
    assert agent.settings == whole.settings and agent.meta_test_return == whole.meta_test_return
    assert simulate(tmp_path / "agent.safetensors", device="cpu").difference() == 0


def test_simulate_takes_a_shipped_agent_as_readme_types_it(tmp_path):
    shipped = ROOT / "agents" / "point-robot.safetensors"
    done = CliRunner().invoke(main, ["simulate", str(shipped), "--tasks", "0,3", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "trajectories.csv",
        "returns.csv",
        "trajectories.png",
    }


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda path: path.stem)
def test_shipped_agents_return_what_their_files_say(shipped):
    agent = oyster.load(shipped)
    assert agent.environment == shipped.stem
    simulation = simulate(shipped, device="cpu")
    assert len(simulation.recorded) == len(simulation.trajectories)
    last = {(t.task, t.evaluation): t.total for t in simulation.trajectories}
    # Other processors round otherwise, bfloat16 above all. Contacts carry that on: with rounding noise on its weights
    # the cheetah returned -62 to -65. On sparse-point-robot a goal more or less is found in 20 runs of up to 14.
    tolerance = {"cheetah-vel": 15, "point-robot": 1, "sparse-point-robot": 2.5}[shipped.stem]
    assert np.mean(list(last.values())) == pytest.approx(agent.meta_test_return, abs=tolerance)


def test_shipped_agents_are_three_and_small():
    assert [path.stem for path in SHIPPED] == ["cheetah-vel", "point-robot", "sparse-point-robot"]
    assert sum(path.stat().st_size for path in SHIPPED) < 5_000_000


# --- what is refused --------------------------------------------------------------------------------------------------


def test_what_cannot_be_loaded_is_told(tree, tmp_path):
    with pytest.raises(InputError, match=r"There is no file .*mine\.safetensors.* agents/ has those"):
        oyster.load(tmp_path / "mine.safetensors")
    with pytest.raises(InputError, match=r"holds no whole result: .*agents/point-robot\.safetensors"):
        oyster.load(tmp_path)
    save_file({"policy.weight": torch.zeros(2)}, tmp_path / "weights.safetensors")
    with pytest.raises(InputError, match=r"does not say of what agent.*agents/pack\.py"):
        oyster.load(tmp_path / "weights.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"no tensors")
    with pytest.raises(InputError, match="cannot be read as a safetensors file"):
        oyster.load(tmp_path / "broken.safetensors")
    with pytest.raises(InputError, match="There is no encoder 'nobody'"):
        oyster.load(of(tree, "sparse-point-robot"), encoder="nobody")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings_sha256": "0"}, "not those that were recorded"),
        ({"acting": None}, "header of .* cannot be used: acting"),
        ({"acting": ["policy", "context_encoder", "qf1"]}, r"qf1\.\S+ is missing there"),
    ],
)
def test_a_header_that_does_not_fit_is_told(tree, tmp_path, change, message):
    place = tmp_path / "agent.safetensors"
    packed = pack(of(tree, "sparse-point-robot"), place)
    save_file(load_file(place), place, {"oyster": json.dumps(packed.model_dump(exclude_unset=True) | change)})
    with pytest.raises(InputError, match=message):
        oyster.load(place)


def test_an_adapter_says_what_it_expects(tree):
    agent = oyster.load(of(tree, "sparse-point-robot"))
    with pytest.raises(InputError, match="num_rows is 0; expected"):
        agent.adapter(0)
    adapter = agent.adapter(3)
    with pytest.raises(InputError, match=r"act\(\) was called before begin\(\)"):
        adapter.act(np.zeros((3, 2)))
    adapter.begin()
    with pytest.raises(InputError, match=r"observation has the shape \(2,\); expected \(3, 2\), the rows first"):
        adapter.act([0.0, 0.0])


# --- what the documents show ------------------------------------------------------------------------------------------


def test_the_readmes_lines_meet_a_new_task_and_adapt_to_it(monkeypatch):
    text = (ROOT / "README.md").read_text()
    lines = re.search(r"```python\n(.*?)```", text[text.index("## As a library") :], re.DOTALL)[1]
    monkeypatch.chdir(ROOT)
    with redirect_stdout(StringIO()) as printed:
        exec(lines, {})
    totals = [float(line.split()[1]) for line in printed.getvalue().splitlines()]
    assert totals[-1] > totals[0], totals


def test_help_shows_what_there_is():
    import pydoc

    shown = pydoc.render_doc(oyster, renderer=pydoc.plaintext)
    assert "load(place" in shown and "oyster.envs.make(name)" in shown and "_provide_rlkit" not in shown
    assert "InputError" in pydoc.render_doc(oyster.load, renderer=pydoc.plaintext)


def test_another_encoder_file_than_the_trained_one_is_warned_of(tree, tmp_path):
    source = find_encoder_file("recurrent")
    other = tmp_path / "recurrent.py"
    other.write_text(source.read_text() + "\n# edited\n")
    with pytest.warns(UserWarning, match="recurrent.py is not the file that was trained"):
        oyster.load(of(tree, "cheetah-vel"), encoder=other)


def test_what_cannot_be_packed_is_told_and_leaves_the_old_file(tree, tmp_path):
    (tmp_path / "agent.bin").write_text("old")
    with pytest.raises(InputError, match=r"does not end in \.safetensors"):
        pack(of(tree, "cheetah-vel"), tmp_path / "agent.bin")
    assert (tmp_path / "agent.bin").read_text() == "old"
    command = [sys.executable, "agents/pack.py", str(tmp_path), str(tmp_path / "agent.safetensors")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 1 and done.stderr.startswith("error: ") and "holds no whole result" in done.stderr
