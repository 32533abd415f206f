"""`oyster check` of an encoder: the contract, and how it behaves. One table, on one core, in a minute."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from oyster.algorithms.pearl import carried, contract
from oyster.algorithms.pearl.encoder_file import load_encoder_class
from oyster.algorithms.pearl.settings import ENCODERS, Settings
from oyster.algorithms.pearl.subject import Breach, Note, Subject
from oyster.check import behaviour, practice, reproducible
from oyster.check.finding import Finding
from oyster.check.practice import Candidate
from oyster.envs import families, load_family
from oyster.grid import Agent, Params, encoder_agent, evaluated_families, trial_settings
from oyster.runtime import seeds
from oyster.runtime.device import fix_arithmetic
from oyster.runtime.errors import TrialFailure, encoder_at_fault
from rlkit.torch import pytorch_util as ptu

DEFAULT_ENVIRONMENT = "cheetah-vel"
FIRST = ("cheetah-vel", "sparse-point-robot", "point-robot")  # of the families of one size
MLP = ENCODERS / "mlp.py"  # what others are compared with
NUM_STEPS = 400  # of the short training

CHECKS: dict[str, Callable[[Candidate], str | Note]] = {
    "constructor": contract.constructor,
    "save_init_params": contract.save_init_params,
    "output_size": contract.output_size,
    "reset": contract.reset,
    "forward, 3-D": contract.forward,
    "forward, 2-D": contract.forward_one_task,
    "belief to act": contract.belief_to_act,
    "checkpoints": carried.carried,
    "random numbers": reproducible.random_numbers,
    "repeatable": contract.repeatable,
    "return_preactivations": behaviour.return_preactivations,
    "graphs released": practice.graphs_released,
    "finite in training": behaviour.finite_in_training,
    "shapes": behaviour.shapes,
    "gradients": behaviour.gradients_everywhere,
    "tasks kept apart": behaviour.tasks_kept_apart,
    "calls kept apart": behaviour.calls_apart,
    "instances kept apart": behaviour.instances_apart,
    "order of the context": behaviour.order,
    "finite": behaviour.finite,
    "save and load": reproducible.save_and_load,
    "other device": reproducible.other_device,
    "sharpens": behaviour.sharpens,
}
# Without these the later checks would only repeat the same failure in other words.
GATES = ("constructor", "reset", "forward, 3-D", "random numbers", "repeatable")


def check_encoder(
    file: Path,
    params: Params,
    *,
    environment: str | None = None,
    preset: str = "benchmark",
    num_steps: int = NUM_STEPS,
    timing: bool = True,
) -> list[Finding]:
    """All findings on the encoder in `file`, at one environment's sizes (without one: the default's, and the must-have
    subset at every other's). InputError for an unreadable file or an unknown environment or preset.
    """
    environments = [environment] if environment else _of_each_size(_environments(params, preset))
    main = DEFAULT_ENVIRONMENT if DEFAULT_ENVIRONMENT in environments else environments[0]
    settings = {name: _settings(params, name, file.stem, preset) for name in environments}
    encoder_class = load_encoder_class(file)
    fix_arithmetic(settings[main].threads)
    ptu.set_gpu_mode(False)
    candidate = Candidate(encoder_class, settings[main], load_family(main), num_steps)
    findings = []
    with seeds.separate_torch_stream(0, contract.STREAM):
        for name, check in CHECKS.items():
            findings.append(_finding(name, check, candidate))
            if name in GATES and findings[-1].verdict == "fail":
                return [*findings, Finding("all further checks", "info", f"left out: they need '{name}' to hold")]
        for name in environments:
            if name != main:
                subject = Subject(encoder_class, settings[name], load_family(name))
                findings.append(_finding(f"sizes of {name}", _must_have, subject))
        findings.append(_finding("parameters", _parameters, candidate))
        if timing and MLP.is_file():
            findings.extend(_costs(encoder_class, file.stem, params, preset, environments if environment else None))
    return findings


def _finding(name: str, check: Callable[[Any], str | Note], subject: Subject) -> Finding:
    try:
        with encoder_at_fault():
            seen = check(subject)
    except Breach as breach:
        return Finding(name, "fail", breach.seen, breach.fix)
    except TrialFailure as failure:
        return Finding(name, "fail", failure.reason, "the message names the line")
    return Finding(name, *seen) if isinstance(seen, Note) else Finding(name, "pass", seen)


def _must_have(subject: Subject) -> str:
    for requirement in contract.MUST_HAVE.values():
        requirement(subject)
    return f"input_size {subject.input_size}: keeps the contract"


def _parameters(subject: Subject) -> Note:
    each_of = [subject]
    if MLP.is_file():  # outside a project there is none to compare with
        settings = subject.settings.model_copy(update={"encoder_arguments": {}})
        each_of.append(Subject(load_encoder_class(MLP), settings, subject.family))
    counts = []
    for each in each_of:
        encoder = each.construct()
        each.posterior(encoder, each.context(2, 8))  # layers may take their size from the first input
        counts.append(sum(parameter.numel() for parameter in encoder.parameters()))
    own, *mlp = counts
    return Note("info", f"{own:,}" + "".join(f", {own / each:.2f} times those of mlp ({each:,})" for each in mlp))


def _costs(
    encoder_class: type, encoder: str, params: Params, preset: str, environments: list[str] | None
) -> list[Finding]:
    """Without `environments`, those of the preset's grid."""
    grid = params.grids.get(preset)
    environments, num_seeds = environments or _environments(params, preset), len(grid.seeds) if grid else 1
    mlp_class, costs = load_encoder_class(MLP), []
    for environment in environments:
        own, mlp = (
            Subject(each, _settings(params, environment, name, preset), load_family(environment))
            for each, name in ((encoder_class, encoder), (mlp_class, "mlp"))
        )
        try:
            costs.append(practice.measure_cost(own, mlp))
        except TrialFailure as failure:
            return [Finding("gradient step", "fail", f"at the sizes of {environment}: {failure.reason}")]
    steps = "; ".join(
        f"{cost.environment} {cost.milliseconds:.1f} ms ({cost.milliseconds / cost.milliseconds_mlp:.2f} times mlp)"
        for cost in costs
    )
    hours = num_seeds * sum(cost.milliseconds * cost.num_steps for cost in costs) / 3.6e6
    hours_mlp = num_seeds * sum(cost.milliseconds_mlp * cost.num_steps for cost in costs) / 3.6e6
    projected = f"{hours:.1f} h of gradient steps for {len(costs)} environments x {num_seeds} seeds here"
    return [
        Finding("gradient step", "info", steps),
        Finding(f"{preset}, projected", "info", f"{projected} (mlp: {hours_mlp:.1f} h)"),
    ]


def _environments(params: Params, preset: str) -> list[str]:
    """Those of the grid that is named like the preset; else those that the preset evaluates, or the first of all."""
    if preset in params.grids:
        return list(params.grids[preset].environments)
    return evaluated_families(params, preset) or families()[:1]


def _of_each_size(environments: list[str]) -> list[str]:
    """One environment for each pair of observation and action sizes, the benchmark's before others."""
    by_size: dict[tuple[int, int, bool], str] = {}
    for name in sorted(environments, key=lambda name: name not in FIRST):
        family = load_family(name)
        by_size.setdefault((family.observation_dim, family.action_dim, family.sparse), name)
    return [name for name in environments if name in by_size.values()]


def _settings(params: Params, environment: str, encoder: str, preset: str) -> Settings:
    name, agent = encoder_agent(params, encoder)
    if (agent.algorithm, agent.encoder) != ("pearl", encoder):  # an agent of that name with another encoder
        agent = Agent(encoder=encoder)
    agent = name, agent
    return trial_settings(params, environment=environment, agent=agent, seed=0, preset=preset)
