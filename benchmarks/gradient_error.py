"""What bfloat16 does to one gradient, against what another batch does to it.

`python benchmarks/gradient_error.py` meta-trains the benchmark's mlp for two iterations on each family, then takes the
gradients of one step on one batch in float64, float32 and bfloat16, and those of another batch. It prints the table
of docs/precision.md: the angle, as 1 - cosine, between each of them and the float64 gradient, a network a row.
"""

import copy
import json
import sys
from pathlib import Path

import click
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from oyster.encoder_file import find_encoder_file
from oyster.pearl.agent import Agent
from oyster.pearl.gradient_step import Batch, GradientStep
from oyster.pearl.meta_train import MetaTraining
from oyster.settings import Settings, load_params, trial_settings
from oyster.trial import Trial

RESULTS = Path(__file__).with_suffix(".json")
ENVIRONMENTS = ("cheetah-vel", "sparse-point-robot", "point-robot")
NETWORKS = ("context_encoder", "qf1", "qf2", "vf", "policy")
ITERATIONS = 2
BATCHES = 10


class Recorder(torch.optim.Optimizer):
    """Keeps the gradients that an optimiser would have used, and changes nothing."""

    def __init__(self, parameters: list[torch.nn.Parameter]):
        super().__init__(parameters, {})

    def step(self) -> None:
        for parameter in self.param_groups[0]["params"]:
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            self.state[parameter]["gradient"] = gradient.double()


def gradients(agent: Agent, settings: Settings, batch: Batch, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The gradient of every network, flat, in float64: of a step whose updates are left out."""
    master = torch.float64 if dtype == torch.float64 else torch.float32
    agent = copy.deepcopy(agent).to(master)
    precision = "bfloat16" if dtype == torch.bfloat16 else "float32"
    step = GradientStep.from_settings(agent, settings.model_copy(update={"precision": precision}))
    step.critic_optimizer = Recorder(step.critic_parameters)
    step.actor_optimizer = Recorder(step.actor_parameters)
    step(Batch(*(part.to(master) for part in batch)))
    state = step.critic_optimizer.state | step.actor_optimizer.state
    return {
        name: torch.cat([state[parameter]["gradient"].flatten() for parameter in getattr(agent, name).parameters()])
        for name in NETWORKS
    }


def draw(training: MetaTraining) -> Batch:
    tasks = training.rngs["tasks"].integers(len(training.train_tasks), size=training.settings.meta_batch)
    context = training._draw_context(training.context, tasks, training.context_length)
    return training._draw_batch(tasks, context)


def measure(environment: str) -> dict[str, dict[str, float]]:
    """Means over BATCHES of 1 - cosine to the float64 gradient: network → of what → value."""
    settings = trial_settings(
        load_params(Path("params.yaml")), environment=environment, encoder="mlp", seed=0, budget="benchmark"
    )
    training = Trial(settings, find_encoder_file("mlp"), "cpu").assemble()
    rows = training.run()
    for _ in range(ITERATIONS):
        print(f"{environment}: iteration {next(rows).iteration + 1} of {ITERATIONS}", file=sys.stderr)
    found: dict[str, dict[str, list[float]]] = {name: {} for name in NETWORKS}
    for _ in range(BATCHES):
        batch, other = draw(training), draw(training)
        exact = gradients(training.agent, settings, batch, torch.float64)
        for what, gradient in {
            "float32": gradients(training.agent, settings, batch, torch.float32),
            "bfloat16": gradients(training.agent, settings, batch, torch.bfloat16),
            "another batch": gradients(training.agent, settings, other, torch.float64),
        }.items():
            for name in NETWORKS:
                cosine = torch.nn.functional.cosine_similarity(gradient[name], exact[name], dim=0)
                found[name].setdefault(what, []).append(1.0 - float(cosine))
    return {name: {what: float(np.mean(values)) for what, values in angles.items()} for name, angles in found.items()}


def summary() -> str:
    """All that is recorded, in Markdown."""
    recorded = json.loads(RESULTS.read_text())
    rows = [("environment", "network", "float32", "bfloat16", "another batch")]
    rows.append(("---",) * len(rows[0]))
    for environment, networks in recorded.items():
        rows += [
            (environment, name, *(f"{value:.1g}" for value in angles.values())) for name, angles in networks.items()
        ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


@click.command()
@click.option("--env", "environments", multiple=True, type=click.Choice(ENVIRONMENTS), help="[default: all]")
def main(environments: tuple[str, ...]) -> None:
    """Measure, record in benchmarks/gradient_error.json, print."""
    for environment in environments or ENVIRONMENTS:
        recorded = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        recorded[environment] = measure(environment)
        RESULTS.write_text(json.dumps(recorded, indent=1) + "\n")
    print(summary(), end="")


if __name__ == "__main__":
    main()
