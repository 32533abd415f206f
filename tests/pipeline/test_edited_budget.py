"""An edited budget makes its trials stale, in both tools' eyes, and no others; a result edited by hand is never kept.

Asked without training: each tool says what it would run.
"""

import json
import re

import pytest

from oyster import keep_results
from oyster.canary import Outcome

EDITS = [  # what is edited, and the environments whose trials that concerns
    ([("benchmark", "all")], ["point-robot", "sparse-point-robot"]),
    ([("benchmark", "point-robot")], ["point-robot"]),
    ([("demo", "all"), ("demo", "point-robot"), ("paper", "all"), ("benchmark", "cheetah-vel")], []),
]


def names(environments) -> set[str]:
    return {f"train@{environment}-{encoder}-1" for environment in environments for encoder in ("mlp", "recurrent")}


def stale_for_dvc(project) -> set[str]:
    status = json.loads(project.run("dvc", "status", "--json", "dvc.yaml").stdout)
    return {name for name in status if name.startswith("train@")}


def stale_for_snakemake(project) -> set[str]:
    told = project.run("snakemake", "--cores", "1", "--dry-run", "--printshellcmds")
    return set(re.findall(r"train@[\w-]+", told.stdout + told.stderr))


@pytest.fixture(scope="module")
def edited(trained, tmp_path_factory):
    """One copy for all edits, each of which starts from what is committed."""
    return trained.copy(tmp_path_factory.mktemp("edited") / "project")


@pytest.mark.parametrize("parts, environments", EDITS)
def test_an_edited_budget_makes_its_trials_stale_and_no_others(parts, environments, edited):
    def edit(params):
        for budget, part in parts:
            params["budgets"][budget][part]["soft_target_tau"] = 0.25

    edited.run("git", "checkout", "--quiet", "params.yaml")
    edited.edit_params(edit)
    assert stale_for_dvc(edited) == names(environments)
    assert stale_for_snakemake(edited) == names(environments)


# --- results edited by hand -------------------------------------------------------------------------------------------


def test_a_result_edited_by_hand_is_not_kept(edited, monkeypatch):
    """Even where the canary finds an edit of the engine harmless."""
    altered = {
        "train@point-robot-mlp-1": "results/benchmark/point-robot/mlp/1/metrics.json",
        "train@sparse-point-robot-mlp-1": "results/benchmark/sparse-point-robot/mlp/1/trajectories.npz",
    }
    edited.run("git", "checkout", "--quiet", ".")
    for path in ("oyster/pearl/posterior.py", *altered.values()):
        edited.append(path, "\n")
    monkeypatch.chdir(edited.folder)
    monkeypatch.setattr(keep_results, "ROOT", edited.folder)
    monkeypatch.setattr(keep_results, "listen", lambda: [Outcome("all", "identical", "so to speak")])
    outcome = keep_results.keep_results()
    assert outcome.left == altered
    assert set(outcome.kept) == names(["point-robot", "sparse-point-robot"]) - set(altered)
    assert stale_for_dvc(edited) == set(altered)
