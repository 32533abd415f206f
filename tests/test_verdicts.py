"""What verify says of a rerun whose outcome is given: every word, file and certificate, without any training."""

import json
import shutil
from pathlib import Path

import pytest

from oyster.algorithms.pearl.settings import find_encoder_file
from oyster.grid import load_params, trial_settings
from oyster.reproduce import verify as verify_module
from oyster.reproduce.keep import FOLDER
from oyster.reproduce.verify import COMPARED, check_hashes, find_results, first_difference, read_verifiable, verify
from oyster.runtime import provenance
from oyster.runtime.errors import InputError
from oyster.runtime.key_file import write_key_file
from oyster.runtime.records import WEIGHTS
from oyster.trial.run import run_trial


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("made") / "results" / "mlp"
    params = load_params(FOLDER / "params.yaml")
    settings = trial_settings(params, environment="point-robot", agent="mlp", seed=1, preset="canary")
    changes = {"num_iterations": 2, "num_train_steps_per_itr": 2, "evaluations": 1}
    run_trial(settings.model_copy(update=changes), {"encoder": find_encoder_file("mlp")}, out, device="cpu")
    return out


@pytest.fixture
def result(made, tmp_path) -> Path:
    shutil.copytree(made, tmp_path / "tree" / "results" / "mlp")
    return tmp_path / "tree" / "results" / "mlp"


@pytest.fixture
def rerun(made, monkeypatch):
    """The folder that a rerun is said to have made, and what it was asked for."""
    asked = {}

    def train(settings, sources, out, **options):
        asked.update(options, encoder=sources["encoder"].name, seed=settings.seed)
        shutil.copytree(asked["folder"], out)

    monkeypatch.setattr(verify_module, "run_trial", train)
    asked["folder"] = made
    return asked


@pytest.fixture
def said() -> list[str]:
    return []


def edit(path: Path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def other_hardware(result: Path) -> None:
    hardware = json.loads((result / "provenance.json").read_text())["hardware"]
    edit(result / "provenance.json", hardware=hardware | {"cpu_family": "0/0/0"})


def nudge_losses(result: Path, factor: float) -> None:
    losses = json.loads((result / "start.json").read_text())["first_losses"]
    losses[0][0] *= factor
    edit(result / "start.json", first_losses=losses)


def test_identical(result, rerun, said):
    verdict = verify(result, device="cpu", say=said.append)
    assert (verdict.word, verdict.holds, verdict.result) == ("identical", True, str(result))
    assert verdict.reason == "every file, to the last bit, on the same kind of hardware"
    assert (rerun["device"], rerun["record_failure"], rerun["encoder"], rerun["seed"]) == ("cpu", True, "mlp.py", 1)
    assert said == [f"{result}: without a key, so that no hash says what was recorded; re-creating all iterations"]
    recorded = json.loads((result / "provenance.json").read_text())
    certificate = verdict.certificate
    assert certificate["verdict"] == "identical" and certificate["first_difference"] is None
    assert certificate["iterations"] == "all" and certificate["hashes"] == {}
    kind = provenance.kind(recorded)
    keys = ("commit", "dirty", "settings_sha256", "encoder_sha256")
    assert certificate["recorded"] == {key: recorded[key] for key in keys} | {"kind": kind}
    assert certificate["recreated"] == {key: recorded[key] for key in keys[:2]} | {"kind": kind}
    assert str(verdict).startswith("IDENTICAL   ")


def test_weights_may_be_absent_and_nothing_else(result, rerun, said):
    (result / WEIGHTS).unlink()
    verdict = verify(result, say=said.append)
    assert verdict.word == "identical" and verdict.reason.startswith("every file but the weights")
    (result / "posteriors.csv").unlink()
    verdict = verify(result, say=said.append)
    assert verdict.word == "different" and not verdict.holds
    assert verdict.certificate["first_difference"] == {
        "file": "posteriors.csv", "row": "0", "column": "(the file itself)",
        "recorded": "missing", "recreated": "there",
    }  # fmt: skip


@pytest.mark.parametrize("name", [name for name in COMPARED if name.endswith("csv")])
def test_a_file_that_differs_is_named(name, result, rerun, said):
    lines = (result / name).read_text().splitlines()
    (result / name).write_text("\n".join([*lines[:-1], lines[-1].replace(lines[-1].split(",")[0], "9", 1)]) + "\n")
    verdict = verify(result, say=said.append)
    assert verdict.word == "different" and verdict.reason.startswith(f"{name}, row {len(lines) - 2}, column ")
    found = first_difference(result, rerun["folder"], None)
    was = float(lines[-1].split(",")[0])
    assert (found.file, float(found.recorded), float(found.recreated)) == (name, 9, was)


def test_other_hardware_is_named_and_counts_where_bytes_differ(result, rerun, said):
    other_hardware(result)
    ours = json.loads((rerun["folder"] / "provenance.json").read_text())["hardware"]["cpu_family"]
    told = f"other hardware or versions (cpu_family: 0/0/0 → {ours})"
    verdict = verify(result, say=said.append)
    assert verdict.word == "identical" and verdict.reason.endswith(told)
    nudge_losses(result, 1 + 1e-6)
    verdict = verify(result, say=said.append)
    assert verdict.word == "consistent" and verdict.holds and verdict.reason.startswith(f"on {told} the task lists")
    assert verdict.certificate["first_difference"] is None
    nudge_losses(result, 1.5)
    verdict = verify(result, say=said.append)
    assert verdict.word == "different" and verdict.reason.startswith("start.json, row 0, column first_losses[0][0]")


def test_on_the_same_hardware_nothing_is_within_a_tolerance(result, rerun, said):
    nudge_losses(result, 1 + 1e-6)
    assert verify(result, say=said.append).word == "different"


def test_the_first_iterations_alone(result, monkeypatch, said):
    monkeypatch.setattr(verify_module, "run_trial", lambda *arguments, **options: pytest.fail("it was trained whole"))
    (result / "adaptation.csv").write_text("spoilt\n")
    text = (result / "progress.csv").read_text().splitlines()
    (result / "progress.csv").write_text("\n".join([*text[:2], text[2].replace("1", "2", 1)]) + "\n")
    verdict = verify(result, iterations=1, device="cpu", say=said.append)
    assert verdict.word == "identical"
    assert verdict.reason.startswith("the first 1 rows of progress.csv, and the start, to the last bit")
    assert verdict.certificate["iterations"] == 1 and said[0].endswith("re-creating 1 iterations")
    assert verdict.certificate["recreated"]["commit"] == provenance.commit()["commit"]
    (result / "progress.csv").write_text("\n".join([text[0], text[1].replace("0", "5", 1), text[2]]) + "\n")
    assert verify(result, iterations=1, device="cpu", say=said.append).reason.startswith("progress.csv, row 0, column")


def test_another_encoder_file_is_refused(result, rerun, said):
    edit(result / "provenance.json", encoder_sha256="f" * 64)
    with pytest.raises(InputError, match="is not the file that made"):
        verify(result, say=said.append)


# --- the key file -----------------------------------------------------------------------------------------------------


def with_key(result: Path) -> dict[str, str]:
    """Give it a key file; its files as they hold."""
    files = sorted(result.iterdir())
    write_key_file(result, "0123456789abcdef", {}, files, recorded={"w.safetensors": {"md5": "0", "size": 1}})
    return {file.name: "holds" for file in files} | {"w.safetensors": "not here"}


def test_hashes_are_those_of_the_key_file(result):
    assert check_hashes(result) == {}
    files = with_key(result)
    assert check_hashes(result) == files
    (result / "start.json").write_text("{}")
    (result / "metrics.json").unlink()
    assert check_hashes(result) == files | {"start.json": "differs", "metrics.json": "not here"}


def test_an_altered_file_is_told_before_any_rerun(result, rerun, said):
    with_key(result)
    assert verify(result, say=said.append).word == "identical"
    assert said.pop().startswith(f"{result}: hashes of its key file: 8 holds, 1 not here; re-creating")
    (result / "adaptation.csv").write_text("spoilt\n")
    rerun.clear()
    verdict = verify(result, iterations=3, say=said.append)
    assert verdict.word == "different" and not rerun
    assert verdict.reason == "not the files that its key file lists: adaptation.csv"
    assert said == [f"{result}: hashes of its key file: 7 holds, 1 differs, 1 not here; re-creating 3 iterations"]
    assert verdict.certificate["recreated"] is None and verdict.certificate["iterations"] == 3
    assert verdict.certificate["hashes"]["adaptation.csv"] == "differs"


# --- what can be verified ---------------------------------------------------------------------------------------------


def test_the_settings_are_the_recorded_ones(result):
    recorded, settings = read_verifiable(result)
    assert recorded == json.loads((result / "provenance.json").read_text())
    assert (settings.encoder, settings.num_iterations) == ("mlp", 2)


@pytest.mark.parametrize("name, needed", [("metrics.json", True), ("provenance.json", True), ("progress.csv", True),
                                          ("start.json", True), ("adaptation.csv", False)])  # fmt: skip
def test_a_result_needs_what_a_rerun_is_compared_with(name, needed, result):
    (result / name).unlink()
    if needed:
        with pytest.raises(InputError, match=f"not a whole result: {name} is missing"):
            read_verifiable(result)
    else:
        read_verifiable(result)


@pytest.mark.parametrize("key", ["encoder_sha256", "commit", "dirty", "hardware", "environment"])
def test_a_provenance_that_lacks_something_is_refused(key, result):
    recorded = json.loads((result / "provenance.json").read_text())
    (result / "provenance.json").write_text(json.dumps({name: recorded[name] for name in recorded if name != key}))
    read = verify_module.verify if key == "encoder_sha256" else read_verifiable
    with pytest.raises(InputError, match="hardware and versions" if key in ("hardware", "environment") else key):
        read(result)
    edit(result / "provenance.json", **{key: 1 if key == "hardware" else recorded[key]})
    if key == "hardware":
        with pytest.raises(InputError, match="hardware and versions"):
            read_verifiable(result)


def test_results_are_found_below_and_drawn_without_repeats(tmp_path):
    for name in ("b", "a", "c/d"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "metrics.json").write_text("{}")
    (tmp_path / "a.0123456789abcdef.partial" / "result").mkdir(parents=True)  # of a trial that runs
    (tmp_path / "a.0123456789abcdef.partial" / "result" / "metrics.json").write_text("{}")
    names = [tmp_path / "a", tmp_path / "b", tmp_path / "c" / "d"]
    assert find_results(tmp_path, 3) == find_results(tmp_path, 9) == names
    assert find_results(tmp_path / "c") == [tmp_path / "c" / "d"] == find_results(tmp_path / "c" / "d")
    drawn = [find_results(tmp_path, 2) for _ in range(40)]
    assert all(len(set(each)) == 2 and each == sorted(each) for each in drawn)
    assert {path for each in drawn for path in each} == set(names)
    with pytest.raises(InputError, match="3 results"):
        find_results(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no result"):
        find_results(tmp_path / "empty")
    for name in ("one", "two"):
        (tmp_path / "empty" / name).mkdir()
        (tmp_path / "empty" / name / "metrics.json").write_text("{}")
    with pytest.raises(InputError, match="2 results"):
        find_results(tmp_path / "empty")


def test_another_c_library_is_another_kind_and_one_that_is_not_named_is_none(result, rerun, said):
    nudge_losses(result, 1 + 1e-6)
    environment = json.loads((result / "provenance.json").read_text())["environment"]
    edit(result / "provenance.json", environment=environment | {"libc": "glibc 2.0"})
    verdict = verify(result, device="cpu", say=said.append)
    assert verdict.word == "consistent" and "libc: glibc 2.0 → " in verdict.reason
    edit(result / "provenance.json", environment={k: v for k, v in environment.items() if k != "libc"})
    assert verify(result, device="cpu", say=said.append).word == "different"
