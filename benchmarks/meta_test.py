"""How much of a `meta_test_return` is the luck of one meta-test, and what other readings of the protocol do to it.

`python benchmarks/meta_test.py results/benchmark/ENVIRONMENT/ENCODER/SEED …` repeats the last meta-test of each result,
its agent unchanged, with new start states and new z, records what came out in benchmarks/meta_test.csv and prints the
tables of docs/reproduction.md. It needs the weights (`dvc pull`, or training).
"""

import csv
import os
import sys
from pathlib import Path

import click
import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from oyster.algorithms.pearl.agent import Agent
from oyster.algorithms.pearl.posterior import infer_posterior
from oyster.algorithms.pearl.settings import find_encoder_file
from oyster.simulate.rollouts import find_weights, read_result
from oyster.trial.meta_test import meta_test
from oyster.trial.run import Trial
from oyster.trial.saved_agent import load_trial

RESULTS = Path(__file__).with_suffix(".csv")
REPETITIONS = 100  # of the protocol's own meta-test, and of each variant
START_SETS = 10  # sets of start states, each of which is met REPETITIONS / START_SETS times
PROTOCOL, SAME_STARTS = "protocol", "same_starts"
READINGS = SAMPLED, CARRIED, CAPPED = "sampled_actions", "carried_state", "capped_context"
HEADER = ["environment", "encoder", "seed", "mean", "sd", "sd_same_starts"]
HEADER += [f"{reading}{column}" for reading in READINGS for column in ("", "_ci95")]
AGENT = ["environment", "encoder", "seed", f"mean of {REPETITIONS} meta-tests"]  # first columns of what is printed


def repeat(trial: Trial, variant: str) -> np.ndarray:
    """`meta_test_return` of every repetition. Repetition k draws the same numbers in every variant but SAME_STARTS."""
    agent = trial.training.agent
    infer, actor = agent.infer, agent.actor
    family = trial.family(len(trial.test_tasks) * trial.settings.evaluations)
    reset, figures = family.reset, []
    if variant == CARRIED:
        carry_state(agent)
    if variant == CAPPED:
        agent.infer = lambda context: infer(context[:, -trial.training.learner.context_length :])
    for repetition in range(REPETITIONS):
        if variant == SAME_STARTS:
            starts = np.random.default_rng([1, repetition % START_SETS])
            family.reset = lambda tasks, rng, starts=starts: reset(tasks, starts)
        if variant == SAMPLED:
            noise = np.random.default_rng([2, repetition])
            agent.actor = lambda z, rng, noise=noise: actor(z, noise)
        torch.manual_seed(repetition)
        rng = np.random.default_rng([0, repetition])
        figures.append(meta_test(agent, family, trial.test_tasks, trial.settings, rng).meta_test_return())
    return np.array(figures)


class CarriedLstm(nn.Module):
    """An LSTM that goes on from where its last call ended, as in the reference, until it is told to forget."""

    def __init__(self, lstm: nn.LSTM):
        super().__init__()
        self.lstm, self.state = lstm, None

    def forward(self, sequence: torch.Tensor):
        output, self.state = self.lstm(sequence, self.state)
        return output, self.state

    def forget(self, num_tasks: int = 1) -> None:
        self.state = None


def carry_state(agent: Agent) -> None:
    """Let the encoder forget where z returns to the prior, and no longer before an inference."""
    encoder = agent.context_encoder
    encoder.lstm = CarriedLstm(encoder.lstm)
    encoder.reset = encoder.lstm.forget
    agent.infer = lambda context: infer_posterior(encoder, context, agent.latent_dim, agent.information_bottleneck)


def variants(trial: Trial) -> list[str]:
    longest = trial.settings.test_length.steps - trial.family.horizon  # context of the last trajectory
    carried = [CARRIED] if trial.training.agent.is_recurrent else []
    capped = (
        [CAPPED] if longest > trial.training.learner.context_length else []
    )  # to its end, as long as training's contexts
    return [PROTOCOL, SAME_STARTS, SAMPLED, *carried, *capped]


def measure(result: Path) -> dict[str, str]:
    """A row of RESULTS: what one meta-test of this agent strays, and what the other readings change, with 95 %."""
    settings, _ = read_result(result)
    encoder, weights = find_encoder_file(settings.encoder), find_weights(result)

    def trial() -> Trial:  # a new one each time, since a variant may alter the agent
        return load_trial(settings, encoder, weights, "cpu")

    figures = {variant: repeat(trial(), variant) for variant in variants(trial())}
    plain = figures[PROTOCOL]
    # Repetition k met set k modulo START_SETS; the spread within sets is what other z alone do.
    within = figures[SAME_STARTS].reshape(-1, START_SETS).var(axis=0, ddof=1).mean()
    row = dict.fromkeys(HEADER, "")
    row |= {"environment": settings.environment, "encoder": settings.encoder, "seed": str(settings.seed)}
    row |= {"mean": f"{plain.mean():.3f}", "sd": f"{plain.std(ddof=1):.3f}", "sd_same_starts": f"{np.sqrt(within):.3f}"}
    for reading in figures.keys() & {*READINGS}:
        difference = figures[reading] - plain
        row[reading] = f"{difference.mean():.3f}"
        row[f"{reading}_ci95"] = f"{1.96 * difference.std(ddof=1) / np.sqrt(REPETITIONS):.3f}"
    return row


def recorded() -> list[dict[str, str]]:
    if not RESULTS.exists():
        return []
    with RESULTS.open(newline="") as file:
        return list(csv.DictReader(file))


def record(new: dict[str, str]) -> None:
    """Put a row into RESULTS, in place of the one of the same agent."""
    rows = {_agent(row): row for row in [*recorded(), new]}
    partial = RESULTS.with_name(f"{RESULTS.name}.partial")
    with partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, HEADER, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[agent] for agent in sorted(rows))
    os.replace(partial, RESULTS)


def _agent(row: dict[str, str]) -> tuple[str, str, int]:
    return row["environment"], row["encoder"], int(row["seed"])


def summary() -> str:
    """An agent a row: the recorded figure is one draw from this mean and standard deviation."""
    rows = [[*_agent(row), *_figures(row, "mean", "sd", "sd_same_starts")] for row in recorded()]
    return _table([*AGENT, "sd of one", "sd, same start states"], rows)


def readings_summary() -> str:
    """Mean differences, with their 95 % intervals, that other readings of the meta-test make."""
    rows = [[*_agent(row), *_figures(row, "mean"), *_changes(row)] for row in recorded()]
    return _table([*AGENT, "actions sampled", "state carried over", "context capped"], rows)


def _figures(row: dict[str, str], *columns: str) -> list[str]:
    return [f"{float(row[column]):.2f}" for column in columns]


def _changes(row: dict[str, str]) -> list[str]:
    return [
        f"{float(row[reading]):+.2f} ± {float(row[f'{reading}_ci95']):.2f}" if row[reading] else "-"
        for reading in READINGS
    ]


def _table(heads: list[str], rows: list[list]) -> str:
    """In Markdown; nothing where there are no rows."""
    if not rows:
        return ""
    lines = [heads, ["---"] * len(heads), *(map(str, row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


@click.command()
@click.argument("results", nargs=-1, type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(results: tuple[Path, ...]) -> None:
    """Repeat the last meta-test of RESULTS; without any, only print."""
    torch.set_num_threads(1)
    with click.progressbar(results, item_show_func=lambda result: result and str(result), file=sys.stderr) as bar:
        for result in bar:
            record(measure(result))
    print(summary(), readings_summary(), sep="\n", end="")


if __name__ == "__main__":
    main()
