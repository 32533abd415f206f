"""Time a gradient step, plain and fast: `make bench` prints a table and writes benchmarks/results.json.

One thread. Plain, float32 and bfloat16 take turns in one process on the same batches; each figure is a median of CPU
time (with --device cuda: of wall time, the device being waited for). The plain step runs as a plain program does:
denormals kept, freed memory returned.
"""

import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import click
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.plain_attention import PlainAttentionEncoder
from benchmarks.plain_step import PlainStep
from oyster.algorithms.pearl.agent import Agent, encoder_sizes
from oyster.algorithms.pearl.encoder_file import load_encoder_class
from oyster.algorithms.pearl.gradient_step import Batch, GradientStep
from oyster.algorithms.pearl.settings import Settings, find_encoder_file
from oyster.envs import load_family
from oyster.grid import load_params, trial_settings
from oyster.runtime import provenance
from oyster.runtime.device import choose_device, fix_arithmetic, keep_freed_memory
from oyster.runtime.errors import InputError

RESULTS = Path(__file__).with_name("results.json")


class Case(NamedTuple):
    name: str
    environment: str
    encoder: str
    context: int
    repeats: int
    target_float32: float
    target_bfloat16: float


CASES = (
    Case("cheetah-vel mlp", "cheetah-vel", "mlp", 100, 9, 1.3, 4.5),
    Case("sparse-point-robot mlp, context 1,024", "sparse-point-robot", "mlp", 1024, 9, 1.5, 5.0),
    Case("sparse-point-robot attention, context 1,024", "sparse-point-robot", "attention", 1024, 5, 1.8, 6.0),
    Case("point-robot recurrent, context 64", "point-robot", "recurrent", 64, 9, 1.4, 3.5),
    Case("recurrent over 1,024 transitions (stress)", "sparse-point-robot", "recurrent", 1024, 3, 8.0, 12.0),
)


def make_agent(settings: Settings, encoder_class: type) -> Agent:
    """The same agent each time: its layers are drawn from the same seed."""
    torch.manual_seed(0)
    family = load_family(settings.environment)
    dims = family.observation_dim, family.action_dim
    input_size, output_size = encoder_sizes(*dims, settings.latent_dim, True, settings.use_next_obs_in_context)
    encoder = encoder_class(
        hidden_sizes=list(settings.encoder_hidden_sizes), input_size=input_size, output_size=output_size
    )
    return Agent(encoder, *dims, settings.latent_dim, settings.net_size)


def make_batch(settings: Settings, context: int, generator: torch.Generator) -> Batch:
    """Random data of a benchmark batch's shape."""
    family = load_family(settings.environment)
    o, a, tasks, rows = family.observation_dim, family.action_dim, settings.meta_batch, settings.batch_size

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    return Batch(
        normal(tasks, rows, o),
        normal(tasks, rows, a).tanh(),
        normal(tasks, rows, 1),
        normal(tasks, rows, o),
        torch.zeros(tasks, rows, 1),
        normal(tasks, context, o + a + 1),
        normal(tasks, settings.latent_dim),
        normal(tasks, rows, a),
    )


def hyperparameters(settings: Settings) -> dict:
    names = ("learning_rate", "discount", "reward_scale", "kl_lambda", "soft_target_tau")
    return {name: getattr(settings, name) for name in names}


def as_a_plain_program() -> None:
    torch.set_flush_denormal(False)
    keep_freed_memory(False)


def as_a_trial() -> None:
    fix_arithmetic(threads=1)


def device_named(name: str) -> torch.device:
    try:
        return choose_device(name)
    except InputError as error:
        raise click.ClickException(str(error)) from None


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def measure(case: Case, device: torch.device) -> dict:
    """Median milliseconds a step of each variant, and plain ÷ fast."""
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    settings = trial_settings(
        load_params(), environment=case.environment, agent=case.encoder, seed=0, preset="benchmark"
    )
    encoder_class = load_encoder_class(find_encoder_file(case.encoder))
    plain_class = PlainAttentionEncoder if case.encoder == "attention" else encoder_class
    values = hyperparameters(settings)
    variants: dict[str, tuple[Callable[[], None], Callable]] = {
        "plain": (as_a_plain_program, PlainStep(make_agent(settings, plain_class).to(device), **values)),
        "float32": (as_a_trial, GradientStep(make_agent(settings, encoder_class).to(device), **values)),
        "bfloat16": (
            as_a_trial,
            GradientStep(make_agent(settings, encoder_class).to(device), precision="bfloat16", **values),
        ),
    }
    generator = torch.Generator().manual_seed(1)
    times: dict[str, list[float]] = {name: [] for name in variants}
    for repeat in range(case.repeats + 1):
        batch = Batch(*(part.to(device) for part in make_batch(settings, case.context, generator)))
        for name, (prepare, step) in variants.items():
            prepare()
            synchronize(device)
            started = clock()
            step(batch)
            synchronize(device)
            if repeat:  # the first is a warm-up
                times[name].append(1e3 * (clock() - started))
    medians = {name: statistics.median(values) for name, values in times.items()}
    ratios = {
        name: statistics.median(plain / fast for plain, fast in zip(times["plain"], times[name], strict=True))
        for name in ("float32", "bfloat16")
    }
    targets = {"float32": case.target_float32, "bfloat16": case.target_bfloat16}
    return {"case": case.name, "milliseconds": medians, "plain_over_fast": ratios, "targets": targets}


@click.command()
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
def main(device: str) -> None:
    """Time a gradient step, plain and fast."""
    as_a_trial()
    chosen = device_named(device)
    table = Table("case", "plain, ms", "float32, ms", "bfloat16, ms", "plain ÷ float32", "plain ÷ bfloat16")
    rows = []
    for case in CASES:
        row = measure(case, chosen)
        rows.append(row)
        ms, ratio = row["milliseconds"], row["plain_over_fast"]
        table.add_row(
            case.name,
            *(f"{ms[name]:.0f}" for name in ("plain", "float32", "bfloat16")),
            f"{ratio['float32']:.2f} (target {case.target_float32})",
            f"{ratio['bfloat16']:.2f} (target {case.target_bfloat16})",
        )
    Console(width=120).print(table)
    machine = {**provenance.hardware(device), "torch": torch.__version__, "python": platform.python_version()}
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    known[f"gradient_step_{device}"] = {"machine": machine, "threads": 1, "cases": rows}
    RESULTS.write_text(json.dumps(known, indent=2) + "\n")


if __name__ == "__main__":
    main()
