"""How long the published table's 27 trials take when several share one GPU, and whether that changes their bytes.

`python -m benchmarks.shared_gpu --jobs 9` trains the benchmark grid of params.yaml on CUDA into a temporary folder,
that many at a time, then the first trial once more alone, and compares. An error where there is no CUDA.
"""

import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import click

from benchmarks.gradient_step import device_named
from oyster.grid import load_params
from oyster.runtime.provenance import ROOT


def train(environment: str, encoder: str, seed: int, out: Path) -> float:
    """Wall seconds of one trial in a process of its own."""
    arguments = ["--env", environment, "--encoder", encoder, "--seed", str(seed), "--preset", "benchmark"]
    command = [sys.executable, "-m", "oyster", "train", *arguments, "--device", "cuda", "--out", str(out)]
    started = time.monotonic()
    subprocess.run(command, cwd=ROOT, check=True, stderr=subprocess.DEVNULL)
    return time.monotonic() - started


@click.command()
@click.option("--jobs", default=9, show_default=True, help="Trials at a time.")
def main(jobs: int) -> None:
    """Train the whole benchmark grid on one GPU."""
    device_named("cuda")
    grid = load_params(ROOT / "params.yaml").grids["benchmark"]
    trials = list(product(grid.environments, grid.agents, grid.seeds))
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(jobs) as pool:
        outs = [Path(folder, *map(str, trial)) for trial in trials]
        started = time.monotonic()
        seconds = list(pool.map(lambda pair: train(*pair[0], pair[1]), zip(trials, outs, strict=True)))
        together = time.monotonic() - started
        for trial, taken in zip(trials, seconds, strict=True):
            click.echo(f"{' '.join(map(str, trial)):40} {taken / 60:6.1f} min")
        click.echo(f"{len(trials)} trials, {jobs} at a time: {together / 60:.1f} min")
        alone = Path(folder) / "alone"
        train(*trials[0], alone)
        same = (alone / "weights.safetensors").read_bytes() == (outs[0] / "weights.safetensors").read_bytes()
        click.echo(f"the first of them alone: {'the same bytes' if same else 'OTHER BYTES'}")
        raise SystemExit(0 if same else 1)


if __name__ == "__main__":
    main()
