"""The page: whole, harmless, self-contained, and the same bytes every time."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from urllib.parse import unquote
from xml.etree import ElementTree

import pandas as pd
import pytest
from click.testing import CliRunner

from oyster.cli import main
from oyster.report.figures import FIGURES
from oyster.report.page import PICTURES, pictures
from oyster.report.read.grid import InputError
from oyster.report.read.results import anchor

HOSTILE = "<script>alert(1)</script>"
VOID = {"meta", "br", "link", "img", "input", "hr", "source", "wbr", "col"}


class Page(HTMLParser):
    """A page taken apart: text outside of style, tags, attributes; no tag may be out of place."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = [], [], "", []
        self.feed(path.read_text(encoding="utf-8"))
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += " " + " ".join(data.split())

    def values(self, name):
        return [value for key, value in self.attributes if key == name]


def everything(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_eighteen_trials_fill_page_and_tables(full):
    _, out = full
    page = Page(out / "index.html")
    assert "18 of 18 trials finished" in page.text
    assert "None: every trial of the grid finished." in page.text
    assert "tiny" in page.text and "Not comparable with published numbers." in page.text
    assert "not all made alike" not in page.text
    assert page.tags.count("h1") == 1 and page.tags.count("caption") == page.tags.count("table")
    assert page.values("role").count("img") == 3 * len(FIGURES) + 1  # performance profiles of all environments
    there = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    tables = {path for path in there if path.startswith("tables/") and path.endswith(".csv")}
    assert there - tables == {"index.html", "headline.md", "headline.tex", "results.parquet"} and len(tables) == 11
    trials = pd.read_csv(out / "tables" / "trials.csv")
    cells = pd.read_csv(out / "tables" / "meta_test_return.csv").query("source == 'this run'")
    assert len(trials) == 18 and set(trials.status) == {"finished"} and set(trials.iterations) == {6}
    assert "this run,cheetah-vel,mlp,2,-" in (out / "tables" / "meta_test_return.csv").read_text()
    expected = trials.groupby(["environment", "encoder"]).meta_test_return.mean()
    found = cells.set_index(["environment", "encoder"])["mean"]
    assert (found - expected).abs().max() < 1e-12
    for value in found:
        assert f"{value:.2f}".replace("-", "\N{MINUS SIGN}") in page.text


def test_the_page_says_where_each_trial_and_itself_come_from(full):
    tree, out = full
    page = Page(out / "index.html")
    assert "3f2a9c1d5e" in page.text and "Platinum 8481C" in page.text and "float32" in page.text
    for environment, encoder, seed in tree.read_grid().trials():
        assert f"train --env {environment} --agent {encoder} --seed {seed} --preset demo" in page.text
    assert "python -m oyster report demo" in page.text and "python -m oyster report demo --paper DIR" in page.text


def test_the_page_loads_nothing_and_its_links_lead_somewhere(full):
    _, out = full
    page = Page(out / "index.html")
    text = (out / "index.html").read_text(encoding="utf-8")
    assert not {"link", "iframe", "object", "embed", "form", "base"} & set(page.tags)
    assert not {"srcset", "data", "action", "poster", "background"} & {key for key, _ in page.attributes}
    assert all(source.startswith("data:image/png;base64,") for source in page.values("src"))
    assert "@import" not in text and "http://" not in text and "https://" not in text
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    links = page.values("href")
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    files = [unquote(link) for link in links if not link.startswith("#")]
    assert files and all((out / file).is_file() for file in files)


def test_the_policy_allows_this_script_alone_and_no_network(full):
    _, out = full
    text = (out / "index.html").read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy and f"script-src 'sha256-{digest}'" in policy


def test_a_number_leads_to_its_seed_and_the_seed_to_its_origin(full):
    tree, out = full
    text = (out / "index.html").read_text(encoding="utf-8")
    for identity in tree.read_grid().trials():
        place = anchor(*identity)
        assert f'href="#{place}"' in text and text.count(f'id="{place}"') == 1
        environment, encoder, seed = identity
        assert f"python -m oyster verify results/demo/{environment}/{encoder}/{seed}" in text
    page = Page(out / "index.html")
    commit = "3f2a9c1d5e7b8a6042c1d9e8f7a6b5c4d3e2f101"
    assert f"git checkout {commit} && docker/run python -m oyster train --env cheetah-vel" in page.text
    for told in ("a" * 64, "b" * 64, "c" * 64, "every package as locked", "412 MB", "96.4 gradient steps per second"):
        assert told in page.text


def test_what_a_commit_does_not_give_back_is_said(new_tree):
    tree = new_tree(environments=["point-robot"], encoders=["mlp"], seeds=[1, 2, 3])
    tree.write_trial("point-robot", "mlp", 1, provenance={"dirty": True, "diff_sha256": "d" * 64})
    off = {"runtime": "docker", "image_digest": "sha256:e", "off_lock": ["numpy 2.0.0 (locked: 2.4.6)"]}
    tree.write_trial("point-robot", "mlp", 2, provenance={"environment": off})
    (tree.write_trial("point-robot", "mlp", 3) / "provenance.json").unlink()
    text = Page(tree.build() / "index.html").text
    assert "with uncommitted changes" in text and "d" * 64 in text
    assert "sha256:e" in text and "off it: numpy 2.0.0 (locked: 2.4.6)" in text
    assert "no commit is recorded" in text


def test_figures_inside_the_page_take_its_colours(full):
    _, out = full
    text = (out / "index.html").read_text()
    body = text[text.index("<main>") :]
    assert "currentColor" in body and "#1c2024" not in body and "#ffffff" not in body


def test_pictures_stand_in_the_reports_of_their_own_preset_alone(full):
    tree, out = full
    text = (out / "index.html").read_text()
    uris = re.findall(r'<img src="data:image/png;base64,([^"]+)" alt="An agent of the preset demo [^"]+', text)
    files = [PICTURES / "demo" / f"{environment}.png" for environment in tree.grid["environments"]]
    assert [base64.b64decode(uri) for uri in uris] == [file.read_bytes() for file in files if file.is_file()] != []
    assert "they were made at the preset demo" in Page(out / "index.html").text
    assert pictures("benchmark", tree.grid["environments"]) == pictures("../demo", ["cheetah-vel"]) == {}
    assert {path.parent.parent for path in PICTURES.rglob("*.png")} == {PICTURES}  # none stands for every preset


def test_the_same_results_give_the_same_bytes_wherever_they_are_written(full, tmp_path):
    tree, out = full
    assert everything(tree.build(tmp_path / "elsewhere")) == everything(out)


def test_no_trial_at_all(new_tree):
    out = new_tree().build()
    page = Page(out / "index.html")
    assert "0 of 18 trials finished" in page.text and "18 of 18 trials gave no return: 18 not run yet." in page.text
    assert "No trial has finished yet, so nothing can be said." in page.text
    assert page.text.count("missing: not run yet") == 2 * 18  # in the cell, and in the list of gaps
    assert "docker/run python -m oyster train --env point-robot --agent mlp --seed 42" in page.text
    assert "nan" not in page.text.lower().split()


def test_one_trial_has_a_mean_and_no_spread(new_tree):
    tree = new_tree()
    tree.write_trial("point-robot", "mlp", 42, final=-12.345)
    page = Page(tree.build() / "index.html")
    assert "1 of 18 trials finished" in page.text and "n = 1 of 2" in page.text.replace("\xa0", " ")
    assert "\N{MINUS SIGN}12.35" in page.text or "\N{MINUS SIGN}12.34" in page.text
    assert not {"nan", "NaN", "None", "inf"} & set(page.text.split())


def test_failed_and_missing_trials_stand_in_their_cell_and_in_the_list(new_tree):
    tree = new_tree(environments=["point-robot"], encoders=["mlp"], seeds=[1, 2, 3])
    tree.write_trial("point-robot", "mlp", 1)
    tree.write_trial("point-robot", "mlp", 2, iterations=0, failure={"reason": "wrong <b>shape</b>", "iteration": 0})
    page = Page(tree.build() / "index.html")
    assert page.text.count("failed at iteration 0: wrong <b>shape</b>") == 3  # cell, gaps, origin
    assert page.text.count("missing: not run yet") == 2
    assert "n = 1 of 3" in page.text


def test_hostile_names_are_text(new_tree):
    reason = f"raised {HOSTILE}"
    encoders = [HOSTILE, "_private", "$x^$", "编码器", 'id="a" onload="b', "x" * 200]
    tree = new_tree(environments=["point-robot"], encoders=encoders, seeds=[1])
    for encoder in encoders[:2] + encoders[3:5]:
        tree.write_trial("point-robot", encoder, 1, provenance={"commit": HOSTILE, "command": HOSTILE})
    tree.write_trial("point-robot", "$x^$", 1, failure={"reason": reason, "iteration": 1})
    out = tree.build()
    page = Page(out / "index.html")
    assert page.tags.count("script") == 2 and "b" not in page.values("onload")
    assert HOSTILE in page.text and reason in page.text
    text = (out / "index.html").read_text(encoding="utf-8")
    figure = re.search(r'<figure id="figure-learning_environment_steps">.*?(<svg.*?</svg>)', text, re.DOTALL)[1]
    labels = [element.text for element in ElementTree.fromstring(figure).iter("text")]
    assert {HOSTILE, "_private", "$x^$", "编码器"} <= set(labels)


def test_trials_of_unlike_origin_are_flagged_at_the_head(new_tree):
    tree = new_tree(environments=["point-robot"], encoders=["mlp"], seeds=[1, 2])
    tree.write_trial("point-robot", "mlp", 1)
    tree.write_trial("point-robot", "mlp", 2, provenance={"device": "cuda", "dirty": True})
    text = Page(tree.build() / "index.html").text
    head = text[: text.index("The answer")]
    assert "not all made alike" in head and "cpu (1), cuda (1)" in head and "uncommitted changes" in head


def test_a_rebuild_replaces_the_report_and_leaves_nothing_beside_it(new_tree):
    tree = new_tree(environments=["point-robot"], encoders=["mlp"], seeds=[1])
    for name in ("figures/old.svg", "tables/old.csv"):  # of reports of before, of an environment that is no more
        (tree.build() / name).parent.mkdir(exist_ok=True)
        (tree.root / "report" / name).touch()
    out = tree.build()
    assert not list(out.rglob("old.*"))
    assert {path.name for path in tree.root.iterdir()} == {"params.yaml", "results", "report"}


def test_a_folder_that_is_no_report_is_never_replaced(new_tree):
    tree = new_tree(environments=["point-robot"], encoders=["mlp"], seeds=[1])
    with pytest.raises(InputError, match="holds other files"):
        tree.build(".")
    assert tree.params.exists()


def test_the_command_builds_and_says_what_it_built(new_tree):
    tree = new_tree(environments=["point-robot"], encoders=["mlp"], seeds=[1])
    out = tree.root / "deep" / "report"
    given = ["report", "demo", "--params", tree.params, "--results", tree.results, "--out", out]
    result = CliRunner().invoke(main, list(map(str, given)))
    assert result.exit_code == 0, result.output
    assert "0 of 1 trials of grids.demo finished" in result.output
    assert (out / "index.html").is_file() and not list(out.glob("*.key.json"))  # of results elsewhere no key is asked
    result = CliRunner().invoke(main, [*map(str, given), "--expect-key", "0123456789abcdef"])
    assert result.exit_code == 2 and "asks for the report's key 0123456789abcdef, and the tree gives" in result.output


def test_the_command_writes_what_a_paper_takes(new_tree):
    tree = new_tree(environments=["point-robot"], encoders=["mlp"], seeds=[1])
    given = ["report", "demo", "--params", tree.params, "--results", tree.results, "--paper", tree.root / "paper"]
    result = CliRunner().invoke(main, list(map(str, given)))
    assert result.exit_code == 0, result.output
    assert "paper: 1 figures as SVG and PDF, 11 tables as LaTeX and Markdown" in result.output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--paper", "x", "--out", "y"], "--paper writes no report"),
        (["--paper", "x", "--expect-key", "y"], "--paper writes no report"),
        (["--compare", "HEAD", "HEAD", "--results", "x"], "--compare reads results from git"),
        (["--compare", "HEAD", "HEAD", "--paper", "x"], "--compare reads results from git"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["report", "demo", *options])
    assert result.exit_code == 2 and words in result.output and not list(tmp_path.iterdir())
