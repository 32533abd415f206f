"""python agents/pack.py RESULT_FOLDER OUT: a trained agent as one file, of which `oyster.load` makes an agent again.

Only the networks that act are kept; the header says where they come from (oyster/trial/packed.py).
"""

import argparse
import sys
import tomllib
from pathlib import Path

from oyster.runtime.errors import InputError
from oyster.trial.packed import ACTING, Packed, write_packed
from oyster.trial.saved import find_saved
from oyster.trial.saved_agent import read_weights

ROOT = Path(__file__).resolve().parents[1]


def pack(result: Path, out: Path) -> Packed:
    """InputError where `result` holds no whole result, its weights are not here, or `out` is no name of an agent."""
    saved = find_saved(result)
    state = read_weights(saved.weights)
    parts = list(dict.fromkeys(name.split(".")[0] for name in state))
    kept = ("settings", "settings_sha256", "encoder_sha256", "key", "commit")
    packed = Packed(
        **{name: saved.recorded[name] for name in kept if name in saved.recorded},
        version=tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"],
        meta_test_return=saved.meta_test_return,
        returns=saved.returns,
        acting=list(ACTING.get(saved.settings.algorithm, parts)),
    )
    write_packed(out, packed, state)
    return packed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path, help="as results/demo/point-robot/mlp/42")
    parser.add_argument("out", type=Path, help="as agents/point-robot.safetensors")
    given = parser.parse_args()
    try:
        packed = pack(given.result, given.out)
    except (InputError, OSError) as error:
        sys.exit(f"error: {error}")
    print(f"{given.out}: {given.out.stat().st_size} bytes, meta-test return {packed.meta_test_return:.2f}")
