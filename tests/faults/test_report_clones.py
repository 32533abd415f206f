"""What cannot be looked up in git is said to be so, and nothing is claimed of it."""

import os
import shutil
import subprocess

import pytest

from oyster.report import tables
from oyster.report.compare.revisions import read_revision
from oyster.report.read.code import same_code
from oyster.report.read.grid import read_grid
from oyster.report.read.results import load
from tests.faults.report_trees import edit, small_tree

WHO = ["-c", "user.name=a", "-c", "user.email=a@b"]


def git(folder, *arguments) -> str:
    run = subprocess.run(["git", *WHO, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return run.stdout.strip()


@pytest.fixture
def project(tmp_path):
    """A repository of two commits that train with the same code, and of a third of other code; and their hashes."""
    root = tmp_path / "project"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch=main")
    (root / "dvc.yaml").write_text('stages: {train: {cmd: train, deps: ["engine.py"]}}')
    commits = []
    for name, text in (("engine.py", "1"), ("README.md", "1"), ("engine.py", "2")):
        (root / name).write_text(text)
        git(root, "add", ".")
        git(root, "commit", "--quiet", "--message=change")
        commits.append(git(root, "rev-parse", "HEAD"))
    return root, commits


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Call it with a folder and a commit for each trial: what the report there says of mixtures."""

    def mixtures(root, *commits) -> list[str]:
        tree = small_tree(tmp_path / str(len(list(tmp_path.iterdir()))), seeds=list(range(len(commits))))
        for seed, commit in enumerate(commits):
            tree.write_trial("point-robot", "mlp", seed, provenance={"commit": commit})
        monkeypatch.setattr("oyster.report.read.code.ROOT", root)
        return tables.mixtures(load(tree.results, read_grid(tree.params, "demo")).trials)

    return mixtures


def test_a_full_clone_tells_same_code_from_other_code(project, told):
    root, commits = project
    assert told(root, *commits[:2]) == []
    (sentence,) = told(root, *commits)
    assert sentence.startswith("The finished trials mix commits of other code")


def test_a_shallow_clone_claims_nothing_and_says_what_would_tell(project, told, tmp_path):
    root, commits = project
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{root}", "shallow")
    (sentence,) = told(tmp_path / "shallow", *commits)
    assert "cannot be told" in sentence and "`git fetch --unshallow`" in sentence and "mix" not in sentence
    assert f"{commits[0][:10]} (1)" in sentence and commits[2][:10] not in sentence


def test_an_exported_tree_and_an_unknown_commit_claim_nothing(project, told, tmp_path):
    root, commits = project
    exported = tmp_path / "exported"
    shutil.copytree(root, exported, ignore=shutil.ignore_patterns(".git"))
    (sentence,) = told(exported, *commits)
    assert "cannot be told" in sentence and "no git clone" in sentence
    (sentence,) = told(root, commits[0], "e" * 40, None)
    assert "eeeeeeeeee (1), none recorded (1)" in sentence and "`git fetch`" in sentence and "mix" not in sentence
    assert told(exported, commits[0], commits[0]) == []  # one commit is the same code, known or not


def test_without_git_nothing_is_claimed(project, told, monkeypatch, tmp_path):
    root, commits = project
    monkeypatch.setenv("PATH", str(tmp_path))
    (sentence,) = told(root, *commits)
    assert "git is not installed" in sentence and "mix" not in sentence


def test_what_git_is_told_elsewhere_changes_nothing(project, monkeypatch, tmp_path):
    root, commits = project
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    tree = small_tree(tmp_path / "tree", seeds=[1])
    place = tree.write_trial("point-robot", "mlp", 1)
    git(tree.root, "init", "--quiet")
    git(tree.root, "add", ".")
    git(tree.root, "commit", "--quiet", "--message=results")
    config = tmp_path / "config"
    config.write_text(
        "[color]\nui = always\n[log]\nshowSignature = true\n[diff]\nexternal = false\n[tar]\numask = 0777\n"
        f"[core]\nautocrlf = true\npager = false\nattributesFile = {tmp_path / 'attributes'}\n"
    )
    (tmp_path / "attributes").write_text("*.csv export-ignore\n*.json export-subst\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY", "GIT_INDEX_FILE", "GIT_CEILING_DIRECTORIES"):
        monkeypatch.setenv(name, str(other / ".git" if name != "GIT_WORK_TREE" else other))
    monkeypatch.setenv("GIT_TRACE", "1")
    monkeypatch.setattr("oyster.report.read.code.ROOT", root)
    assert len(set(same_code(commits).values())) == 2
    taken = read_revision(tree.root, "HEAD", "demo", tmp_path / "taken")
    assert taken.results.unusable == [] and taken.results.trials.status.tolist() == ["finished"]
    for file in place.iterdir():
        assert (taken.results.folder / "point-robot/mlp/1" / file.name).read_bytes() == file.read_bytes()
    assert "GIT_DIR" in os.environ


def test_one_warning_is_one_line_with_its_trials(tmp_path):
    tree = small_tree(tmp_path, encoders=["mlp", "recurrent"], seeds=[1, 2, 3])
    tree.write_all()
    sentence = "the encoder's __init__ does not name num_headz; only its **kwargs takes it"
    for seed in (1, 2, 3):
        for encoder in ("mlp", "recurrent"):
            edit(tree.results / f"point-robot/{encoder}/{seed}/provenance.json", warnings=[sentence, sentence])
    edit(tree.results / "point-robot/mlp/2/provenance.json", warnings=["another"], unreadable=["a.py: no", "b.py: no"])
    results = load(tree.results, read_grid(tree.params, "demo"))
    assert results.unusable == [] and len(results.remarks) == 3
    warned, another, unread = results.remarks
    assert warned.startswith("5 trials (point-robot/mlp/1, point-robot/mlp/3, ") and warned.endswith(f": {sentence}")
    assert another == "1 trial (point-robot/mlp/2): another"
    assert unread.startswith("point-robot/mlp/2: ") and "a.py: no; b.py: no" in unread
