"""The tables of a report, as frames: what we measured, what others published, where each comes from."""

from itertools import product
from pathlib import Path

import pandas as pd

from oyster.report.read.code import how_to_look_up, same_code
from oyster.report.read.provenance import PROVENANCE
from oyster.report.read.results import TRIAL, Results
from oyster.report.statistics import words
from oyster.report.statistics.intervals import interval, summarise
from oyster.runtime.records import SUCCESS_RATE

PUBLISHED = Path(__file__).parents[2] / "reports" / "published"
PUBLISHED_BUDGET = "benchmark"  # the one budget that the published figures were made with
PUBLISHED_ITERATIONS = 20
OURS, LEADERBOARD, EARLIER = "this run", "published: leaderboard", "published: earlier run"
METRIC = "meta_test_return"
BFLOAT16 = "bfloat16 with encoders in float32"  # what the setting `bfloat16` means
COUNTS = [
    "n", "seeds_planned", "last5_n", "failed_iteration", "iterations", "environment_steps", "gradient_steps",
    "cores", "threads", "parameters", "task",
]  # fmt: skip
# What trials of one table should share before they are compared: column, and its name for readers.
SAME = {
    "code": "commits of other code", "precision": "precisions", "device": "devices", "hardware": "hardware",
    "lock_sha256": "locked environments", "runtime": "runtimes",
}  # fmt: skip


def cells(results: Results) -> pd.DataFrame:
    """One row an encoder and environment, in the grid's order: n, mean, spread, 95 % interval, seeds, gaps.

    `seeds` holds (seed, return) pairs. Only finished trials are counted; `gaps` says why each other is not.
    """
    rows = []
    for encoder in results.grid.encoders:
        for environment in results.grid.environments:
            trials = results.trials.query("encoder == @encoder and environment == @environment")
            finished = trials[trials.status == "finished"]
            last5 = finished.meta_test_return_last5.dropna()
            rows.append(
                _row(OURS, environment, encoder, finished.seed, finished.meta_test_return)
                | {"seeds_planned": len(trials)}
                | {"last5_n": len(last5), "last5_mean": summarise(last5).mean}
                | {"last5_standard_deviation": summarise(last5).standard_deviation}
                | {"gaps": "; ".join(f"{gap.seed}: {gap_text(gap)}" for gap in gaps(trials).itertuples())}
            )
    return pd.DataFrame(rows)


def success_rates(results: Results) -> pd.DataFrame:
    """One row an encoder and environment whose family says what success is, as `cells`; no row in other grids."""
    known = results.trials[(results.trials.status == "finished") & results.trials[SUCCESS_RATE].notna()]
    groups = dict(list(known.groupby(["environment", "encoder"], sort=False)))
    pairs = product(results.grid.environments, results.grid.encoders)
    rows = [_row(OURS, *pair, groups[pair].seed, groups[pair][SUCCESS_RATE]) for pair in pairs if pair in groups]
    frame = pd.DataFrame(rows).drop(columns="source", errors="ignore")
    return _with_seeds_in_words(frame) if rows else frame


def published_cells() -> pd.DataFrame:
    """The published baselines in the shape of `cells`, under sources of their own.

    The leaderboard gives a mean only, so n and spread are blank there; the earlier run is given by seed.
    """
    rows = []
    leaderboard = long_format(pd.read_csv(PUBLISHED / "leaderboard.csv").query("type == 'baseline'"), "model")
    for row in leaderboard.itertuples():
        encoder = row.model.removesuffix("_encoder")
        rows.append({"source": LEADERBOARD, "environment": row.environment, "encoder": encoder, "mean": row.value})
    earlier = long_format(pd.read_csv(PUBLISHED / "baselines_by_seed.csv"), "encoder", "seed").sort_values("seed")
    for (environment, encoder), group in earlier.groupby(["environment", "encoder"]):
        rows.append(_row(EARLIER, environment, encoder.removesuffix("_encoder"), group.seed, group.value))
    return pd.DataFrame(rows)


def comparable(results: Results) -> bool:
    """Whether the published figures were made with the budget of these trials."""
    finished = results.progress[results.progress.status == "finished"]
    iterations = finished.groupby(TRIAL).size()
    return results.grid.preset == PUBLISHED_BUDGET and bool((iterations == PUBLISHED_ITERATIONS).all())


def budget(results: Results) -> pd.DataFrame:
    """One row an environment: iterations, environment steps, gradient steps of its longest finished trial."""
    finished = results.progress[results.progress.status == "finished"]
    frame = finished.groupby("environment")[["environment_steps", "gradient_steps"]].max()
    frame.insert(0, "iterations", finished.groupby(TRIAL).size().groupby("environment").max())
    return frame.reindex(list(results.grid.environments)).reset_index()


def precision(trials: pd.DataFrame) -> str:
    """The arithmetic of the finished trials' gradient steps: `float32`, or each with its count; "" if unknown."""
    recorded = trials[trials.status == "finished"].precision
    return "" if recorded.isna().all() else counted(recorded.replace("bfloat16", BFLOAT16), ", ")


def counted(values: pd.Series, separator: str) -> str:
    """Of trials the one value there is, or each with its count: `float32 (3 trials), float64 (1 trial)`."""
    counts = values.fillna("not recorded").value_counts().sort_index()
    return separator.join(
        counts.index
        if len(counts) == 1
        else (f"{value} ({count} trial{'s' * (count > 1)})" for value, count in counts.items())
    )


def gaps(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials that gave no return, with their status and reason."""
    return trials[trials.status != "finished"]


def gap_text(trial) -> str:
    """Why a trial gave no return, in a few words: `failed at iteration 3: the loss is not finite`."""
    where = "" if pd.isna(trial.failed_iteration) else f" at iteration {int(trial.failed_iteration)}"
    return f"{trial.status}{where}: {trial.reason}"


def hardware(trial) -> str:
    """What a trial ran on, in words; blank where it is not recorded."""
    cores = "" if pd.isna(trial.cores) else f"{int(trial.cores)} cores"
    # A virtual machine hides its processor's name, not its family.
    family = "" if pd.isna(trial.cpu_family) else f"family {trial.cpu_family}"
    return ", ".join(str(part) for part in (trial.cpu, family, cores, trial.gpu) if part and not pd.isna(part))


def share_code(trials: pd.DataFrame) -> bool:
    """Whether finished trials come from several commits that are known all to train with the same code."""
    finished = trials[trials.status == "finished"]
    return finished.commit.nunique() > 1 and _code(finished).nunique(dropna=False) == 1


def _code(trials: pd.DataFrame) -> pd.Series:
    """Of each trial what tells its code from another's: by its key, or by its commit; None where neither does."""
    without = trials[trials.code.isna()].commit.dropna()
    return trials.code.fillna(trials.commit.map(same_code(without)) if len(without) else trials.code)


def mixtures(trials: pd.DataFrame) -> list[str]:
    """Sentences about what finished trials do not share although they stand in one table."""
    origin = [column for column in PROVENANCE if column != "command"]
    # One without any record of its origin is said to be so elsewhere; it is no mixture with the others.
    finished = trials[(trials.status == "finished") & trials[origin].notna().any(axis=1)]
    machines = [hardware(trial) or None for trial in finished.itertuples()]
    finished = finished.assign(hardware=machines, code=_code(finished))
    found = []
    for column, name in SAME.items():
        values = finished[column].astype("string")
        values = values.dropna() if column == "code" else values.fillna("not recorded")
        counts = values.value_counts().sort_index()
        if len(counts) > 1:
            environments = finished.environment[values.index]
            found.append(f"The finished trials mix {name}: {_parts(counts)}.{_within(environments, values)}")
    untold = finished.commit[finished.code.isna()].astype("string").fillna("none recorded").value_counts().sort_index()
    if len(untold) + finished.code.nunique() > 1 and len(untold):
        found.append(
            f"Whether the finished trials share their code cannot be told, as commits cannot be looked up: "
            f"{_parts(untold)}. Why: {how_to_look_up()}."
        )
    for encoder, group in finished.groupby("encoder", sort=False):
        if group.encoder_sha256.nunique() > 1:
            found.append(f"The file of encoder {encoder} was not the same in all of its finished trials.")
    return found


def uncommitted(trials: pd.DataFrame) -> list[str]:
    """A sentence about finished trials whose code no commit holds; none where there are none."""
    finished = trials[trials.status == "finished"]
    dirty = int(finished.dirty.eq(True).sum())
    if not dirty:
        return []
    return [
        f"{dirty} of {len(finished)} finished trials ran from a tree with uncommitted changes: their commit alone does "
        "not give them back. Commit encoders and params.yaml before you train what you will show to others."
    ]


def table(results: Results) -> pd.DataFrame:
    """The main table as one frame: our cells, then the published ones of its environments, by `source`."""
    published = published_cells()
    frame = pd.concat([cells(results), published[published.environment.isin(results.grid.environments)]])
    return _with_seeds_in_words(frame)


def trials_table(results: Results) -> pd.DataFrame:
    """One row a trial of the grid: what became of it, how far it came, where it comes from."""
    reached = results.progress.groupby(TRIAL)[["environment_steps", "gradient_steps"]].max()
    reached.insert(0, "iterations", results.progress.groupby(TRIAL).size())
    return results.shown_trials().merge(reached.reset_index(), on=TRIAL, how="left")


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Full precision, counts as whole numbers, blanks for what is not known, the same bytes everywhere."""
    counts = [column for column in COUNTS if column in frame]
    frame = frame.assign(**{column: frame[column].round().astype("Int64") for column in counts})
    path.write_text(frame.to_csv(index=False, lineterminator="\n"), encoding="utf-8", newline="")


def _with_seeds_in_words(frame: pd.DataFrame) -> pd.DataFrame:
    pairs = [seeds if isinstance(seeds, tuple) else () for seeds in frame.seeds]
    return frame.assign(seeds=["; ".join(f"{seed}: {value}" for seed, value in seeds) for seeds in pairs])


def _row(source: str, environment: str, encoder: str, seeds: pd.Series, values: pd.Series) -> dict:
    n, mean, standard_deviation, *_ = summarise(values)
    low, high, method = interval(values)
    return {
        "source": source, "environment": environment, "encoder": encoder, "n": n, "mean": mean,
        "standard_deviation": standard_deviation, "ci95_low": low, "ci95_high": high, "ci95_method": method,
        "seeds": tuple(zip(seeds, values, strict=True)),
    }  # fmt: skip


def long_format(table: pd.DataFrame, *keep: str) -> pd.DataFrame:
    """Published tables are wide: columns `meta_test_return_<environment>`. The columns `keep`, environment, value."""
    columns = [column for column in table if column.startswith(f"{METRIC}_")]
    long = table.melt(id_vars=list(keep), value_vars=columns, var_name="environment")
    names = long.environment.str.removeprefix(f"{METRIC}_").str.replace("_", "-")
    return long.assign(environment=names)


def _within(environments: pd.Series, values: pd.Series) -> str:
    """Where a mixture lies, as encoders are compared within an environment; blank if in every one."""
    kinds = values.groupby(environments, sort=False).nunique()
    mixed = kinds.index[kinds > 1].tolist()
    if len(mixed) == len(kinds):
        return ""
    if not mixed:
        return " They do so between environments and not within one: only what is averaged over all mixes them."
    return f" Within an environment they do so on {words.listed(mixed)} alone."


def _parts(counts: pd.Series) -> str:
    return ", ".join(f"{_short(value)} ({count})" for value, count in counts.items())


def _short(value: str) -> str:
    """A hash in as many characters as people compare."""
    return value[:10] if len(value) in (40, 64) else value
