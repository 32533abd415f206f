"""Build a report's folder: read, compute, draw, render into a folder beside, then swap it in whole."""

import re
import shlex
import shutil
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

from reports import exports, figures, page, tables
from reports.grid import Grid, InputError
from reports.results import Results, load

OWNED = {"index.html", "tables", "figures"}  # what a report's folder may hold, hence what a build may replace


def build(grid: Grid, results_folder: Path, out: Path) -> Results:
    """Write `<out>/index.html`, `tables/*`, `figures/*.svg`. Raises InputError, having written nothing.

    The same results give the same bytes, wherever `out` is.
    """
    out = out.resolve()
    foreign = sorted(path.name for path in out.iterdir() if path.name not in OWNED) if out.is_dir() else []
    if foreign or (out.exists() and not out.is_dir()):
        what = f"holds {', '.join(foreign[:3])}" if foreign else "is a file"
        raise InputError(f"{out} {what}, so it is not replaced. Give --out a folder of its own.")
    results = load(results_folder, grid)
    svgs = draw(results)
    options = {"--grid": grid.name, "--results": results_folder.as_posix(), "--out": f"reports/{grid.name}"}
    command = shlex.join(["python", "-m", "reports", "build", *chain(*options.items())])
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a build that was killed
    for folder in ("tables", "figures"):
        (partial / folder).mkdir(parents=True)
    exports.write_all(results, partial / "tables")
    for kind, panels in svgs.items():
        for environment, svg in panels.items():
            path = partial / "figures" / _file_name(kind, environment)
            path.write_text(svg, encoding="utf-8", newline="")
    (partial / "index.html").write_text(page.render(results, _as_drawn(svgs), command), encoding="utf-8", newline="")
    _swap(partial, out)
    return results


def draw(results: Results) -> dict[str, dict[str, str]]:
    """Every figure: kind -> environment -> SVG. A new one is a line here and a function in figures.py."""
    encoders = results.grid.encoders
    published = tables.published_cells().query("source == @tables.LEADERBOARD")
    if not tables.comparable(results):
        published = published.head(0)  # a mark beside the dots would invite a comparison that means nothing
    finished = results.trials[results.trials.status == "finished"]
    svgs = {"returns": {}, "learning": {}, "adaptation": {}}
    for name in results.grid.environments:
        ours, theirs, progress, adaptation = (
            frame[frame.environment == name] for frame in (finished, published, results.progress, results.adaptation)
        )
        svgs["returns"][name] = figures.returns_by_seed(ours, theirs, encoders, name)
        svgs["learning"][name] = figures.learning_curves(progress, encoders, name)
        svgs["adaptation"][name] = figures.adaptation_curves(adaptation, encoders, name)
    return svgs


def _as_drawn(svgs):
    words = {"returns": "answer", "learning": "learning", "adaptation": "adaptation"}
    return [
        SimpleNamespace(
            spec=SimpleNamespace(
                kind=kind, section=words[kind], title=kind.capitalize(), caption="",
                alt=lambda results, panel, kind=kind: f"{kind} on {panel}",
            ),
            panels=panels,
        )
        for kind, panels in svgs.items()
    ]  # fmt: skip


def _file_name(kind: str, environment: str) -> str:
    name = re.sub(r"[^\w.-]+", "-", environment)
    return f"{kind}_{name}.svg"


def _swap(new: Path, place: Path) -> None:
    """Put a finished folder in place of an older one; who reads meanwhile never finds half of one."""
    old = place.with_name(f"{place.name}.old.partial")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    new.rename(place)
    shutil.rmtree(old, ignore_errors=True)
