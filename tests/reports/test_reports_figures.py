"""The figures: the data's points where the data says, something sensible for any grid."""

import dataclasses
import json
import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from oyster.report.figures import FIGURES, INK, PAPER, RULE, parameters, posterior, profiles, tasks
from oyster.report.figures.style import COLOURS, looks
from oyster.report.read.results import load
from oyster.report.statistics import intervals
from tests.reports.trees import Shape

SPECS = {spec.kind: spec for spec in FIGURES}
SECTIONS = {"answer", "learning", "adaptation", "tasks", "posterior", "trajectories", "profiles", "cost"}
COLOURED_BY_NUMBER = {"tasks", "posterior_means", "posterior_projection"}  # which also use colour scales
HOSTILE = ["<script>alert(1)</script>", "_private", "$x^$", "编码器", 'id="a" onload="b', "x" * 200, "a\x07b", "a|b"]
NUMBER = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"


def read(tree):
    return load(tree.results, tree.read_grid())


def draw_all(results, *kinds):
    return {kind: SPECS[kind].draw(results) for kind in kinds or SPECS}


def elements(svg, tag):
    return [element for element in ElementTree.fromstring(svg).iter() if element.tag.endswith(f"}}{tag}")]


def texts(svg):
    return [element.text for element in elements(svg, "text")]


def marks(svg):
    """gid → (x, y) in the picture, of every point that carries one."""
    found = {}
    for group in elements(svg, "g"):
        if group.get("id", "").count("|") >= 3:
            use = next(element for element in group.iter() if element.tag.endswith("}use"))
            found[group.get("id")] = float(use.get("x")), float(use.get("y"))
    return found


def strokes(svg, colour, width):
    """The vertices (vertex, 2) of every line of a colour and width in points, legends aside."""
    found = []
    for path in elements(svg, "path"):
        style = path.get("style", "")
        drawn_width = re.search(r"stroke-width: ([\d.]+)", style)
        if f"stroke: {colour}" in style and (drawn_width[1] if drawn_width else "1") == width:
            vertices = np.array(re.findall(rf"[ML] ({NUMBER}) ({NUMBER})", path.get("d")), dtype=float)
            if path.get("clip-path"):
                found.append(vertices)
    return found


def affine(picture, data):
    """Whether picture = a · data + b, as an axis draws it, to a hundredth of a point."""
    slope, offset = np.polyfit(data, picture, 1)
    return np.abs(np.polyval([slope, offset], data) - picture).max() < 0.01


@pytest.fixture(scope="module")
def results(full):
    return read(full[0])


@pytest.fixture(scope="module")
def drawn(full):
    return json.loads((full[0].root / "drawn.json").read_text())


# --- agents stay apart ------------------------------------------------------------------------------------------------

# What protanopes, deuteranopes and tritanopes see, in linear RGB (Machado, Oliveira and Fernandes 2009, severity 1).
VISIONS = [
    [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
]


def linear(colour: str) -> np.ndarray:
    rgb = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear RGB."""
    white, to_xyz = (
        np.array([0.9505, 1, 1.089]),
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]],
    )
    x, y, z = np.cbrt(np.clip(np.array(to_xyz) @ np.clip(rgb, 0, 1) / white, 0.009, None))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def apart(one: str, other: str) -> float:
    """The distance of two colours in the eye that tells them apart least; 2.3 is just noticeable."""
    seen = [[lab(np.array(vision) @ linear(colour)) for vision in VISIONS] for colour in (one, other)]
    return min(np.linalg.norm(a - b) for a, b in zip(*seen, strict=True))


def test_twelve_agents_stay_apart_by_colour_and_by_mark():
    shown = list(looks([f"agent{k}" for k in range(12)]).values())
    assert len({look.colour for look in shown}) == 12
    for place, look in enumerate(shown):
        for other in shown[:place]:
            distance = apart(look.colour, other.colour)
            assert distance > 10, (look, other)
            assert look.mark != other.mark or distance > 30, (look, other)
    luminance = [linear(colour) @ [0.2126, 0.7152, 0.0722] for colour in COLOURS]
    assert all(1.05 / (y + 0.05) > 2.2 and (y + 0.05) / (0.0093 + 0.05) > 2.2 for y in luminance)  # on white, on dark


def test_no_two_of_a_hundred_agents_look_the_same():
    assert len(set(looks([f"agent{k}" for k in range(100)]).values())) == 100


# --- the data's points, where the data says ---------------------------------------------------------------------------


def test_every_figure_is_declared_whole_and_drawn_for_every_environment(results, drawn):
    assert {spec.section for spec in FIGURES} == SECTIONS
    assert len(SPECS) == len(FIGURES)
    for spec in FIGURES:
        expected = list(results.grid.environments)
        if spec.kind == "profiles":
            expected = [profiles.ALL, *expected]
        assert list(drawn[spec.kind]) == expected
        assert spec.title and spec.caption(results).endswith(".") and "  " not in spec.caption(results)
        for name, svg in drawn[spec.kind].items():
            assert name in texts(svg) and name.split()[0] in spec.alt(results, name)


@pytest.mark.parametrize("kind", ["returns", "cost_speed", "cost_wall_time", "cost_parameters"])
def test_a_dot_stands_for_each_seed_at_its_return(results, drawn, kind):
    for environment, svg in drawn[kind].items():
        trials = results.trials[results.trials.environment == environment]
        named = {f"{t.encoder}|{t.environment}|{t.seed}|{t.meta_test_return:.6g}": t for t in trials.itertuples()}
        found = marks(svg)
        assert found.keys() == named.keys()
        places = np.array([found[gid] for gid in named])
        returns = trials.meta_test_return.to_numpy()
        assert affine(places[:, 0 if kind == "returns" else 1], returns)
        column = {"cost_speed": "gradient_steps_per_second", "cost_wall_time": "wall_seconds"}.get(kind)
        if column and trials[column].nunique() > 1:
            assert affine(places[:, 0], trials[column].to_numpy())


def test_the_mean_and_the_interval_stand_where_they_belong(new_tree):
    tree = new_tree(environments=["point-robot"], encoders=["mlp", "other"], seeds=[1, 2, 3])
    for encoder, values in {"mlp": (-12.0, -11.0, -10.0), "other": (-20.0, -15.0, -4.0)}.items():
        for seed, value in zip((1, 2, 3), values, strict=True):
            tree.write_trial("point-robot", encoder, seed, final=value)
    svg = SPECS["returns"].draw(read(tree))["point-robot"]
    found = marks(svg)
    left, right = found["mlp|point-robot|1|-12"], found["mlp|point-robot|3|-10"]
    scale = (right[0] - left[0]) / 2  # points of the picture a unit of return
    bars = [bar for bar in strokes(svg, INK, "2.2") if len(bar) == 2]
    assert bars[0][:, 0] == pytest.approx((left[0] + right[0]) / 2, abs=0.01)  # the mean, -11
    whisker = next(line for line in strokes(svg, INK, "1") if np.allclose(line[:, 1], left[1]))
    low, high, _ = intervals.interval([-12.0, -11.0, -10.0])
    assert whisker[:, 0] == pytest.approx([left[0] + (low + 12) * scale, left[0] + (high + 12) * scale], abs=0.01)


@pytest.mark.parametrize("kind", ["learning_environment_steps", "learning_gradient_steps", "adaptation"])
def test_the_thick_line_is_the_mean_of_the_thin_ones(drawn, kind):
    for svg in drawn[kind].values():
        for colour in COLOURS[:3]:
            thin, (thick,) = strokes(svg, colour, "0.9"), strokes(svg, colour, "2.2")
            assert len(thin) == 2 and len(thick) > 2
            assert np.abs(np.mean(thin, axis=0) - thick).max() < 0.01


def test_learning_curves_draw_what_progress_says(results, drawn):
    frame = results.progress.query("environment == 'point-robot' and encoder == 'mlp'")
    lines = strokes(drawn["learning_gradient_steps"]["point-robot"], COLOURS[0], "0.9")
    for line, (_, rows) in zip(lines, frame.groupby("seed"), strict=True):
        assert affine(line[:, 0], rows.gradient_steps) and affine(line[:, 1], rows.meta_test_return)


def test_wall_time_is_drawn_where_provenance_has_it(new_tree):
    tree = new_tree(environments=["point-robot"], encoders=["mlp"], seeds=[1])
    tree.write_trial("point-robot", "mlp", 1, provenance={"iteration_seconds": [10, 30, 40, 45, 80, 100.5]})
    (line,) = strokes(SPECS["learning_wall_time"].draw(read(tree))["point-robot"], COLOURS[0], "0.9")
    assert affine(line[:, 0], np.array([10, 30, 40, 45, 80, 100.5]))
    other = new_tree("other", environments=["point-robot"], encoders=["mlp"], seeds=[1])
    other.write_trial("point-robot", "mlp", 1, provenance={"iteration_seconds": [10, 30]})
    assert SPECS["learning_wall_time"].draw(read(other)) == {}


def test_a_band_is_the_t_interval_and_begins_at_three_seeds(new_tree):
    shapes = {}
    for seeds in ([1, 2], [1, 2, 3]):
        tree = new_tree(f"of{len(seeds)}", environments=["point-robot"], encoders=["mlp"], seeds=seeds)
        tree.write_all(iterations=4)
        results = read(tree)
        svg = SPECS["learning_gradient_steps"].draw(results)["point-robot"]
        groups = [g for g in elements(svg, "g") if g.get("id", "").startswith("agent:")]
        paths = [path for g in groups for path in g.iter() if path.tag.endswith("}path")]
        shapes[len(seeds)] = [
            path for path in paths if path.get("d").strip().endswith("z") and "C" not in path.get("d")
        ]
    (thick,) = strokes(svg, COLOURS[0], "2.2")
    assert shapes[2] == [] and len(shapes[3]) == 1
    vertices = np.array(re.findall(rf"[ML] ({NUMBER}) ({NUMBER})", shapes[3][0].get("d")), dtype=float)
    vertices[:, 1] += float(ElementTree.fromstring(svg).get("height").removesuffix("pt"))  # its own origin is below
    rows = results.progress.sort_values("iteration")
    means = rows.groupby("iteration").meta_test_return.mean().to_numpy()
    scale = np.polyfit(means, thick[:, 1], 1)[0]
    for x, (_, group), middle in zip(thick[:, 0], rows.groupby("iteration"), thick[:, 1], strict=True):
        low, high = intervals.t_interval(group.meta_test_return)
        drawn_at = vertices[np.isclose(vertices[:, 0], x, atol=0.01), 1]
        half = abs(scale) * (high - low) / 2
        assert (drawn_at.min(), drawn_at.max()) == pytest.approx((middle - half, middle + half), abs=0.05)


def test_failed_trials_are_dotted_and_not_in_the_mean(new_tree):
    tree = new_tree(environments=["point-robot"], encoders=["mlp"], seeds=[1, 2])
    tree.write_trial("point-robot", "mlp", 1)
    tree.write_trial("point-robot", "mlp", 2, iterations=3, failure={"reason": "no", "iteration": 3})
    svg = SPECS["learning_gradient_steps"].draw(read(tree))["point-robot"]
    (thick,) = strokes(svg, COLOURS[0], "2.2")
    solid = [line for line in strokes(svg, COLOURS[0], "0.9") if len(line) == 6]
    assert np.allclose(solid[0], thick)
    dotted = [p for p in elements(svg, "path") if "stroke-dasharray: 0.9" in p.get("style", "")]
    assert len(dotted) == 1 and len(re.findall("[ML]", dotted[0].get("d"))) == 3


# --- what is computed for them ----------------------------------------------------------------------------------------


def test_tasks_are_named_by_their_parameter_or_the_angle_of_their_goal(results):
    velocity = parameters.scale(results, "cheetah-vel")
    assert velocity.words == "target velocity" and velocity.values.tolist() == pytest.approx([0.3, 1.1, 1.9, 2.7])
    angle = parameters.scale(results, "sparse-point-robot")
    assert "angle" in angle.words and angle.values.tolist() == pytest.approx([0, 60, 120, 180])
    assert parameters.spread_out(results, "sparse-point-robot", 3) == [0, 2, 3]
    assert parameters.spread_out(results, "sparse-point-robot", 9) == [0, 1, 2, 3]


def test_goals_on_a_plane_become_a_map_of_regret(results):
    x = results.adaptation.goal_x.where(results.adaptation.task != 1, 0.1)
    alone = dataclasses.replace(results.grid, environments=("point-robot",))
    plane = dataclasses.replace(results, grid=alone, adaptation=results.adaptation.assign(goal_x=x))
    assert parameters.scale(plane, "point-robot") is None
    assert "direction" in parameters.hue(plane, "point-robot").words
    svg = SPECS["tasks"].draw(plane)["point-robot"]
    assert "return lost against Oracle" in texts(svg) and {"goal x", "goal y"} <= set(texts(svg))
    lost = tasks.regret(plane, "point-robot").set_index(["encoder", "seed", "task"]).regret
    trial = plane.adaptation.query("environment == 'point-robot' and encoder == 'mlp' and seed == 42 and task == 2")
    bound = plane.scripted.query("environment == 'point-robot' and task == 2").task_known.item()
    last = trial[trial.trajectory == 2]["return"].mean()
    assert lost["mlp", 42, 2] == pytest.approx(bound - last)
    for kind in ("posterior_means", "posterior_projection", "trajectories"):
        assert "point-robot" in SPECS[kind].draw(plane)


def test_one_trial_stands_for_the_others_by_a_rule(new_tree):
    tree = new_tree(environments=["point-robot"], encoders=["mlp"], seeds=[1, 2, 3, 4])
    for seed, value in {1: -10.0, 2: -13.0, 3: -11.0, 4: -12.0}.items():
        tree.write_trial("point-robot", "mlp", seed, final=value)
    assert parameters.median_trial(read(tree), "point-robot", "mlp") == 4  # the lower of the middle two
    assert parameters.median_trial(read(tree), "point-robot", "other") is None


def test_normalised_scores_and_their_profile(results):
    frame = profiles.scores(results, "point-robot")
    returns = tasks.task_returns(results, "point-robot")
    bounds = results.scripted.query("environment == 'point-robot'").set_index("task")
    row, trial = frame.iloc[3], returns.iloc[3]
    nothing, known = bounds.loc[trial.task, ["doing_nothing", "task_known"]]
    assert row.score == pytest.approx((trial["return"] - nothing) / (known - nothing))
    shares = profiles._shares(results)
    mine = frame.query("encoder == 'mlp' and seed == 42").score
    share = shares["point-robot"].query("encoder == 'mlp' and seed == 42").set_index("threshold").share
    assert share[0.5] == pytest.approx((mine > 0.5).mean())
    assert (np.diff(share.sort_index()) <= 0).all()
    both = [
        shares[name].query("encoder == 'mlp' and seed == 42").set_index("threshold").share
        for name in results.grid.environments
    ]
    whole = shares[profiles.ALL].query("encoder == 'mlp' and seed == 42").set_index("threshold").share
    assert whole[0.3] == pytest.approx(np.mean([share[0.3] for share in both]))


def test_contraction_is_the_geometric_mean_of_the_variances(results):
    frame = posterior._log_variance(results, "sparse-point-robot").query("encoder == 'mlp' and seed == 42")
    assert (10 ** frame.set_index("trajectory").log_variance[[0, 1, 4]]).tolist() == pytest.approx([1, 1 / 2, 1 / 5])


def test_an_encoder_without_variance_is_left_out_of_the_contraction(results):
    blank = results.posteriors.assign(variance_0=np.nan, variance_1=np.nan, variance_2=np.nan)
    assert SPECS["posterior_contraction"].draw(dataclasses.replace(results, posteriors=blank)) == {}
    assert SPECS["posterior_means"].draw(dataclasses.replace(results, posteriors=blank)).keys() == set(
        results.grid.environments
    )


def test_projections_keep_what_they_should_and_say_what_they_cannot():
    line = np.outer(np.arange(12.0), [3.0, 4.0, 0.0])
    maps = posterior._flattened(line)
    pca, tsne = maps
    assert pca == "PCA (100% of variance)" and "perplexity 3.7" in tsne
    assert np.abs(np.diff(maps[pca][:, 0])) == pytest.approx(5.0) and np.allclose(maps[pca][:, 1], 0)
    assert maps[tsne].shape == (12, 2) and np.array_equal(maps[tsne], posterior._flattened(line)[tsne])
    assert [flat is None for flat in posterior._flattened(line[:3]).values()] == [False, True]
    assert set(posterior._flattened(np.ones((9, 3))).values()) == {None}


def test_a_pdf_twin_is_whole_and_undated(full, drawn):
    for kind, panels in drawn.items():
        pdf = (full[0].root / "paper" / f"{kind}_point-robot.pdf").read_bytes()
        assert pdf.startswith(b"%PDF") and pdf.rstrip().endswith(b"%%EOF") and b"Date" not in pdf
        svg = panels["point-robot"]
        assert "<dc:date>" not in svg and "data:image" not in svg  # nothing is a bitmap


# --- any grid ---------------------------------------------------------------------------------------------------------


def check(results, figures):
    """What holds of every figure: legal XML, text as text, no mathematics, our colours only, an alt text in words."""
    for kind, panels in figures.items():
        for name, svg in panels.items():
            words = [text or "" for text in texts(svg)]
            assert not any("mathdefault" in text or text.lower() == "nan" for text in words), (kind, name)
            used = set(
                re.findall(r"#[0-9a-f]{6}\b", " ".join(e.get("style", "") for e in ElementTree.fromstring(svg).iter()))
            )
            if kind not in COLOURED_BY_NUMBER:
                assert used <= {INK, PAPER, RULE, *COLOURS}, (kind, name, used)
            alt = SPECS[kind].alt(results, name)
            assert not {"nan", "None", "inf"} & set(re.findall(r"\w+", alt)), alt


def test_ordinary_figures_hold_what_all_should(results, drawn):
    check(results, drawn)


def test_nothing_run_yet(new_tree):
    results = read(new_tree())
    figures = draw_all(results)
    assert {kind for kind, panels in figures.items() if panels} == {"returns"}
    assert all("no finished trial yet" in texts(svg) for svg in figures["returns"].values())
    check(results, figures)


def test_one_trial_of_many(new_tree):
    tree = new_tree()
    tree.write_trial("sparse-point-robot", "recurrent", 42, provenance={"iteration_seconds": [1, 2, 3, 4, 5, 6]})
    results = read(tree)
    figures = draw_all(results)
    assert all(list(panels) == ["sparse-point-robot"] for kind, panels in figures.items() if kind != "returns")
    check(results, figures)


def test_only_failures(new_tree):
    tree = new_tree(environments=["cheetah-vel"], encoders=["mlp"], seeds=[1, 2])
    for seed, iterations in ((1, 0), (2, 3)):
        tree.write_trial("cheetah-vel", "mlp", seed, iterations, failure={"reason": "no", "iteration": iterations})
    results = read(tree)
    figures = draw_all(results)
    assert figures["learning_gradient_steps"].keys() == {"cheetah-vel"}
    assert figures["posterior_means"] == figures["trajectories"] == figures["cost_speed"] == {}
    check(results, figures)


def test_one_iteration_and_returns_all_alike(new_tree):
    tree = new_tree(environments=["point-robot"], encoders=["mlp", "recurrent"], seeds=[1, 2, 3])
    for _, encoder, seed in tree.read_grid().trials():
        tree.write_trial("point-robot", encoder, seed, iterations=1, final=0.0)
    results = read(tree)
    check(results, draw_all(results))


def test_hostile_names_are_drawn_as_text(new_tree):
    tree = new_tree(environments=["point-robot"], encoders=HOSTILE, seeds=[1])
    for encoder in HOSTILE:
        if "/" not in encoder:
            tree.write_trial("point-robot", encoder, 1)
    results = read(tree)
    figures = draw_all(results)
    check(results, figures)
    words = texts(figures["returns"]["point-robot"])
    assert {HOSTILE[0], "_private", "$x^$", "编码器", "a\N{REPLACEMENT CHARACTER}b", "x" * 25 + "…"} <= set(words)
    assert "a|b|point-robot|1" in {gid.rpartition("|")[0] for gid in marks(figures["returns"]["point-robot"])}
    for panels in figures.values():
        assert not any(elements(svg, "script") for svg in panels.values())


def test_thirty_encoders_stay_apart_and_inside_the_picture(new_tree):
    encoders = [f"encoder_number_{index}" for index in range(30)]
    assert len(set(looks(encoders).values())) == 30
    shape = Shape(tasks=2, latent_dim=2, evaluations=1, trajectories=2, steps=2)
    tree = dataclasses.replace(new_tree(environments=["point-robot"], encoders=encoders, seeds=[1]), shape=shape)
    tree.write_all(iterations=2)
    results = read(tree)
    named = ("returns", "learning_gradient_steps", "posterior_means", "tasks", "cost_parameters")
    figures = draw_all(results, *named, "adaptation", "posterior_contraction", "profiles")  # one of each way to draw
    check(results, figures)
    for kind in named:
        svg = figures[kind]["point-robot"]
        assert {*encoders} <= {re.sub(", seed.*", "", text or "") for text in texts(svg)}, kind
        height = float(ElementTree.fromstring(svg).get("height").removesuffix("pt"))
        for x, y in marks(svg).values():
            assert 0 < x < 4.2 * 72 and 0 < y < height


def test_a_family_with_three_parameters_or_none_is_no_stumbling_block(results):
    kinds = "tasks", "posterior_means", "posterior_projection", "trajectories"
    alone = dataclasses.replace(results, grid=dataclasses.replace(results.grid, environments=("point-robot",)))
    three = dataclasses.replace(alone, adaptation=results.adaptation.assign(mass=0.1 * results.adaptation.task))
    figures = draw_all(three, *kinds)
    assert figures["trajectories"] and figures["posterior_projection"] and not figures["tasks"]
    check(three, figures)
    none = dataclasses.replace(alone, adaptation=results.adaptation.drop(columns=["goal_x", "goal_y"]))
    assert set(map(len, draw_all(none, *kinds).values())) == {0}


def test_unreadable_companions_leave_the_rest_standing(new_tree):
    tree = new_tree(environments=["point-robot"], encoders=["mlp"], seeds=[1])
    place = tree.write_trial("point-robot", "mlp", 1)
    (place / "trajectories.npz").write_bytes(b"no archive")
    (place / "posteriors.csv").write_text("task\n")
    results = read(tree)
    figures = draw_all(results)
    assert figures["trajectories"] == figures["posterior_means"] == {}
    assert figures["returns"] and figures["adaptation"]
    assert isinstance(results.posteriors, pd.DataFrame)
    check(results, figures)
