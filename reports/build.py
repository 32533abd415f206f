"""Build a report's folder: read, compute, draw, render into a folder beside, then swap it in whole."""

import shlex
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from reports import exports, folder, page
from reports.figures import FIGURES, FigureSpec, Svg
from reports.grid import Grid
from reports.results import Results, load
from reports.text import plain


def build(grid: Grid, results_folder: Path, out: Path) -> Results:
    """Write `<out>/index.html`, `tables/*`, `figures/*`. Raises InputError, having written nothing.

    The same results give the same bytes, wherever `out` is.
    """
    out = folder.replaceable(out)
    results = load(results_folder, grid)
    drawn = draw(results)
    options = {"--grid": grid.name, "--results": results_folder.as_posix(), "--out": f"reports/{grid.name}"}
    command = plain(shlex.join(["python", "-m", "reports", "build", *chain(*options.items())]))
    partial = folder.partial(out)
    for name in ("tables", "figures"):
        (partial / name).mkdir()
    taken = exports.write_all(results, partial / "tables")
    for figure in drawn:
        for name, svg in figure.panels.items():
            path = partial / page.figure_file(figure.spec.kind, name, "svg")
            path.write_text(svg, encoding="utf-8", newline="")
            path.with_suffix(".pdf").write_bytes(svg.pdf)
    (partial / "index.html").write_text(page.render(results, drawn, taken, command), encoding="utf-8", newline="")
    folder.swap(partial, out)
    return results


class Drawn(NamedTuple):
    """A figure drawn: what it is, and its panels by name."""

    spec: FigureSpec
    panels: dict[str, Svg]


def draw(results: Results) -> list[Drawn]:
    """Every figure, in the page's order; one for which there is nothing to draw has no panels."""
    return [Drawn(spec, spec.draw(results)) for spec in FIGURES]
