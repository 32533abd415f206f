"""The page: frames and figures into one self-contained HTML file, every name and reason escaped."""

import base64
import hashlib
import math
import re
from collections.abc import Iterable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from oyster.report import answer, paper, tables
from oyster.report.figures.style import gid
from oyster.report.inline import inline_svg, sheet
from oyster.report.notices import notices
from oyster.report.origins import origins, records
from oyster.report.read.results import Results
from oyster.report.statistics.words import number

TEMPLATES = Path(__file__).parent / "templates"
PICTURES = Path(__file__).parents[1] / "envs" / "pictures"  # <preset>/<environment>.png, by `make pictures`
THIN_SPACE = "\N{NARROW NO-BREAK SPACE}"
# The sections made of figures that follow the comparisons: anchor, and title for readers.
EVIDENCE = {
    "learning": "How agents learn",
    "adaptation": "How fast they adapt",
    "tasks": "Which tasks fail",
    "posterior": "What the posterior holds",
    "trajectories": "Trajectories before and after adaptation",
    "profiles": "Performance profiles",
    "cost": "What it costs",
}
SHORT = {"learning": "Learning", "adaptation": "Adaptation", "tasks": "Tasks", "posterior": "Posterior",
         "trajectories": "Trajectories", "profiles": "Profiles", "cost": "Cost"}  # fmt: skip


def render(results: Results, drawn: Iterable, taken: Iterable[paper.Table], command: str) -> str:
    """The whole page as text.

    drawn: figures as `build.draw` gives them, each with its spec and its panels (name -> SVG).
    taken: the tables that lie beside the page. command: what builds the page.
    """
    styles = {}
    figures = sections(results, list(drawn), styles)
    trials = origins(results)
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            **static(styles),
            **answer.page_context(results),
            grid=results.grid,
            command=command,
            notices=notices(results),
            statuses=results.trials.status.value_counts().to_dict(),
            share_code=tables.share_code(results.trials),
            evidence=EVIDENCE,
            pictures=pictures(results.grid.preset, results.grid.environments),
            sections=figures,
            contents=_contents(figures),
            budget=records(tables.budget(results)),
            success=records(tables.success_rates(results)),
            trials=trials,
            machines=sorted({trial["hardware"] for trial in trials if trial["hardware"]}),
            points=points(trials),
            files=_files(taken),
        )
    )


def environment() -> Environment:
    """The templates, with the filters that they and everyone's partials use."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "count": count, "duration": duration}
    return environment


def static(styles: dict[str, str]) -> dict[str, str]:
    """Style, that of figures included, and script, to stand inside the page; and the hash by which its policy allows
    that script alone."""
    script = (TEMPLATES / "script.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    return {"style": Markup(style + sheet(styles)), "script": Markup(script), "script_hash": f"sha256-{digest}"}


def pictures(preset: str, environments: Iterable[str]) -> dict[str, str]:
    """By environment, a picture of what an agent of that very preset does there, as a data URI; those that there are.

    A picture of another preset would show another budget's agent than the numbers beside it.
    """
    named = [name for name in environments if re.fullmatch(r"[\w-]+", name) and re.fullmatch(r"[\w-]+", preset)]
    files = {name: PICTURES / preset / f"{name}.png" for name in named}
    return {
        name: f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode('ascii')}"
        for name, file in files.items()
        if file.is_file()
    }


def count(value: float | None) -> str:
    """A whole number in groups of three: 38 400."""
    return "" if value is None or not math.isfinite(value) else f"{value:,.0f}".replace(",", THIN_SPACE)


def duration(seconds: float | None) -> str:
    """A wall time as people say it: 41 s, 3 min 20 s, 1 h 05 min."""
    if seconds is None or not math.isfinite(seconds):
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def sections(results: Results, drawn: Iterable, styles: dict[str, str]) -> dict[str, list[dict]]:
    """The figures of each section in the page's order, numbered through, inlined; without those that are empty."""
    found = {}
    count = 0
    for section in ("answer", *EVIDENCE):
        figures = [figure for figure in drawn if figure.spec.section == section and figure.panels]
        found[section] = [
            _figure(results, figure, count + index, styles) for index, figure in enumerate(figures, start=1)
        ]
        count += len(figures)
    return found


def _figure(results: Results, figure, number: int, styles: dict[str, str]) -> dict:
    kind, title = figure.spec.kind, figure.spec.title
    panels = [
        {
            "heading": None,
            "environment": name if name in results.grid.environments else None,
            "svg": Markup(inline_svg(svg, f"{kind}{index}", figure.spec.alt(results, name), styles)),
        }
        for index, (name, svg) in enumerate(figure.panels.items())
    ]
    return {"kind": kind, "title": title, "caption": figure.spec.caption(results), "number": number, "panels": panels}


def _contents(sections: dict[str, list[dict]]) -> dict[str, str]:
    """What the page holds, for its list of contents: anchor and title."""
    evidence = {section: title for section, title in SHORT.items() if sections[section] or section == "cost"}
    return {"answer": "Answer", "comparisons": "Comparisons", **evidence, "published": "Published",
            "gaps": "Gaps", "provenance": "Provenance", "take": "Files"}  # fmt: skip


def _files(taken: Iterable[paper.Table]) -> dict[str, dict[str, str]]:
    """By what it is, the files that hold it, each by its format."""
    headline = {"Markdown": f"{paper.HEADLINE}.md", "LaTeX": f"{paper.HEADLINE}.tex"}
    tables = {
        table.caption.partition(" Gradient steps in")[0].rstrip("."): {"CSV": f"tables/{table.name}.csv"}
        for table in taken
    }
    return {
        "The answer in short, for a text": headline,
        **tables,
        "Every iteration of every trial": {"CSV": "tables/learning.csv"},
        "Every trial, test task and trajectory, one row each": {"Parquet": paper.PARQUET},
    }


def points(trials: list[dict], side: str = "") -> dict[str, dict]:
    """What the script tells of a seed's dot, by the name that figures give it, after `side`."""
    return {
        side + gid(trial["encoder"], trial["environment"], trial["seed"], 0).rpartition("|")[0]: {
            "encoder": trial["encoder"],
            "environment": trial["environment"],
            "seed": trial["seed"],
            "anchor": trial["anchor"],
            "commit": str(trial["commit"] or "not recorded")[:10] + (" and changes" if trial["dirty"] else ""),
            "precision": trial["precision"] or "precision not recorded",
        }
        for trial in trials
        if trial["status"] == "finished"
    }
