"""python -m benchmarks.checkpoint_bytes: what a checkpoint writes to the disk, for a body with many observations.

A replay store of humanoid's size is filled; then a few trajectories more come, as between two checkpoints. The plain
twin writes the whole store, its next observations too, as one safetensors file.
"""

import tempfile
from pathlib import Path

import click
import torch

from oyster.rl.replay import Layout
from oyster.runtime.checkpoint import Checkpoint, CheckpointFolder, Log, split, to_bytes

OBSERVATION, ACTION = 376, 17


def written(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


@click.command()
@click.option("--stored", default=200_000, show_default=True, help="Transitions before.")
@click.option("--new", default=5_000, show_default=True, help="Transitions between two checkpoints.")
@click.option("--horizon", default=200, show_default=True)
def main(stored: int, new: int, horizon: int) -> None:
    width = sum(Layout(OBSERVATION, ACTION).widths)
    rows = torch.rand((stored + new) * (horizon + 1) // horizon, width)
    before = stored * (horizon + 1) // horizon
    twice = torch.rand(stored + new, width + OBSERVATION)  # as each transition with its next observation
    plain = len(to_bytes(Checkpoint({"store": twice}, {})))
    with tempfile.TemporaryDirectory() as name:
        folder = CheckpointFolder(Path(name), {})
        folder.save(split({"store": Log(rows[:before])}))
        first = written(Path(name))
        folder.save(split({"store": Log(rows)}))
        second = written(Path(name)) - first
    click.echo(f"| whole store at every checkpoint, next observations too | {plain / 1e6:8.1f} MB |")
    click.echo(f"| the first checkpoint | {first / 1e6:8.1f} MB |")
    click.echo(f"| the next one, {new} transitions later | {second / 1e6:8.1f} MB |")


if __name__ == "__main__":
    main()
