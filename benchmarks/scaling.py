"""How a gradient step's cost grows with the context, the tasks a batch and the width: cheetah-vel mlp, one at a time.

`python -m benchmarks.scaling [--device cuda]` prints a table of milliseconds and achieved GFLOP/s and adds it to
benchmarks/results.json. The floating-point work is counted from the layers' sizes.
"""

import json
import statistics
import time
from itertools import pairwise

import click
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.gradient_step import RESULTS, device_named, hyperparameters, make_agent, make_batch, synchronize
from oyster.algorithms.pearl.encoder_file import load_encoder_class
from oyster.algorithms.pearl.gradient_step import Batch, GradientStep
from oyster.algorithms.pearl.settings import Settings, find_encoder_file
from oyster.envs import load_family
from oyster.grid import load_params, trial_settings
from oyster.rl.fused_mlp import linear
from oyster.runtime.device import fix_arithmetic

AXES = {"context": (64, 256, 1024, 4096), "tasks": (4, 16, 64), "width": (128, 300, 512, 1024)}
REPEATS = 4


def gigaflop(settings: Settings, context: int) -> float:
    """Multiplications and additions of one step's matrix products, in 10⁹."""
    family = load_family(settings.environment)
    o, a, z, n = family.observation_dim, family.action_dim, settings.latent_dim, settings.net_size

    def products(sizes: list[int]) -> int:
        return sum(2 * one * other for one, other in pairwise(sizes))

    q, v, pi = (products([i, n, n, n, out]) for i, out in ((o + a + z, 1), (o + z, 1), (o + z, 2 * a)))
    rows = settings.meta_batch * settings.batch_size
    # Forward is one product, backward one for the weights and one for the inputs; frozen critics have no weights' part.
    networks = rows * (2 * 3 * q + v + 3 * v + 3 * pi + 2 * 2 * q)
    hidden = list(settings.encoder_hidden_sizes)
    encoder = settings.meta_batch * context * 3 * products([o + a + 1, *hidden, 2 * z])
    return (networks + encoder) / 1e9


def milliseconds(settings: Settings, context: int, precision: str, device: torch.device) -> float:
    agent = make_agent(settings, load_encoder_class(find_encoder_file("mlp"))).to(device)
    step = GradientStep(agent, precision=precision, **hyperparameters(settings))
    generator = torch.Generator().manual_seed(0)
    times = []
    for repeat in range(REPEATS + 1):
        batch = Batch(*(part.to(device) for part in make_batch(settings, context, generator)))
        synchronize(device)
        started = time.perf_counter()
        step(batch)
        synchronize(device)
        if repeat:
            times.append(1e3 * (time.perf_counter() - started))
    return statistics.median(times)


def products_alone(size: int = 1024, rows: int = 4096) -> dict[str, float]:
    """GFLOP/s of one large matrix product on the CPU, best of several: the ceiling for a step."""
    x, weight = torch.randn(rows, size), torch.randn(size, size)
    x16, weight16 = x.bfloat16(), weight.bfloat16()
    cases = {
        "float32, F.linear": lambda: torch.nn.functional.linear(x, weight),
        "float32, fused": lambda: linear(x, weight),
        "bfloat16, fused": lambda: linear(x16, weight16),
    }
    speeds = {}
    for name, product in cases.items():
        times = []
        for _ in range(8):
            started = time.perf_counter()
            product()
            times.append(time.perf_counter() - started)
        speeds[name] = 2e-9 * rows * size * size / min(times)
    return speeds


@click.command()
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
def main(device: str) -> None:
    """Time a gradient step along three axes."""
    fix_arithmetic(threads=1)
    chosen = device_named(device)
    base = trial_settings(load_params(), environment="cheetah-vel", agent="mlp", seed=0, preset="benchmark")
    table = Table("axis", "value", "GFLOP", "float32, ms", "GFLOP/s", "bfloat16, ms", "GFLOP/s")
    rows = []
    for axis, values in AXES.items():
        for value in values:
            changes = {"tasks": {"meta_batch": value}, "width": {"net_size": value}}.get(axis, {})
            settings, context = base.model_copy(update=changes), value if axis == "context" else 100
            work = gigaflop(settings, context)
            times = {name: milliseconds(settings, context, name, chosen) for name in ("float32", "bfloat16")}
            rows.append({"axis": axis, "value": value, "gigaflop": work, "milliseconds": times})
            cells = [cell for ms in times.values() for cell in (f"{ms:.0f}", f"{1e3 * work / ms:.0f}")]
            table.add_row(axis, str(value), f"{work:.1f}", *cells)
    Console(width=100).print(table)
    speeds = products_alone() if device == "cpu" else {}
    for name, speed in speeds.items():
        print(f"one large product, {name}: {speed:.0f} GFLOP/s")
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(
        json.dumps(known | {f"scaling_{device}": rows, f"products_alone_{device}": speeds}, indent=2) + "\n"
    )


if __name__ == "__main__":
    main()
