"""Does bfloat16 change what is learned, or another processor? Paired seeds, against margins named in advance.

`python benchmarks/precision.py --seeds 10` trains what benchmarks/precision.csv does not yet hold of this processor,
one trial after the other (start several processes with disjoint --first to use more cores), and prints the tables of
docs/precision.md: the interval of each mean difference. The budget is benchmarks/precision.yaml.
"""

import csv
import fcntl
import json
import sys
import tempfile
from itertools import combinations
from pathlib import Path

import click
import pandas as pd
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from oyster.encoder_file import find_encoder_file
from oyster.runtime import provenance
from oyster.settings import load_params, trial_settings
from oyster.trial import run_trial

PARAMS = Path(__file__).with_suffix(".yaml")
RESULTS = Path(__file__).with_suffix(".csv")
TRIAL = ["environment", "encoder", "seed", "precision", "cpu"]
PRECISIONS = ("float32", "bfloat16")
MARGINS = {"point-robot": 1.0, "sparse-point-robot": 0.5, "cheetah-vel": 0.1}  # cheetah-vel: of the first side's return
CASES = (("point-robot", "mlp"), ("point-robot", "recurrent"), ("sparse-point-robot", "mlp"), ("cheetah-vel", "mlp"))


def recorded() -> pd.DataFrame:
    return pd.read_csv(RESULTS) if RESULTS.exists() else pd.DataFrame(columns=[*TRIAL, "meta_test_return"])


def record(*row) -> None:
    with RESULTS.open("a", newline="") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        writer = csv.writer(file, lineterminator="\n")
        if file.tell() == 0:
            writer.writerow([*TRIAL, "meta_test_return"])
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
    """bfloat16 beside float32, on the same processor."""
    return _table(recorded(), ["seed", "cpu"], "precision", PRECISIONS)


def processor_summary() -> str:
    """Each two processors beside each other, in bfloat16."""
    known = recorded().query("precision == 'bfloat16'")
    return "\n".join(_table(known, ["seed"], "cpu", pair) for pair in combinations(sorted(known.cpu.unique()), 2))


def _table(known: pd.DataFrame, pair: list[str], varied: str, sides: tuple[str, str]) -> str:
    """The 95 % t-interval of the mean paired difference of each case, second side - first, in Markdown."""
    rows = [("environment", "encoder", "pairs", *sides, "difference, 95 %", "margin", "shown")]
    rows.append(("---",) * len(rows[0]))
    for environment, encoder in CASES:
        case = known.query("environment == @environment and encoder == @encoder")
        pairs = case.pivot(index=pair, columns=varied, values="meta_test_return").reindex(columns=sides).dropna()
        if len(pairs) < 2:
            continue
        first, second = (pairs[side] for side in sides)
        difference = second - first
        low, high = stats.t.interval(0.95, len(pairs) - 1, difference.mean(), stats.sem(difference))
        margin = MARGINS[environment] * (abs(first.mean()) if environment == "cheetah-vel" else 1)
        rows.append(
            (
                environment,
                encoder,
                str(len(pairs)),
                f"{first.mean():.2f}",
                f"{second.mean():.2f}",
                f"{difference.mean():+.2f} ({low:+.2f} to {high:+.2f})",
                f"±{margin:.2f}",
                "yes" if -margin <= low and high <= margin else "no",
            )
        )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


@click.command()
@click.option("--seeds", default=10, show_default=True, help="Paired seeds a case; 0 only prints.")
@click.option("--first", default=0, show_default=True, help="The first of them.")
@click.option("--env", "environments", multiple=True, type=click.Choice(list(MARGINS)), help="[default: all]")
@click.option("--encoder", "encoders", multiple=True, type=click.Choice(["mlp", "recurrent"]), help="[default: all]")
@click.option("--precision", "precisions", multiple=True, type=click.Choice(PRECISIONS), help="[default: both]")
def main(
    seeds: int, first: int, environments: tuple[str, ...], encoders: tuple[str, ...], precisions: tuple[str, ...]
) -> None:
    """Train what is missing, then print the intervals."""
    cpu = provenance.hardware("cpu")["cpu"]
    for seed in range(first, first + seeds):
        for environment, encoder in CASES:
            if (environments and environment not in environments) or (encoders and encoder not in encoders):
                continue
            for precision in precisions or PRECISIONS:
                trial = (environment, encoder, seed, precision, cpu)
                if trial not in recorded()[TRIAL].itertuples(index=False, name=None):
                    record(*trial, train(environment, encoder, seed, precision))
    print(summary(), processor_summary(), sep="\n", end="")


if __name__ == "__main__":
    main()
