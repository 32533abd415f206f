"""verify says whether a result holds: what it must catch, it catches, and names."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from oyster.algorithms.pearl import gradient_step
from oyster.algorithms.pearl.settings import find_encoder_file
from oyster.cli import main
from oyster.grid import load_params, trial_settings
from oyster.reproduce import verify as verify_module
from oyster.reproduce.comparison import compare
from oyster.reproduce.keep import FOLDER
from oyster.reproduce.verify import find_results, verify
from oyster.runtime.errors import InputError, TrialFailure
from oyster.trial.run import CarriedKey, run_trial

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A tree with one result that carries a key, its weights elsewhere."""
    root = tmp_path_factory.mktemp("trained")
    out = root / "results" / "canary" / "point-robot" / "mlp" / "1"
    params = load_params(FOLDER / "params.yaml")
    settings = trial_settings(params, environment="point-robot", agent="mlp", seed=1, preset="canary")
    settings = settings.model_copy(update={"num_train_steps_per_itr": 10})
    run_trial(
        settings, {"encoder": find_encoder_file("mlp")}, out, key=CarriedKey("0123456789abcdef", {}, []), device="cpu"
    )
    (out / "weights.safetensors").unlink()
    return root


@pytest.fixture
def result(trained, tmp_path) -> Path:
    shutil.copytree(trained, tmp_path / "tree")
    return next((tmp_path / "tree").rglob("metrics.json")).parent


def unlock(result: Path) -> None:
    """Without its key file no hash says what was recorded."""
    next(result.glob("*.key.json")).unlink()


def silent(message: str) -> None:
    pass


def edit_csv(path: Path, row: int, column: str, value: str) -> None:
    rows = list(csv.DictReader(path.open()))
    rows[row][column] = value
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize("iterations", [None, 1])
def test_a_result_that_holds_is_identical(result, iterations):
    verdict = verify(result, iterations=iterations, say=silent)
    assert (verdict.word, verdict.holds) == ("identical", True)
    assert set(verdict.certificate["hashes"].values()) == {"holds", "not here"}
    json.dumps(verdict.certificate)


def test_a_file_that_is_not_the_recorded_one_is_told_before_any_rerun(result, monkeypatch):
    edit_csv(result / "adaptation.csv", 2, "return", "-1.0")
    monkeypatch.setattr(verify_module, "_rerun", lambda *arguments: pytest.fail("it was rerun"))
    verdict = verify(result, say=silent)
    assert not verdict.holds
    assert "adaptation.csv" in verdict.reason and "its key file lists" in verdict.reason


@pytest.mark.parametrize(
    "file, row, column",
    [("progress.csv", 1, "qf_loss"), ("adaptation.csv", 4, "return"), ("posteriors.csv", 3, "mean_2")],
)
def test_an_altered_number_is_named_by_row_and_column(result, file, row, column):
    unlock(result)
    edit_csv(result / file, row, column, "-1.5")
    verdict = verify(result, say=silent)
    assert verdict.word == "different"
    assert f"{file}, row {row}, column {column}: recorded -1.5" in verdict.reason


def test_altered_metrics_are_seen(result):
    unlock(result)
    metrics = json.loads((result / "metrics.json").read_text())
    (result / "metrics.json").write_text(json.dumps(metrics | {"meta_test_return": 1.0}))
    verdict = verify(result, say=silent)
    assert "metrics.json, row 0, column meta_test_return: recorded 1.0" in verdict.reason


def test_an_engine_that_behaves_otherwise_is_different(result, monkeypatch):
    monkeypatch.setattr(gradient_step, "POLICY_MEAN_WEIGHT", 2e-3)
    verdict = verify(result, iterations=1, say=silent)
    assert verdict.word == "different"
    assert "policy_loss" in verdict.reason or "first_losses" in verdict.reason


def on_other_hardware(result: Path) -> None:
    unlock(result)
    path = result / "provenance.json"
    provenance = json.loads(path.read_text())
    provenance["hardware"]["cpu_family"] = "0/0/0"
    path.write_text(json.dumps(provenance))


def test_the_same_bytes_on_other_hardware_are_identical(result):
    on_other_hardware(result)
    verdict = verify(result, iterations=1, say=silent)
    assert verdict.word == "identical" and "cpu_family: 0/0/0" in verdict.reason


def test_on_other_hardware_the_start_is_compared_and_no_more_is_claimed(result):
    on_other_hardware(result)
    edit_csv(result / "progress.csv", 1, "meta_test_return", "-1.5")  # chaos would do this too
    start = json.loads((result / "start.json").read_text())
    start["first_losses"][3][0] *= 1 + 1e-6  # so would rounding
    (result / "start.json").write_text(json.dumps(start))
    verdict = verify(result, iterations=1, say=silent)
    assert (verdict.word, verdict.holds) == ("consistent", True)
    assert "cpu_family: 0/0/0" in verdict.reason and "cannot be compared" in verdict.reason


@pytest.mark.parametrize("key", ["train_tasks", "first_rewards", "first_losses"])
def test_on_other_hardware_another_start_is_different(result, key):
    on_other_hardware(result)
    start = json.loads((result / "start.json").read_text())
    part = start[key] if key == "first_rewards" else start[key][1]
    part[0] = 1.01 * part[0] + 0.1
    (result / "start.json").write_text(json.dumps(start))
    verdict = verify(result, iterations=1, say=silent)
    assert verdict.word == "different"
    assert key in verdict.reason


def test_another_encoder_file_is_refused(result):
    unlock(result)
    path = result / "provenance.json"
    path.write_text(path.read_text().replace(json.loads(path.read_text())["encoder_sha256"], "f" * 64))
    with pytest.raises(InputError, match="--commit"):
        verify(result, say=silent)


def test_what_is_no_result_is_refused(tmp_path):
    with pytest.raises(InputError, match="no result"):
        find_results(tmp_path)
    (tmp_path / "metrics.json").write_text("{}")
    with pytest.raises(InputError, match=r"progress\.csv.* missing"):
        verify(tmp_path, say=silent)


def test_sample_draws_some_of_many(tmp_path):
    for name in "abcdef":
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text("{}")
    assert len(find_results(tmp_path, 3)) == 3
    assert len({tuple(find_results(tmp_path, 3)) for _ in range(50)}) > 5
    with pytest.raises(InputError, match="6 results"):
        find_results(tmp_path)


def test_compare_sees_missing_rows_and_columns(tmp_path):
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text("a,b\n1,2\n3,4\n")
    two.write_text("a,b\n1,2\n")
    assert compare(one, two).row == 1
    assert compare(one, two, rows=1) is None
    two.write_text("a\n1\n3\n")
    assert compare(one, two).column == "b"
    two.write_text("a,b\n1,2\n3,4.0004\n")
    assert str(compare(one, two)) == "one.csv, row 1, column b: recorded 4.0, re-created 4.0004"
    assert compare(one, two, tolerance=1e-3) is None


def run_verify(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "oyster", "verify", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_command_exits_by_its_verdict_and_writes_a_certificate(result, tmp_path):
    certificate = tmp_path / "certificate.json"
    good = run_verify(str(result), "--iterations", "1", "--certificate", str(certificate))
    assert good.returncode == 0, good.stderr
    assert "IDENTICAL" in good.stdout
    assert json.loads(certificate.read_text())[0]["verdict"] == "identical"
    edit_csv(result / "progress.csv", 0, "vf_loss", "7")
    bad = run_verify(str(result), "--iterations", "1", "--certificate", str(certificate))
    assert bad.returncode == 1
    assert "DIFFERENT" in bad.stdout
    assert json.loads(certificate.read_text())[0]["verdict"] == "different"
    assert run_verify(str(tmp_path / "nothing")).returncode == 2


def test_commit_uses_that_commits_code(result, tmp_path):
    """A clone whose working tree is broken still verifies with the code of its commit."""
    clone = tmp_path / "clone"
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "oyster", "encoders", "params.yaml",
                            "requirements.txt"],
                           cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()  # fmt: skip
    for name in files:
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, clone / name)
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for arguments in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "code"]):
        subprocess.run(["git", *arguments], cwd=clone, check=True)
    step = clone / "oyster" / "algorithms" / "pearl" / "gradient_step.py"
    step.write_text(step.read_text().replace("POLICY_STD_WEIGHT = 1e-3", "POLICY_STD_WEIGHT = 1.0"))
    command = [sys.executable, "-m", "oyster", "verify", str(result), "--iterations", "1"]
    edited = subprocess.run(command, cwd=clone, capture_output=True, text=True)
    assert edited.returncode == 1, edited.stderr
    committed = subprocess.run([*command, "--commit", "HEAD"], cwd=clone, capture_output=True, text=True)
    assert committed.returncode == 0, committed.stderr + committed.stdout
    worktrees = subprocess.run(["git", "worktree", "list"], cwd=clone, capture_output=True, text=True).stdout
    assert len(worktrees.splitlines()) == 1


def test_a_rerun_that_fails_is_different(result, monkeypatch):
    def fails(*_):
        raise TrialFailure("the encoder raised ValueError", 3)

    monkeypatch.setattr(verify_module, "_rerun", fails)
    verdict = verify(result, iterations=1, say=silent)
    assert verdict.word == "different" and "fails in iteration 3: the encoder raised ValueError" in verdict.reason


def test_one_result_that_cannot_be_tried_does_not_hide_another(tmp_path, monkeypatch):
    for seed in "12":
        (tmp_path / "results" / seed).mkdir(parents=True)
        (tmp_path / "results" / seed / "metrics.json").write_text("{}")

    def tried(folder, **_):
        if folder.name == "1":
            raise InputError("its encoder is not here")
        return verify_module.Verdict(str(folder), "identical", "every file", {"verdict": "identical"})

    monkeypatch.setattr(verify_module, "verify", tried)
    certificate = tmp_path / "new" / "certificate.json"
    command = ["verify", str(tmp_path / "results"), "--sample", "2", "--certificate", str(certificate)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2 and "its encoder is not here" in done.output and "IDENTICAL" in done.output
    assert [each["verdict"] for each in json.loads(certificate.read_text())] == ["not tried", "identical"]


def test_ctrl_c_says_so_by_its_exit_code(result, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(verify_module, "verify", stopped)
    done = CliRunner().invoke(main, ["verify", str(result)])
    assert done.exit_code == 130 and "Stopped" in done.output
