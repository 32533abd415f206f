"""A checkpoint file: what goes in comes out, damage is seen, two are kept, another trial's is refused."""

import hashlib
import os
import shutil

import pytest
import torch

from oyster.runtime import checkpoint as checkpoint_module
from oyster.runtime.checkpoint import (
    Checkpoint,
    CheckpointFolder,
    DamagedCheckpoint,
    ForeignCheckpoint,
    Log,
    from_bytes,
    join,
    own_memory,
    read_checkpoint,
    split,
    to_bytes,
    write_checkpoint,
)

IDENTITY = {"settings": "a", "engine": "b"}


def some(number: int) -> Checkpoint:
    return Checkpoint({"x": torch.full((3,), float(number))}, {"number": number, "nested": [1, {"a": None}]})


def refuse(message: str) -> None:
    raise AssertionError(message)


@pytest.fixture
def folder(tmp_path) -> CheckpointFolder:
    return CheckpointFolder(tmp_path / "a" / "checkpoints", IDENTITY)


def test_what_goes_in_comes_out(tmp_path):
    tensors = {
        "float": torch.randn(2, 3), "double": torch.randn(4, dtype=torch.float64), "byte": torch.arange(5).byte(),
        "empty": torch.zeros(0, 3), "scalar": torch.tensor(1.5), "bool": torch.tensor([True, False]),
    }  # fmt: skip
    for name, value in from_bytes(to_bytes(Checkpoint(tensors, {"a": [1.5, "é", None]}))).tensors.items():
        assert torch.equal(value, tensors[name]) and value.dtype == tensors[name].dtype
    write_checkpoint(tmp_path / "1.checkpoint", some(1))
    tensors, state, _ = read_checkpoint(tmp_path / "1.checkpoint")
    assert torch.equal(tensors["x"], some(1).tensors["x"]) and state == some(1).state
    content = (tmp_path / "1.checkpoint").read_bytes()
    assert content[:32] == hashlib.sha256(content[32:]).digest()


def test_tensors_that_share_memory_are_written_apart():
    base = torch.arange(12.0).reshape(3, 4).requires_grad_()
    views = {"base": base, "same": base, "row": base[1], "transposed": base.t(), "alone": torch.ones(2)}
    apart = own_memory(views)
    assert list(apart) == list(views)
    for name, value in apart.items():
        assert torch.equal(value, views[name]) and value.is_contiguous() and not value.requires_grad
    assert len({value.untyped_storage().data_ptr() for value in apart.values()}) == len(views)
    assert apart["alone"].data_ptr() == views["alone"].data_ptr()  # what shares nothing is not copied
    assert apart["base"].data_ptr() == base.data_ptr()
    assert set(from_bytes(to_bytes(Checkpoint(views, {}))).tensors) == set(views)


@pytest.mark.parametrize("at", [0, 31, 32, 45, -1])
def test_one_altered_byte_is_seen(at, tmp_path):
    path = tmp_path / "1.checkpoint"
    write_checkpoint(path, some(1))
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedCheckpoint, match=str(len(content))):
        read_checkpoint(path)


@pytest.mark.parametrize("size", [0, 10, 32, 100, -1])
def test_a_truncated_file_is_seen(size, tmp_path):
    path = tmp_path / "1.checkpoint"
    write_checkpoint(path, some(1))
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DamagedCheckpoint):
        read_checkpoint(path)


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """Otherwise a power cut leaves a name without its content."""
    calls, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (calls.append(os.fstat(descriptor).st_size), fsync(descriptor)))
    monkeypatch.setattr(os, "replace", lambda old, new: (calls.append((old, new)), replace(old, new)))
    monkeypatch.setattr(checkpoint_module, "sync", calls.append)
    path = tmp_path / "000007.checkpoint"
    write_checkpoint(path, some(1))
    assert calls == [path.stat().st_size, (tmp_path / "000007.writing", path), tmp_path]
    assert os.listdir(tmp_path) == [path.name]


def test_the_newest_and_the_one_before_it_are_kept(folder):
    assert folder.load_newest(refuse) is None
    assert [folder.save(some(number)).name for number in (1, 2, 3)] == [f"00000{n}.checkpoint" for n in (1, 2, 3)]
    assert sorted(os.listdir(folder.folder)) == ["000002.checkpoint", "000003.checkpoint"]
    tensors, state, _ = folder.load_newest(refuse)
    assert state == some(3).state and torch.equal(tensors["x"], some(3).tensors["x"])
    assert folder.save(some(4)).name == "000004.checkpoint"


def test_numbers_are_compared_as_numbers(folder):
    for number in (999_998, 999_999, 1_000_000):
        folder.folder.mkdir(parents=True, exist_ok=True)
        content = {"identity": IDENTITY, "logs": {}, "state": {"n": number}}
        write_checkpoint(folder.folder / f"{number}.checkpoint", Checkpoint({}, content))
    assert folder.load_newest(refuse).state == {"n": 1_000_000}
    assert folder.save(some(1)).name == "1000001.checkpoint"
    assert sorted(os.listdir(folder.folder)) == ["1000000.checkpoint", "1000001.checkpoint"]


def test_a_damaged_one_is_dropped_for_the_one_before_it(folder):
    for number in (1, 2):
        folder.save(some(number))
    newest = folder.folder / "000002.checkpoint"
    newest.write_bytes(newest.read_bytes()[:-1])
    warnings = []
    assert folder.load_newest(warnings.append).state == some(1).state
    assert len(warnings) == 1 and "000002.checkpoint is damaged" in warnings[0] and not newest.exists()
    (folder.folder / "000001.checkpoint").write_bytes(b"")
    assert folder.load_newest(warnings.append) is None and len(warnings) == 2


def test_another_trials_is_refused_by_what_differs(folder):
    folder.save(some(1))
    others = {
        "settings": {"settings": "z", "engine": "b"},
        "settings, engine": {"settings": "z", "engine": "z"},
        "torch": {**IDENTITY, "torch": "2"},
    }
    for told, identity in others.items():
        with pytest.raises(ForeignCheckpoint) as error:
            CheckpointFolder(folder.folder, identity).load_newest(refuse)
        assert str(error.value) == told
    assert CheckpointFolder(folder.folder, {"engine": "b"}).load_newest(refuse)
    assert os.listdir(folder.folder) == ["000001.checkpoint"]


# --- logs -------------------------------------------------------------------------------------------------------------


def grown(rows: int) -> Checkpoint:
    values = torch.arange(3.0 * rows).reshape(rows, 3)
    return split({"learner": {"a/b": Log(values), "count": rows}})


def rows_of(checkpoint: Checkpoint) -> torch.Tensor:
    return join(checkpoint)["learner"]["a/b"].rows


def test_a_log_is_appended_to_and_comes_back(folder):
    sizes = []
    for rows in (0, 4, 4, 1000):
        folder.save(grown(rows))
        (log,) = folder.folder.glob("*.log")
        sizes.append(log.stat().st_size)
        assert max(path.stat().st_size for path in folder.folder.glob("*.checkpoint")) < 1000
    assert sizes == [0, 48, 48, 12000]
    again = CheckpointFolder(folder.folder, IDENTITY)
    found = again.load_newest(refuse)
    assert torch.equal(rows_of(found), rows_of(grown(1000))) and join(found)["learner"]["count"] == 1000
    again.save(grown(1001))  # another process goes on
    assert torch.equal(rows_of(CheckpointFolder(folder.folder, IDENTITY).load_newest(refuse)), rows_of(grown(1001)))


@pytest.mark.parametrize("torn", [b"", b"x" * 5, b"x" * 24])
def test_what_a_kill_left_of_an_append_is_cut_off(folder, torn):
    folder.save(grown(2))
    (log,) = folder.folder.glob("*.log")
    with log.open("ab") as file:
        file.write(torn)
    again = CheckpointFolder(folder.folder, IDENTITY)
    assert torch.equal(rows_of(again.load_newest(refuse)), rows_of(grown(2)))
    again.save(grown(3))
    assert log.stat().st_size == 36
    assert torch.equal(rows_of(CheckpointFolder(folder.folder, IDENTITY).load_newest(refuse)), rows_of(grown(3)))


def test_a_log_that_is_cut_costs_an_interval(folder):
    folder.save(grown(2))
    folder.save(grown(5))
    (log,) = folder.folder.glob("*.log")
    log.write_bytes(log.read_bytes()[:40])
    said: list[str] = []
    again = CheckpointFolder(folder.folder, IDENTITY)
    assert torch.equal(rows_of(again.load_newest(said.append)), rows_of(grown(2)))
    assert len(said) == 1 and "does not match" in said[0]
    log.unlink()
    said.clear()
    assert CheckpointFolder(folder.folder, IDENTITY).load_newest(said.append) is None and len(said) == 1
    fresh = CheckpointFolder(folder.folder, IDENTITY)
    fresh.save(grown(1))
    assert torch.equal(rows_of(CheckpointFolder(folder.folder, IDENTITY).load_newest(refuse)), rows_of(grown(1)))


def test_a_foreign_log_leaves_nothing_to_what_comes_after(folder):
    folder.save(grown(5))
    other = CheckpointFolder(folder.folder, IDENTITY | {"settings": "c"})
    with pytest.raises(ForeignCheckpoint):
        other.load_newest(refuse)
    shutil.rmtree(folder.folder)  # as a trial that drops it does
    other.save(grown(2))
    assert torch.equal(rows_of(CheckpointFolder(folder.folder, other.identity).load_newest(refuse)), rows_of(grown(2)))


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.int64])
def test_a_log_keeps_its_type(folder, kind):
    rows = torch.arange(6).reshape(2, 3).to(kind)
    folder.save(split({"log": Log(rows)}))
    found = join(CheckpointFolder(folder.folder, IDENTITY).load_newest(refuse))["log"].rows
    assert found.dtype == kind and torch.equal(found, rows)
