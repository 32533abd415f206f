"""The first screen's words: what can be said in a sentence, what is wrong in counted lines, all in plain English."""

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from oyster.report import notices
from oyster.report.read.results import load
from oyster.report.statistics import pairs
from oyster.report.verdict import WORDS, otherwise, verdict

ROOT = Path(__file__).resolve().parents[2]
BOUNDS = {"a": (0.0, 10.0), "b": (0.0, 10.0)}
GOOD, FAIR, BAD = [9.0, 9.1, 8.9], [5.0, 5.1, 4.9], [1.0, 1.1, 0.9]


def said(results) -> str:
    return verdict(results, pairs.every_pair(results))


# --- the verdict ------------------------------------------------------------------------------------------------------


def test_who_is_better_is_said_where_it_is_so(results_of):
    noise = {("b", "x"): [1.0, 9.0, 5.0], ("b", "y"): [2.0, 8.0, 5.5]}
    assert said(results_of({("a", "x"): GOOD, ("a", "y"): BAD} | noise)) == (
        "On a x is better than y; no other pair can be told apart at 3 seeds."
    )


def test_the_same_clause_is_said_once_for_several_places_and_names(results_of):
    returns = {(place, name): values for place in "ab" for name, values in (("x", GOOD), ("y", GOOD), ("z", BAD))}
    assert said(results_of(returns)) == (
        "On a and b x and y are better than z; no other pair can be told apart at 3 seeds."
    )


def test_an_order_of_all_leaves_no_other_pair(results_of):
    assert said(results_of({("a", "x"): GOOD, ("a", "y"): FAIR, ("a", "z"): BAD})) == (
        "On a x is better than y and z, and y is better than z."
    )


def test_over_all_environments_is_no_environment(results_of):
    returns = {(place, name): values for place in "ab" for name, values in (("x", GOOD), ("y", BAD))}
    assert said(results_of(returns, BOUNDS)) == "On a and b, and over all environments x is better than y."


@pytest.mark.parametrize(
    ("returns", "sentence"),
    [
        ({("a", "x"): [None], ("a", "y"): [None]}, "No trial has finished yet, so nothing can be said."),
        ({("a", "x"): [1.0, 2.0], ("a", "y"): [None]},
         "Only x has finished trials, so there is nothing to compare it with."),
        ({("a", "x"): [1.0], ("a", "y"): [2.0]},
         "No two agents can be compared yet: it takes two finished seeds of each, and seeds that differ."),
        ({("a", "x"): [1.0, 5.0, 3.0], ("a", "y"): [2.0, 4.0, 4.0]},
         "No agent can be told apart from another here, at 3 seeds."),
        ({("a", "x"): [1.0, 5.0, 3.0], ("a", "y"): [2.0, 4.0], ("b", "x"): [None], ("b", "y"): [None]},
         "No agent can be told apart from another in any environment or over all of them, at 2 to 3 seeds."),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_not(results_of, returns, sentence):
    assert said(results_of(returns)) == sentence


def test_of_many_agents_the_sentence_stays_short(results_of):
    rng = np.random.default_rng(0)
    names = [f"agent{k:02d}" for k in range(20)]
    one = said(results_of({("a", name): rng.normal(3 * k, 1, 3).tolist() for k, name in enumerate(names)}))
    assert re.fullmatch(
        r"On a agent19 is better than (all|\d+ of 19) others; \d+ of 190 pairs are told apart at 3 seeds.", one
    )
    returns = {(f"env{e}", name): rng.normal(3 * k, 1, 3).tolist() for e in range(6) for k, name in enumerate(names)}
    many = said(results_of(returns))
    assert re.fullmatch(
        r"\d+ of 1140 pairs are told apart at 3 seeds, on env0, env1, env2 and 3 other environments.", many
    )
    assert max(len(one.split()), len(many.split())) <= WORDS


def test_it_says_what_the_comparisons_say(results_of):
    """Of any results: each pair that the sentence names is one that the test decided, and all are named or counted."""
    rng, named = np.random.default_rng(1), 0
    for _ in range(30):
        returns = {(place, name): rng.normal(rng.integers(3), 0.4, 3).tolist() for place in "ab" for name in "xyz"}
        results = results_of(returns)
        every = pairs.every_pair(results)
        decided = every[every.verdict == pairs.BETTER]
        sentence = verdict(results, every)
        found = set()
        if counted := re.search(r"(\d+) of (\d+) pairs", sentence):
            assert tuple(map(int, counted.groups())) == (len(decided), len(every)), sentence
            continue
        named += 1
        for clause in re.split("; ", sentence.rstrip(".")):
            places = re.match(r"[Oo]n (a and b|a|b) ", clause)
            for part in re.split(
                ", and (?=[xyz](?: and [xyz])? (?:is|are) )", clause[places.end() :] if places else ""
            ):
                if match := re.fullmatch(r"(.*) (?:is|are) better than (.*)", part):
                    of = [re.findall(r"\b[xyz]\b", names) for names in match.groups()]
                    found |= {(p, i, j) for p in re.findall(r"\b[ab]\b", places[1]) for i in of[0] for j in of[1]}
        assert found == {(row.environment, row.first, row.second) for row in decided.itertuples()}, sentence
    assert named > 10


# --- what is wrong ----------------------------------------------------------------------------------------------------


def titles(results) -> list[str]:
    return [notice.title for notice in notices.notices(results)]


def test_each_thing_that_is_wrong_is_one_counted_line(new_tree):
    tree = new_tree(environments=["point-robot"], encoders=["mlp"], seeds=[1, 2, 3])
    tree.write_trial("point-robot", "mlp", 1)
    tree.write_trial("point-robot", "mlp", 2, failure={"reason": "broke", "iteration": 1})
    for seed in (7, 8):
        tree.write_trial("point-robot", "abandoned", seed)
    (tree.results / "point-robot" / "mlp" / "1" / "progress.csv").write_text("no table\n")
    results = load(tree.results, tree.read_grid(), remarks=["One remark."], outdated=["x is stale (new code)."])
    assert titles(results) == [
        "2 of 3 trials gave no return: 1 failed, 1 not run yet.",
        "1 result is not what the grid asks for now, but is shown.",
        "1 file could not be used.",
        "2 results are not of this grid, and are not counted.",
        "1 remark on the trials.",
        "Not comparable with published numbers.",
    ]
    strays = notices.notices(results)[3]
    assert [path.removesuffix(".").rsplit("/", 2)[1:] for path in strays.details] == [
        ["abandoned", "7"], ["abandoned", "8"],
    ]  # fmt: skip
    page = (tree.build() / "index.html").read_text()
    assert page.index("2 results are not of this grid") < page.index('<h2 id="answer">')


def test_where_nothing_is_wrong_nothing_is_said(full):
    tree, _ = full
    results = load(tree.results, tree.read_grid())
    assert titles(results) == ["Not comparable with published numbers."]
    grid = dataclasses.replace(results.grid, preset="benchmark")
    empty = dataclasses.replace(results, grid=grid, progress=results.progress.head(0))
    assert titles(empty) == []


# --- plain English ----------------------------------------------------------------------------------------------------


NAMES = {"p", "li", "caption", "figcaption", "summary", "h1", "h2", "h3"}
ASIDE = {"svg", "style", "script", "tbody", "tfoot", "dl"}


class Blocks(HTMLParser):
    """The text of each paragraph, item, caption and summary, tables' cells and figures aside."""

    def __init__(self, text):
        super().__init__()
        self.blocks, self.aside = [], 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.aside += tag in ASIDE
        if tag in NAMES and not self.aside:
            self.blocks.append("")

    def handle_endtag(self, tag):
        self.aside -= tag in ASIDE

    def handle_data(self, data):
        if self.blocks and not self.aside:
            self.blocks[-1] += data


@pytest.fixture(scope="module")
def sentences(full) -> list[str]:
    """Of a report with everything in it, and of the benchmark's."""
    pages = [full[1] / "index.html", ROOT / "reports" / "benchmark" / "index.html"]
    blocks = [block for page in pages for block in Blocks(page.read_text(encoding="utf-8")).blocks]
    return [said for block in blocks for said in re.split(r"(?<=[.?!:])\s", " ".join(block.split())) if said]


def test_no_sentence_has_more_than_thirty_words(sentences):
    assert len(sentences) > 200
    assert [said for said in sentences if len(said.split()) > 30] == []


def test_words_are_used_for_what_they_mean(sentences):
    """`figure` is a picture and `number` a value; `a` does not mean per; an encoder is PEARL's, an agent anyone's."""
    text = " ".join(sentences)
    for wrong in (r"published figures?", r"figures? (shown|reported)", r"steps a second", r"\ba (dot|row|column) an? ",
                  r"[Tt]he oracle", r"\bidle\b"):  # fmt: skip
        assert not re.search(wrong, text), re.search(f".{{30}}{wrong}.{{30}}", text)
    meant = (
        r"encoders in float32|the encoder's size|parameters of its encoder"  # a setting's words, and what is counted
    )
    assert [said for said in sentences if "ncoder" in said and not re.search(meant, said)] == []


# --- by the last five -------------------------------------------------------------------------------------------------


def said_otherwise(results) -> str:
    return otherwise(*(pairs.every_pair(results, metric) for metric in (pairs.LAST, pairs.LAST5)))


def test_what_a_steadier_measure_would_say_stands_beside(results_of):
    last = {("a", "x"): GOOD, ("a", "y"): BAD, ("b", "x"): [4.0, 6.0, 5.0], ("b", "y"): [5.0, 4.5, 6.0]}
    by = "By the mean of the last five iterations"
    assert said_otherwise(results_of(last)) == f"{by} no verdict changes."
    noisy = last | {("a", "x"): [1.0, 9.0, 5.0]}
    assert said_otherwise(results_of(last, last5=noisy)) == f"{by}, x and y on a are no longer told apart."
    assert said_otherwise(results_of(noisy, last5=last)) == f"{by}, x and y on a are told apart as well."
    turned = last | {("a", "x"): BAD, ("a", "y"): GOOD}
    assert said_otherwise(results_of(last, last5=turned)) == (
        f"{by}, x and y on a are no longer told apart, and y and x on a are told apart as well."
    )
    assert said_otherwise(results_of({("a", "x"): [1.0], ("a", "y"): [2.0]})) == ""
