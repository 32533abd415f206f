"""Does bfloat16 change what is learned? Paired seeds of both precisions, against margins named in advance.

`python benchmarks/precision.py --seeds 10` trains what benchmarks/precision.csv does not yet hold, one trial after the
other (start several processes with disjoint --first to use more cores), and prints the table of docs/precision.md: the
interval of each mean difference. The budget is benchmarks/precision.yaml.
"""

import csv
import fcntl
import json
import sys
import tempfile
from pathlib import Path

import click
import numpy as np
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from oyster.encoder_file import find_encoder_file
from oyster.settings import load_params, trial_settings
from oyster.trial import run_trial

PARAMS = Path(__file__).with_suffix(".yaml")
RESULTS = Path(__file__).with_suffix(".csv")
HEADER = ("environment", "encoder", "seed", "precision", "meta_test_return")
MARGINS = {"point-robot": 1.0, "sparse-point-robot": 0.5, "cheetah-vel": 0.1}  # cheetah-vel: of the float32 return
CASES = (("point-robot", "mlp"), ("point-robot", "recurrent"), ("sparse-point-robot", "mlp"), ("cheetah-vel", "mlp"))


def recorded() -> dict[tuple[str, str, int, str], float]:
    if not RESULTS.exists():
        return {}
    with RESULTS.open() as file:
        return {
            (row["environment"], row["encoder"], int(row["seed"]), row["precision"]): float(row["meta_test_return"])
            for row in csv.DictReader(file)
        }


def record(*row) -> None:
    with RESULTS.open("a", newline="") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        writer = csv.writer(file, lineterminator="\n")
        if file.tell() == 0:
            writer.writerow(HEADER)
        writer.writerow(row)


def train(environment: str, encoder: str, seed: int, precision: str) -> float:
    settings = trial_settings(
        load_params(PARAMS), environment=environment, encoder=encoder, seed=seed, budget="precision"
    ).model_copy(update={"precision": precision})
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result"
        run_trial(settings, find_encoder_file(encoder), out, device="cpu", checkpoint_minutes=60)
        return json.loads((out / "metrics.json").read_text())["meta_test_return"]


def summary() -> str:
    """The 95 % t-interval of the mean paired difference, bfloat16 - float32, of each case, in Markdown."""
    known = recorded()
    rows = [("environment", "encoder", "pairs", "float32", "bfloat16", "difference, 95 %", "margin", "shown")]
    rows.append(("---",) * len(rows[0]))
    for case in CASES:
        environment, encoder = case
        margin = MARGINS[environment]
        seeds = sorted({seed for *trained, seed, _ in known if tuple(trained) == case})
        seeds = [seed for seed in seeds if all((*case, seed, p) in known for p in ("float32", "bfloat16"))]
        if len(seeds) < 2:
            continue
        plain, rounded = (np.array([known[*case, seed, p] for seed in seeds]) for p in ("float32", "bfloat16"))
        difference = rounded - plain
        low, high = stats.t.interval(0.95, len(seeds) - 1, difference.mean(), stats.sem(difference))
        allowed = margin * abs(plain.mean()) if environment == "cheetah-vel" else margin
        rows.append(
            (
                environment,
                encoder,
                str(len(seeds)),
                f"{plain.mean():.2f}",
                f"{rounded.mean():.2f}",
                f"{difference.mean():+.2f} ({low:+.2f} to {high:+.2f})",
                f"±{allowed:.2f}",
                "yes" if -allowed <= low and high <= allowed else "no",
            )
        )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


@click.command()
@click.option("--seeds", default=10, show_default=True, help="Paired seeds a case; 0 only prints.")
@click.option("--first", default=0, show_default=True, help="The first of them.")
@click.option("--env", "environments", multiple=True, type=click.Choice(list(MARGINS)), help="[default: all]")
@click.option("--encoder", "encoders", multiple=True, type=click.Choice(["mlp", "recurrent"]), help="[default: all]")
def main(seeds: int, first: int, environments: tuple[str, ...], encoders: tuple[str, ...]) -> None:
    """Train the missing pairs, then print the intervals."""
    for seed in range(first, first + seeds):
        for environment, encoder in CASES:
            if (environments and environment not in environments) or (encoders and encoder not in encoders):
                continue
            for precision in ("float32", "bfloat16"):
                if (environment, encoder, seed, precision) not in recorded():
                    meta_test_return = train(environment, encoder, seed, precision)
                    record(environment, encoder, seed, precision, meta_test_return)
    print(summary(), end="")


if __name__ == "__main__":
    main()
