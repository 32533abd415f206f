"""The real commands in real clones, and a count of what they train: keys decide, for both tools."""

import json
import re
import shutil

import pytest

ALL = {f"{env}/{agent}/1" for env in ("point-robot", "sparse-point-robot") for agent in ("mlp", "recurrent")}
MLP = {trial for trial in ALL if "/mlp/" in trial}
FIRST = "results/benchmark/point-robot/mlp/1"
WEIGHTS = "weights/benchmark/point-robot/mlp/1/weights.safetensors"

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


def nothing_to_do(project) -> None:
    """In both tools' eyes, without running either."""
    planned = project.run("snakemake", "-n")
    assert "Nothing to be done" in planned.stdout + planned.stderr
    assert "Running stage" not in project.repro("--allow-missing", "--dry").stdout


def planned_by_snakemake(project, target: str = "all") -> set[str]:
    told = project.run("snakemake", "--cores", "1", "--dry-run", "--printshellcmds", target)
    pattern = r"--env (\S+) --agent (\S+) --seed (\d+)"
    return {"/".join(found) for found in re.findall(pattern, told.stdout + told.stderr)}


def planned_by_dvc(project) -> set[str]:
    """What `dvc repro` would train once keys.json is as the tree asks."""
    project.repro("keys")
    told = project.run("dvc", "status", "--json", "dvc.yaml").stdout
    stages = {name for name, what in json.loads(told).items() if any("changed deps" in each for each in what)}
    return {trial for trial in ALL if f"train@{trial.replace('/', '-')}" in stages}


# --- what is trained, and what is not ---------------------------------------------------------------------------------


def test_first_run_trains_all_and_writes_everything(trained, tmp_path):
    assert trained.seen.keys() == ALL
    trained = trained.copy(tmp_path / "project")  # another worker may be copying from the first
    keys = json.loads((trained.folder / "keys.json").read_text())
    for trial in ALL:
        environment, agent, seed = trial.split("/")
        folder = trained.folder / "results" / "benchmark" / trial
        assert json.loads((folder / "metrics.json").read_text())["failure"] is None
        assert (folder / f"{keys['trials'][environment][agent][seed]}.key.json").exists()
        assert (trained.folder / "weights" / "benchmark" / trial / "weights.safetensors").exists()
    report = trained.folder / "reports" / "benchmark"
    assert (report / "index.html").exists() and (report / f"{keys['report']}.key.json").exists()
    tracked = trained.run("git", "ls-files").stdout
    assert f"{FIRST}/provenance.json" in tracked and f"{FIRST}/{keys['trials']['point-robot']['mlp']['1']}" in tracked
    assert "weights/" not in tracked and ".pipeline" not in tracked and "results/benchmark/.gitignore" not in tracked
    lock = (trained.folder / "dvc.lock").read_text()
    assert all(f"train@{trial.replace('/', '-')}:" in lock for trial in ALL) and "  report:" in lock
    nothing_to_do(trained)
    assert trained.status() == ""


def test_a_second_run_trains_nothing_under_either_tool(project):
    assert "Nothing to be done" in project.snakemake().stderr
    project.repro()
    assert project.trained() == set()
    assert "up to date" in project.run("dvc", "status", "dvc.yaml").stdout
    assert project.status() == ""


def test_in_a_fresh_clone_a_new_agent_is_all_that_is_trained(trained, tmp_path):
    """Its results have no weights there, and nothing has been set up yet: neither is a reason to train the others."""
    clone = trained.clone(tmp_path / "clone")

    def add(params):
        params["agents"]["wide"] = {"encoder": "mlp", "settings": {"net_size": 16}}
        params["grids"]["benchmark"]["agents"].append("wide")

    clone.edit_params(add)
    new = {"point-robot/wide/1", "sparse-point-robot/wide/1"}
    assert planned_by_snakemake(clone) == new
    clone.snakemake()
    assert clone.trained() == new


def test_a_fresh_clone_has_nothing_to_do(trained, tmp_path):
    clone = trained.clone(tmp_path / "clone")
    nothing_to_do(clone)
    clone.snakemake()
    clone.repro("--allow-missing")
    assert clone.trained() == set() and clone.status() == ""


def test_plain_repro_in_a_clone_without_weights_retrains_to_the_same_bytes(trained, tmp_path):
    clone = trained.clone(tmp_path / "clone")
    clone.repro("train@point-robot-mlp-1")
    assert clone.trained() == {"point-robot/mlp/1"}
    changed = {line[3:].rpartition("/")[2] for line in clone.status().splitlines()}
    assert all(name == "provenance.json" or name.endswith(".key.json") for name in changed), changed
    nothing_to_do(clone)


def test_an_edited_encoder_retrains_exactly_its_own_under_either_tool(project, tmp_path):
    project.append("encoders/mlp.py", "\n# edited\n")
    other = project.copy(tmp_path / "other")
    project.snakemake()
    assert project.trained() == MLP
    nothing_to_do(project)
    other.repro("--allow-missing")
    assert other.trained() == MLP
    nothing_to_do(other)


@pytest.mark.parametrize(
    ("path", "old", "new", "concerned"),
    [
        ("oyster/envs/point_robot.py", "MAX_MOVE = 0.1", "MAX_MOVE = 0.11", "point-robot"),
        ("oyster/algorithms/pearl/posterior.py", "MIN_VARIANCE", "LEAST_VARIANCE", ""),
        ("oyster/cli.py", "One trial", "One trial", None),
        ("requirements.txt", "mujoco==3.17.0", "mujoco==3.18.0", ""),
        ("requirements.txt", "click==", "click==0", None),
        ("params.yaml", "net_size: 8", "net_size: 9", ""),
    ],
)
def test_an_edit_makes_exactly_what_it_concerns_stale(trained, tmp_path, path, old, new, concerned):
    """None: no trial. Asked of both tools, without training."""
    project = trained.copy(tmp_path / "project")
    file = project.folder / path
    assert old in file.read_text() or concerned is None
    file.write_text(file.read_text().replace(old, new) + "\n")
    stale = set() if concerned is None else {trial for trial in ALL if trial.startswith(concerned)}
    assert planned_by_snakemake(project) == stale
    assert planned_by_dvc(project) == stale
    told = project.run("python", "-m", "oyster", "status").stdout
    assert len(re.findall(r"^stale", told, re.MULTILINE)) == len(stale)


def test_a_new_seed_and_a_renamed_agent(project):
    """The seed is trained; the agent's results are copied: its name changes no byte."""

    def edit(params):
        params["grids"]["benchmark"]["seeds"].append(2)
        params["agents"]["lstm"] = params["agents"].pop("recurrent")
        params["grids"]["benchmark"]["agents"] = ["mlp", "lstm"]
        del params["grids"]["demo"]

    (project.folder / "params.yaml").write_text((project.folder / "params.yaml").read_text())
    project.edit_params(edit)
    before = {trial: project.seen[trial] for trial in ALL if "/recurrent/" in trial}
    project.snakemake()
    new = project.trained()
    assert {trial for trial in new if trial.endswith("/2")} == {f"{e}/{a}/2" for e, a, _ in map(_split, _renamed(ALL))}
    copied = {trial for trial in new if trial.endswith("/1")}
    assert copied == {trial.replace("recurrent", "lstm") for trial in before}
    assert all(project.seen[trial.replace("recurrent", "lstm")] == text for trial, text in before.items())


def _split(trial: str) -> list[str]:
    return trial.split("/")


def _renamed(trials) -> set[str]:
    return {trial.replace("recurrent", "lstm") for trial in trials}


def test_an_edited_report_retrains_nothing_and_rebuilds_the_page(project, tmp_path):
    project.append("oyster/report/templates/page.html.j2", "<!-- edited -->\n")
    other = project.copy(tmp_path / "other")
    before = {path.name for path in (project.folder / "reports" / "benchmark").glob("*.key.json")}
    project.snakemake()
    other.repro("--allow-missing")
    for each in (project, other):
        assert each.trained() == set()
        after = {path.name for path in (each.folder / "reports" / "benchmark").glob("*.key.json")}
        assert len(after) == 1 and after != before
        nothing_to_do(each)


def test_an_older_commit_and_back_trains_nothing(project):
    project.edit_params(lambda params: params["agents"]["mlp"].update(settings={"learning_rate": 0.1}))
    project.snakemake()
    project.commit("edited")
    project.run("git", "checkout", "--quiet", "HEAD~1")
    project.trained()
    assert planned_by_snakemake(project) == set()
    told = project.run("python", "-m", "oyster", "simulate", FIRST, "--out", "moved", check=False)
    assert told.returncode == 2 and "dvc checkout" in told.stderr  # the weights are the newer commit's
    project.run("dvc", "checkout", "--quiet")
    assert project.run("python", "-m", "oyster", "simulate", FIRST, "--out", "moved").returncode == 0
    nothing_to_do(project)
    project.run("git", "checkout", "--quiet", "main")
    project.run("dvc", "checkout", "--quiet")
    nothing_to_do(project)
    assert project.trained() <= MLP  # which git brought, not a tool


def test_another_runtime_makes_no_trial_stale(project):
    project.edit_params(lambda params: params.update(runtime="apptainer"))
    assert planned_by_snakemake(project) == set()
    stages = project.run("dvc", "status", "--json", "dvc.yaml").stdout
    assert "train@" not in stages and "environment" in stages


# --- any grid ---------------------------------------------------------------------------------------------------------


def test_a_grid_that_dvc_does_not_name(project):
    """And that shares trials with the benchmark, which are copied and not trained."""

    def add(params):
        axes = {"environments": ["point-robot"], "agents": ["mlp"], "seeds": [1, 7]}
        params["grids"]["mine"] = {"preset": "tiny"} | axes

    project.edit_params(add)
    assert planned_by_snakemake(project, "mine") == {"point-robot/mlp/1", "point-robot/mlp/7"}
    lock = (project.folder / "dvc.lock").read_bytes()
    project.snakemake("mine")
    here = project.folder / "results" / "mine" / "point-robot" / "mlp"
    assert (here / "1" / "provenance.json").read_bytes() == (project.folder / FIRST / "provenance.json").read_bytes()
    assert json.loads((here / "7" / "metrics.json").read_text())["seed"] == 7
    assert (project.folder / "reports" / "mine" / "index.html").exists()
    assert "Nothing to be done" in project.snakemake("mine").stderr
    assert (project.folder / "dvc.lock").read_bytes() == lock
    assert project.status() == " M params.yaml\n"  # results of such a grid are none of git's


def test_the_demo_trains_whatever_is_committed_and_leaves_git_alone(trained, tmp_path):
    clone = trained.clone(tmp_path / "clone")
    clone.snakemake("demo")
    assert clone.trained() == ALL and clone.status() == ""
    assert (clone.folder / "reports" / "demo" / "index.html").exists()
    assert "Nothing to be done" in clone.snakemake("demo").stderr
    clone.append("encoders/mlp.py", "\n# edited\n")
    assert planned_by_snakemake(clone, "demo") == MLP


@pytest.mark.parametrize("options", [("--config", "runtime=podman"), ("--configfile", "other.yaml")])
def test_settings_from_elsewhere_are_refused(project, options):
    (project.folder.parent / "other.yaml").write_text("a: 1\n")
    options = [option.replace("other.yaml", str(project.folder.parent / "other.yaml")) for option in options]
    told = project.run("snakemake", "-n", *options, check=False)
    assert told.returncode != 0
    assert "--config and --configfile are not read here" in told.stderr + told.stdout


# --- failures, kills, copies ------------------------------------------------------------------------------------------


def test_a_broken_encoder_is_a_recorded_result_and_a_gap_in_the_report(project):
    (project.folder / "encoders" / "broken.py").write_text(BROKEN)

    def add(params):
        params["agents"]["broken"] = {"encoder": "broken", "settings": {"num_train_steps_per_itr": 80}}
        params["grids"]["benchmark"] |= {"agents": ["broken", "mlp"], "environments": ["point-robot"]}

    project.edit_params(add)
    project.snakemake()
    metrics = json.loads((project.folder / "results/benchmark/point-robot/broken/1/metrics.json").read_text())
    assert metrics["meta_test_return"] is None
    assert "this encoder has had enough" in metrics["failure"]["reason"]
    assert "this encoder has had enough" in (project.folder / "reports/benchmark/index.html").read_text()
    assert "failed         benchmark/point-robot/broken/1" in project.run("python", "-m", "oyster", "status").stdout
    nothing_to_do(project)  # a failure is cached like any other result


def test_params_that_cannot_be_used_stop_before_anything_runs(project):
    project.edit_params(lambda params: params["presets"]["tiny"]["pearl"]["all"].update(meta_batch=-3))
    refused = project.snakemake(check=False)
    assert refused.returncode != 0
    assert "presets.tiny.pearl.all.meta_batch: given -3" in refused.stderr + refused.stdout
    assert project.trained() == set()


def test_a_hostile_name_reaches_no_shell(project):
    """Not through DVC either, which builds commands from params.yaml itself."""
    name = "mlp;touch pwned;#"

    def edit(params):
        params["agents"][name] = {"encoder": "mlp"}
        params["grids"]["benchmark"]["agents"] = [name]

    project.edit_params(edit)
    for command in (
        ("dvc", "repro", "--single-item", f"train@point-robot-{name}-1"),
        ("dvc", "repro"),
        ("snakemake", "-c1"),
    ):
        assert project.run(*command, check=False).returncode != 0
        assert not (project.folder / "pwned").exists()


@pytest.mark.parametrize("tools", [("snakemake", "dvc"), ("dvc", "snakemake")])
def test_a_killed_pipeline_goes_on_under_either_tool(untrained, tmp_path, tools):
    """A trial that infrastructure killed is trained when a command is given again; the others are kept."""
    commands = {"snakemake": ("snakemake", "--cores", "2"), "dvc": ("dvc", "repro", "--keep-going")}
    project = untrained.copy(tmp_path / "project")
    launcher = project.folder / "docker" / "run"
    working = launcher.read_text()
    broken = 'case "$*" in *recurrent*) kill -9 $$ ;; *) exec "$@" ;; esac ;;'
    launcher.write_text(working.replace('exec "$@" ;;', broken))
    assert launcher.read_text() != working
    assert project.run(*commands[tools[0]], check=False).returncode != 0
    assert project.trained() == MLP
    launcher.write_text(working)
    project.run(*commands[tools[1]])
    assert project.trained() == ALL - MLP
    if tools[1] == "dvc":
        project.snakemake()
    nothing_to_do(project)


def test_results_that_another_clone_trained(trained, tmp_path):
    """Copied by any means: a whole one is up to date, one that is cut, forged or of other code is named."""
    mine = trained.clone(tmp_path / "mine")
    mine.run("git", "rm", "-rq", "results/benchmark/point-robot")
    mine.commit("without")
    place = mine.folder / "results" / "benchmark" / "point-robot" / "mlp"
    shutil.copytree(trained.folder / FIRST, place / "1")
    told = mine.run("python", "-m", "oyster", "status", "--all").stdout
    assert "up to date     benchmark/point-robot/mlp/1  weights not here" in told
    key = next((place / "1").glob("*.key.json"))
    whole = (place / "1" / "adaptation.csv").read_bytes()

    (place / "1" / "adaptation.csv").write_bytes(whole[:40])
    assert "spoilt         benchmark/point-robot/mlp/1  adaptation.csv has 40 bytes" in mine.run(
        "python", "-m", "oyster", "status"
    ).stdout  # fmt: skip
    refused = mine.run("snakemake", "-n", check=False)
    assert refused.returncode != 0 and "adaptation.csv has 40 bytes" in refused.stdout + refused.stderr

    (place / "1" / "adaptation.csv").write_bytes(whole.replace(b"0", b"1"))
    assert "adaptation.csv is not the recorded file" in mine.run("python", "-m", "oyster", "status").stdout
    told = mine.run("python", "-m", "oyster", "record").stdout
    assert "not recorded  train@point-robot-mlp-1: adaptation.csv is not the recorded file" in told

    (place / "1" / "adaptation.csv").write_bytes(whole)
    foreign = json.loads(key.read_text()) | {"key": "0123456789abcdef"}
    foreign["parts"]["settings"]["net_size"] = 99
    key.unlink()
    key.with_name("0123456789abcdef.key.json").write_text(json.dumps(foreign))
    told = mine.run("python", "-m", "oyster", "status").stdout
    assert "stale          benchmark/point-robot/mlp/1  settings.net_size 99 → 8" in told
    assert planned_by_snakemake(mine) == {"point-robot/mlp/1", "point-robot/recurrent/1"}

    mine.append("params.yaml", "presets: [\n")
    told = mine.run("python", "-m", "oyster", "record", check=False)
    assert told.returncode == 2 and "keys.json cannot be made anew" in told.stderr and "Traceback" not in told.stderr
    assert (mine.folder / "keys.json").exists()


# --- keep -------------------------------------------------------------------------------------------------------------


def test_keep(trained, tmp_path):
    """A refactoring keeps the results, a change of behaviour by one character does not: in a clone without weights."""
    clone = trained.clone(tmp_path / "clone")
    clone.append("oyster/algorithms/pearl/posterior.py", "\n# a comment\n")
    clone.append("oyster/trial/run.py", "\n# another\n")
    told = clone.run("python", "-m", "oyster", "status").stdout
    assert "stale          benchmark/point-robot/mlp/1  engine (oyster/trial/run.py)" in told
    assert "algorithm (oyster/algorithms/pearl/posterior.py)" in told
    assert "4 results carry the present key now" in clone.run("python", "-m", "oyster", "keep").stdout
    clone.run("python", "-m", "oyster", "record")
    clone.snakemake()
    assert clone.trained() == set()
    clone.commit("kept")
    nothing_to_do(clone)
    kept = json.loads(next((clone.folder / FIRST).glob("*.key.json")).read_text())["kept"]
    assert len(kept) == 1 and kept[0]["from"] == kept[0]["by"] and kept[0]["with_changes"]

    # An encoder's edit is none of the canary's business; and what was kept once can be kept again.
    clone.append("encoders/mlp.py", "\n# edited\n")
    clone.append("oyster/algorithms/pearl/posterior.py", "\n# a comment more\n")
    told = clone.run("python", "-m", "oyster", "keep", check=False)
    assert told.returncode == 1 and "2 results carry the present key now, 2 were left" in told.stdout
    assert "left  results/benchmark/point-robot/mlp/1: another trial's: encoder (file)" in told.stdout
    clone.commit("kept again")

    path = clone.folder / "oyster" / "algorithms" / "pearl" / "gradient_step.py"
    path.write_text(path.read_text().replace("POLICY_STD_WEIGHT = 1e-3", "POLICY_STD_WEIGHT = 2e-3"))
    told = clone.run("python", "-m", "oyster", "keep", check=False)
    assert "0 results carry the present key now" in told.stdout and "behaves otherwise" in told.stdout


# --- the two graphs ---------------------------------------------------------------------------------------------------


def test_both_graphs_name_the_same_trials(project):
    listed = project.run("dvc", "stage", "list", "--name-only").stdout.split()
    by_dvc = {name.removeprefix("train@") for name in listed if name.startswith("train@")}
    summary = project.run("snakemake", "--cores", "1", "--forceall", "--dry-run", "--printshellcmds")
    pattern = r"--env (\S+) --agent (\S+) --seed (\d+)"
    by_snakemake = {"-".join(found) for found in re.findall(pattern, summary.stdout + summary.stderr)}
    assert by_dvc == by_snakemake == {trial.replace("/", "-") for trial in ALL}


@pytest.mark.parametrize("command", [("python", "-c", "import sys; print(sys.argv[1]); sys.exit(3)", "a  b")])
def test_launcher_runs_a_command_as_it_is(trained, command):
    done = trained.run("docker/run", *command, check=False)
    assert (done.returncode, done.stdout) == (3, "a  b\n")
