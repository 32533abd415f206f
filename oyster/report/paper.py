"""What readers take with them. Beside the page: every table as CSV, the headline as Markdown and LaTeX, and every
trajectory in one Parquet file. For a paper: every table as LaTeX and Markdown, every figure as SVG and PDF.

The same results give the same bytes. CSV has full precision and every column; LaTeX and Markdown have what is printed.
"""

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tabulate import tabulate

from oyster.report import answer, best_fixed, published, tables
from oyster.report.read.provenance import PROVENANCE
from oyster.report.read.results import NUMBERS, Results
from oyster.report.read.trial_files import ADAPTATION, PROGRESS, SCRIPTED, TRIAL
from oyster.report.statistics import pairs, words
from oyster.report.text import plain
from oyster.runtime.records import SUCCESS

PARQUET = "results.parquet"
HEADLINE = "headline"
NONE = "\N{EN DASH}"
DIGITS = 3
SUCCESS_CAPTION = "Success rate: mean over seeds and its 95 % interval."
LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}", "'": r"\textquotesingle{}",
    words.MINUS: "$-$",
}  # fmt: skip


class Table(NamedTuple):
    """A table to take away: the stem of its file, what it is, its rows, and the columns that fit on paper."""

    name: str
    caption: str
    frame: pd.DataFrame
    printed: tuple[str, ...]


def write_all(results: Results, folder: Path) -> list[Table]:
    """Write what lies beside the page, into a folder that exists: `tables/<name>.csv` of every table, the headline, and
    results.parquet. Returns the tables.
    """
    written = all_tables(results)
    (folder / "tables").mkdir()
    for table in written:
        tables.write_csv(table.frame, folder / "tables" / f"{table.name}.csv")
    learning = [*TRIAL, "status", *PROGRESS, "wall_seconds"]
    tables.write_csv(results.progress[learning], folder / "tables" / "learning.csv")
    write_headline(results, folder)
    write_parquet(trajectories(results), folder / PARQUET)
    return written


def write_paper(results: Results, drawn: Iterable, folder: Path) -> None:
    """Write every table but learning curves, which are too long for paper, and every panel of the figures drawn."""
    for table in all_tables(results):
        _write(folder / f"{table.name}.tex", latex(table))
        _write(folder / f"{table.name}.md", markdown(table))
    write_headline(results, folder)
    for spec, panels in drawn:
        for name, svg in panels.items():
            path = folder / figure_file(spec.kind, name)
            _write(path, svg)
            path.with_suffix(".pdf").write_bytes(svg.pdf)


def figure_file(kind: str, panel: str) -> str:
    """The name of a panel's SVG. A panel whose name no file can have as it is ends in its hash."""
    name = re.sub(r"[^\w.-]+", "-", panel)
    if re.search(r"[^\w .-]", panel):
        name += "-" + hashlib.sha256(panel.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{kind}_{name}.svg"


def write_headline(results: Results, folder: Path) -> None:
    """Write headline.md, a table that README shows and its caption, and headline.tex, a float to be pasted."""
    cells = tables.cells(results).set_index(["encoder", "environment"])
    environments, caption = results.grid.environments, _caption_of_cells(results)
    rows = [["agent", *environments]]
    rows += [[name, *(_estimate(cells.loc[name, place]) for place in environments)] for name in results.grid.encoders]
    table = _pipes([[_escape_markdown(cell) for cell in row] for row in rows], "left")
    _write(folder / f"{HEADLINE}.md", f"{table}\nTable: {_escape_markdown(caption)}\n")
    _write(folder / f"{HEADLINE}.tex", _float(results, cells, caption))


def _float(results: Results, cells: pd.DataFrame, caption: str) -> str:
    """A LaTeX table, two lines per agent: the means, and below them the intervals. n is in the caption if it can be."""
    counts = cells.n.unique()
    n = "" if len(counts) > 1 else f" {counts[0]} seed{'' if counts[0] == 1 else 's'} per cell."
    lines = []
    for name in results.grid.encoders:
        row = [cells.loc[name, place] for place in results.grid.environments]
        means = [words.number(cell["mean"]) or NONE for cell in row]
        between = [words.interval(cell.ci95_low, cell.ci95_high) for cell in row]
        if not n:
            between = [f"{said}{'; ' * bool(said)}n = {cell.n}" for said, cell in zip(between, row, strict=True)]
        lines += [_cells([name, *means]), _cells(["", *between], r"{\footnotesize %s}")]
    heads = ["agent", *results.grid.environments]
    table = _rules("l" * len(heads), [_cells(heads), *lines])
    label = re.sub(r"[^A-Za-z0-9]+", "-", results.grid.name)
    return "\n".join([
        "% Needs \\usepackage{booktabs} and \\usepackage[T1]{fontenc}.", "\\begin{table}", "\\centering",
        f"\\caption{{{_escape_latex(caption + n)}}}", f"\\label{{tab:{label}}}", *table, "\\end{table}",
    ]) + "\n"  # fmt: skip


def _cells(texts: Sequence[str], form: str = "%s") -> str:
    """A line of a LaTeX table, each cell but a blank one in this form."""
    escaped = [_escape_latex(text) for text in texts]
    return " & ".join(form % text if text else "" for text in escaped) + " \\\\"


def all_tables(results: Results) -> list[Table]:
    """Every table of the report, in the page's order."""
    cell = ("encoder", "n", "mean", "ci95_low", "ci95_high")
    pair = ("environment", "first", "second", "difference", "low", "high", "p_holm", "improvement", "verdict")
    gap = ("to_leaderboard", "to_leaderboard_low", "to_leaderboard_high")
    steady = ("environment", "encoder", "last", "last5", "between_seeds", "within_seed")
    board = published.leaderboard().pivot(index=["entry", "model", "type"], columns="environment", values="value")
    earlier = published.by_seed().pivot(index=["encoder", "seed"], columns="environment", values="value")
    board, earlier = board.reset_index(), earlier.reset_index()
    made, rates = _made(results), tables.success_rates(results)
    success = Table("success_rate", f"{SUCCESS_CAPTION}{made}", rates, ("environment", *cell))
    return [
        Table("meta_test_return", _caption_of_cells(results), tables.table(results), ("source", "environment", *cell)),
        *([success] if len(rates) else []),
        Table("normalised_score", "Interquartile mean of normalised scores over all environments, with its 95 % "
              f"interval.{made}", _aggregate(results), (*cell, "method")),
        Table("comparisons", f"Every pair of agents: first minus second.{made}", pairs.every_pair(results), pair),
        Table("last_five", f"The last iteration beside the mean of the last five.{made}",
              answer.stability(results), steady),
        Table("published_beside", f"Our baselines beside the published ones.{made}", published.beside(results),
              ("environment", "encoder", "n", "mean", "leaderboard", "earlier", *gap)),
        Table("published_leaderboard", "Published: the public leaderboard.", board, tuple(board.columns)),
        Table("published_by_seed", "Published: an earlier run of the baselines.", earlier, tuple(earlier.columns)),
        Table("suspicious", "Numbers that are hard to believe.", _suspicious(results), ("where", "what")),
        Table("scripted", "Returns that need no training, by test task.", best_fixed.scripted(results),
              ("environment", "task", *SCRIPTED, best_fixed.FIXED)),
        Table("trials", "Every trial of the grid.", tables.trials_table(results),
              (*TRIAL, "status", "meta_test_return", "commit", "precision", "device")),
    ]  # fmt: skip


def trajectories(results: Results) -> pd.DataFrame:
    """One row per trial, task, evaluation and trajectory of the last meta-test, with the trial's outcome and origin.

    A trial without trajectories is one row with blanks there, so that none is lost. Columns always have the same
    types: numbers float64, `seed` int64, `dirty` boolean, the rest text.
    """
    of_trajectories = [*ADAPTATION, *([SUCCESS] if SUCCESS in results.adaptation else [])]
    names = [column for column in results.adaptation if column not in {*TRIAL, "status", *of_trajectories}]
    rows = results.adaptation[[*TRIAL, *names, *of_trajectories]]
    frame = results.shown_trials().merge(rows, on=TRIAL, how="left", sort=False)
    text = [column for column in ["status", "reason", *PROVENANCE] if column not in (*NUMBERS, "dirty")]
    numbers = [column for column in NUMBERS if column in frame]
    kinds = dict.fromkeys([*numbers, *names, *of_trajectories], "float64") | dict.fromkeys(
        [*TRIAL[:2], *text], "string"
    )
    frame = frame.astype(kinds | {"seed": "int64", "dirty": "boolean"})
    last = [column for column in frame if column in PROVENANCE]
    first = [*TRIAL, "status", "reason", *names, *of_trajectories]
    return frame[[*first, *frame.columns.difference([*first, *last], sort=False), *last]]


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """The same frame gives the same bytes: no date, no index, no pandas metadata."""
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(table, path, compression="zstd")


def latex(table: Table) -> str:
    """A `tabular` with booktabs' rules. Letters beyond Latin need LuaLaTeX or XeLaTeX."""
    columns, rows = _printed(table, _escape_latex, minus="$-$")
    kinds = "".join("r" if pd.api.types.is_numeric_dtype(table.frame[name]) else "l" for name in table.printed)
    return _tabular(table.caption, kinds, [columns, *rows])


def markdown(table: Table) -> str:
    """A pipe table under its caption."""
    columns, rows = _printed(table, _escape_markdown)
    kinds = ["right" if pd.api.types.is_numeric_dtype(table.frame[name]) else "left" for name in table.printed]
    return f"{_escape_markdown(table.caption)}\n\n{_pipes([columns, *rows], *kinds)}"


def _tabular(caption: str, kinds: str, rows: Sequence[Sequence[str]]) -> str:
    """Heads and rows, whose cells are escaped."""
    about = f"% {plain(caption)} Needs \\usepackage{{booktabs}} and \\usepackage[T1]{{fontenc}}."
    return "\n".join([about, *_rules(kinds, [" & ".join(cells) + " \\\\" for cells in rows])]) + "\n"


def _rules(kinds: str, lines: Sequence[str]) -> list[str]:
    """The lines of a `tabular`, the first of them the heads, between booktabs' rules."""
    heads, *rest = lines
    begin = f"\\begin{{tabular}}{{{kinds}}}"
    return [begin, "\\toprule", heads, "\\midrule", *rest, "\\bottomrule", "\\end{tabular}"]


def _pipes(rows: Sequence[Sequence[str]], *sides: str) -> str:
    """Heads and rows, whose cells are escaped; the side that columns keep to, the last one's for the rest."""
    heads, *rest = rows
    sides = [*sides, *[sides[-1]] * (len(heads) - len(sides))]
    table = tabulate(rest, heads, tablefmt="pipe", colalign=sides if rest else None, disable_numparse=True)
    return table + "\n"


def _printed(table: Table, escape: Callable[[str], str], minus: str = "-") -> tuple[list[str], list[list[str]]]:
    """Headings and rows: numbers rounded, columns of whole numbers whole, blank where not known; the rest escaped."""
    columns = []
    for name in table.printed:
        column = table.frame[name]
        if pd.api.types.is_numeric_dtype(column):
            digits = 0 if column.dropna().mod(1).eq(0).all() else DIGITS
            columns.append(["" if pd.isna(value) else f"{value:.{digits}f}".replace("-", minus) for value in column])
        else:
            columns.append(["" if pd.isna(value) else escape(str(value)) for value in column])
    headings = [escape(name.replace("_", " ")) for name in table.printed]
    return headings, [list(row) for row in zip(*columns, strict=True)]


def _escape_latex(text: str) -> str:
    text = re.sub("-(?=-)", "-{}", "".join(LATEX.get(letter, letter) for letter in plain(text)))
    return f"{{{text}}}" if text.startswith("[") else text  # which \\ before it would take for its argument


def _escape_markdown(text: str) -> str:
    text = re.sub(r"([\\`*_\[\]|~$#!])", r"\\\1", plain(text))
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _estimate(cell: pd.Series) -> str:
    """Mean, interval and n in words."""
    if not cell.n:
        return NONE
    mean = words.number(cell["mean"]) if math.isfinite(cell["mean"]) else NONE
    interval = words.interval(cell.ci95_low, cell.ci95_high)
    return f"{mean} ({f'{interval}; ' if interval else ''}n = {cell.n})"


def _caption_of_cells(results: Results) -> str:
    tasks = results.task_returns.groupby("environment").task.nunique().unique()
    told = f" All meet the same {' or '.join(f'{count:.0f}' for count in tasks)} test tasks." if len(tasks) else ""
    return f"Return of the last meta-test: mean over seeds and its 95 % interval.{told}{_made(results)}"


def _made(results: Results) -> str:
    precision = tables.precision(results.trials)
    return f" Gradient steps in {precision}." if precision else ""


def _aggregate(results: Results) -> pd.DataFrame:
    return pd.DataFrame([
        {"encoder": cell.encoder, "n": cell.n, "mean": cell.estimate.value, "ci95_low": cell.low,
         "ci95_high": cell.high, "method": cell.method}
        for cell in pairs.aggregate_cells(results)
    ])  # fmt: skip


def _suspicious(results: Results) -> pd.DataFrame:
    found = [("this run", sentence) for sentence in published.suspicious_results(results)]
    found += [("published", sentence) for sentence in published.suspicious_published()]
    return pd.DataFrame(found, columns=["where", "what"], dtype="object")


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="")
