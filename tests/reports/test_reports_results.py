"""What a tree of results says, and what it lacks, with the reason."""

import dataclasses
import json
import re
import subprocess

import pandas as pd
import pytest
from click.testing import CliRunner

from oyster.cli import main
from oyster.report import answer, tables
from oyster.report.figures.tasks import task_returns
from oyster.report.notices import notices
from oyster.report.read.grid import InputError, read_grid
from oyster.report.read.results import anchor, load

SMALL = {"environments": ["point-robot"], "encoders": ["mlp"], "seeds": [1, 2, 3]}


def git(folder, *arguments) -> str:
    run = subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True)
    return run.stdout.strip()


def read(tree):
    return load(tree.results, tree.read_grid())


def outcome(tree):
    trial = read(tree).trials.iloc[0]
    return trial.status, trial.reason


def test_each_kind_of_gap_is_told_with_its_reason(new_tree):
    tree = new_tree(**SMALL)
    tree.write_trial("point-robot", "mlp", 1, failure={"reason": "the loss is not finite", "iteration": 3})
    (tree.results / "point-robot" / "mlp" / "2.partial").mkdir()
    trials = read(tree).trials
    assert trials.status.tolist() == ["failed", "missing", "missing"]
    assert tables.gap_text(trials.iloc[0]) == "failed at iteration 3: the loss is not finite"
    assert "begun" in trials.reason[1] and "not run yet" in trials.reason[2]


def test_a_failed_trial_is_not_counted_and_its_iterations_are_kept(new_tree):
    tree = new_tree(**SMALL)
    tree.write_trial("point-robot", "mlp", 1, final=-10.0)
    tree.write_trial("point-robot", "mlp", 2, final=-14.0)
    tree.write_trial("point-robot", "mlp", 3, iterations=2, failure={"reason": "wrong shape", "iteration": 2})
    results = read(tree)
    cell = tables.cells(results).iloc[0]
    assert (cell.n, cell.seeds_planned, cell["mean"]) == (2, 3, -12.0)
    assert cell.standard_deviation == pytest.approx(8**0.5)
    assert cell.gaps == "3: failed at iteration 2: wrong shape"
    assert (results.progress.status == "failed").sum() == 2


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"meta_test_return": float("nan")}, "finite"),
        ({"meta_test_return": "high"}, "finite"),
        ({"meta_test_return": 10**400}, "finite"),
        ({"seed": 7}, "seed 7"),
        ({"failure": "broken"}, "failure"),
    ],
)
def test_a_metrics_file_that_cannot_be_believed_is_not_counted(new_tree, change, complaint):
    tree = new_tree(**SMALL)
    path = tree.write_trial("point-robot", "mlp", 1) / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    status, reason = outcome(tree)
    assert status == "unreadable" and complaint in reason


def test_a_truncated_metrics_file_is_unreadable(new_tree):
    tree = new_tree(**SMALL)
    (tree.write_trial("point-robot", "mlp", 1) / "metrics.json").write_text('{"environment": ')
    status, reason = outcome(tree)
    assert status == "unreadable" and "JSON" in reason


@pytest.mark.parametrize(
    "name", ["progress.csv", "adaptation.csv", "posteriors.csv", "provenance.json", "trajectories.npz"]
)
def test_a_trial_counts_without_a_file_beside_its_metrics_and_that_is_said(new_tree, name):
    tree = new_tree(**SMALL)
    (tree.write_trial("point-robot", "mlp", 1) / name).unlink()
    results = read(tree)
    assert results.trials.status[0] == "finished"
    assert len(results.unusable) == 1 and name in results.unusable[0] and results.remarks == []
    assert len(tables.trials_table(results)) == 3


def test_results_outside_the_grid_are_said_and_not_counted(new_tree):
    tree = new_tree(**SMALL)
    tree.write_trial("point-robot", "abandoned", 1)
    results = read(tree)
    assert set(results.trials.status) == {"missing"}
    assert results.strays == [str(tree.results / "point-robot" / "abandoned" / "1")] and results.remarks == []


def test_published_baselines_keep_their_own_label(new_tree):
    published = tables.published_cells().set_index(["source", "environment", "encoder"])
    assert len(published) == 18
    assert published.loc[(tables.LEADERBOARD, "cheetah-vel", "mlp"), "mean"] == -141.860
    assert pd.isna(published.loc[(tables.LEADERBOARD, "cheetah-vel", "mlp"), "n"])
    assert published.loc[(tables.EARLIER, "cheetah-vel", "mlp"), "mean"] == pytest.approx(-145.97, abs=0.01)
    tree = new_tree(**SMALL)
    assert set(tables.table(read(tree)).source) == {tables.OURS, tables.LEADERBOARD, tables.EARLIER}


def test_published_figures_compare_with_twenty_iterations_of_the_benchmark_only(new_tree):
    seen = {}
    for name, iterations in (("benchmark", 20), ("benchmark-short", 20), ("demo", 20)):
        tree = new_tree(name, **SMALL)
        tree.write_trial("point-robot", "mlp", 1, iterations=iterations)
        seen[name] = tables.comparable(read(tree))
    assert seen == {"benchmark": True, "benchmark-short": False, "demo": False}


def test_fewer_iterations_than_published_do_not_compare(new_tree):
    tree = new_tree("benchmark", **SMALL)
    tree.write_trial("point-robot", "mlp", 1, iterations=20)
    tree.write_trial("point-robot", "mlp", 2, iterations=3)
    assert not tables.comparable(read(tree))


def test_mixed_origins_are_told(new_tree):
    tree = new_tree(**SMALL)
    tree.write_trial("point-robot", "mlp", 1)
    assert tables.mixtures(read(tree).trials) == []
    gpu = {"cpu": "Other CPU", "cores": 8, "gpu": "Some GPU"}
    tree.write_trial("point-robot", "mlp", 2, provenance={"commit": "e" * 40, "hardware": gpu, "dirty": True})
    tree.write_trial("point-robot", "mlp", 3, provenance={"precision": "bfloat16", "encoder_sha256": "d" * 64})
    told = " ".join(tables.mixtures(read(tree).trials))
    for part in (
        "commits",
        "eeeeeeeeee (1)",
        "hardware",
        "Some GPU",
        "precisions",
        "bfloat16 (1)",
    ):
        assert part in told
    assert "encoder mlp" in told and "devices" not in told
    (told,) = tables.uncommitted(read(tree).trials)
    assert told.startswith("1 of 3 finished trials ran from a tree with uncommitted changes")


def test_uncommitted_code_alone_is_no_mixture(new_tree):
    tree = new_tree(**SMALL)
    for seed in (1, 2, 3):
        tree.write_trial("point-robot", "mlp", seed, provenance={"dirty": True})
    titles = [notice.title for notice in notices(read(tree))]
    assert "Not all code was committed." in titles and "The trials were not all made alike." not in titles


def test_a_mixture_is_told_where_it_lies(new_tree):
    def told(*precisions: str) -> str:
        tree = new_tree(
            "".join(precisions), **SMALL | {"environments": ["point-robot", "cheetah-vel"], "seeds": [1, 2]}
        )
        trials = [(environment, seed) for environment in ("point-robot", "cheetah-vel") for seed in (1, 2)]
        for (environment, seed), precision in zip(trials, precisions, strict=True):
            tree.write_trial(environment, "mlp", seed, provenance={"precision": precision})
        (sentence,) = tables.mixtures(read(tree).trials)
        assert sentence.startswith("The finished trials mix precisions: a (")
        return sentence.partition(").")[2].strip()

    assert told("a", "b", "b", "a") == ""
    assert told("a", "b", "b", "b") == "Within an environment they do so on point-robot alone."
    assert told("a", "a", "b", "b").startswith("They do so between environments and not within one")


def test_commits_of_the_same_training_code_are_no_mixture(new_tree, tmp_path, monkeypatch):
    monkeypatch.setattr("oyster.report.read.code.ROOT", tmp_path)
    deps = ["docker/environment.json", "encoders/${item.encoder}.py", "envs/${item.env}.py", "engine.py"]
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": {"train": {"cmd": "train", "deps": deps}}}))
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "point-robot.py").touch()
    git(tmp_path, "init", "--quiet")
    tree = new_tree(**SMALL)

    def train(seed: int, changed: str) -> str:
        (tmp_path / changed).write_text(f"as of seed {seed}\n")
        git(tmp_path, "add", ".")
        git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message=change")
        commit = git(tmp_path, "rev-parse", "HEAD")
        tree.write_trial("point-robot", "mlp", seed, provenance={"commit": commit})
        return commit

    commits = sorted([train(1, "engine.py"), train(2, "README.md")])
    assert tables.mixtures(read(tree).trials) == [] and tables.share_code(read(tree).trials)
    train(3, "engine.py")
    (told,) = tables.mixtures(read(tree).trials)
    assert "commits of other code" in told and f"{commits[0][:10]} (2)" in told
    assert not tables.share_code(read(tree).trials)


GRID = "{preset: demo, environments: [point-robot], agents: [mlp], seeds: [1]}"
REST = """
agents: {mlp: {encoder: mlp}}
evaluation: {demo: {point-robot: {train_tasks: 4, test_tasks: 2, evaluations: 1}}}
"""


@pytest.mark.parametrize(
    ("grids", "complaint"),
    [
        ("grids: [", "not valid YAML"),
        ("presets: {}", "grids: missing"),
        (f"grids: {{other: {GRID}}}", "there is no grid 'demo'; there are: other"),
        (f"grids: {{demo: {GRID.replace('[mlp]', '[]')}}}", "grids.demo.agents: given []; expected at least 1 item"),
        (f"grids: {{demo: {GRID.replace('[1]', '[one]')}}}", "grids.demo.seeds.0: given 'one'; expected an integer"),
        (f"grids: {{demo: {GRID.replace('[mlp]', '[mlp, mlp]')}}}", "grids.demo.agents: lists mlp twice"),
        (f"grid: {{demo: {GRID}}}", "of an older version: `grid` is now grids"),
    ],
)
@pytest.mark.parametrize("option", ["--out", "--paper"])
def test_bad_parameters_exit_2_and_write_nothing(tmp_path, grids, complaint, option):
    params, out = tmp_path / "params.yaml", tmp_path / "out"
    params.write_text(grids + REST)
    given = ["report", "demo", "--params", params, "--results", tmp_path, option, out]
    result = CliRunner().invoke(main, list(map(str, given)))
    assert result.exit_code == 2 and complaint in result.output, result.output
    assert not out.exists()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("grid: [", "not valid YAML"),
        ("budgets: {}", "no `grids`"),
        ("grids: {other: {}}", "it has other"),
        ("grid: {demo: {environments: [a], encoders: [], seeds: [1]}}", "demo.agents in .* is \\[\\]; expected"),
        ("grids: {demo: {environments: [a], agents: [b], seeds: [one]}}", "demo.seeds in .* is \\['one'\\]; expected"),
        ("grid: {demo: {environments: [a, a], encoders: [b], seeds: [1]}}", "distinct"),
    ],
)
def test_bad_parameters_of_a_commit_are_told_in_a_line(tmp_path, content, complaint):
    (tmp_path / "params.yaml").write_text(content)
    with pytest.raises(InputError, match=complaint) as caught:
        read_grid(tmp_path / "params.yaml", "demo")
    assert "params.yaml" in str(caught.value) and "\n" not in str(caught.value)


def test_a_results_folder_that_is_not_there_is_an_error(new_tree):
    tree = new_tree(**SMALL)
    with pytest.raises(InputError, match="no results folder"):
        load(tree.root / "resluts", tree.read_grid())


def test_tasks_posteriors_and_traces_are_read(new_tree):
    tree = new_tree(**SMALL | {"environments": ["point-robot", "cheetah-vel"]})
    tree.write_trial("point-robot", "mlp", 1)
    tree.write_trial("point-robot", "mlp", 2, failure={"reason": "broken", "iteration": 0})
    tree.write_trial("cheetah-vel", "mlp", 1)
    results = read(tree)
    assert results.parameter_names("point-robot") == ["goal_x", "goal_y"]
    assert results.parameter_names("cheetah-vel") == ["target_velocity"]
    ours = results.posteriors.query("environment == 'point-robot'")
    assert len(ours) == 4 * 2 * 4 and set(ours.seed) == {1}  # task, evaluation, trajectory and one more
    assert ours[ours.trajectory == 0].filter(like="mean_").eq(0).all(axis=None)
    assert results.traces["point-robot", "mlp", 1].shape == (4, 2, 3, 21, 2)
    assert results.traces["cheetah-vel", "mlp", 1].shape == (4, 1, 3, 20)
    assert set(results.traces) == {("point-robot", "mlp", 1), ("cheetah-vel", "mlp", 1)}


def test_scripted_returns_are_a_row_a_task_with_its_parameters(new_tree):
    tree = new_tree(**SMALL)
    for seed in (1, 2):
        tree.write_trial("point-robot", "mlp", seed)
    results = read(tree)
    assert results.scripted.task.tolist() == [0, 1, 2, 3] and results.remarks == []
    assert results.scripted.goal_x.tolist() == pytest.approx([1.0, 0.5, -0.5, -1.0])
    assert results.scripted.task_known.mean() == pytest.approx(-6.0)


@pytest.mark.parametrize(
    ("scripted", "complaint"),
    [
        ({"doing_nothing": [-9.0] * 4, "task_known": [0.0] * 4}, "disagree"),
        ({"doing_nothing": [-9.0], "task_known": [0.0, 1.0]}, "one number per task"),
        ([], "expected a mapping"),
        (None, ""),
    ],
)
def test_scripted_returns_that_disagree_or_are_no_numbers_are_said(new_tree, scripted, complaint):
    tree = new_tree(**SMALL)
    tree.write_trial("point-robot", "mlp", 1)
    path = tree.write_trial("point-robot", "mlp", 2) / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"scripted_returns": scripted}))
    results = read(tree)
    said = results.unusable + results.remarks
    assert complaint in " ".join(said) and len(said) == bool(complaint)
    assert results.scripted.task_known.mean() == pytest.approx(-6.0)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04"])
def test_a_trace_that_cannot_be_read_is_none(new_tree, content):
    tree = new_tree(**SMALL)
    (tree.write_trial("point-robot", "mlp", 1) / "trajectories.npz").write_bytes(content)
    assert not read(tree).traces


def test_anchors_are_ascii_and_differ_where_trials_do():
    assert anchor("point-robot", "mlp", 42) == "trial-point-robot-mlp-42"
    names = ["a", "b-c", "c", "a b", "ab", "<script>", "编码器", "译码器", 'id="', "x" * 99, "x" * 98, "-", ""]
    anchors = [anchor(environment, encoder, 1) for environment in [*names, "a-b"] for encoder in names]
    assert len(set(anchors)) == len(anchors)
    assert all(re.fullmatch(r"trial-[A-Za-z0-9_-]+-1", text) for text in anchors)


def test_an_agent_beside_need_not_be_everywhere(results_of):
    results = results_of({("a", "x"): [1.0, 2.0], ("b", "x"): [1.0, 2.0], ("a", "y"): [2.0, 3.0], ("b", "y"): [None]})
    part = dataclasses.replace(results, trials=results.trials.query("environment == 'a' or encoder == 'x'"))
    rows = {row["encoder"]: row["cells"] for row in answer.answer(part)["rows"]}
    assert [cell.get("planned") for cell in rows["y"]] == [2, 0, None] and rows["y"][1]["seeds"] == []


def test_the_trajectories_that_count_are_those_of_the_settings(new_tree):
    tree = new_tree(environments=["point-robot"], encoders=["mlp"], seeds=[1])
    place = tree.write_trial("point-robot", "mlp", 1, provenance={"settings": {"counted": [0, 0]}})
    table = pd.read_csv(place / "adaptation.csv")
    first = table[table.trajectory == 0].groupby("task")["return"].mean()
    metrics = json.loads((place / "metrics.json").read_text())
    metrics |= {"task_returns": first.tolist(), "meta_test_return": first.mean(), "meta_test_return_last5": None}
    (place / "metrics.json").write_text(json.dumps(metrics))
    results = load(tree.results, tree.read_grid())
    assert task_returns(results, "point-robot")["return"].tolist() == pytest.approx(first.tolist())
    assert len(first) == results.task_returns.task.nunique() > 1 and first.iloc[0] != table["return"].iloc[-1]
