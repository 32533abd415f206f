"""What the report's commands cannot read or write is said in a sentence, with exit code 2."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from reports.__main__ import main
from tests.faults.report_trees import small_tree

GRID = "grid: {demo: {environments: [point-robot], encoders: [mlp], seeds: [1]}}"
UNREADABLE = {
    "Latin-1": "# r\xe9seau\n".encode("latin-1") + GRID.encode(),
    "conflict": b"<<<<<<< HEAD\n" + GRID.encode() + b"\n=======\n" + GRID.encode() + b"\n>>>>>>> other\n",
    "empty": b"",
    "NUL": b"\0" * 99,
    "deep": b"grid: " + b"[" * 20_000,
    "no date": b"a: 2026-13-45\n" + GRID.encode(),
    "list": b"- 1",
    "escape": b"\x1b[2J: 1",
    "huge seed": GRID.replace("[1]", "[1" + "0" * 40 + "]").encode(),
    "negative seed": GRID.replace("[1]", "[-1]").encode(),
    "half a letter": GRID.replace("mlp", '"\\udc80"').encode(),
    "no letter": GRID.replace("mlp", '"a\\0b"').encode(),
}


def refused(*arguments) -> str:
    """The paragraph that a command is refused with."""
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == 2 and isinstance(result.exception, SystemExit), (result.output, result.exception)
    lines = result.output.strip().splitlines()
    assert all(line.isprintable() for line in lines)
    return " ".join(lines)


@pytest.mark.parametrize("name", UNREADABLE)
def test_parameters_that_cannot_be_read(tmp_path, name):
    params = tmp_path / "params.yaml"
    params.write_bytes(UNREADABLE[name])
    for command in (["build", "--out", tmp_path / "out"], ["fill", tmp_path / "x.md"]):
        line = refused(*command, "--grid", "demo", "--params", params, "--results", tmp_path)
        assert "params.yaml" in line
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


@pytest.mark.parametrize("content", ["r\xe9sum\xe9\n".encode("latin-1"), b"\xff\xfe", b"<!-- table headline -->\n"])
def test_a_text_that_cannot_be_filled_stays_as_it_is(tmp_path, content):
    tree = small_tree(tmp_path)
    text = tmp_path / "text.md"
    text.write_bytes(content)
    refused("fill", text, "--grid", "demo", "--params", tree.params, "--results", tree.results)
    assert text.read_bytes() == content and not list(tmp_path.glob("*.partial"))


def test_names_that_cannot_be_files(tmp_path):
    tree = small_tree(tmp_path, encoders=["x" * 300], seeds=[1])
    page = (tree.build() / "index.html").read_text(encoding="utf-8")
    assert "0 of 1 trials finished" in page


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_that_may_not_be_written(tmp_path):
    tree = small_tree(tmp_path)
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    line = refused(
        "build", "--grid", "demo", "--params", tree.params, "--results", tree.results, "--out", locked / "out"
    )
    assert "locked" in line


def test_a_file_where_a_folder_should_be(tmp_path):
    tree = small_tree(tmp_path)
    (tmp_path / "file").touch()
    place = Path(tmp_path / "file" / "out")
    line = refused("build", "--grid", "demo", "--params", tree.params, "--results", tree.results, "--out", place)
    assert "file" in line
