"""The page of a comparison: two commits' results beside each other, in a folder of its own."""

import shlex
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from markupsafe import Markup

from oyster.report import page, tables
from oyster.report.compare.cells import VERDICTS, Cell, cells_table, compare, joint_grid, trials_table
from oyster.report.compare.revisions import Revision, read_revision
from oyster.report.figures import FIGURES
from oyster.report.inline import inline_svg
from oyster.report.notices import strays
from oyster.report.origins import origins
from oyster.report.read.grid import Grid
from oyster.runtime.destination import filling, require_free

KINDS = ("returns", "learning_environment_steps", "adaptation")  # the figures that are worth seeing twice
FILES = {
    "Cells: what moved": {"CSV": "tables/cells.csv"},
    "Trials of both commits": {"CSV": "tables/trials.csv"},
}


def side_by_side(repository: Path, names: tuple[str, str], grid: str, out: Path) -> list[Cell]:
    """Write `<out>/index.html` and `tables/*.csv` about one grid at two commits. InputError, having written nothing.

    names: two commits, as git understands them. The same commits give the same bytes, wherever `out` is.
    """
    out = out.resolve()
    require_free("--out", out, ("index.html", "tables"))
    with TemporaryDirectory() as temporary:
        sides = [
            read_revision(repository, name, grid, Path(temporary) / side)
            for side, name in zip(("before", "after"), names, strict=True)
        ]
        cells = compare(*(side.results for side in sides))
        text = _render(sides, cells, grid)
    with filling(out) as staged:
        (staged / "tables").mkdir()
        tables.write_csv(cells_table(cells), staged / "tables" / "cells.csv")
        tables.write_csv(trials_table(cells), staged / "tables" / "trials.csv")
        (staged / "index.html").write_text(text, encoding="utf-8", newline="")
    return cells


def _render(sides: list[Revision], cells: list[Cell], grid: str) -> str:
    joint = joint_grid(*(side.results.grid for side in sides))
    counts = Counter(cell.verdict for cell in cells)
    styles = {}
    figures = list(_figures(sides, joint, styles))
    contents = {"answer": "What moved", "figures": "Side by side", "provenance": "Trial by trial", "take": "Files"}
    if not figures:
        del contents["figures"]
    return (
        page.environment()
        .get_template("compare.html.j2")
        .render(
            **page.static(styles),
            grid=joint,
            sides=[_side(side) for side in sides],
            cells=cells,
            verdicts={verdict: counts[verdict] for verdict in VERDICTS if counts[verdict]},
            figures=figures,
            contents=contents,
            files=FILES,
            command=shlex.join(["python", "-m", "oyster", "report", grid, "--compare", *(side.name for side in sides)]),
            points=dict(chain(*(page.points(origins(side.results), f"{i}:").items() for i, side in enumerate(sides)))),
        )
    )


def _side(side: Revision) -> dict:
    """What the head says of a commit."""
    results = side.results
    statuses = results.trials.status.value_counts().to_dict()
    return {
        "name": side.name,
        "commit": side.commit,
        "finished": statuses.get("finished", 0),
        "trials": len(results.trials),
        "notices": [
            *tables.mixtures(results.trials),
            *tables.uncommitted(results.trials),
            *results.unusable,
            *filter(None, [strays(results)]),
            *results.remarks,
        ],
    }


def _figures(sides: list[Revision], grid: Grid, styles: dict[str, str]) -> Iterator[dict]:
    """Each figure of both sides: the panels of an environment beside each other."""
    number = 0
    for spec in FIGURES:
        if spec.kind not in KINDS:
            continue
        drawn = [spec.draw(side.results) for side in sides]
        panels = [
            _panel(spec, sides[index], name, drawn[index][name], f"{spec.kind}{index}{place}", index, styles)
            for place, name in enumerate(grid.environments)
            for index in range(len(sides))
            if name in drawn[index]
        ]
        if panels:
            number += 1
            caption = spec.caption(sides[-1].results)
            yield {"kind": spec.kind, "title": spec.title, "caption": caption, "number": number, "panels": panels}


def _panel(spec, side: Revision, name: str, svg: str, identifier: str, index: int, styles: dict[str, str]) -> dict:
    label = f"{side.name}: {spec.alt(side.results, name)}"
    return {
        "heading": side.name,
        "environment": name,
        "svg": Markup(inline_svg(svg, identifier, label, styles, f"{index}:")),
    }
