"""The real commands in real clones, and a count of what they train."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

ALL = {f"{env}/{encoder}/1" for env in ("point-robot", "sparse-point-robot") for encoder in ("mlp", "recurrent")}

BROKEN = """
from rlkit.torch.core import PyTorchModule
from torch import nn


class Broken(PyTorchModule):
    def __init__(self, hidden_sizes, input_size, output_size, **kwargs):
        self.save_init_params(locals())
        super().__init__()
        self.output_size = output_size
        self.net = nn.Linear(input_size, output_size)
        self.calls = 0

    def forward(self, input, return_preactivations=False):
        self.calls += 1
        if self.calls > 60:
            raise ValueError("this encoder has had enough")
        return self.net(input)

    def reset(self, num_tasks=1):
        pass
"""


def no_retraining(project) -> None:
    assert project.trained() == set()


# --- what is trained, and what is not ---------------------------------------------------------------------------------


def test_first_run_trains_all_and_writes_everything(trained):
    assert trained.seen.keys() == ALL
    for trial in ALL:
        metrics = json.loads((trained.folder / "results" / "benchmark" / trial / "metrics.json").read_text())
        assert metrics["failure"] is None
        assert (trained.folder / "weights" / "benchmark" / trial / "weights.safetensors").exists()
    assert (trained.folder / "reports" / "benchmark" / "index.html").exists()
    tracked = trained.run("git", "ls-files").stdout
    assert "results/benchmark/point-robot/mlp/1/provenance.json" in tracked
    assert "weights" not in tracked and ".pipeline" not in tracked and "results/benchmark/.gitignore" not in tracked


def test_second_run_trains_nothing_under_either_tool(project):
    assert "Nothing to be done" in project.snakemake().stderr
    project.repro()
    no_retraining(project)
    assert "up to date" in project.run("dvc", "status", "dvc.yaml").stdout
    assert project.status() == ""


def test_fresh_clone_without_a_remote_trains_nothing(trained, tmp_path):
    clone = trained.clone(tmp_path / "snakemake")
    clone.snakemake()
    no_retraining(clone)
    other = trained.clone(tmp_path / "dvc")
    other.repro("--allow-missing")
    no_retraining(other)
    assert clone.status() == other.status() == ""


def test_plain_repro_in_a_clone_without_weights_retrains_to_the_same_bytes(trained, tmp_path):
    clone = trained.clone(tmp_path / "clone")
    clone.repro("train@point-robot-mlp-1")
    assert clone.trained() == {"point-robot/mlp/1"}
    changed = {line[3:] for line in clone.status().splitlines()}
    assert changed == {"results/benchmark/point-robot/mlp/1/provenance.json"}  # every other byte is the committed one


def test_edited_encoder_retrains_exactly_its_own(project):
    project.append("encoders/mlp.py", "\n# edited\n")
    project.snakemake()
    assert project.trained() == {trial for trial in ALL if "/mlp/" in trial}
    no_retraining_by_dvc(project)


def no_retraining_by_dvc(project) -> None:
    project.repro("--allow-missing")
    no_retraining(project)


def test_edited_environment_and_parameters_retrain_exactly_theirs(project):
    project.append("oyster/envs/point-robot.py", "\n# edited\n")
    project.repro("--allow-missing")
    assert project.trained() == {trial for trial in ALL if trial.startswith("point-robot")}

    def reward_scale(params):
        params["environments"]["sparse-point-robot"]["reward_scale"] = 50

    project.edit_params(reward_scale)
    project.snakemake()
    assert project.trained() == {trial for trial in ALL if trial.startswith("sparse-point-robot")}


def test_encoder_arguments_of_one_encoder_retrain_its_own(trained, tmp_path):
    """In a fresh clone, edited before the first run: nothing there but hashes can tell what is stale."""
    clone = trained.clone(tmp_path / "clone")
    clone.edit_params(lambda params: params["encoders"]["recurrent"].update(init_w=1e-3))
    clone.snakemake()
    assert clone.trained() == {trial for trial in ALL if "/recurrent/" in trial}


def test_new_seed_and_new_encoder_train_only_the_new(project):
    project.edit_params(lambda params: params["grid"]["benchmark"]["seeds"].append(2))
    project.snakemake()
    assert project.trained() == {trial.replace("/1", "/2") for trial in ALL}
    shutil.copy(project.folder / "encoders" / "mlp.py", project.folder / "encoders" / "mine.py")

    def add(params):
        params["encoders"]["mine"] = {}
        params["grid"]["benchmark"]["encoders"].append("mine")

    project.edit_params(add)
    project.snakemake()
    assert project.trained() == {f"{trial}" for trial in _of("mine", seeds=(1, 2))}


def _of(encoder, seeds):
    return {f"{env}/{encoder}/{seed}" for env in ("point-robot", "sparse-point-robot") for seed in seeds}


def test_edited_report_retrains_nothing_and_rebuilds_the_page(project):
    page = project.folder / "reports" / "benchmark" / "index.html"
    before = page.stat().st_mtime_ns
    project.append("reports/templates/page.html.j2", "<!-- edited -->\n")
    project.snakemake()
    no_retraining(project)
    assert page.stat().st_mtime_ns != before


def test_checking_out_an_older_commit_trains_nothing(project):
    project.append("encoders/mlp.py", "\n# edited\n")
    project.snakemake()
    project.trained()
    project.commit("edited")
    project.run("git", "checkout", "--quiet", "HEAD~1")
    project.run("dvc", "checkout", "--quiet")
    project.trained()
    project.snakemake()
    no_retraining(project)


# --- failures ---------------------------------------------------------------------------------------------------------


def test_broken_encoder_is_a_recorded_result_and_a_gap_in_the_report(project):
    (project.folder / "encoders" / "broken.py").write_text(BROKEN)

    def add(params):
        params["encoders"]["broken"] = {}
        params["grid"]["benchmark"]["encoders"].append("broken")
        params["budgets"]["benchmark"]["all"]["num_train_steps_per_itr"] = 80

    project.edit_params(add)
    project.snakemake()
    metrics = json.loads((project.folder / "results/benchmark/point-robot/broken/1/metrics.json").read_text())
    assert metrics["meta_test_return"] is None
    assert "this encoder has had enough" in metrics["failure"]["reason"]
    page = (project.folder / "reports/benchmark/index.html").read_text()
    assert "this encoder has had enough" in page
    project.trained()
    project.snakemake()
    no_retraining(project)  # a failure is cached like any other result


def test_params_that_cannot_be_used_stop_before_anything_runs(project):
    project.edit_params(lambda params: params["budgets"]["benchmark"]["all"].update(meta_batch=-3))
    refused = project.snakemake(check=False)
    assert refused.returncode != 0
    assert "budgets.benchmark.all.meta_batch: given -3" in refused.stderr + refused.stdout
    no_retraining(project)


def test_a_killed_pipeline_goes_on(untrained, tmp_path):
    """A trial that infrastructure killed is trained when the command is given again; the others are kept."""
    project = untrained.copy(tmp_path / "project")
    project.snakemake("--until", "environment")
    launcher = project.folder / "docker" / "run"
    working = launcher.read_text()
    launcher.write_text(
        working.replace('exec "$@" ;;', 'case "$*" in *recurrent*) kill -9 $$ ;; *) exec "$@" ;; esac ;;')
    )
    assert launcher.read_text() != working
    failed = project.snakemake(check=False)
    assert failed.returncode != 0
    assert project.trained() == {trial for trial in ALL if "/mlp/" in trial}
    launcher.write_text(working)
    project.snakemake()
    assert project.trained() == {trial for trial in ALL if "/recurrent/" in trial}


# --- the demo ---------------------------------------------------------------------------------------------------------


def test_demo_trains_whatever_is_committed_and_leaves_git_alone(trained, tmp_path):
    clone = trained.clone(tmp_path / "clone")
    lock = (clone.folder / "dvc.lock").read_bytes()
    clone.snakemake("demo")
    assert clone.trained() == ALL
    assert (clone.folder / "reports" / "demo" / "index.html").exists()
    assert clone.status() == ""
    assert (clone.folder / "dvc.lock").read_bytes() == lock
    assert "Nothing to be done" in clone.snakemake("demo").stderr
    no_retraining(clone)
    clone.append("encoders/mlp.py", "\n# edited\n")
    clone.snakemake("demo")
    assert clone.trained() == {trial for trial in ALL if "/mlp/" in trial}
    clone.edit_params(lambda params: params["encoders"]["recurrent"].update(init_w=1e-3))
    clone.snakemake("demo")
    assert clone.trained() == {trial for trial in ALL if "/recurrent/" in trial}
    for part, concerned in (("point-robot", ["point-robot"]), ("all", ["point-robot", "sparse-point-robot"])):
        clone.edit_params(lambda params, part=part: params["budgets"]["demo"][part].update(soft_target_tau=0.25))
        would = clone.run("snakemake", "--cores", "1", "--dry-run", "--printshellcmds", "demo")
        trained = set(re.findall(r"--env (\S+) --encoder \w+ --seed 1 --budget demo", would.stdout + would.stderr))
        assert trained == set(concerned)


# --- the two graphs ---------------------------------------------------------------------------------------------------


def test_both_graphs_name_the_same_trials(project):
    listed = project.run("dvc", "stage", "list", "--name-only").stdout.split()
    by_dvc = {name.removeprefix("train@") for name in listed if name.startswith("train@")}
    summary = project.run("snakemake", "--cores", "1", "--forceall", "--dry-run", "--printshellcmds")
    text = summary.stdout + summary.stderr
    by_snakemake = {word.removeprefix("train@") for word in text.split() if word.startswith("train@")}
    assert by_dvc == by_snakemake == {trial.replace("/", "-") for trial in ALL}


def test_dvc_lock_records_the_environment(trained):
    """Or the demo of a fresh clone would write one, and leave git unclean."""
    lock = yaml.safe_load((Path(__file__).resolve().parents[2] / "dvc.lock").read_text())
    assert "environment" in lock["stages"]
    record = json.loads((trained.folder / "docker" / "environment.json").read_text())
    assert record["runtime"] == "host" and record["torch"] == "2.13.0" and record["python"] == "3.11"


@pytest.mark.parametrize("command", [("python", "-c", "import sys; print(sys.argv[1]); sys.exit(3)", "a  b")])
def test_launcher_runs_a_command_as_it_is(trained, command):
    done = trained.run("docker/run", *command, check=False)
    assert (done.returncode, done.stdout) == (3, "a  b\n")
