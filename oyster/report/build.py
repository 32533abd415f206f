"""Build a folder: read, compute, draw, write into a folder beside it, then swap that in whole."""

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from oyster.key import Key
from oyster.report import page, paper
from oyster.report.figures import FIGURES, FigureSpec, Svg
from oyster.report.read.grid import Grid
from oyster.report.read.results import Results, load
from oyster.report.text import plain
from oyster.runtime.destination import filling, require_free
from oyster.runtime.key_file import write_key_file

# What a report's folder may hold, hence may lose; `figures` is of reports of before.
REPORT = ("index.html", "tables", "figures", "headline.md", "headline.tex", "results.parquet", "*.key.json")


def build(
    grid: Grid,
    results_folder: Path,
    out: Path,
    key: Key | None = None,
    remarks: Iterable[str] = (),
    outdated: Iterable[str] = (),
) -> Results:
    """Write `<out>/index.html` and what lies beside it. Raises InputError, having written nothing.

    The same results give the same bytes, wherever `out` is. With `key` its key file too, written last.
    """
    out = out.resolve()
    require_free("--out", out, REPORT)
    results = load(results_folder, grid, remarks, outdated)
    drawn = draw(results)
    command = plain(shlex.join(["python", "-m", "oyster", "report", grid.name]))
    with filling(out) as staged:
        taken = paper.write_all(results, staged)
        (staged / "index.html").write_text(page.render(results, drawn, taken, command), encoding="utf-8", newline="")
        if key:
            write_key_file(staged, key.text, key.parts, sorted(filter(Path.is_file, staged.iterdir())))
    return results


def build_paper(grid: Grid, results_folder: Path, out: Path) -> list[str]:
    """Write all figures and tables for a paper into `out`. Returns their names. InputError, having written none."""
    results = load(results_folder, grid)
    printed = [*(table.name for table in paper.all_tables(results)), paper.HEADLINE]
    ours = [f"{spec.kind}_*.{form}" for spec in FIGURES for form in ("svg", "pdf")]
    ours += [f"{name}.{form}" for name in printed for form in ("tex", "md")]
    out = out.resolve()
    require_free("--paper", out, ours)
    drawn = draw(results)
    with filling(out) as staged:
        paper.write_paper(results, drawn, staged)
    return sorted(path.name for path in out.iterdir())


class Drawn(NamedTuple):
    """A figure drawn: what it is, and its panels by name."""

    spec: FigureSpec
    panels: dict[str, Svg]


def draw(results: Results) -> list[Drawn]:
    """Every figure, in the page's order; one for which there is nothing to draw has no panels."""
    return [Drawn(spec, spec.draw(results)) for spec in FIGURES]
