"""A result is whole or it is not there: after a power loss, in odd places, beside another trial's scratch."""

import json
import os
import shutil
import socket
from pathlib import Path

import pytest

from oyster.runtime import records
from oyster.runtime.destination import scratch_folder
from oyster.runtime.key_file import find_key_file
from oyster.runtime.records import RESULT_FILES, WEIGHTS, is_whole, problems
from tests.faults.conftest import oyster, train

FILES = (*RESULT_FILES, WEIGHTS)


@pytest.mark.parametrize("separate", [False, True])
def test_all_of_a_result_is_on_the_disk_before_its_checkpoints_go(separate, tmp_path: Path, monkeypatch):
    events = []
    fsync, remove, replace = os.fsync, shutil.rmtree, os.replace

    def synced(descriptor):
        events.append(("sync", os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def removed(path, *args, **kwargs):
        events.append(("remove", str(path)))
        remove(path, *args, **kwargs)

    def replaced(source, target):
        events.append(("rename", str(target)))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(shutil, "rmtree", removed)
    monkeypatch.setattr(os, "replace", replaced)
    out, weights = tmp_path / "results" / "out", tmp_path / "weights"
    options = ("--weights", weights) if separate else ()
    assert train("mlp", out, *options).exit_code == 0

    scratch = scratch_folder(out, find_key_file(out).key)
    gone = events.index(("remove", f"{scratch}/checkpoints"))
    arrived = events.index(("rename", str(out)))
    assert arrived < gone
    before = [place for what, place in events[:arrived] if what == "sync"]
    for name in RESULT_FILES:
        assert f"{scratch}/result/{name}" in before, name
    assert f"{scratch}/result" in before
    assert ("sync", str(out.parent)) in events[arrived:gone]
    if separate:
        assert str(weights) in before and str(weights / (WEIGHTS + ".partial")) in before
    else:
        assert f"{scratch}/result/{WEIGHTS}" in before


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", [b"", b"\0" * 4096, None])
def test_a_result_of_empty_files_is_not_whole(name, content, trained: Path, tmp_path: Path):
    out = shutil.copytree(trained, tmp_path / "out")
    assert is_whole(out)
    file = out / name
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2] if content is None else content)
    assert not is_whole(out)
    assert name in problems(out)[0]


def test_a_spoilt_result_is_trained_again(trained: Path, tmp_path: Path):
    out = shutil.copytree(trained, tmp_path / "out")
    for name in RESULT_FILES:
        (out / name).write_bytes(b"")
    assert train("mlp", out).exit_code == 0
    assert (out / "progress.csv").read_bytes() == (trained / "progress.csv").read_bytes()
    assert is_whole(out)


@pytest.mark.parametrize("command", ["verify", "simulate"])
@pytest.mark.parametrize("name", ["metrics.json", "provenance.json"])
def test_readers_name_an_empty_file(command, name, trained: Path, tmp_path: Path):
    out = shutil.copytree(trained, tmp_path / "out")
    (out / name).write_bytes(b"")
    done = oyster(command, out)
    assert done.exit_code == 2 and f"{name} is empty" in done.output


def test_another_trials_scratch_does_not_make_its_result_this_ones(trained: Path, tmp_path: Path):
    """Killed before it published, beside a result of other settings: the command must not report success."""
    out = shutil.copytree(trained, tmp_path / "out")
    scratch = scratch_folder(out, find_key_file(out).key)
    scratch.mkdir()
    done = train("recurrent", out)
    assert done.exit_code == 2 and "already holds a result" in done.output
    assert train("mlp", out).exit_code == 0  # killed between publishing and removing the scratch
    assert not scratch.exists()


def test_a_result_is_not_written_over(trained: Path, tmp_path: Path):
    out = shutil.copytree(trained, tmp_path / "out")
    before = {name: (out / name).read_bytes() for name in FILES}
    done = train("mlp", out)
    assert done.exit_code == 2 and "already holds a result" in done.output
    assert before == {name: (out / name).read_bytes() for name in FILES}


def strange_places(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "file").write_text("mine")
    os.mkfifo(tmp_path / "fifo")
    socket.socket(socket.AF_UNIX).bind(str(tmp_path / "socket"))
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes\x1b[2J.txt").write_text("mine")
    names = ("file", "fifo", "socket", "dangling", "full", "file/below")
    return {name: tmp_path / name for name in names} | {
        "nothing": Path(""), "here": Path("."), "above": Path(".."), "root": Path("/"), "device": Path("/dev/null"),
        "memory": Path("/proc"),
    }  # fmt: skip


@pytest.mark.parametrize("option", ["--out", "--weights"])
def test_a_strange_place_is_refused_before_training(option, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("oyster.trial.run.Trial", None)  # nothing is loaded before
    for name, place in strange_places(tmp_path).items():
        if option == "--weights" and name == "full":
            continue  # weights may have neighbours
        arguments = (tmp_path / "out", "--weights", place) if option == "--weights" else (place,)
        done = train("mlp", *arguments)
        assert done.exit_code == 2, (name, done.output)
        assert "\x1b" not in done.output and "error: " in done.output
    assert (tmp_path / "file").read_text() == "mine"
    assert not (tmp_path / "out.partial").exists()


def test_a_folder_without_permission_is_said_before_training(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("oyster.trial.run.Trial", None)
    access = os.access  # root may write everywhere
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path and access(path, mode))
    done = train("mlp", tmp_path / "out")
    assert done.exit_code == 2 and "permissions" in done.output


def test_droppings_in_a_destination_are_no_ones_work(tmp_path: Path):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".DS_Store").write_text("finder")
    assert train("mlp", out).exit_code == 0


def test_an_error_of_the_disk_says_what_failed(tmp_path: Path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr("oyster.trial.run.write_results", full)
    done = train("mlp", tmp_path / "out")
    assert done.exit_code == 3 and "Free space" in done.output

    def unreadable(*args):
        raise OSError(5, "Input/output error", "somewhere")

    monkeypatch.setattr("oyster.trial.run.write_results", unreadable)
    done = train("mlp", tmp_path / "out")
    assert done.exit_code == 3 and "Input/output error" in done.output and "space" not in done.output
    monkeypatch.undo()
    assert train("mlp", tmp_path / "out").exit_code == 0  # nothing was lost


# --- verify and missing files -----------------------------------------------------------------------------------------


def test_verify_says_that_weights_are_not_here(trained: Path, tmp_path: Path):
    out = shutil.copytree(trained, tmp_path / "out")
    (out / WEIGHTS).unlink()
    done = oyster("verify", out)
    assert done.exit_code == 0 and "which are not here" in done.output
    assert "every file, to the last bit" not in done.output


@pytest.mark.parametrize("name", ["adaptation.csv", "posteriors.csv", "trajectories.npz"])
def test_verify_calls_any_other_missing_file_different(name, trained: Path, tmp_path: Path):
    out = shutil.copytree(trained, tmp_path / "out")
    (out / name).unlink()
    done = oyster("verify", out)
    assert done.exit_code == 1 and "DIFFERENT" in done.output and name in done.output


def test_weights_below_any_folder_called_results(tmp_path: Path):
    result = tmp_path / "results" / "oyster" / "results" / "demo" / "point-robot" / "mlp" / "1"
    place = tmp_path / "results" / "oyster" / "weights" / "demo" / "point-robot" / "mlp" / "1"
    assert records.find_weights(result) == place.resolve() / WEIGHTS
    shallow = tmp_path / "results" / "kept" / "mlp"
    assert records.find_weights(shallow) == (tmp_path / "weights" / "kept" / "mlp").resolve() / WEIGHTS
    odd = tmp_path / "results" / "demo" / "point-robot" / "results" / "1"  # an encoder of that name
    assert (
        records.find_weights(odd)
        == (tmp_path / "weights" / "demo" / "point-robot" / "results" / "1").resolve() / WEIGHTS
    )


def test_other_weights_beside_results_are_noticed(trained: Path, tmp_path: Path):
    from safetensors.numpy import load_file, save_file

    result = tmp_path / "results" / "tree" / "results" / "demo" / "point-robot" / "mlp" / "1"
    shutil.copytree(trained, result)
    weights = records.find_weights(result).parent
    place = Path(str(weights).replace("/tree/results/", "/tree/weights/"))
    place.mkdir(parents=True)
    arrays = load_file(result / WEIGHTS)
    (result / WEIGHTS).unlink()
    first = next(iter(arrays))
    save_file(arrays | {first: arrays[first] + 1}, place / WEIGHTS)
    done = oyster("verify", result)
    assert done.exit_code == 1 and WEIGHTS in done.output


@pytest.mark.parametrize("content", ["<<<<<<< HEAD\na: 1\n=======\n", "{", "5", b"\xff\xfe", "[" * 100_000])
def test_a_key_file_that_cannot_be_read_is_a_sentence(content, trained: Path, tmp_path: Path):
    out = shutil.copytree(trained, tmp_path / "tree" / "out")
    path = next(out.glob("*.key.json"))
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for command in ("verify", "simulate"):
        done = oyster(command, out)
        assert done.exit_code == 2 and path.name in done.output


def test_recorded_settings_that_are_none(trained: Path, tmp_path: Path):
    out = shutil.copytree(trained, tmp_path / "out")
    origin = json.loads((out / "provenance.json").read_text())
    for spoilt in ({}, origin | {"settings": None}, origin | {"hardware": 3}, origin | {"settings": {"seed": "x"}}):
        (out / "provenance.json").write_text(json.dumps(spoilt))
        assert oyster("verify", out).exit_code == 2
    (out / "provenance.json").write_text("[" * 100_000)
    assert oyster("simulate", out).exit_code == 2
