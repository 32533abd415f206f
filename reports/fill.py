"""Tables inside the repository's own texts, made from results: what stands between `<!-- table NAME -->` and
`<!-- end -->` in a Markdown file. So no figure in them is typed by hand, and a test says when one is out of date.
"""

import math
import os
import re
from itertools import product
from pathlib import Path

import pandas as pd

from reports import published, tables, words
from reports.grid import InputError
from reports.results import Results
from reports.statistics import mean, standard_deviation
from reports.text import shown

MARKED = re.compile(r"(?<=<!-- table )(\w+)( -->\n).*?(?=<!-- end -->)", flags=re.DOTALL)
NONE = "\N{EN DASH}"


def fill(text: str, results: Results) -> str:
    """The text with every marked table made anew. InputError for an unknown table, or a mark without its end."""
    marks, whole = re.findall(r"<!-- table (\w+) -->", text), MARKED.findall(text)
    if len(marks) != len(whole):
        raise InputError("A line `<!-- table NAME -->` has no `<!-- end -->` after it.")
    if unknown := sorted({name for name in marks if name not in TABLES}):
        raise InputError(f"There is no table {', '.join(unknown)}. Known: {', '.join(TABLES)}.")
    return MARKED.sub(lambda match: f"{match[1]}{match[2]}{TABLES[match[1]](results)}", text)


def fill_file(path: Path, results: Results, check: bool = False) -> bool:
    """Fill the tables of a file in place, atomically; with `check` only say whether that would change it."""
    try:
        before = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{shown(path)} cannot be read ({error.strerror}). Name a Markdown file.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{shown(path)} is not UTF-8 ({error}). Save it as UTF-8.") from error
    after = fill(before, results)
    if after != before and not check:
        partial = path.with_name(f"{path.name}.partial")
        partial.write_text(after, encoding="utf-8", newline="")
        os.replace(partial, path)
    return after != before


def headline(results: Results) -> str:
    """An encoder a row, an environment a column: mean, 95 % interval, n."""
    cells = tables.cells(results).set_index(["encoder", "environment"])
    rows = [
        [encoder, *(_estimate(cells.loc[encoder, environment]) for environment in results.grid.environments)]
        for encoder in results.grid.encoders
    ]
    return _markdown(["encoder", *results.grid.environments], rows)


def state(results: Results) -> str:
    """In a sentence: how much of the grid there is, in which precision, on what, and from which commits."""
    finished = results.trials[results.trials.status == "finished"]
    said = f"{len(finished)} of {len(results.trials)} trials of the grid have finished"
    if len(finished):
        commits = sorted({"not recorded" if pd.isna(commit) else commit[:10] for commit in finished.commit})
        said += f"; {tables.precision(finished)}; {tables.counted(_machines(finished), '; ')}"
        said += f"; commit {', '.join(commits)}" + (" (the same training code)" if tables.share_code(finished) else "")
    return f"{said}.\n"


def reproduction(results: Results) -> str:
    """Every baseline's cell beside the leaderboard's: n, mean, sd, and the difference with its interval."""
    cells = tables.cells(results).set_index(["encoder", "environment"])
    rows = []
    for row in published.beside(results).itertuples():
        if (row.encoder, row.environment) not in cells.index:
            continue
        cell = cells.loc[row.encoder, row.environment]
        rows.append([
            row.environment, row.encoder, str(cell.n), _number(cell["mean"]), _number(cell.standard_deviation),
            _number(cell.last5_mean), _number(row.leaderboard),
            _difference(row.to_leaderboard, row.to_leaderboard_low, row.to_leaderboard_high),
        ])  # fmt: skip
    heads = ["environment", "encoder", "n", "ours: mean", "sd", "mean of last five iterations"]
    return _markdown([*heads, "published: leaderboard", f"ours {words.MINUS} leaderboard, 95 %"], rows)


def earlier(results: Results) -> str:
    """The earlier published run of the same baselines, by seed, beside the leaderboard and us."""
    runs = published.by_seed()
    rows = []
    for row in published.beside(results).itertuples():
        seeds = runs[(runs.environment == row.environment) & (runs.encoder == row.encoder)].value
        rows.append([
            row.environment, row.encoder, ", ".join(_number(value) for value in seeds), _number(mean(seeds)),
            _number(standard_deviation(seeds)), _number(row.leaderboard),
            _difference(row.to_earlier, row.to_earlier_low, row.to_earlier_high),
        ])  # fmt: skip
    heads = ["environment", "encoder", "published: earlier run, seeds 42, 123, 456", "mean", "sd"]
    return _markdown([*heads, "published: leaderboard", f"ours {words.MINUS} earlier run, 95 %"], rows)


def curves(results: Results) -> str:
    """Meta-test return after every iteration of each of our trials; the one runs of the reference's code above them."""

    def row(environment: str, trial: str, curve: pd.DataFrame) -> list[str]:
        values = curve.sort_values("iteration").meta_test_return
        return [environment, trial, " ".join(words.number(value, 1) for value in values), _number(values[-10:].mean())]

    reference = pd.read_csv(tables.PUBLISHED / "reference_curves.csv")
    ours = results.progress[results.progress.status == "finished"]
    runs = [(f"reference's code, {{}}, seed {reference.seed.iloc[0]}", reference)]
    runs += [(f"ours, {{}}, seed {seed}", trial) for seed, trial in ours.groupby("seed")]
    rows = []
    for environment, encoder in product(results.grid.environments, results.grid.encoders):
        for name, run in runs:
            curve = run.query("environment == @environment and encoder == @encoder")
            if len(curve):
                rows.append(row(environment, name.format(encoder), curve))
    heads = ["environment", "trial", "meta-test return after iterations 0, 1, 2, …", "mean of the last ten"]
    return _markdown(heads, rows)


def cost(results: Results) -> str:
    """What a trial cost on each kind of machine: core-hours (wall time on one thread), gradient steps a second."""
    finished = results.trials[results.trials.status == "finished"]
    finished = finished.assign(machine=_machines(finished))
    rows = [
        [environment, encoder, machine, str(len(group)), f"{(group.wall_seconds * group.threads).mean() / 3600:.2f}",
         f"{group.gradient_steps_per_second.mean():.1f}", f"{group.peak_memory_mb.max():.0f}"]
        for (environment, encoder, machine), group
        in finished.groupby(["environment", "encoder", "machine"], sort=False)
    ]  # fmt: skip
    spent = (finished.wall_seconds * finished.threads).sum() / 3600
    heads = ["environment", "encoder", "on", "n", "core-hours a trial", "gradient steps a second", "peak memory, MB"]
    return _markdown(heads, rows) + f"\n{spent:.1f} core-hours in all.\n"


def _machines(trials: pd.DataFrame) -> pd.Series:
    """What each trial ran on, in words."""
    return trials.apply(tables.hardware, axis=1, result_type="reduce").astype("string")


TABLES = {table.__name__: table for table in (headline, state, reproduction, earlier, curves, cost)}


def _estimate(cell: pd.Series) -> str:
    if not cell.n:
        return NONE
    interval = words.interval(cell.ci95_low, cell.ci95_high)
    return f"{_number(cell['mean'])} ({f'{interval}; ' if interval else ''}n = {cell.n})"


def _difference(value: float, low: float, high: float) -> str:
    interval = words.interval(low, high)
    return _number(value) + (f" ({interval})" if interval else "")


def _number(value: float) -> str:
    return words.number(value) if math.isfinite(value) else NONE


def _markdown(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
