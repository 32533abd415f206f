"""What `oyster report` does: a page from results, files for a paper, or two commits' results beside each other."""

from pathlib import Path

from oyster.grid import Params, find_grid, load_params
from oyster.key import Tree
from oyster.report.build import build as build_report
from oyster.report.build import build_paper
from oyster.report.compare.side_by_side import side_by_side as compare
from oyster.report.read.grid import read_grid
from oyster.report.text import shown
from oyster.runtime.errors import InputError
from oyster.runtime.records import read_json
from oyster.status import (
    DONE,
    INTERRUPTED,
    MISSING,
    NO_KEY,
    SPOILT,
    STALE,
    TRAINING,
    State,
    keyed_trials,
    report_key,
    state,
)

UNFINISHED = (MISSING, TRAINING, INTERRUPTED)


def build(name: str, results: Path | None, out: Path | None, expected: str | None, params: Path) -> list[str]:
    """Write the report of one grid. InputError where `expected` is not the report's key."""
    read = load_params(params)
    tree = Tree()
    keyed = keyed_trials(read, name, tree)
    key = report_key(read, name, keyed, tree)
    if expected is not None:
        if expected.endswith(".json"):
            expected = str(read_json(Path(expected)).get("report"))
        if key.text != expected:
            came = " or a result of a grid beside it came in" if find_grid(read, name).beside else ""
            raise InputError(
                f"The pipeline asks for the report's key {expected}, and the tree gives {key.text}: something was "
                f"edited in between{came}. Run the same command again."
            )
    out = out or Path("reports") / name
    place = Path("results") / name
    others, remarks = beside(read, name, tree)
    grid = read_grid(params, name).with_beside(others)
    # Of results elsewhere the tree asks no keys, and their report is not the one that a pipeline looks for. Nor is one
    # of a part of the grid: with its key there, the whole one would never be made.
    found = [state(each) for each in keyed] if results in (None, place) else []
    whole = bool(found) and all(each.word not in UNFINISHED for each in found)
    loaded = build_report(grid, results or place, out, key if whole else None, remarks, _outdated(found))
    own = loaded.trials[: len(grid.own_trials())]
    finished = int((own.status == "finished").sum())
    words = f"{shown(out / 'index.html')}: {finished} of {len(own)} trials of grids.{shown(name)} finished"
    return [words + (f", {len(grid.beside)} trials beside them" if grid.beside else "")]


def paper(name: str, results: Path | None, out: Path, params: Path) -> list[str]:
    """Write one grid's figures and tables for a paper."""
    read, tree, place = load_params(params), Tree(), Path("results") / name
    others, remarks = beside(read, name, tree)
    grid = read_grid(params, name).with_beside(others)
    own = [state(each) for each in keyed_trials(read, name, tree)] if results in (None, place) else []
    names = build_paper(grid, results or place, out)
    figures, tables = (sum(name.endswith(form) for name in names) for form in (".pdf", ".tex"))
    written = f"{shown(out)}: {figures} figures as SVG and PDF, {tables} tables as LaTeX and Markdown"
    return [written, *(f"note: {line}" for line in [*_outdated(own), *remarks])]


def beside(params: Params, name: str, tree: Tree) -> tuple[dict[tuple[str, str, int], str], list[str]]:
    """The trials of the grids beside one that agree with it, each with its grid; and sentences about those that do not.

    They agree where preset and evaluation are the same, and where the result carries the key that its grid asks for.
    """
    grid = find_grid(params, name)
    found, remarks = {}, []
    for other in grid.beside:
        if params.grids[other].preset != grid.preset:
            presets = f"preset {params.grids[other].preset}, not {grid.preset}"
            remarks.append(f"Nothing of grids.{other} stands beside these: it was trained at the {presets}.")
            continue
        shared = [each for each in keyed_trials(params, other, tree) if each.trial.identity[0] in grid.environments]
        states = [state(each) for each in shared]
        if states and all(now.word == MISSING for now in states):
            remarks.append(f"grids.{other} stands beside these, but has no results: `snakemake --cores all {other}`.")
        for each, now in zip(shared, states, strict=True):
            if now.word in DONE:
                found.setdefault(each.trial.identity, other)
            elif now.word != MISSING:
                place = each.trial.place
                remarks.append(f"{place} does not stand beside these: it is {now.word} ({now.why}).")
    return found, remarks


def _outdated(found: list[State]) -> list[str]:
    """Of the grid's own results those that are not what it asks for now, which are shown all the same."""
    odd = [each for each in found if each.word in (STALE, SPOILT, NO_KEY) or "not of the lock" in each.why]
    return [f"{each.keyed.trial.place} is {each.word} ({each.why})." for each in odd]


def side_by_side(name: str, revisions: tuple[str, str], out: Path | None) -> list[str]:
    """Write a page about one grid's results at two commits: which cells moved, and whether by more than noise."""
    out = out or Path("reports") / "compared"
    cells = compare(Path(), revisions, name, out)
    moved = [f"{shown(cell.environment)}, {shown(cell.encoder)}: {cell.verdict}" for cell in cells]
    return [*moved, f"{shown(out / 'index.html')}: {shown(revisions[0])} beside {shown(revisions[1])}"]
