"""What readers take away: whole, harmless to what reads it, and the same bytes every time."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from oyster.report import paper
from oyster.report.build import build_paper
from oyster.report.read.grid import InputError
from oyster.report.read.results import load

HOSTILE = ["<script>", "a_b & 100 % $x^2$ #{}~\\", "a|b", "编码器", "line\nbreak", "--x", "[1cm]", "`*_x_*`", "y" * 300]
NAMES = {
    "meta_test_return", "normalised_score", "comparisons", "last_five", "published_beside", "published_leaderboard",
    "published_by_seed", "suspicious", "scripted", "trials",
}  # fmt: skip


def write(results, folder):
    """All that exports write, by name; of figures none."""
    folder.mkdir()
    paper.write_all(results, folder)
    paper.write_paper(results, [], folder)
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows_of(latex):
    """The rows between the rules, as lists of cells."""
    body = latex[latex.index("\\toprule") : latex.index("\\bottomrule")]
    return [re.split(r"(?<!\\) & ", line.removesuffix(" \\\\")) for line in body.splitlines() if line.endswith("\\\\")]


def test_every_table_is_written_in_three_forms_with_the_same_rows(full, tmp_path):
    tree, _ = full
    results = load(tree.results, tree.read_grid())
    written = write(results, tmp_path / "one")
    assert set(written) == {f"{name}.{form}" for name in NAMES for form in ("csv", "tex", "md")} | {
        "learning.csv", "results.parquet", "headline.md", "headline.tex",
    }  # fmt: skip
    for table in paper.all_tables(results):
        latex, markdown = (written[f"{table.name}.{form}"].decode() for form in ("tex", "md"))
        cells = rows_of(latex)
        assert len(cells) == len(table.frame) + 1 and {len(row) for row in cells} == {len(table.printed)}
        assert len(markdown.splitlines()) == len(table.frame) + 4
        assert "nan" not in latex and "nan" not in markdown
        assert list(pd.read_csv(tmp_path / "one" / "tables" / f"{table.name}.csv").columns) == list(table.frame.columns)


def test_the_same_results_give_the_same_bytes(full, tmp_path):
    tree, _ = full
    first, again = (write(load(tree.results, tree.read_grid()), tmp_path / name) for name in ("first", "again"))
    assert first == again


def test_printed_numbers_are_rounded_and_have_a_minus():
    frame = pd.DataFrame({"encoder": ["mlp", "x"], "n": [3.0, np.nan], "mean": [-1.23456, 2.0]})
    table = paper.Table("t", "Caption.", frame, ("encoder", "n", "mean"))
    assert rows_of(paper.latex(table))[1:] == [["mlp", "3", "$-$1.235"], ["x", "", "2.000"]]
    assert "\\begin{tabular}{lrr}" in paper.latex(table)
    head, rules, *rows = paper.markdown(table).splitlines()[2:]
    assert [rule.strip("-") for rule in rules.split("|")[1:-1]] == [":", ":", ":"] and rules.endswith("-:|")
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in (head, *rows)]
    assert cells == [["encoder", "n", "mean"], ["mlp", "3", "-1.235"], ["x", "", "2.000"]]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_one_cell_of_one_row(name):
    table = paper.Table("t", "c", pd.DataFrame({"encoder": [name], "n": [1]}), ("encoder", "n"))
    latex, markdown = paper.latex(table), paper.markdown(table)
    (_, (cell, count)) = rows_of(latex)
    assert count == "1" and len(markdown.splitlines()) == 5
    bare = re.sub(r"\\[a-z]+\{\}|\\[&%$#_{}]|-\{\}", "", cell)  # what TeX would still take for more than a letter
    bare = bare[1:-1] if bare.startswith("{") else bare
    assert not set(bare) & set("\\&%$#_{}~^\n<>|") and "--" not in bare and not cell.startswith("[")
    row = markdown.splitlines()[4]
    assert len(re.findall(r"(?<!\\)\|", row)) == 3 and "<" not in row


def test_hostile_names_pass_through_every_file(results_of, tmp_path):
    results = results_of({("a", encoder): [1.0, 2.0, None] for encoder in HOSTILE})
    written = write(results, tmp_path / "out")
    cells = pd.read_csv(tmp_path / "out" / "tables" / "meta_test_return.csv")
    assert cells.encoder.tolist() == HOSTILE
    parquet = pd.read_parquet(tmp_path / "out" / "results.parquet")
    assert parquet.encoder.drop_duplicates().tolist() == HOSTILE
    assert "编码器".encode() in written["meta_test_return.tex"]
    assert len(rows_of(written["headline.tex"].decode())) == 1 + 2 * len(HOSTILE)
    assert len(written["headline.md"].decode().splitlines()) == 2 + len(HOSTILE) + 2


def test_parquet_has_a_row_a_trial_task_evaluation_and_trajectory(new_tree, tmp_path):
    tree = new_tree(environments=["point-robot", "cheetah-vel"], encoders=["mlp"], seeds=[1, 2])
    tree.write_trial("point-robot", "mlp", 1, provenance={"precision": "odd", "dirty": None})
    tree.write_trial("cheetah-vel", "mlp", 1, provenance={"dirty": True})
    tree.write_trial("cheetah-vel", "mlp", 2, failure={"reason": "broke", "iteration": 1})
    results = load(tree.results, tree.read_grid())
    write(results, tmp_path / "out")
    frame = pd.read_parquet(tmp_path / "out" / "results.parquet")
    ours = frame[(frame.environment == "point-robot") & (frame.seed == 1)]
    assert len(ours) == 4 * 2 * 3 and not ours.duplicated(["task", "evaluation", "trajectory"]).any()
    expected = results.adaptation.query("environment == 'point-robot'")
    assert ours["return"].tolist() == expected["return"].tolist()
    assert ours.goal_x.notna().all() and ours.target_velocity.isna().all()
    assert set(ours.precision) == {"odd"} and ours.dirty.isna().all() and set(ours.commit.str.len()) == {40}
    rest = frame[frame.trajectory.isna()].set_index(["environment", "seed"])
    assert rest.status.to_dict() == {("point-robot", 2): "missing", ("cheetah-vel", 2): "failed"}
    assert rest.reason["cheetah-vel", 2] == "broke"


@pytest.mark.parametrize("returns", [{("a", "mlp"): [None]}, {("a", "mlp"): [1.0]}])
def test_none_and_one_trial_write_every_table(results_of, tmp_path, returns):
    written = write(results_of(returns), tmp_path / "out")
    assert len(written) == 3 * len(NAMES) + 4 and all(written.values())
    assert len(pd.read_parquet(tmp_path / "out" / "results.parquet")) == 1


def test_a_thousand_trials_are_written(results_of, tmp_path):
    values = np.random.default_rng(0).normal(size=(20, 50))
    written = write(results_of({("a", f"e{k}"): row.tolist() for k, row in enumerate(values)}), tmp_path / "out")
    assert len(written["comparisons.csv"].splitlines()) == 1 + 190
    assert len(pd.read_parquet(tmp_path / "out" / "results.parquet")) == 1000


# --- the headline -----------------------------------------------------------------------------------------------------


def test_a_true_minus_sign_in_a_text_is_latex_too():
    """Fonts of T1 have none: LaTeX would stop there."""
    frame = pd.DataFrame({"what": ["both returned \N{MINUS SIGN}18.4"], "n": [-1.5]})
    text = paper.latex(paper.Table("t", "Caption \N{MINUS SIGN}1.", frame, ("what", "n")))
    rows = [line for line in text.splitlines() if not line.startswith("%")]
    assert "both returned $-$18.4" in text and "\N{MINUS SIGN}" not in "\n".join(rows)


def test_the_headline_holds_the_means_of_its_cells(results_of, tmp_path):
    returns = {("a", "mlp"): [-1.0, -3.0], ("b", "mlp"): [None], ("a", "mine"): [5.0], ("b", "mine"): [None]}
    paper.write_headline(results_of(returns), tmp_path)
    head, _, *rows, blank, caption = (tmp_path / "headline.md").read_text().splitlines()
    assert blank == "" and caption == "Table: Return of the last meta-test: mean over seeds and its 95 % interval."
    assert [[cell.strip() for cell in line.split("|")[1:-1]] for line in (head, *rows)] == [
        ["agent", "a", "b"],
        ["mlp", "\N{MINUS SIGN}2.00 (\N{MINUS SIGN}14.71 to 10.71; n = 2)", "\N{EN DASH}"],
        ["mine", "5.00 (n = 1)", "\N{EN DASH}"],
    ]
    assert rows_of((tmp_path / "headline.tex").read_text()) == [
        ["agent", "a", "b"],
        ["mlp", "$-$2.00", "\N{EN DASH}"],
        ["", r"{\footnotesize $-$14.71 to 10.71; n = 2}", r"{\footnotesize n = 0}"],
        ["mine", "5.00", "\N{EN DASH}"],
        ["", r"{\footnotesize n = 1}", r"{\footnotesize n = 0}"],
    ]


def test_the_headline_is_ready_to_paste(results_of, tmp_path):
    results = results_of({("a", "mlp"): [-1.0, -3.0], ("a", "mine"): [5.0, 6.0]})
    grid = dataclasses.replace(results.grid, name="my grid_2")
    paper.write_headline(dataclasses.replace(results, grid=grid), tmp_path)
    lines = (tmp_path / "headline.tex").read_text().splitlines()
    assert lines[1:6] == [
        r"\begin{table}", r"\centering",
        r"\caption{Return of the last meta-test: mean over seeds and its 95 \% interval. 2 seeds per cell.}",
        r"\label{tab:my-grid-2}", r"\begin{tabular}{ll}",
    ]  # fmt: skip
    assert lines[-2:] == [r"\end{tabular}", r"\end{table}"] and "n =" not in "".join(lines)
    begun, ended = (re.findall(rf"\\{word}{{(\w+)}}", "\n".join(lines)) for word in ("begin", "end"))
    assert begun == ended[::-1] == ["table", "tabular"]


# --- for a paper ------------------------------------------------------------------------------------------------------


def test_a_paper_gets_every_panel_and_table(full):
    folder, drawn = full[0].root / "paper", json.loads((full[0].root / "drawn.json").read_text())
    svgs = {paper.figure_file(kind, name): svg for kind, panels in drawn.items() for name, svg in panels.items()}
    printed = {f"{name}.{form}" for name in {*NAMES, "headline"} for form in ("tex", "md")}
    files = {path.name for path in folder.iterdir()}
    assert files == {*svgs, *(name.replace(".svg", ".pdf") for name in svgs), *printed}
    assert all((folder / name).read_text(encoding="utf-8") == svg for name, svg in svgs.items())
    assert (folder / "headline.tex").read_bytes() == (full[1] / "headline.tex").read_bytes()


def test_a_panels_file_is_its_name_where_a_file_can_have_it():
    assert paper.figure_file("returns", "point-robot") == "returns_point-robot.svg"
    odd = {paper.figure_file("returns", name) for name in ("a/b", "a|b", "../a", "a\0b")}
    assert len(odd) == 4 and not any(set(name) & set("/|\0") for name in odd)


def test_a_papers_folder_is_written_anew_and_a_folder_of_others_is_not(new_tree):
    tree = new_tree(environments=["point-robot"], encoders=["mlp"], seeds=[1])
    folder = tree.root / "paper"
    names = build_paper(tree.read_grid(), tree.results, folder)
    assert (
        names == build_paper(tree.read_grid(), tree.results, folder) == sorted(path.name for path in folder.iterdir())
    )
    for other in ("thesis.tex", "figures/mine.pdf", "returns.svg"):
        (folder / other).parent.mkdir(exist_ok=True)
        (folder / other).touch()
        before = sorted(folder.rglob("*"))
        with pytest.raises(InputError, match="holds other files"):
            build_paper(tree.read_grid(), tree.results, folder)
        assert sorted(folder.rglob("*")) == before
        shutil.rmtree(folder / "figures", ignore_errors=True)
        (folder / other).unlink(missing_ok=True)
    with pytest.raises(InputError, match="holds other files"):
        build_paper(tree.read_grid(), tree.results, tree.build())
    assert {path.name for path in tree.root.iterdir()} == {"params.yaml", "results", "paper", "report"}
