"""Results trained in one clone enter another by one command, or are refused: the real commands, in real clones."""

import hashlib
import io
import json
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

from oyster import import_checks
from oyster import import_results as module
from oyster.archive import TrialName, export_results, opened, trials_in
from oyster.runtime.errors import InputError
from oyster.runtime.provenance import sha256_of_json

NAMES = ("point-robot-mlp-1", "sparse-point-robot-mlp-1")
RESULTS = ("results/benchmark/point-robot/mlp/1", "results/benchmark/sparse-point-robot/mlp/1")
FIRST = RESULTS[0]
WEIGHTS = FIRST.replace("results", "weights") + "/weights.safetensors"


@pytest.fixture(scope="module")
def archive(untrained, tmp_path_factory) -> Path:
    """What another machine's clone packs: two results of the untrained project's commit."""
    there = untrained.clone(tmp_path_factory.mktemp("there") / "clone")
    there.repro(*(f"train@{name}" for name in NAMES))
    packed = there.run("python", "-m", "oyster", "export-results", "benchmark", "--out", "packed.tar.gz")
    assert "2 results with weights" in packed.stdout
    again = there.folder / "again.tar.gz"
    export_results("benchmark", again, there.folder)
    assert again.read_bytes() == (there.folder / "packed.tar.gz").read_bytes()
    (there.folder / WEIGHTS).unlink()
    with pytest.raises(InputError, match=f"not here.*{WEIGHTS}.*dvc pull"):
        export_results("benchmark", there.folder / "third.tar.gz", there.folder)
    with pytest.raises(InputError, match=r"no results of 'demo'.*benchmark"):
        export_results("demo", there.folder / "third.tar.gz", there.folder)
    assert not list(there.folder.glob("third*"))
    return again


@pytest.fixture
def unpacked(archive, tmp_path) -> Path:
    """The archive as a folder that may be altered."""
    with opened(archive) as folder:
        shutil.copytree(folder, tmp_path / "unpacked")
    return tmp_path / "unpacked"


@pytest.fixture
def here(untrained, tmp_path, monkeypatch):
    """A clone without results, which the function imports into."""
    clone = untrained.clone(tmp_path / "here")
    for imports in (module, import_checks):
        monkeypatch.setattr(imports, "ROOT", clone.folder)
    monkeypatch.chdir(clone.folder)
    return clone


def nothing_changed(clone) -> bool:
    return clone.status() == "" and not (clone.folder / FIRST).exists() and not (clone.folder / "weights").exists()


def edit_json(path: Path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def relock(folder: Path) -> None:
    """Record the altered files in the archive's dvc.lock, so that it is no longer the one that tells."""
    lock = yaml.safe_load((folder / "dvc.lock").read_text())
    for stage in lock["stages"].values():
        for out in stage["outs"]:
            if (folder / out["path"]).exists():
                out["md5"] = hashlib.md5((folder / out["path"]).read_bytes()).hexdigest()
    (folder / "dvc.lock").write_text(yaml.safe_dump(lock))


# --- taken in ---------------------------------------------------------------------------------------------------------


def test_what_is_imported_is_as_if_trained_here(archive, untrained, tmp_path):
    clone = untrained.clone(tmp_path / "clone")
    done = clone.run("python", "-m", "oyster", "import-results", str(archive))
    assert "2 results imported and recorded in dvc.lock" in done.stdout and "note:" not in done.stdout
    with opened(archive) as folder:
        for trial in trials_in(folder):
            assert all((clone.folder / name).read_bytes() == (folder / name).read_bytes() for name in trial.files())
    clone.trained()  # the imported results are new; from here on, nothing may be
    assert "up to date" in clone.run("dvc", "status", *(f"train@{name}" for name in NAMES)).stdout
    dry = clone.repro("--dry", "--single-item", *(f"train@{name}" for name in NAMES)).stdout
    assert "Running" not in dry and dry.count("didn't change, skipping") == 2
    clone.snakemake(*(f".pipeline/{result.removeprefix('results/benchmark/')}.done" for result in RESULTS))
    assert clone.trained() == set()
    changed = {line[3:] for line in clone.status().splitlines()}
    assert changed == {"dvc.lock", "results/"}
    clone.commit()
    weights = (clone.folder / WEIGHTS).read_bytes()
    (clone.folder / WEIGHTS).unlink()
    clone.run("dvc", "checkout", f"train@{NAMES[0]}")  # from DVC's cache
    assert (clone.folder / WEIGHTS).read_bytes() == weights

    again = clone.run("python", "-m", "oyster", "import-results", str(archive))
    assert "0 results imported" in again.stdout and "2 here already" in again.stdout
    assert clone.status() == ""


def test_a_result_in_place_gives_way_only_when_told(unpacked, here):
    module.import_results(unpacked)
    lock = (here.folder / "dvc.lock").read_bytes()
    progress = here.folder / FIRST / "progress.csv"
    recorded = progress.read_text()
    progress.write_text(recorded.replace("0,", "1,", 1))
    altered = progress.read_bytes()
    with pytest.raises(InputError, match=f"1 of 2.*\n.*{FIRST}: another result is.*progress.csv differ.*--replace"):
        module.import_results(unpacked)
    assert progress.read_bytes() == altered and (here.folder / "dvc.lock").read_bytes() == lock
    outcome = module.import_results(unpacked, replace=True)
    assert (outcome.imported, outcome.already_here) == ([FIRST], [RESULTS[1]])
    assert progress.read_text() == recorded and (here.folder / "dvc.lock").read_bytes() == lock
    assert not list(here.folder.rglob("*.partial"))


def test_an_import_that_broke_off_goes_on(unpacked, here, monkeypatch):
    def broken(repo, stage):
        raise InputError("the disk is full")

    with monkeypatch.context() as patch, pytest.raises(InputError, match="disk is full"):
        patch.setattr(module, "_record", broken)
        module.import_results(unpacked)
    assert (here.folder / FIRST / "metrics.json").exists() and FIRST not in (here.folder / "dvc.lock").read_text()
    outcome = module.import_results(unpacked)
    assert (outcome.imported, outcome.already_here) == ([RESULTS[1]], [FIRST])
    assert all(result in (here.folder / "dvc.lock").read_text() for result in RESULTS)


def test_missing_weights_come_with_the_same_result(unpacked, here):
    module.import_results(unpacked)
    (here.folder / WEIGHTS).unlink()
    origin = (here.folder / FIRST / "provenance.json").stat().st_ino
    assert module.import_results(unpacked).already_here == [*RESULTS]
    assert (here.folder / WEIGHTS).read_bytes() == (unpacked / WEIGHTS).read_bytes()
    assert (here.folder / FIRST / "provenance.json").stat().st_ino == origin  # the result was left alone


def test_only_the_valid_ones_where_asked(unpacked, untrained, tmp_path):
    (unpacked / FIRST / "start.json").unlink()
    clone = untrained.clone(tmp_path / "clone")
    command = ["python", "-m", "oyster", "import-results", str(unpacked)]
    all_or_none = clone.run(*command, check=False)
    assert all_or_none.returncode == 2 and f"{FIRST}/start.json missing" in all_or_none.stderr
    assert "--only-valid" in all_or_none.stderr and nothing_changed(clone)
    done = clone.run(*command, "--only-valid", check=False)
    assert done.returncode == 1
    assert "1 results imported" in done.stdout and "start.json missing" in done.stdout and "1 refused" in done.stdout
    assert not (clone.folder / FIRST).exists() and (clone.folder / RESULTS[1] / "metrics.json").exists()


# --- refused ----------------------------------------------------------------------------------------------------------


def edited_number(folder):
    edit_json(folder / FIRST / "metrics.json", meta_test_return=0.0)


def contradiction(folder):
    edited_number(folder)
    relock(folder)


def fewer_rows(folder):
    path = folder / FIRST / "progress.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    relock(folder)


def weights_of_another(folder):
    shutil.copy(folder / WEIGHTS.replace("point-robot", "sparse-point-robot"), folder / WEIGHTS)


def broken_weights(folder):
    (folder / WEIGHTS).write_bytes(b"\x08" + b"\0" * 7 + b"not json")
    relock(folder)


def smaller_networks(folder):
    from safetensors.numpy import load_file, save_file

    arrays = load_file(folder / WEIGHTS)
    save_file({name: array[:1] for name, array in arrays.items()}, folder / WEIGHTS)
    relock(folder)


def other_tasks(folder):
    edit_json(folder / FIRST / "start.json", test_tasks=[[0.0, 0.0], [1.0, 1.0]])
    relock(folder)


def another_trial(folder):
    edit_json(folder / FIRST / "metrics.json", encoder="recurrent")
    relock(folder)


def origin(**changes):
    return lambda folder: edit_json(folder / FIRST / "provenance.json", **changes)


def other_settings(folder):
    path = folder / FIRST / "provenance.json"
    settings = json.loads(path.read_text())["settings"] | {"discount": 0.5}
    edit_json(path, settings=settings, settings_sha256=sha256_of_json(settings))


def forged_settings(folder):
    path = folder / FIRST / "provenance.json"
    edit_json(path, settings=json.loads(path.read_text())["settings"] | {"discount": 0.5})


def not_json(folder):
    (folder / FIRST / "provenance.json").write_text("<html>")


def a_list(folder):
    (folder / FIRST / "provenance.json").write_text("[]")


def outside_the_grid(folder):
    (folder / FIRST).rename((folder / FIRST).with_name("77"))


@pytest.mark.parametrize(
    "alter, reason",
    [
        (edited_number, "not the file that the archive's dvc.lock records: .*metrics.json"),
        (weights_of_another, "dvc.lock records: weights/"),
        (contradiction, "meta_test_return in metrics.json is not that of the last row"),
        (fewer_rows, "progress.csv has 0 rows, expected 1"),
        (broken_weights, "cannot be read as a safetensors file"),
        (smaller_networks, "holds other networks than mlp.py"),
        (other_tasks, "other test tasks"),
        (another_trial, "metrics.json is of another trial: results/benchmark/point-robot/recurrent/1"),
        (origin(commit="0" * 40), "its commit 000000000000 is unknown here"),
        (origin(commit=None, dirty=None), "names no commit"),
        (origin(commit="--output=x"), "names no commit"),
        (origin(dirty=True), "uncommitted edits"),
        (origin(encoder_sha256="0" * 64), "another encoder file"),
        (other_settings, "other settings than params.yaml gives it: discount 0.5 there, 0.99 here"),
        (forged_settings, "settings_sha256 in provenance.json is not the hash"),
        (not_json, "cannot be read as a result's: JSONDecodeError"),
        (origin(hardware={}), "cannot be read as a result's: KeyError: 'cpu'"),
        (a_list, "cannot be read as a result's: TypeError"),
        (outside_the_grid, "77: dvc.yaml has no stage that trains it"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_refused(unpacked, here, alter, reason):
    alter(unpacked)
    with pytest.raises(InputError, match=reason) as refusal:
        module.import_results(unpacked)
    assert "1 of 2 results cannot be imported" in str(refusal.value)
    assert nothing_changed(here)


def test_the_working_tree_must_be_the_code_that_trained(unpacked, here):
    here.append("oyster/pearl/posterior.py", "\n# edited\n")
    here.append("encoders/mlp.py", "\n# edited\n")
    (here.folder / "oyster" / "runtime" / "new.py").write_text("")
    here.edit_params(lambda params: params["budgets"]["benchmark"]["all"].update(net_size=9))
    path = here.folder / "dvc.yaml"
    path.write_text(path.read_text().replace("--record-failure", "--record-failure --device cpu"))
    with pytest.raises(InputError) as refusal:
        module.import_results(unpacked)
    for expected in (
        "encoders/mlp.py, oyster/pearl/posterior.py, oyster/runtime/new.py, the command in dvc.yaml",
        "net_size 8 there, 9 here",
        "keep-results",
    ):
        assert str(refusal.value).count(expected) == 2


# --- flagged ----------------------------------------------------------------------------------------------------------


def test_what_a_reader_should_know_is_told(unpacked, here):
    shutil.copytree(unpacked / RESULTS[1], here.folder / RESULTS[1])
    shutil.rmtree(unpacked / RESULTS[1])
    (unpacked / "dvc.lock").unlink()
    path = unpacked / FIRST / "provenance.json"
    content = json.loads(path.read_text())
    content["environment"]["off_lock"] = ["numpy 1.0, locked 2.0"]
    content["hardware"]["gpu"] = "A GPU"
    edit_json(path, **content)
    remarks = "\n".join(module.import_results(unpacked).remarks)
    assert f"{FIRST}: no dvc.lock in the archive records its files" in remarks
    assert "trained off the lock: numpy 1.0, locked 2.0" in remarks
    assert (
        "mixes kinds of results" in remarks
        and "1 with gpu A GPU, off_lock numpy 1.0, locked 2.0; 1 with gpu None" in remarks
    )


# --- archives ---------------------------------------------------------------------------------------------------------


def hostile_tar(path: Path, member: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w") as tar:
        tar.addfile(member, io.BytesIO(b"x" * member.size))
    return path


@pytest.mark.parametrize("name", ["../outside", "/outside", f"{FIRST}/../../../../../outside"])
def test_an_archive_cannot_write_outside(tmp_path, name):
    member = tarfile.TarInfo(name)
    member.size = 1
    path = hostile_tar(tmp_path / "hostile.tar", member)
    with pytest.raises(InputError, match="outside itself"), opened(path):
        pass
    with zipfile.ZipFile(tmp_path / "hostile.zip", "w") as content:
        content.writestr(name, "x")
    with pytest.raises(InputError, match="outside itself"), opened(tmp_path / "hostile.zip"):
        pass


def test_links_in_an_archive_are_refused(tmp_path):
    member = tarfile.TarInfo(f"{FIRST}/metrics.json")
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with pytest.raises(InputError, match="as a link"), opened(hostile_tar(tmp_path / "links.tar", member)):
        pass


def test_a_zip_and_a_tar_of_all_of_a_clone_are_read_too(unpacked, tmp_path):
    (unpacked / "README.md").write_text("not a result")
    for kind in ("zip", "xztar"):
        path = Path(shutil.make_archive(str(tmp_path / "all"), kind, unpacked))
        with opened(path) as folder:
            assert [trial.result for trial in trials_in(folder)] == [*RESULTS]
            assert (folder / WEIGHTS).read_bytes() == (unpacked / WEIGHTS).read_bytes()
            assert (folder / "dvc.lock").exists() and not (folder / "README.md").exists()


def test_what_is_no_archive_is_told(tmp_path, here):
    with pytest.raises(InputError, match="no archive"):
        module.import_results(tmp_path / "nothing")
    (tmp_path / "text").write_text("text")
    with pytest.raises(InputError, match=r"cannot be read as a \.tar\.gz"):
        module.import_results(tmp_path / "text")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no results"):
        module.import_results(tmp_path / "empty")


def test_trial_names_are_folders():
    trial = TrialName("benchmark", "point-robot", "mlp", "1")
    assert (trial.result, trial.files()[-1]) == (FIRST, WEIGHTS)
