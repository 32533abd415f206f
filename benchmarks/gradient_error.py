"""What bfloat16 does to one gradient, against what another batch does to it; and what it would do to an encoder's.

`python benchmarks/gradient_error.py` meta-trains the benchmark's mlp for one iteration on each family, then takes the
gradients of one step on one batch in float64, float32 and bfloat16, and those of another batch. It prints the first
table of docs/precision.md: the angle, as 1 - cosine, between each of them and the float64 gradient, a network a row.

Then it trains each encoder on point-robot in float32 and looks, as training goes on, at the gradient of the encoder's
first layer as float32 and as bfloat16 would have it: the second table, and why no encoder runs in bfloat16.
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
BATCHES = 10
ENCODERS = ("mlp", "recurrent", "attention")
AT_STEPS = (1, 100, 300)


class Recorder(torch.optim.Optimizer):
    """Keeps the gradients that an optimiser would have used, and changes nothing."""

    def __init__(self, parameters: list[torch.nn.Parameter]):
        super().__init__(parameters, {})

    def step(self) -> None:
        for parameter in self.param_groups[0]["params"]:
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            self.state[parameter]["gradient"] = gradient.double()


class InBfloat16(torch.nn.Module):
    """An encoder as torch.autocast runs it."""

    def __init__(self, encoder: torch.nn.Module):
        super().__init__()
        self.encoder = encoder

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return self.encoder(input)


def recorded_step(agent: Agent, settings: Settings, batch: Batch, dtype: torch.dtype, precision: str) -> GradientStep:
    """A step on `agent` in place, whose gradients are in its optimisers and whose updates are left out."""
    step = GradientStep.from_settings(agent, settings.model_copy(update={"precision": precision}))
    step.critic_optimizer = Recorder(step.critic_parameters)
    step.actor_optimizer = Recorder(step.actor_parameters)
    step(Batch(*(part.to(dtype) for part in batch)))
    return step


def gradients(agent: Agent, settings: Settings, batch: Batch, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The gradient of every network, flat, in float64."""
    master = torch.float64 if dtype == torch.float64 else torch.float32
    agent = copy.deepcopy(agent).to(master)
    precision = "bfloat16" if dtype == torch.bfloat16 else "float32"
    step = recorded_step(agent, settings, batch, master, precision)
    state = step.critic_optimizer.state | step.actor_optimizer.state
    return {
        name: torch.cat([state[parameter]["gradient"].flatten() for parameter in getattr(agent, name).parameters()])
        for name in NETWORKS
    }


def first_layer_gradient(agent: Agent, settings: Settings, batch: Batch, dtype: torch.dtype) -> torch.Tensor:
    """Of the encoder's first weights, flat, in float64, the encoder in `dtype`, the rest in at least float32."""
    master = torch.float64 if dtype == torch.float64 else torch.float32
    agent = copy.deepcopy(agent).to(master)
    weights = next(agent.context_encoder.parameters())
    if dtype == torch.bfloat16:
        agent.context_encoder = InBfloat16(agent.context_encoder)
    step = recorded_step(agent, settings, batch, master, "float32")
    return step.critic_optimizer.state[weights]["gradient"].flatten()


def angle(a: torch.Tensor, b: torch.Tensor) -> float:
    """1 - cosine; 1 where either is zero."""
    return 1.0 - float(torch.nn.functional.cosine_similarity(a, b, dim=0))


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
    print(f"{environment}: one iteration", file=sys.stderr)
    next(training.run())
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
                found[name].setdefault(what, []).append(angle(gradient[name], exact[name]))
    return {name: {what: float(np.mean(values)) for what, values in angles.items()} for name, angles in found.items()}


def measure_encoder(encoder: str) -> dict[str, dict[str, float]]:
    """Means over BATCHES, of the encoder's first layer: gradient steps → what → value."""
    settings = trial_settings(
        load_params(Path("params.yaml")), environment="point-robot", encoder=encoder, seed=0, budget="benchmark"
    ).model_copy(update={"precision": "float32", "num_train_steps_per_itr": max(AT_STEPS)})
    training = Trial(settings, find_encoder_file(encoder), "cpu").assemble()
    found = {}

    def look(training: MetaTraining) -> None:
        if training.steps_taken not in AT_STEPS:
            return
        print(f"{encoder}: gradient step {training.steps_taken}", file=sys.stderr)
        values: dict[str, list[float]] = {"float32": [], "bfloat16": [], "length": []}
        for _ in range(BATCHES):
            batch = draw(training)
            exact, single, half = (
                first_layer_gradient(training.agent, settings, batch, dtype)
                for dtype in (torch.float64, torch.float32, torch.bfloat16)
            )
            values["float32"].append(angle(single, exact))
            values["bfloat16"].append(angle(half, exact))
            values["length"].append(float(half.norm() / exact.norm()))
        found[str(training.steps_taken)] = {what: float(np.mean(each)) for what, each in values.items()}

    next(training.run(look))
    return found


def summary() -> str:
    """What is recorded of the networks, in Markdown."""
    rows = [("environment", "network", "float32", "bfloat16", "another batch")]
    for environment, networks in recorded()["networks"].items():
        rows += [
            (environment, name, *(f"{value:.1g}" for value in angles.values())) for name, angles in networks.items()
        ]
    return table(rows)


def encoder_summary() -> str:
    """What is recorded of the encoders, in Markdown."""
    rows = [("encoder", "gradient steps", "float32", "bfloat16", "length left in bfloat16")]
    for encoder, steps in recorded()["encoders"].items():
        rows += [
            (encoder, step, f"{of['float32']:.1g}", f"{of['bfloat16']:.1g}", f"{of['length']:.3g}")
            for step, of in steps.items()
        ]
    return table(rows)


def table(rows: list[tuple[str, ...]]) -> str:
    rows.insert(1, ("---",) * len(rows[0]))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def recorded() -> dict[str, dict]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {"networks": {}, "encoders": {}}


def record(what: str, name: str, found: dict) -> None:
    whole = recorded()
    whole[what][name] = found
    RESULTS.write_text(json.dumps(whole, indent=1) + "\n")


@click.command()
@click.option("--env", "environments", multiple=True, type=click.Choice(ENVIRONMENTS), help="[default: all]")
@click.option("--encoder", "encoders", multiple=True, type=click.Choice(ENCODERS), help="[default: all]")
def main(environments: tuple[str, ...], encoders: tuple[str, ...]) -> None:
    """Measure, record in benchmarks/gradient_error.json, print; with either option only what it names."""
    everything = not environments and not encoders
    for environment in ENVIRONMENTS if everything else environments:
        record("networks", environment, measure(environment))
    for encoder in ENCODERS if everything else encoders:
        record("encoders", encoder, measure_encoder(encoder))
    print(summary(), encoder_summary(), sep="\n", end="")


if __name__ == "__main__":
    main()
