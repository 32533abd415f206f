"""The page: frames and figures into one self-contained HTML file, every name and reason escaped."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reports import figures, tables
from reports.results import Results

MINUS, THIN_SPACE = "\N{MINUS SIGN}", "\N{NARROW NO-BREAK SPACE}"
# Inside the page a figure takes the page's colours, so that it reads in the light and in the dark.
PAGE_COLOURS = {figures.INK: "currentColor", figures.PAPER: "var(--paper)", figures.RULE: "var(--rule)"}


def render(results: Results, svgs: Mapping[str, Mapping[str, str]], command: str) -> str:
    """The whole page as text.

    svgs: kind of figure (returns, learning, adaptation) -> environment -> SVG. command: what builds the page.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    trials = _trials(results)
    environment.filters |= {"number": number, "count": count, "duration": duration}
    cells, published = tables.cells(results), tables.published_cells()
    return environment.get_template("page.html.j2").render(
        grid=results.grid,
        command=command,
        comparable=tables.comparable(results),
        budget=_records(tables.budget(results)),
        cells=_by_cell(cells),
        seeds=_seeds(results),
        published=_beside(cells, published),
        figures={kind: _inline(kind, panels, cells) for kind, panels in svgs.items()},
        trials=trials,
        machines=sorted({trial["hardware"] for trial in trials if trial["hardware"]}),
        statuses=results.trials.status.value_counts().to_dict(),
        gaps=_records(_with_text(tables.gaps(results.trials))),
        mixtures=tables.mixtures(results.trials),
        remarks=results.remarks,
    )


def number(value: float | None, digits: int = 2) -> str:
    """A number with a true minus sign; blank where there is none."""
    if value is None or not math.isfinite(value):
        return ""
    text = f"{value:.{digits}f}"
    return f"{MINUS}{text[1:]}" if text.startswith("-") else text


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


def inline_svg(svg: str, name: str, label: str) -> str:
    """Make a figure part of the page: the page's colours, its own identifiers, words for who cannot see."""
    root = ElementTree.fromstring(svg)
    for element in list(root):
        # The style sheet would reach the whole page; the metadata names addresses that nobody needs here.
        if element.tag.endswith("}metadata") or element.find("{*}style") is not None:
            root.remove(element)
    for element in root.iter():
        element.tag = element.tag.partition("}")[2]
        attributes = {key.rpartition("}")[2]: value for key, value in element.attrib.items()}
        for key, value in attributes.items():
            if key == "id":
                value = f"{name}-{value}"
            elif key == "href":
                value = value.replace("#", f"#{name}-")
            elif key == "clip-path":
                value = value.replace("url(#", f"url(#{name}-")
            elif key == "style":
                value = re.sub("|".join(PAGE_COLOURS), lambda match: PAGE_COLOURS[match[0]], value)
            attributes[key] = value
        element.attrib = attributes
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": label}
    return ElementTree.tostring(root, encoding="unicode")


def _inline(kind: str, panels: Mapping[str, str], cells: pd.DataFrame) -> list[str]:
    what = {
        "returns": "Meta-test return of every seed",
        "learning": "Meta-test return against environment steps",
        "adaptation": "Return by adaptation trajectory",
    }
    inlined = []
    for index, (environment, svg) in enumerate(panels.items()):
        means = ", ".join(
            f"{cell.encoder} {number(cell.mean)} (n = {cell.n})"
            for cell in cells.itertuples()
            if cell.environment == environment and cell.n
        )
        label = f"{what[kind]} on {environment}. Means after the last iteration: {means or 'none yet'}."
        inlined.append(inline_svg(svg, f"{kind}{index}", label))
    return inlined


def _records(frame: pd.DataFrame) -> list[dict]:
    """Rows as mappings with None for what is not known, so that the template never meets a NaN."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def _by_cell(cells: pd.DataFrame) -> dict[tuple[str, str], dict]:
    return {(row["encoder"], row["environment"]): row for row in _records(cells)}


def _with_text(trials: pd.DataFrame) -> pd.DataFrame:
    return trials.assign(text=[tables.gap_text(trial) for trial in trials.itertuples()])


def _seeds(results: Results) -> dict[tuple[str, str], list[dict]]:
    """The trials of each cell, in the grid's order of seeds."""
    groups = _with_text(results.trials).groupby(["encoder", "environment"])
    return {key: _records(group) for key, group in groups}


def _beside(cells: pd.DataFrame, published: pd.DataFrame) -> dict[str, list[dict]]:
    """By environment of the grid, a row a published baseline: our cell, theirs, and their earlier run's."""
    ours = _by_cell(cells)
    leaderboard = _by_cell(published[published.source == tables.LEADERBOARD])
    earlier = _by_cell(published[published.source == tables.EARLIER])
    listed = list(cells.encoder.unique())
    encoders = [encoder for encoder in listed if encoder in set(published.encoder)]
    encoders += [encoder for encoder in published.encoder.unique() if encoder not in listed]
    return {
        environment: [
            {"encoder": encoder, "ours": ours.get((encoder, environment)),
             "leaderboard": leaderboard[encoder, environment], "earlier": earlier[encoder, environment]}
            for encoder in encoders
        ]
        for environment in cells.environment.unique()
        if environment in set(published.environment)
    }  # fmt: skip


def _trials(results: Results) -> list[dict]:
    """Where every trial comes from, for the provenance table."""
    trials = results.trials.assign(hardware=[tables.hardware(trial) for trial in results.trials.itertuples()])
    return _records(trials)
