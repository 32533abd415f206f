"""Spoil one recorded file at a time, and build the report: `python -m tests.faults.fuzz_results --tries 2000`.

Reading, figures and page run in this process. No exception may leave them, and a spoilt file may cost one line.
"""

import argparse
import pickle
import random
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from oyster.report import page, paper
from oyster.report.build import draw
from oyster.report.read.grid import read_grid
from oyster.report.read.results import NUMBERS, Results, load
from oyster.report.read.trial_files import TRIAL
from tests.faults.mutation import mutate
from tests.faults.report_trees import Shape, Tree, small_tree

FILES = ("metrics.json", "progress.csv", "adaptation.csv", "posteriors.csv", "provenance.json", "trajectories.npz")
SHAPE = Shape(tasks=2, latent_dim=2, evaluations=1, trajectories=2, steps=2)


class Fuzz:
    """A small results tree, one file of which is spoilt for each try."""

    def __init__(self, root: Path, seed: int = 0):
        self.rng = random.Random(seed)
        self.tree: Tree = small_tree(root, SHAPE, environments=["point-robot"])
        self.tree.write_all(iterations=2)
        self.grid = read_grid(self.tree.params, self.tree.name)
        self.out = root / "out"
        self.made: dict[bytes, object] = {}

    def one(self) -> Results:
        """Spoil a file, build, put the file back. AssertionError names what was spoilt and how to do it again."""
        path = self.tree.results / "point-robot" / "mlp" / str(self.rng.choice([1, 2])) / self.rng.choice(FILES)
        sound = path.read_bytes()
        spoilt = mutate(sound, self.rng)
        try:
            path.write_bytes(spoilt)
            results = self.build()
        except Exception as error:
            raise AssertionError(f"{path.name} spoilt as {spoilt[:2000]!r}") from error
        finally:
            path.write_bytes(sound)
        said = [*results.unusable, *results.remarks]
        assert len(said) <= 1, f"{path.name} spoilt as {spoilt[:2000]!r} costs {len(said)} lines: {said}"
        assert not said or said[0].isprintable(), said
        return results

    def build(self) -> Results:
        """All that `oyster report` does, and --paper but PDF. What gives the same tables or figures is made once."""
        results = load(self.tree.results, self.grid)
        frames = (results.progress, results.adaptation, results.posteriors, results.scripted, results.traces)
        pictured = pickle.dumps((results.trials[[*TRIAL, "status", *NUMBERS]], *frames))  # of texts no figure is made
        taken = self._once(pickle.dumps(results.trials) + pictured, lambda: self._exported(results))
        self._once(pictured, lambda: page.render(results, draw(results), taken, "").encode("utf-8"))
        page.render(results, [], taken, "").encode("utf-8")
        return results

    def _exported(self, results: Results) -> list[paper.Table]:
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir()
        paper.write_paper(results, [], self.out)
        return paper.write_all(results, self.out)

    def _once(self, key: bytes, make: Callable):
        if key not in self.made:
            self.made[key] = make()
        return self.made[key]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        fuzz, lines, started = Fuzz(Path(folder), given.seed), 0, time.monotonic()
        for _ in range(given.tries):
            lines += len(fuzz.one().unusable)
        seconds = (time.monotonic() - started) / given.tries
    print(f"{given.tries} tries, {seconds:.2f} s each: {lines} files refused, and no exception")


if __name__ == "__main__":
    main()
