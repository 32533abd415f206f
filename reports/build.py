"""Build a report's folder: read, compute, draw, render into a folder beside, then swap it in whole."""

import shlex
import shutil
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from reports import exports, page
from reports.figures import FIGURES, FigureSpec, Svg
from reports.grid import Grid, InputError
from reports.results import Results, load

OWNED = {"index.html", "tables", "figures"}  # what a report's folder may hold, hence what a build may replace


def build(grid: Grid, results_folder: Path, out: Path) -> Results:
    """Write `<out>/index.html`, `tables/*`, `figures/*.svg` and `.pdf`. Raises InputError, having written nothing.

    The same results give the same bytes, wherever `out` is.
    """
    out = out.resolve()
    foreign = sorted(path.name for path in out.iterdir() if path.name not in OWNED) if out.is_dir() else []
    if foreign or (out.exists() and not out.is_dir()):
        what = f"holds {', '.join(foreign[:3])}" if foreign else "is a file"
        raise InputError(f"{out} {what}, so it is not replaced. Give --out a folder of its own.")
    results = load(results_folder, grid)
    drawn = draw(results)
    options = {"--grid": grid.name, "--results": results_folder.as_posix(), "--out": f"reports/{grid.name}"}
    command = shlex.join(["python", "-m", "reports", "build", *chain(*options.items())])
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a build that was killed
    for folder in ("tables", "figures"):
        (partial / folder).mkdir(parents=True)
    exports.write_all(results, partial / "tables")
    for figure in drawn:
        for name, svg in figure.panels.items():
            path = partial / page.figure_file(figure.spec.kind, name, "svg")
            path.write_text(svg, encoding="utf-8", newline="")
            path.with_suffix(".pdf").write_bytes(svg.pdf)
    (partial / "index.html").write_text(page.render(results, drawn, command), encoding="utf-8", newline="")
    _swap(partial, out)
    return results


class Drawn(NamedTuple):
    """A figure drawn: what it is, and its panels by name."""

    spec: FigureSpec
    panels: dict[str, Svg]


def draw(results: Results) -> list[Drawn]:
    """Every figure, in the page's order; one for which there is nothing to draw has no panels."""
    return [Drawn(spec, spec.draw(results)) for spec in FIGURES]


def _swap(new: Path, place: Path) -> None:
    """Put a finished folder in place of an older one; who reads meanwhile never finds half of one."""
    old = place.with_name(f"{place.name}.old.partial")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    new.rename(place)
    shutil.rmtree(old, ignore_errors=True)
