"""What counts as a difference between two files of a result: number by number, column by column, bound by bound."""

import json
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import save_file

from oyster.algorithms.pearl.settings import start_tolerance
from oyster.reproduce.comparison import Difference, UnreadableTable, compare, compare_starts, read_table

NAN = float("nan")


@pytest.fixture
def json_files(tmp_path):
    """Call it with two contents for two files that hold them."""

    def write(one, two) -> tuple[Path, Path]:
        paths = tmp_path / "one.json", tmp_path / "two.json"
        for path, content in zip(paths, (one, two), strict=True):
            path.write_text(json.dumps(content))
        return paths

    return write


@pytest.mark.parametrize("value", [1.5, 3, "text", True, None, NAN, 10**400, [1, {"a": 2}], {}, ""])
def test_a_file_is_itself(json_files, value):
    assert compare(*json_files({"a": value}, {"a": value})) is None


@pytest.mark.parametrize(
    "one, two",
    [(1.0, 1.0000000000000002), (1.0, -1.0), (0.0, NAN), (NAN, 0.0), (1.0, "1.0"), ("a", "b"), (True, False),
     (None, 0), (1.0, None), (10**400, 10**400 + 1)],
)  # fmt: skip
def test_any_other_value_is_a_difference(json_files, one, two):
    found = compare(*json_files({"same": 1, "a": one}, {"same": 1, "a": two}))
    assert found[:3] == ("one.json", 0, "a") and repr(found.recorded) != repr(found.recreated)


def test_a_tolerance_is_relative_to_the_larger_number(json_files):
    for one, two in ((100.0, 110.0), (110.0, 100.0), (-100.0, -110.0), (0.01, 0.011)):
        assert compare(*json_files([one], [two]), tolerance=10 / 110 + 1e-9) is None
        assert compare(*json_files([one], [two]), tolerance=10 / 110 - 1e-4).column == "[0]"
    assert compare(*json_files([100.0], [-100.0]), tolerance=1.9)
    assert compare(*json_files([1.0], [0.5]), tolerance=0.5) is None  # the bound itself is within
    assert compare(*json_files([0.0], [1.0]), tolerance=0.5)


def test_the_first_row_and_column_that_differ_are_named(tmp_path):
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text("a,b,c\n1,2,x\n3,4,y\n5,6,z\n")
    two.write_text("a,b,c\n1,2,x\n3,4.5,w\n5,7,z\n")
    assert compare(one, two) == Difference("one.csv", 1, "b", 4.0, 4.5)
    assert compare(one, two, without=("b",)) == Difference("one.csv", 1, "c", "y", "w")
    assert compare(one, two, without=("b", "c")) is None
    assert compare(one, two, rows=1) is None and compare(one, two, rows=2).row == 1


def test_a_row_or_column_that_one_file_lacks_is_a_difference(tmp_path):
    long, short, narrow = (tmp_path / f"{name}.csv" for name in ("long", "short", "narrow"))
    long.write_text("a,b\n1,2\n3,4\n")
    short.write_text("a,b\n1,2\n")
    narrow.write_text("a\n1\n3\n")
    assert compare(long, short) == Difference("long.csv", 1, "(the row itself)", True, False)
    assert compare(short, long) == Difference("short.csv", 1, "(the row itself)", False, True)
    assert compare(long, narrow) == Difference("long.csv", 0, "b", 2.0, None)
    assert compare(narrow, long) == Difference("narrow.csv", 0, "b", None, 2.0)


def test_nested_json_is_named_by_its_path(json_files, tmp_path):
    one, two = json_files({"a": {"b": [1, [2, 3]]}}, {"a": {"b": [1, [2, 4]]}})
    assert compare(one, two) == Difference("one.json", 0, "a.b[1][1]", 3.0, 4.0)
    assert read_table(one) == [{"a.b[0]": 1.0, "a.b[1][0]": 2.0, "a.b[1][1]": 3.0}]
    assert type(read_table(one)[0]["a.b[0]"]) is float
    assert [type(value) for value in read_table(json_files([True, None], 0)[0])[0].values()] == [bool, type(None)]


def test_a_csv_with_too_few_or_too_many_columns_is_read_as_text(tmp_path):
    path = tmp_path / "one.csv"
    path.write_text("a,b\n1\n1,2,3,4\n")
    assert read_table(path) == [{"a": 1.0, "b": "None"}, {"a": 1.0, "b": 2.0, "None": "['3', '4']"}]


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_arrays_are_one_cell_each(tmp_path, suffix):
    array = np.arange(6, dtype=np.float32)
    others = {
        "value": array[::-1].copy(), "type": array.astype(np.float64), "bytes": array.view(np.int32),
        "shape": array.reshape(2, 3),
    }  # fmt: skip

    def write(name: str, **arrays) -> Path:
        path = tmp_path / f"{name}.{suffix}"
        np.savez(path, **arrays) if suffix == "npz" else save_file(arrays, path)
        return path

    one = write("one", x=array, y=array)
    assert compare(one, write("same", x=array, y=array)) is None
    for kind, other in others.items():
        found = compare(one, write(kind, x=array, y=other))
        assert (found.row, found.column) == (0, "y"), kind
        assert str(found.recorded).startswith("float32 (6,) sha256 ") and repr(found.recorded) != repr(found.recreated)
        assert len(str(found.recorded).rpartition(" ")[2]) == 12
    assert compare(one, write("less", x=array)).column == "y"


@pytest.mark.parametrize("name", ["one.csv", "one.json", "one.npz", "one.safetensors"])
def test_what_cannot_be_read_is_a_difference_where_it_was_recorded(name, tmp_path):
    for content in (b"\xff\xfe\x00damaged", None):
        (tmp_path / name).unlink(missing_ok=True)
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(UnreadableTable):
            read_table(tmp_path / name)
        found = compare(tmp_path / name, tmp_path / name)
        assert found[:3] == (name, 0, "(the file itself)") and found.recorded and found.recreated == "readable"


def test_long_values_are_cut_in_a_sentence():
    exact, longer = Difference("f", 0, "c", "x" * 200, "y"), Difference("f", 0, "c", "y", "x" * 201)
    assert str(exact).count("x") == 200 and "…" not in str(exact)
    assert str(longer).endswith("x" * 200 + "…") and str(longer).count("x") == 200


@pytest.mark.parametrize("precision, tolerance", [("float32", 1e-4), ("bfloat16", 1e-2)])
@pytest.mark.parametrize("environment, losses", [("point-robot", True), ("cheetah-vel", False)])
def test_starts_agree_within_their_precision(json_files, environment, losses, precision, tolerance):
    assert start_tolerance(SimpleNamespace(precision=precision)) == tolerance
    start = {"first_rewards": [1.0], "first_losses": [[1.0]]}
    for key in start:
        for factor, within in ((1 + tolerance * 0.9, True), (1 + tolerance * 1.2, False)):
            other = start | {key: [[factor]] if key == "first_losses" else [factor]}
            found, told = compare_starts(*json_files(start, other), environment, tolerance)
            compared = losses or key == "first_rewards"
            assert (found is None) == (within or not compared)
            assert found is None or (found.file, found.recorded, found.recreated) == ("one.json", 1.0, factor)
            assert ("gradient steps" in told) == losses and f"within {tolerance:g}" in told


def test_an_archive_of_something_else_is_unreadable(tmp_path):
    with zipfile.ZipFile(tmp_path / "one.npz", "w") as archive:
        archive.writestr("positions.npy", b"no array")
    np.savez(tmp_path / "two.npz", positions=np.ones(2))
    assert compare(tmp_path / "one.npz", tmp_path / "two.npz").column == "(the file itself)"
