"""Time what is not a gradient step: rollouts against bare physics and against a loop over one environment, a trial's
share outside gradient steps, its memory and its start-up. `make bench` runs it after the gradient step.

One thread. Each figure is a median of interleaved repeats; ratios are taken within a repeat.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mujoco
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from oyster.algorithms.pearl.settings import find_encoder_file
from oyster.envs import load_family
from oyster.grid import load_params, trial_settings
from oyster.rl.rollout import rollout
from oyster.runtime.device import fix_arithmetic
from oyster.runtime.provenance import ROOT
from oyster.trial.run import Trial

RESULTS = Path(__file__).with_name("results.json")
REPEATS = 5


def training(environment: str, **changes):
    """A benchmark trial's Training before its first step."""
    settings = trial_settings(load_params(), environment=environment, agent="mlp", seed=0, preset="benchmark")
    trial = Trial(settings.model_copy(update=changes), {"encoder": find_encoder_file("mlp")}, "cpu")
    return trial.assemble()


def bare_physics(steps: int = 2000) -> float:
    """Environment steps a second of one half-cheetah: mj_step and nothing else, controls drawn before."""
    model = load_family("cheetah-vel").physics_model()
    data = mujoco.MjData(model)
    controls = np.random.default_rng(0).uniform(-1, 1, (steps, model.nu))
    started = time.perf_counter()
    for control in controls:
        data.ctrl[:] = control
        for _ in range(5):
            mujoco.mj_step(model, data)
    return steps / (time.perf_counter() - started)


def collection(trained, rows: int, trajectories: int) -> float:
    """Environment steps a second, sampled policy in the loop, a trajectory a row."""
    s = trained.settings
    family = load_family(s.environment)(rows)
    tasks = np.resize(trained.train_tasks, (rows, trained.train_tasks.shape[1]))
    generators = {name: np.random.default_rng(0) for name in ("resets", "actions")}
    z = torch.zeros(rows, s.latent_dim)
    started = time.perf_counter()
    for _ in range(trajectories):
        rollout(family, tasks, trained.agent.actor(z, generators["actions"]), family.horizon, generators["resets"])
    return rows * trajectories * family.horizon / (time.perf_counter() - started)


def stepping(rows: int, steps: int = 2000) -> float:
    """Environment steps a second of point robots, actions drawn before."""
    family = load_family("point-robot")(rows)
    family.reset(family.draw_tasks(rows), np.random.default_rng(0))
    action = np.random.default_rng(1).uniform(-1, 1, (rows, 2))
    started = time.perf_counter()
    for _ in range(steps):
        family.step(action)
    return rows * steps / (time.perf_counter() - started)


def rollout_table() -> list[dict]:
    cheetah, point = training("cheetah-vel"), training("point-robot")
    cases = {
        "cheetah-vel, 30 rows (initial collection) ÷ bare physics": lambda: collection(cheetah, 30, 1) / bare_physics(),
        "cheetah-vel, 5 rows (an iteration's collection) ÷ bare physics": lambda: (
            collection(cheetah, 5, 3) / bare_physics()
        ),
        "point-robot, 40 rows ÷ one environment, stepping alone": lambda: stepping(40) / stepping(1),
        "point-robot, 40 rows ÷ one environment, policy in the loop": (
            lambda: collection(point, 40, 20) / collection(point, 1, 20)
        ),
    }
    ratios = {name: [] for name in cases}
    for repeat in range(REPEATS + 1):
        for name, measure in cases.items():
            ratio = measure()
            if repeat:
                ratios[name].append(ratio)
    return [{"case": name, "ratio": statistics.median(values)} for name, values in ratios.items()]


def outside_gradient_steps(environment: str, precision: str) -> dict:
    """The share of an iteration after the first that is not gradient steps, from a sample of them."""
    trained = training(environment, precision=precision, num_train_steps_per_itr=1)
    trained.learner._collect()
    trained.learner.iteration = 1
    started = time.perf_counter()
    trained.learner._collect()
    collected = time.perf_counter() - started
    steps = []
    for _ in range(6):
        started = time.perf_counter()
        trained.learner._take_gradient_step()
        steps.append(time.perf_counter() - started)
    started = time.perf_counter()
    trained.meta_test()
    tested = time.perf_counter() - started
    full = trial_settings(load_params(), environment=environment, agent="mlp", seed=0, preset="benchmark")
    learning = full.num_train_steps_per_itr * statistics.median(steps)
    share = (collected + tested) / (collected + tested + learning)
    return {"case": f"{environment} {precision}", "seconds": [collected, tested, learning], "share_outside": share}


def start_up() -> dict:
    """Seconds: `--help`, and from a trial's command to its first environment step."""

    def timed(command: list[str], until: str | None = None) -> float:
        started = time.perf_counter()
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            if until and not any(until in line for line in process.stdout):
                raise SystemExit(f"{' '.join(command[:3])} … ended without the words {until!r}.")
            taken = time.perf_counter() - started if until else None
            if until:
                process.kill()
        return taken or time.perf_counter() - started

    watch = """
import sys
from oyster.algorithms.pearl import learner
def first(*arguments, **keywords):
    print("first environment step", flush=True)
    sys.exit()
learner.rollout = first
from oyster.cli import main
main(sys.argv[1:])
"""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["train", "--env", "cheetah-vel", "--encoder", "attention", "--seed", "0", "--preset", "benchmark"]
        command = [sys.executable, "-c", watch, *arguments, "--out", f"{folder}/out"]
        return {
            "help": statistics.median(timed([sys.executable, "-m", "oyster", "--help"]) for _ in range(3)),
            "first_environment_step": statistics.median(timed(command, "first") for _ in range(3)),
        }


def main() -> None:
    fix_arithmetic(threads=1)
    ratios, console = rollout_table(), Console(width=110)
    table = Table("rollouts", "ratio")
    for row in ratios:
        table.add_row(row["case"], f"{row['ratio']:.2f}")
    console.print(table)
    shares = [
        outside_gradient_steps(environment, precision)
        for environment in ("cheetah-vel", "point-robot", "sparse-point-robot")
        for precision in ("float32", "bfloat16")
    ]
    table = Table("a benchmark iteration", "collection, s", "meta-test, s", "gradient steps, s", "not gradient steps")
    for row in shares:
        table.add_row(row["case"], *(f"{seconds:.2f}" for seconds in row["seconds"]), f"{row['share_outside']:.1%}")
    console.print(table)
    seconds = start_up()
    console.print(f"--help {seconds['help']:.2f} s, first environment step {seconds['first_environment_step']:.2f} s")
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(
        json.dumps(known | {"rollouts": ratios, "iteration": shares, "start_up": seconds}, indent=2) + "\n"
    )
    print(f"Written: {RESULTS.name}")


if __name__ == "__main__":
    main()
