"""What is said of encoders: cells, pairs, ranks, sentences, and the answer as the page shows it."""

import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from oyster.report import answer, page, paper, tables
from oyster.report.page import TEMPLATES
from oyster.report.read.results import anchor, load
from oyster.report.statistics import pairs, words
from oyster.report.statistics.intervals import interval, mean_estimate, t_interval
from oyster.report.statistics.pairs import BETTER, OPEN, UNKNOWN

LONGEST = 30  # words of a sentence
CLEAR = {("a", "good"): [10.0, 10.1, 9.9], ("a", "bad"): [0.0, 0.2, -0.2], ("a", "worse"): [-9.0, -9.1, -9.3]}
HOSTILE = ["<script>alert(1)</script>", "编码器", 'id="a" onload="b', "x" * 200, "{{ 7 * 7 }}"]


def compared(results, environment="a"):
    cells = pairs.environment_cells(results, environment)
    frame = pairs.pairs(cells)
    return frame.set_index(["first", "second"]), pairs.ranks(cells, frame)


def render(results, *names):
    """Partials, one after the other, as the page includes them."""
    templates = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    templates.filters |= {"number": page.number, "count": page.count, "duration": page.duration}
    context = answer.page_context(results)
    return "".join(templates.get_template(f"{name}.html.j2").render(**context) for name in names)


class Html(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = [], [], "", []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag != "br":
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += " " + " ".join(data.split())

    def values(self, name):
        return [value for key, value in self.attributes if key == name]


def test_clear_differences_are_decided_and_ranked(results_of):
    frame, ranks = compared(results_of(CLEAR))
    assert set(frame.verdict) == {BETTER} and set(frame.index) == {("good", "bad"), ("good", "worse"), ("bad", "worse")}
    assert ranks == {"good": (1, 1), "bad": (2, 2), "worse": (3, 3)}
    pair = frame.loc["good", "bad"]
    assert pair.difference == pytest.approx(10.0) and pair.low < 10 < pair.high and pair.improvement == 1.0


def test_noise_is_not_ranked(results_of):
    frame, ranks = compared(results_of({("a", "x"): [1.0, 5.0, 3.0], ("a", "y"): [2.0, 4.0, 4.0]}))
    assert frame.verdict.tolist() == [OPEN] and ranks == {}
    assert frame.seeds_needed.iloc[0] > 3


def test_encoders_that_are_all_alike_are_seldom_told_apart():
    # Holm's promise: in at most 5 % of reports is any of the three pairs of equals called different.
    samples = np.random.default_rng(0).normal(size=(300, 3, 3))  # (report, encoder, seed)
    wrong = 0
    for report in samples:
        cells = [
            pairs.Cell(str(k), (values,), mean_estimate(values), *interval(values)) for k, values in enumerate(report)
        ]
        wrong += pairs.ranks(cells, pairs.pairs(cells)) != {}
    assert wrong / len(samples) <= 0.06


def test_a_rank_reaches_as_far_as_the_data_leave_open(results_of):
    returns = {("a", "x"): [10.0, 11.0, 9.0], ("a", "y"): [9.5, 10.6, 9.2], ("a", "z"): [-50.0, -51.0, -49.0]}
    _, ranks = compared(results_of(returns))
    assert ranks == {"x": (1, 2), "y": (1, 2), "z": (3, 3)}


def test_one_seed_has_no_interval_and_no_rank(results_of):
    results = results_of(CLEAR | {("a", "single"): [99.0, None, None]})
    frame, ranks = compared(results)
    assert "single" not in ranks and ranks["good"] == (1, 1)
    assert set(frame.loc["single"].verdict) == {UNKNOWN} and frame.loc["single"].low.isna().all()
    cell = answer.answer(results)["rows"][3]["cells"][0]
    assert cell["value"] == 99.0 and cell["low"] is None and cell["rank"] is None and "one seed" in cell["method"]


def test_holm_counts_every_pair_of_the_environment(results_of):
    two = {("a", "x"): [10.0, 11.0, 12.0], ("a", "y"): [6.0, 7.5, 8.5]}
    more = {("a", f"other{k}"): [8.0 + k, 12.0 - k, 9.0] for k in range(4)}
    (alone, _), (among, _) = compared(results_of(two)), compared(results_of(two | more))
    pair, same = alone.loc["x", "y"], among.loc["x", "y"]
    assert same.p == pair.p < 0.05 and pair.verdict == BETTER
    assert same.p_holm > 0.05 and same.verdict == OPEN
    tests = int(among.p.notna().sum())
    told = words.comparison(
        among.reset_index().assign(scale="return").query("first == 'x' and second == 'y'").iloc[0], tests
    )
    assert "Tested alone" in told and "one of 15 pairs" in told


def test_seeds_that_are_all_alike_give_no_interval_of_their_own(results_of):
    returns = {("a", "flat"): [0.0] * 3, ("a", "flat too"): [0.0] * 3, ("a", "x"): [5.0, 5.2, 5.1]}
    frame, _ = compared(results_of(returns))
    assert frame.loc["flat", "flat too"].verdict == UNKNOWN
    assert frame.loc["x", "flat"].verdict == BETTER and frame.loc["x", "flat"].alike == "flat"


def test_the_aggregate_is_of_normalised_scores_in_every_environment(results_of):
    bounds = {"a": (0.0, 10.0), "b": (-100.0, 0.0)}
    returns = {
        ("a", "x"): [5.0, 6.0, 7.0],
        ("b", "x"): [-40.0, -30.0, -50.0],
        ("a", "y"): [1.0, 2.0, 3.0],
        ("b", "y"): [],
    }
    x, y = pairs.aggregate_cells(results_of(returns, bounds))
    assert x.estimate.value == pytest.approx(np.mean([0.5, 0.6, 0.6, 0.6]), abs=0.1) and x.n == 3
    assert x.low < x.estimate.value < x.high
    assert math.isnan(y.estimate.value) and "no seed on b" in y.method
    (without, _) = pairs.aggregate_cells(results_of(returns, {"a": (0.0, 10.0)}))
    assert "no oracle on b" in without.method


def test_improvement_is_averaged_over_environments(results_of):
    bounds = {"a": (0.0, 10.0), "b": (0.0, 10.0)}
    returns = {("a", "x"): [5.0, 6.0], ("b", "x"): [5.0, 6.0], ("a", "y"): [1.0, 2.0], ("b", "y"): [5.0, 6.0]}
    pair = pairs.pairs(pairs.aggregate_cells(results_of(returns, bounds))).iloc[0]
    assert pair["first"] == "x" and pair.improvement == pytest.approx((1 + 0.5) / 2)
    assert pair.improvement_low < 0.75 < pair.improvement_high


def test_cells_give_the_interval_and_its_method(results_of):
    few, many = [1.0, 2.0, 4.0], np.random.default_rng(0).normal(size=12).tolist()
    frame = tables.cells(results_of({("a", "few"): few, ("a", "many"): many})).set_index("encoder")
    assert tuple(frame.loc["few", ["ci95_low", "ci95_high"]]) == t_interval(few)
    assert frame.ci95_method.tolist() == ["Student's t", "bootstrap, expanded percentiles"]


@pytest.mark.parametrize(
    ("returns", "parts"),
    [
        (CLEAR, ["good is better than bad (p < 0.001). The mean return of good is 10.00 higher", "improvement: 1.00"]),
        ({("a", "x"): [1.0, 5.0, 3.0], ("a", "y"): [2.0, 4.0, 4.0]},
         ["y and x are not distinguishable at 3 seeds", "seeds each would settle this pair at 80 % power"]),
        ({("a", "x"): [1.0, 2.0], ("a", "y"): [1.0]}, ["cannot be compared (it takes two seeds of each)"]),
        ({("a", "x"): [1.0, 1.0], ("a", "y"): [1.0, 1.0]}, ["no seed of theirs differs", "Their mean return is the"]),
        ({("a", "x"): [1.0, -1.0, 0.0], ("a", "y"): [1.0, -1.01, 0.0]}, ["more than 1,000 seeds each"]),
    ],
)  # fmt: skip
def test_every_comparison_is_a_sentence(results_of, returns, parts):
    (group,) = answer.page_context(results_of(returns))["comparisons"]["groups"]
    text = " ".join(sentence["text"] for sentence in group["sentences"])
    assert len(group["sentences"]) == group["pairs"] and "nan" not in text and "inf" not in text
    for part in parts:
        assert part in text
    assert max(len(said.split()) for said in re.split(r"(?<=[.?!])\s", text)) <= LONGEST


def test_with_thirty_encoders_the_sentences_stay_bounded(results_of):
    rng = np.random.default_rng(0)
    names = ["mlp", *(f"encoder{k:02d}" for k in range(29))]
    results = results_of(
        {(place, name): rng.normal(k, 1, 3).tolist() for place in "ab" for k, name in enumerate(names)}
    )
    group = answer.page_context(results)["comparisons"]["groups"][0]
    assert group["pairs"] == 435 and len(group["sentences"]) == 29 + 28
    assert all({"mlp", "encoder28"} & {said["first"], said["second"]} for said in group["sentences"])
    assert len(group["rest"]) + group["unlisted"] + len(group["sentences"]) == 435
    assert len(render(results, "comparisons")) < 1_000_000


def test_what_the_last_five_iterations_change_is_computed(results_of):
    last = {("a", "x"): [1.0, 1.1, 0.9], ("a", "y"): [0.0, 0.2, 0.1]}
    last5 = {("a", "x"): [0.0, 0.2, 0.1], ("a", "y"): [3.0, 0.2, 0.1]}
    (said,) = answer.page_context(results_of(last, last5=last5))["comparisons"]["last5"]["sentences"]
    sentence = said["text"]
    assert said["environment"] == "a" and "the means of x and y change places" in sentence
    assert "become distinguishable: 0, that no longer are: 1" in sentence
    (same,) = answer.page_context(results_of(last))["comparisons"]["last5"]["sentences"]
    assert "every pair keeps its order; no verdict changes" in same["text"]


def test_within_seed_noise_is_of_the_last_five_iterations(new_tree):
    tree = new_tree(environments=["point-robot"], encoders=["mlp"], seeds=[1])
    folder = tree.write_trial("point-robot", "mlp", 1, iterations=8)
    values = [float(line.split(",")[3]) for line in (folder / "progress.csv").read_text().splitlines()[1:]]
    row = answer.stability(load(tree.results, tree.read_grid())).iloc[0]
    assert row.within_seed == pytest.approx(np.std(values[-5:], ddof=1)) and math.isnan(row.between_seeds)


def test_each_cell_opens_to_its_seeds_and_each_seed_leads_to_its_origin(results_of):
    results = results_of(CLEAR | {("a", "half"): [1.0, None, 2.0]})
    html = Html(render(results, "answer"))
    assert html.values("href") == [f"#{anchor(*trial)}" for trial in results.grid.trials()]
    assert html.tags.count("details") == 4 + 1 and html.tags.count("circle") == 3 * 3 + 2
    assert "2 missing: not run yet" in html.text and "n = 2 of 3" in html.text.replace("\xa0", " ")
    assert "rank 1" in html.text and html.tags.count("caption") == 1
    assert set(html.values("scope")) == {"col", "row"}
    numbers = [value for value in html.values("data-value") if value]
    assert [float(value) for value in numbers] == pytest.approx([10.0, 0.0, -9.1333333, 1.5])


@pytest.mark.parametrize("name", ["answer", "comparisons", "published"])
def test_hostile_names_are_text_in_every_partial(results_of, name):
    results = results_of({(place, encoder): [1.0, 2.0] for place in "ab" for encoder in HOSTILE})
    html = Html(render(results, name))
    assert "script" not in html.tags and not html.values("onload") and "49" not in re.findall(r"\d+", html.text)
    assert name == "published" or all(encoder in html.text for encoder in HOSTILE)
    assert all(value.isascii() for value in html.values("href"))


@pytest.mark.parametrize("name", ["answer", "comparisons", "published"])
@pytest.mark.parametrize(
    "returns", [{("a", "mlp"): [None]}, {("a", "mlp"): [1.0]}, {("a", "mlp"): [1.0], ("b", "mlp"): [None]}]
)
def test_none_and_one_trial_say_what_they_cannot(results_of, returns, name):
    html = Html(render(results_of(returns), name))
    assert not {"nan", "inf", "None"} & set(re.split(r"[^\w]+", html.text))
    assert name != "answer" or "Nobody is ranked" in html.text
    assert name != "comparisons" or "nothing to compare" in html.text


def test_a_thousand_trials_are_no_trouble(results_of):
    rng = np.random.default_rng(0)
    returns = {(place, f"e{k}"): rng.normal(k % 7, 1, 10).tolist() for place in "ab" for k in range(50)}
    results = results_of(returns, {"a": (0.0, 10.0), "b": (0.0, 10.0)})
    assert len(results.trials) == 1000
    assert len(render(results, "answer", "comparisons", "published")) < 2_000_000


def test_every_table_and_the_page_say_the_precision(new_tree):
    tree = new_tree(encoders=["mlp", "recurrent"], seeds=[1])
    tree.write_trial("point-robot", "mlp", 1, provenance={"precision": "bfloat16"})
    results = load(tree.results, tree.read_grid())
    assert tables.precision(results.trials) == "bfloat16 with encoders in float32"
    ours = {"meta_test_return", "normalised_score", "comparisons", "last_five", "published_beside"}
    sentence = "Gradient steps in bfloat16 with encoders in float32."
    told = {table.name for table in paper.all_tables(results) if sentence in table.caption}
    assert told == ours
    page = (tree.build() / "index.html").read_text()
    assert "Precision of the gradient steps: <strong>bfloat16 with encoders in float32</strong>" in page
    tree.write_trial("point-robot", "recurrent", 1)
    both = tables.precision(load(tree.results, tree.read_grid()).trials)
    assert both == "bfloat16 with encoders in float32 (1 trial), float32 (1 trial)"
