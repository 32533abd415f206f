"""README and the page on reproduction say what the report's files say, and these are of the results at this commit."""

import re
from pathlib import Path

import pandas as pd
import pytest

from oyster.report import tables
from oyster.report.paper import write_headline
from oyster.report.read.grid import read_grid
from oyster.report.read.results import load
from oyster.report.statistics import words

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "reports" / "benchmark"
README, REPRODUCTION = ((ROOT / name).read_text() for name in ("README.md", "docs/explanation/reproduction.md"))


@pytest.fixture(scope="module")
def results():
    return load(ROOT / "results/benchmark", read_grid(ROOT / "params.yaml", "benchmark"))


def test_readmes_table_is_the_reports(results, tmp_path):
    headline = (REPORT / "headline.md").read_text()
    table, caption = headline.split("\n\n")
    assert caption.startswith("Table: Return of the last meta-test: mean over seeds and its 95 % interval.")
    assert re.search(r"<!-- table headline -->\n(.*?)<!-- end -->", README, re.DOTALL)[1] == f"{table}\n", (
        "the table of reports/benchmark/headline.md, without its caption, is what stands there: copy it"
    )
    write_headline(results, tmp_path)
    assert (tmp_path / "headline.md").read_text() == headline, "`python -m oyster report` writes it anew"


def test_how_the_trials_were_made_is_said_in_a_sentence(results):
    finished = results.trials[results.trials.status == "finished"]
    machines = tables.counted(finished.apply(tables.hardware, axis=1).astype("string"), "; ")
    said = f"{len(finished)} of {len(results.trials)} trials of the grid have finished; {tables.precision(finished)}; "
    said += f"{machines}; commit {', '.join(sorted({commit[:10] for commit in finished.commit}))}"
    said += f"{' (the same training code)' if tables.share_code(finished) else ''}."
    for text in (README, REPRODUCTION):
        assert said in text.splitlines(), said


def test_every_cell_stands_beside_the_published_ones():
    beside = pd.read_csv(REPORT / "tables" / "published_beside.csv")
    assert len(beside) == 9
    for row in beside.itertuples():
        for mean, ends in ((row.leaderboard, "to_leaderboard"), (row.earlier, "to_earlier")):
            low, high = getattr(row, f"{ends}_low"), getattr(row, f"{ends}_high")
            told = f"{words.number(getattr(row, ends))} ({words.interval(low, high)})"
            line = rf"\| {row.environment} \| {row.encoder} \|.* {words.number(mean)} \|.* {re.escape(told)} \|"
            assert re.search(line, REPRODUCTION), line
