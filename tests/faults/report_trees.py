"""Results trees for the report's fault tests: those of tests/reports, small."""

import json
from pathlib import Path

from tests.reports.trees import GRID, USUAL, Shape, Tree

__all__ = ["Shape", "Tree", "edit", "small_tree"]


def small_tree(root: Path, shape: Shape = USUAL, **grid) -> Tree:
    """An empty tree below `root`: one environment, one encoder and two seeds, unless `grid` says otherwise."""
    smallest = {"environments": ["point-robot"], "encoders": ["mlp"], "seeds": [1, 2]}
    return Tree(root / "demo", "demo", GRID | smallest | grid, shape)


def edit(path: Path, **changes) -> None:
    """Change top-level entries of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
