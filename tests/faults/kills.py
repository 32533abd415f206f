"""python -m tests.faults.kills [--kills 300] [--seed 0]: the smallest trials, killed at random moments until they end.

Every trial that was killed must end with the bytes of one that was not, and leave nothing beside its result. Trials
take turns: an ordered encoder, one that draws random numbers while it learns, one with weights in a folder apart.
"""

import argparse
import multiprocessing
import os
import random
import shutil
import tempfile
import time
from pathlib import Path

from oyster.algorithms.pearl.settings import find_encoder_file
from oyster.grid import encoder_agent, load_params, trial_settings
from oyster.runtime.records import DETERMINISTIC, WEIGHTS
from oyster.trial.run import run_trial

TINY = Path(__file__).with_name("tiny.yaml")
DROPOUT = Path(__file__).resolve().parents[1] / "unusual_encoders" / "dropout.py"
TRIALS = (("recurrent", False), (str(DROPOUT), False), ("mlp", True))  # encoder, weights apart


def run(encoder: str, apart: bool, folder: Path) -> None:
    """With a checkpoint after every gradient step."""
    file = find_encoder_file(encoder)
    params = load_params(TINY)
    settings = trial_settings(
        params, environment="point-robot", agent=encoder_agent(params, encoder), seed=1, preset="tiny"
    )
    weights = folder / "weights" if apart else None
    run_trial(settings, {"encoder": file}, folder / "out", weights=weights, device="cpu", checkpoint_minutes=0.0)


def run_until(seconds: float | None, *arguments) -> bool:
    """In a process of its own, killed after `seconds`. Whether it ended by itself, well."""
    child = multiprocessing.get_context("fork").Process(target=run, args=arguments)
    child.start()
    child.join(seconds)
    if child.is_alive():
        os.kill(child.pid, 9)
        child.join()
    if child.exitcode not in (0, -9):
        raise SystemExit(f"A trial ended with exit code {child.exitcode}.")
    return child.exitcode == 0


def outputs(folder: Path) -> dict[str, bytes]:
    places = {name: folder / "out" / name for name in DETERMINISTIC}
    if (folder / "weights").exists():
        places[WEIGHTS] = folder / "weights" / WEIGHTS
    return {name: place.read_bytes() for name, place in places.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    kills = trials = 0
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        whole, longest = {}, {}
        for trial in TRIALS:
            folder, started = Path(name) / f"whole-{len(whole)}", time.monotonic()
            run_until(None, *trial, folder)
            whole[trial], longest[trial] = outputs(folder), time.monotonic() - started
        while kills < options.kills:
            trial = TRIALS[trials % len(TRIALS)]
            folder, patience = Path(name) / "killed", 1.0
            while not run_until(draw.uniform(0.0, longest[trial] * patience), *trial, folder):
                kills, patience = kills + 1, patience * 1.05  # the machine may be busier than it was for the whole ones
                print(f"\r{kills} kills, {trials} trials ended with the same bytes", end="", flush=True)
            if outputs(folder) != whole[trial]:
                raise SystemExit(f"\nAfter {kills} kills a trial of {trial[0]} has other bytes.")
            left = sorted(path.name for path in folder.iterdir())
            if left != (["out", "weights"] if trial[1] else ["out"]):
                raise SystemExit(f"\nAfter {kills} kills something is left over: {', '.join(left)}.")
            shutil.rmtree(folder)
            trials += 1
    print(f"\r{kills} kills, {trials} trials ended with the same bytes.")


if __name__ == "__main__":
    main()
