"""One trial by its command: what it writes, what it refuses, and what a failing encoder leaves."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.numpy import load_file

from oyster.cli import main
from oyster.grid import load_params
from oyster.reproduce.keep import FOLDER
from oyster.runtime.key_file import find_key_file
from oyster.runtime.records import DETERMINISTIC, RESULT_FILES, WEIGHTS

ROOT = Path(__file__).resolve().parents[1]
PARAMS = str(FOLDER / "params.yaml")
LOSS_COLUMNS = ["qf_loss", "vf_loss", "policy_loss", "kl_divergence", "posterior_variance"]

FAILING = """
import torch
from torch import nn
from rlkit.torch.core import PyTorchModule


class Failing(PyTorchModule):
    def __init__(self, hidden_sizes, input_size, output_size, **kwargs):
        self.save_init_params(locals())
        super().__init__()
        self.output_size = output_size
        self.layer = nn.Linear(input_size, output_size)
        self.steps = 0
        CONSTRUCTOR

    def forward(self, input, return_preactivations=False):
        self.steps += self.training and torch.is_grad_enabled()
        output = self.layer(input)
        FORWARD
        return output

    def reset(self, num_tasks=1):
        RESET
"""
FAILURES = {
    "raises in its constructor": ("raise ValueError('no luck')", "", "no luck", 0),
    "raises later": ("", "if self.steps > 100: raise ValueError('enough')", "enough", 1),
    "wrong shape": ("", "output = output[..., :3]", "shape", 0),
    "wrong shape later": ("", "output = output[..., :3] if self.steps > 100 else output", "shape", 1),
    "not finite later": ("", "output = output * float('nan') if self.steps > 100 else output", "finite", 1),
    "exits": ("", "if self.steps > 100: raise SystemExit(0)", "SystemExit", 1),
    "reset raises later": ("", "", "reset failed", 1),
    "not finite once all is seen": (
        "",
        "output = output * (float('nan') if input.shape[1] >= 60 else 1)",
        "finite",
        0,
    ),
    "weights not finite": ("", "output = output * (1e38 if self.steps > 100 else 1)", "finite", 1),
}


def train(*arguments: str, env="point-robot", encoder="mlp", seed="1", out: Path, params=PARAMS, preset="canary"):
    command = ["train", "--env", env, "--encoder", encoder, "--seed", seed, "--preset", preset, "--out", str(out)]
    return CliRunner().invoke(main, [*command, "--params", params, "--device", "cpu", *arguments])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def files_of(result: Path) -> set[str]:
    """The names of its files, without the one key file that it has, which lists them."""
    key_file = find_key_file(result)
    names = {path.name for path in result.iterdir()} - {key_file.path.name}
    assert names == set(key_file.files)
    return names


@pytest.fixture(scope="module")
def cheetah(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("cheetah") / "result"
    done = train(env="cheetah-vel", encoder="mlp", out=out)
    assert done.exit_code == 0, done.output
    return out


def test_every_file_is_there_and_nothing_else(cheetah):
    assert files_of(cheetah) == {*RESULT_FILES, WEIGHTS}
    assert [path.name for path in cheetah.parent.iterdir()] == ["result"]


def test_metrics_progress_and_adaptation_agree(cheetah):
    metrics = json.loads((cheetah / "metrics.json").read_text())
    assert (metrics["environment"], metrics["encoder"], metrics["seed"]) == ("cheetah-vel", "mlp", 1)
    assert metrics["failure"] is None
    progress = rows(cheetah / "progress.csv")
    assert [row["iteration"] for row in progress] == ["0", "1"]
    assert list(progress[0]) == ["iteration", "environment_steps", "gradient_steps", "meta_test_return", "train_return",
                                 *LOSS_COLUMNS]  # fmt: skip
    assert float(progress[-1]["meta_test_return"]) == metrics["meta_test_return"]
    assert metrics["meta_test_return_last5"] == pytest.approx(np.mean([float(r["meta_test_return"]) for r in progress]))
    adaptation = rows(cheetah / "adaptation.csv")
    assert list(adaptation[0]) == ["task", "target_velocity", "evaluation", "trajectory", "return"]
    assert len(adaptation) == 2 * 1 * 3  # tasks, evaluations, trajectories of 200 steps
    last = [float(row["return"]) for row in adaptation if row["trajectory"] == "2"]
    assert np.mean(last) == pytest.approx(metrics["meta_test_return"]) and last == metrics["task_returns"]
    assert metrics["trajectory_returns"][-1] == pytest.approx(metrics["meta_test_return"])


def test_posteriors_trajectories_weights_and_start(cheetah):
    posteriors = rows(cheetah / "posteriors.csv")
    assert len(posteriors) == 2 * 4 and list(posteriors[0])[:4] == ["task", "evaluation", "trajectory", "mean_0"]
    assert posteriors[0]["variance_4"] == "1.0" and posteriors[3]["variance_4"] != "1.0"
    velocity = np.load(cheetah / "trajectories.npz")["forward_velocity"]
    assert velocity.shape == (2, 1, 3, 200) and velocity.dtype == np.float32 and np.isfinite(velocity).all()
    weights = load_file(cheetah / WEIGHTS)
    assert {name.split(".")[0] for name in weights} == {"context_encoder", "policy", "qf1", "qf2", "vf", "target_vf"}
    start = json.loads((cheetah / "start.json").read_text())
    assert len(start["train_tasks"]) == 4 and len(start["first_losses"]) == 20 and len(start["first_rewards"]) == 4


def test_point_robot_keeps_positions(tmp_path):
    assert train(encoder="attention", out=tmp_path / "out").exit_code == 0
    positions = np.load(tmp_path / "out" / "trajectories.npz")["positions"]
    assert positions.shape == (2, 2, 3, 21, 2)
    assert rows(tmp_path / "out" / "posteriors.csv")[1]["variance_0"] == ""  # no information bottleneck, no variance
    assert np.abs(np.diff(positions, axis=3)).max() <= 0.1 + 1e-6


def test_provenance_says_where_it_comes_from(cheetah):
    record = json.loads((cheetah / "provenance.json").read_text())
    assert len(record["commit"]) == 40 and isinstance(record["dirty"], bool)
    assert record["diff_sha256"] is None or record["dirty"]
    assert record["settings"]["net_size"] == 32 and len(record["settings_sha256"]) == 64
    assert len(record["encoder_sha256"]) == 64 and len(record["environment"]["lock_sha256"]) == 64
    assert record["environment"]["torch"] == torch.__version__
    assert record["hardware"]["cpu"] and record["hardware"]["gpu"] is None
    assert (record["device"], record["precision"], record["threads"]) == ("cpu", "float32", 1)
    assert record["gradient_steps"] == 120 and record["environment_steps"] == 4 * 400 + 2 * 3 * 600
    assert record["wall_seconds"] > 0 and len(record["iteration_seconds"]) == 2
    assert record["peak_memory_mb"] > 50 and record["parameters"] > 1000


def test_weights_in_a_folder_of_their_own(tmp_path):
    assert train("--weights", str(tmp_path / "weights"), out=tmp_path / "out").exit_code == 0
    assert [path.name for path in (tmp_path / "weights").iterdir()] == [WEIGHTS]
    assert not (tmp_path / "out" / WEIGHTS).exists()


def test_an_encoder_by_its_path_and_its_arguments(tmp_path):
    file = tmp_path / "my_own.py"
    file.write_text((ROOT / "encoders" / "mlp.py").read_text())
    done = train(encoder=str(file), out=tmp_path / "out")
    assert done.exit_code == 0, done.output
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (metrics["encoder"], metrics["budget"]) == ("my-own", "canary")  # the names of the agent and the preset
    recorded = json.loads((tmp_path / "out" / "provenance.json").read_text())["settings"]
    assert (recorded["agent"], recorded["encoder"], recorded["preset"]) == ("my-own", "my_own", "canary")
    # the same file under another name learns the same
    assert train(out=tmp_path / "mlp").exit_code == 0
    assert (tmp_path / "mlp" / WEIGHTS).read_bytes() == (tmp_path / "out" / WEIGHTS).read_bytes()


# --- failures ---------------------------------------------------------------------------------------------------------


def failing(tmp_path, name) -> str:
    constructor, forward, _, _ = FAILURES[name]
    file = tmp_path / "failing.py"
    reset = "if self.steps > 100: raise ValueError('reset failed')" if name == "reset raises later" else "pass"
    text = FAILING.replace("CONSTRUCTOR", constructor or "pass").replace("FORWARD", forward or "pass")
    file.write_text(text.replace("RESET", reset))
    return str(file)


@pytest.mark.parametrize("name", FAILURES)
def test_a_failing_encoder_exits_1_and_writes_nothing(name, tmp_path):
    done = train(encoder=failing(tmp_path, name), out=tmp_path / "out")
    assert done.exit_code == 1
    assert FAILURES[name][2] in done.output and f"in iteration {FAILURES[name][3]}" in done.output
    assert "Nothing was written" in done.output and "Traceback" not in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["failing.py"]


@pytest.mark.parametrize("name", FAILURES)
def test_a_recorded_failure_is_a_whole_result(name, tmp_path):
    done = train("--record-failure", encoder=failing(tmp_path, name), out=tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert files_of(tmp_path / "out") == {*RESULT_FILES, WEIGHTS}
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["meta_test_return"] is None
    assert FAILURES[name][2] in metrics["failure"]["reason"]
    assert metrics["failure"]["iteration"] == FAILURES[name][3]
    assert len(rows(tmp_path / "out" / "progress.csv")) == FAILURES[name][3]
    load_file(tmp_path / "out" / WEIGHTS)


def test_a_recorded_failure_is_deterministic(tmp_path):
    outputs = []
    for out in (tmp_path / "one", tmp_path / "two"):
        train("--record-failure", encoder=failing(tmp_path, "not finite later"), out=out)
        outputs.append({name: (out / name).read_bytes() for name in DETERMINISTIC})
    assert outputs[0] == outputs[1]


# --- input that cannot be used ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change, told",
    [
        ({"env": "ant-golf"}, "no task family 'ant-golf'"),
        ({"encoder": "nobody"}, "no encoder 'nobody'"),
        ({"encoder": "missing/file.py"}, "is not a file"),
        ({"preset": "huge"}, "no preset 'huge'"),
        ({"params": "missing.yaml"}, "cannot be read"),
        ({"seed": "-1"}, "-1"),
    ],
)
@pytest.mark.parametrize("record", [False, True])
def test_bad_input_exits_2_and_writes_nothing(change, told, record, tmp_path):
    done = train(*(["--record-failure"] if record else []), out=tmp_path / "out", **change)
    assert done.exit_code == 2
    assert told in done.output and "Traceback" not in done.output
    assert not list(tmp_path.iterdir())


def test_an_unreadable_encoder_file_exits_2(tmp_path):
    (tmp_path / "broken.py").write_text("def broken(:")
    done = train("--record-failure", encoder=str(tmp_path / "broken.py"), out=tmp_path / "out")
    assert done.exit_code == 2 and "SyntaxError" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["broken.py"]


@pytest.mark.parametrize("there", [True, False])
def test_bfloat16_without_instructions_for_it_is_told(there, tmp_path, monkeypatch):
    monkeypatch.setattr("oyster.trial.run.multiplies_bfloat16", lambda device: there)
    done = train(env="sparse-point-robot", encoder="recurrent", out=tmp_path / "out")
    assert done.exit_code == 0
    assert ("no bfloat16 arithmetic" in done.output) is not there
    assert "no bfloat16 arithmetic" not in train(out=tmp_path / "float32").output


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is there: asking for it is no error")
def test_cuda_that_is_not_there_is_an_error_before_anything_else(tmp_path):
    done = train("--device", "cuda", out=tmp_path / "out")
    assert done.exit_code == 2
    assert "torch.cuda.is_available() is false" in done.output
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is there: nothing was lost on the way into the container")
def test_gpus_that_got_lost_on_the_way_into_a_container_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("OYSTER_GPUS", "all")
    done = train("--device", "auto", out=tmp_path / "out")
    assert done.exit_code == 2
    assert "passed this machine's GPUs into the container" in done.output
    assert not list(tmp_path.iterdir())
    assert train("--device", "cpu", out=tmp_path / "out").exit_code == 0


def test_a_result_and_other_peoples_files_are_never_overwritten(cheetah, tmp_path):
    before = {path.name: path.stat().st_mtime_ns for path in cheetah.iterdir()}
    done = train(out=cheetah)
    assert done.exit_code == 2 and "already holds a result" in done.output
    assert {path.name: path.stat().st_mtime_ns for path in cheetah.iterdir()} == before
    (tmp_path / "thesis.tex").write_text("")
    done = train(out=tmp_path)
    assert done.exit_code == 2 and "thesis.tex" in done.output
    done = train(out=tmp_path / "thesis.tex")
    assert done.exit_code == 2 and "is a file" in done.output


def test_what_a_pipeline_left_over_is_replaced(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "provenance.json").write_text("{}")  # DVC removes its own outputs before a run, and leaves this
    assert train(out=out).exit_code == 0
    assert "commit" in json.loads((out / "provenance.json").read_text())


# --- start-up and size ------------------------------------------------------------------------------------------------


def test_help_does_not_wait_for_torch():
    code = "import sys; from oyster.cli import main; main(['-h'], standalone_mode=False); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n") and "train" in done.stdout


def test_the_demo_learns(tmp_path):
    """point-robot, mlp, as `make demo` trains it: above an agent with one gradient step by two standard errors.

    Over both seeds, and of differences on the same task and evaluation: with each processor a training takes another
    course, so that the bar must hold for any.
    """

    def last_returns(name: str, seed: int, **settings: int) -> list[float]:
        changes = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
        arguments = {"out": tmp_path / name, "seed": str(seed), "preset": "demo"}
        assert train(*changes, **arguments, params=str(ROOT / "params.yaml")).exit_code == 0
        runs = {(row["task"], row["evaluation"]): row["return"] for row in rows(tmp_path / name / "adaptation.csv")}
        return [float(value) for value in runs.values()]  # of every run its last trajectory

    seeds = load_params(ROOT / "params.yaml").grids["demo"].seeds
    trained = [last_returns(f"trained-{seed}", seed) for seed in seeds]
    untrained = [last_returns(f"un-{seed}", seed, num_iterations=1, num_train_steps_per_itr=1) for seed in seeds]
    gains = np.subtract(trained, untrained)
    assert gains.mean() > 2 * gains.std(ddof=1) / np.sqrt(gains.size)
    returns = [json.loads((tmp_path / f"trained-{seed}" / "metrics.json").read_text()) for seed in seeds]
    first, *_, last = np.mean([each["trajectory_returns"] for each in returns], axis=0)
    assert last > first  # it adapts


def test_a_benchmark_cheetah_trial_stays_small(tmp_path):
    """Resident memory at benchmark sizes: every array at its full size, few gradient steps. Under 1 GB."""
    code = f"""
from pathlib import Path
from oyster.runtime.provenance import peak_memory_mb
from oyster.grid import load_params, trial_settings
from oyster.trial.run import Trial
settings = trial_settings(load_params(), environment="cheetah-vel", agent="attention", seed=0, preset="benchmark")
trial = Trial(settings, {{"encoder": Path({str(ROOT / "encoders" / "attention.py")!r})}}, "cpu")
training = trial.assemble()
training.learner.store.rows.zero_()  # touch all that a whole trial could fill
training.learner._collect()
for _ in range(3):
    training.learner._take_gradient_step()
training.meta_test()
print(peak_memory_mb())
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1000
