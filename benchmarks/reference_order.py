"""What the reference's order of tasks does to a figure: trials that collect the tasks which its runs collect.

`python benchmarks/reference_order.py --seed 42` trains sparse-point-robot with mlp at the benchmark's budget. All is
as in the benchmark's trial of that seed but for which tasks are collected when (benchmarks/reference_tasks.py): every
other draw comes from the trial's own streams. It records the learning curve, as it grows, in
benchmarks/reference_order.csv and prints the table of docs/reproduction.md. Killed? Run the same command again.
"""

import sys
from pathlib import Path

import click
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import oyster.trial
from benchmarks import curves
from benchmarks.reference_tasks import ENVIRONMENTS, reference_tasks
from oyster.encoder_file import find_encoder_file
from oyster.pearl.meta_train import MetaTraining, Row
from oyster.settings import load_params, trial_settings

ROOT = Path(__file__).resolve().parents[1]
CURVES = Path(__file__).with_suffix(".csv")
TRIALS = ROOT / "results" / "reference-order"  # which git does not keep


class ReferenceOrder:
    """A trial's stream of tasks with the reference's in place of those that it collects.

    What the stream drew for these is dropped, so that the tasks of gradient steps stay the trial's.
    """

    def __init__(self, rng: np.random.Generator, training: MetaTraining):
        self.rng, self.training = rng, training
        self.collected = reference_tasks(training.settings)

    @property
    def bit_generator(self) -> np.random.BitGenerator:
        """What checkpoints hold of a stream."""
        return self.rng.bit_generator

    def integers(self, high: int, size) -> np.ndarray:
        drawn = self.rng.integers(high, size=size)
        collecting = size == self.training.settings.num_tasks_sample  # a gradient step draws meta_batch
        return self.collected[self.training.iteration] if collecting else drawn


class OrderedTraining(MetaTraining):
    """Meta-training in the reference's order of tasks."""

    def __init__(self, *args):
        super().__init__(*args)
        self.rngs["tasks"] = ReferenceOrder(self.rngs["tasks"], self)


def train(environment: str, encoder: str, seed: int) -> None:
    """Train, or go on training, and record the curve as it grows. What is finished stays as it is."""
    out = TRIALS / environment / encoder / str(seed)
    if out.exists():
        return
    settings = trial_settings(
        load_params(ROOT / "params.yaml"), environment=environment, encoder=encoder, seed=seed, budget="benchmark"
    )

    def on_progress(training: MetaTraining, row: Row | None) -> None:
        if row:
            curves.record(CURVES, (environment, encoder, seed), [row.meta_test_return for row in training.rows])
            click.echo(f"{encoder}, seed {seed}: {row.meta_test_return:.2f} after iteration {row.iteration}", err=True)

    oyster.trial.MetaTraining = OrderedTraining
    oyster.trial.run_trial(settings, find_encoder_file(encoder), out, device="cpu", on_progress=on_progress)


def summary() -> str:
    """In Markdown: each trial's curve, as far as it has come."""
    return curves.table(CURVES, "trial, in the reference's order")


@click.command()
@click.option("--env", "environment", type=click.Choice(list(ENVIRONMENTS)), default="sparse-point-robot")
@click.option("--encoder", type=click.Choice(["mlp", "attention"]), default="mlp")
@click.option("--seed", "seeds", type=int, multiple=True, help="To train; without any, only print.")
def main(environment: str, encoder: str, seeds: tuple[int, ...]) -> None:
    """Train what is not finished yet, one trial after the other, then print all curves."""
    for seed in seeds:
        train(environment, encoder, seed)
    print(summary(), end="")


if __name__ == "__main__":
    main()
