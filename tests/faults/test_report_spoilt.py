"""A spoilt record is one counted line of the report, and the rest of the report is as it was."""

import io
import json
import re
import zipfile

import numpy as np
import pytest

from oyster.report.read.grid import read_grid
from oyster.report.read.results import load
from tests.faults.report_trees import edit, small_tree

FILES = ["metrics.json", "progress.csv", "adaptation.csv", "posteriors.csv", "provenance.json", "trajectories.npz"]
DEEP = b"[" * 100_000 + b"]" * 100_000


def results_of(tree):
    return load(tree.results, read_grid(tree.params, "demo"))


@pytest.fixture
def tree(tmp_path):
    tree = small_tree(tmp_path)
    tree.write_all()
    return tree


def spoil(tree, name, content) -> None:
    path = tree.results / "point-robot" / "mlp" / "1" / name
    path.write_bytes(content(path.read_bytes()) if callable(content) else content)


def lines(change):
    """An edit of a text file's lines."""
    return lambda data: ("\n".join(change(data.decode().splitlines())) + "\n").encode()


def one_line(tree, name) -> None:
    """The file is the one that is told of, and the other trial is all there."""
    results = results_of(tree)
    (line,) = results.unusable
    assert name in line and "\n" not in line and len(line) < 400 and results.remarks == []
    assert results.trials.status[1] == "finished"
    for frame in (results.progress, results.adaptation, results.posteriors):
        assert 2 in set(frame.seed)


@pytest.mark.parametrize("content", [b"", b"\0" * 512])
@pytest.mark.parametrize("name", FILES)
def test_what_a_power_loss_leaves(tree, name, content):
    spoil(tree, name, content)
    one_line(tree, name)
    assert "empty" in results_of(tree).unusable[0]


@pytest.mark.parametrize("name", FILES)
def test_half_a_file(tree, name):
    spoil(tree, name, lambda data: data[: len(data) // 2])
    one_line(tree, name)


@pytest.mark.parametrize("name", FILES)
def test_a_file_written_twice(tree, name):
    if name == "trajectories.npz":
        pytest.skip("the second half is a whole archive, which zipfile reads")
    spoil(tree, name, lambda data: data + data)
    one_line(tree, name)


@pytest.mark.parametrize("name", ["metrics.json", "provenance.json"])
@pytest.mark.parametrize(
    "content", [f'{{"a": {DEEP}}}', '{"a": "\xff"}'.encode("latin-1").decode("latin-1"), "[]", "1" * 5000]
)
def test_json_that_is_no_record(tree, name, content):
    spoil(tree, name, content.encode("latin-1"))
    one_line(tree, name)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": True}, {"meta_test_return": 1e300},
        {"meta_test_return": True}, {"meta_test_return_last5": float("inf")},
        {"failure": {"reason": ["x"]}}, {"failure": {"reason": "x", "iteration": {}}},
        {"failure": {"reason": "x", "iteration": 10**30}}, {"task_returns": {}}, {"task_returns": [1.0, None]},
        {"task_returns": []}, {"meta_test_return": -3.0},
    ],
)  # fmt: skip
def test_metrics_of_another_kind(tree, changes):
    edit(tree.results / "point-robot/mlp/1/metrics.json", **changes)
    one_line(tree, "metrics.json")
    assert results_of(tree).trials.status[0] == "unreadable"


@pytest.mark.parametrize(
    "changes",
    [
        {"commit": ["x"]}, {"commit": {}}, {"commit": 7}, {"dirty": "perhaps"}, {"precision": {"a": []}},
        {"device": []},
        {"hardware": "a machine"}, {"hardware": {"cores": 10**400}}, {"hardware": {"cores": 2.5}}, {"threads": True},
        {"parameters": -1}, {"parameters": 10**30}, {"wall_seconds": float("inf")}, {"wall_seconds": "long"},
        {"environment": []}, {"environment": {"off_lock": "numpy"}}, {"environment": {"off_lock": [1]}},
        {"iteration_seconds": [1, None]}, {"iteration_seconds": 3}, {"warnings": "one"}, {"unreadable": [["x"]]},
        {"settings": []}, {"command": False},
    ],
)  # fmt: skip
def test_provenance_of_another_kind(tree, changes):
    edit(tree.results / "point-robot/mlp/1/provenance.json", **changes)
    one_line(tree, "provenance.json")
    assert results_of(tree).trials.status[0] == "finished"


def cell(text):
    """Put it into the second cell of the fourth line."""
    return lines(lambda rows: [*rows[:3], re.sub(r",[^,]*", f",{text}", rows[3], count=1), *rows[4:]])


@pytest.mark.parametrize("name", ["progress.csv", "adaptation.csv", "posteriors.csv"])
@pytest.mark.parametrize(
    "content",
    [
        lines(lambda rows: rows[:-1]), lines(lambda rows: rows[:1]), lines(lambda rows: rows[1:]),
        lines(lambda rows: [*rows, rows[-1]]), lines(lambda rows: [*rows[:2], *rows[3:]]),
        lines(lambda rows: [rows[0], rows[2], rows[1], *rows[3:]]), lines(lambda rows: [*rows, *rows[1:]]),
        lines(lambda rows: [rows[0], *(f"{row},1" for row in rows[1:])]),
        lines(lambda rows: [rows[0], *(f"9,{row}" for row in rows[1:])]),
        lines(lambda rows: [*rows[:2], "", *rows[2:]]), lines(lambda rows: [rows[0].replace("a", "\x1b"), *rows[1:]]),
        cell("x"), cell(""), cell("nan"),
        cell("1e999"), cell("1e200"), cell("True"), cell('"1"'), cell("-1.5"), cell("1-2"),
        lambda data: data.replace(b",", b";"), lambda data: data.replace(b"1", b"\xff", 1), b"\x1f\x8b" + b"\0\1" * 99,
    ],
)  # fmt: skip
def test_a_table_that_no_trial_writes(tree, name, content):
    spoil(tree, name, content)
    one_line(tree, name)


def npz(array, **others):
    def content(_):
        file = io.BytesIO()
        np.savez_compressed(file, positions=array, **others)
        return file.getvalue()

    return content


def huge(_):
    """A header that asks for more memory than there is."""
    file, member = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"descr": "<f4", "fortran_order": False, "shape": (2**40, 2**9)})
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("positions.npy", member.getvalue())
    return file.getvalue()


def flipped(place):
    def content(data):
        spoilt = bytearray(data)
        spoilt[place] ^= 0x5A
        return bytes(spoilt)

    return content


@pytest.mark.parametrize(
    "content",
    [
        npz(np.zeros((4, 2, 3, 21, 2), dtype=object)), npz(np.zeros(3)), npz(np.zeros((4, 2, 3, 21, 2), int)),
        npz(np.zeros((4, 2, 2, 21, 2))), npz(np.full((4, 2, 3, 21, 2), np.nan)), npz(np.full((4, 2, 3, 21, 2), np.inf)),
        npz(np.zeros((0,))), npz(np.zeros((4, 2, 3, 21, 2)), other=np.zeros(1)), npz(np.array(["text"])), huge,
        *[flipped(place) for place in (0, 70, 90, 200, -10, -22)],
    ],
)  # fmt: skip
def test_an_archive_that_no_trial_writes(tree, content):
    spoil(tree, "trajectories.npz", content)
    one_line(tree, "trajectories.npz")


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_the_page_counts_and_lists_them_and_draws_the_rest(tmp_path):
    tree = small_tree(tmp_path, seeds=list(range(1, 8)))
    tree.write_all()
    for seed, name in enumerate(FILES, start=1):
        (tree.results / "point-robot" / "mlp" / str(seed) / name).write_bytes(b"\0" * 99)
    page = (tree.build() / "index.html").read_text(encoding="utf-8")
    assert "6 files could not be used." in page and "6 of 7 trials finished" in page
    for seed, name in enumerate(FILES, start=1):
        assert f"mlp/{seed}/{name}: it is empty" in page


def test_a_folder_or_nothing_in_the_place_of_a_file(tree):
    place = tree.results / "point-robot" / "mlp" / "1"
    (place / "progress.csv").unlink()
    (place / "progress.csv").mkdir()
    (place / "posteriors.csv").unlink()
    results = results_of(tree)
    assert ["progress.csv" in line for line in results.unusable] == [True, False] and len(results.unusable) == 2


def test_other_parameters_than_the_environments_are_left_out(tree):
    spoil(tree, "adaptation.csv", lambda data: data.replace(b"goal_x", b"goal_q"))
    results = results_of(tree)
    assert len(results.unusable) == 1 and len(results.parameter_names("point-robot")) == 2


@pytest.mark.parametrize("ending", ["\r\n", "\n"])
def test_what_trials_write_is_accepted(tree, ending):
    place = tree.results / "point-robot" / "mlp" / "1"
    for name in ("progress.csv", "adaptation.csv", "posteriors.csv"):
        text = (place / name).read_text()
        if name == "posteriors.csv":  # without an information bottleneck there is no variance
            head, *rows = text.splitlines()
            count = head.count("variance")
            text = "\n".join([head, *(",".join(row.split(",")[:-count] + [""] * count) for row in rows)]) + "\n"
        if name == "progress.csv":  # a loss that is not finite is no reason to refuse the returns
            text = text.replace(",1.5,", ",nan,").replace(",2.5,", ",,")
        (place / name).write_bytes(text.replace("\n", ending).encode())
    results = results_of(tree)
    assert results.unusable == [] and len(results.posteriors) == 2 * 4 * 2 * 4


def test_every_number_of_a_recorded_table_reads_back(tree):
    results = results_of(tree)
    text = (tree.results / "point-robot/mlp/2/progress.csv").read_text().splitlines()[1:]
    expected = [float(line.split(",")[3]) for line in text]
    assert results.progress.query("seed == 2").meta_test_return.tolist() == pytest.approx(expected, rel=1e-15)
    metrics = json.loads((tree.results / "point-robot/mlp/2/metrics.json").read_text())
    assert results.trials.meta_test_return[1] == metrics["meta_test_return"]
