"""python -m tests.faults.fuzz_records [--tries 2000] [--commands 100] [--seed 0]: spoilt results, read by two commands.

Each try spoils one recorded file of a whole result. `verify` and `simulate` must take what they can use, or say in a
sentence what they cannot: their reading parts in this process, and the real commands.
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from click.testing import CliRunner

from oyster.algorithms.pearl.agent import Agent
from oyster.cli import main as oyster
from oyster.reproduce.verify import check_hashes, find_results, first_difference, read_verifiable
from oyster.runtime.errors import InputError
from oyster.runtime.records import RESULT_FILES, WEIGHTS, problems
from oyster.trial.saved import read_result, recorded_returns
from oyster.trial.saved_agent import fill, load_agent, read_weights
from tests.faults.mutation import mutate

ROOT = Path(__file__).resolve().parents[2]
TINY = Path(__file__).with_name("tiny.yaml")
ENCODER = ROOT / "encoders" / "mlp.py"
FILES = (*RESULT_FILES, WEIGHTS)


def train(out: Path) -> Agent:
    """A whole result in `out`, and its agent."""
    names = ("--env", "point-robot", "--encoder", "mlp", "--seed", "1", "--preset", "tiny", "--device", "cpu")
    done = CliRunner().invoke(oyster, ["train", *names, "--params", str(TINY), "--out", str(out)])
    assert done.exit_code == 0, done.output
    settings, _ = read_result(out)
    return load_agent(settings, {"encoder": ENCODER}, out / WEIGHTS, "cpu")[1]


def spoil(whole: Path, result: Path, draw: random.Random) -> str:
    """Copy the result with one file spoilt. Its name."""
    shutil.rmtree(result, ignore_errors=True)
    shutil.copytree(whole, result)
    name = draw.choice(FILES)
    (result / name).write_bytes(mutate((whole / name).read_bytes(), draw))
    return name


def read(result: Path, whole: Path, agent: Agent) -> None:
    """All that the commands read of a result before, or after, they compute. Any error but InputError is a fault."""
    problems(result)
    with suppress(InputError):
        find_results(result)
    with suppress(InputError):
        check_hashes(result)
        read_verifiable(result)
    first_difference(result, whole, None)
    first_difference(result, whole, 1)
    with suppress(InputError):
        read_result(result)
    with suppress(InputError):
        recorded_returns(result / "adaptation.csv")
    with suppress(InputError):
        fill(agent, read_weights(result / WEIGHTS), result / WEIGHTS, ENCODER)


def fuzz(tries: int, seed: int, whole: Path, agent: Agent, folder: Path) -> None:
    draw = random.Random(seed)
    for number in range(tries):
        name = spoil(whole, folder / "spoilt", draw)
        try:
            read(folder / "spoilt", whole, agent)
        except BaseException:
            print(f"\ntry {number} of seed {seed}: {name} as spoilt in {folder / 'spoilt'}", file=sys.stderr)
            raise
        if number % 100 == 99:
            print(f"\r{number + 1} results read", end="", flush=True)


def fuzz_commands(tries: int, seed: int, whole: Path, folder: Path) -> None:
    draw = random.Random(seed)
    for number in range(tries):
        name = spoil(whole, folder / "spoilt", draw)
        options = draw.choice([["verify"], ["simulate", "--out", str(folder / "simulation")]])
        command = [sys.executable, "-m", "oyster", options[0], str(folder / "spoilt"), *options[1:]]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode not in (0, 1, 2) or "Traceback" in done.stderr or "\x1b" in done.stderr + done.stdout:
            raise SystemExit(f"\ncommand {number} of seed {seed}, {name}: exit {done.returncode}\n{done.stderr}")
        print(f"\r{number + 1} commands ended in a result or a sentence", end="", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=2000)
    parser.add_argument("--commands", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        agent = train(Path(name) / "whole")
        fuzz(options.tries, options.seed, Path(name) / "whole", agent, Path(name))
        fuzz_commands(options.commands, options.seed, Path(name) / "whole", Path(name))
    print(f"\r{options.tries} spoilt results read and {options.commands} given to the commands: no traceback.")


if __name__ == "__main__":
    main()
