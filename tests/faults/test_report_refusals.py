"""What the report's commands cannot read or write is said in a sentence, with exit code 2."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from oyster.cli import main
from tests.faults.report_trees import small_tree

GRID = "grids: {demo: {preset: demo, environments: [point-robot], agents: [mlp], seeds: [1]}}"
UNREADABLE = {
    "Latin-1": "# r\xe9seau\n".encode("latin-1") + GRID.encode(),
    "conflict": b"<<<<<<< HEAD\n" + GRID.encode() + b"\n=======\n" + GRID.encode() + b"\n>>>>>>> other\n",
    "empty": b"",
    "NUL": b"\0" * 99,
    "deep": b"grids: " + b"[" * 20_000,
    "no date": b"a: 2026-13-45\n" + GRID.encode(),
    "list": b"- 1",
    "escape": b"\x1b[2J: 1",
    "huge seed": GRID.replace("[1]", "[1" + "0" * 40 + "]").encode(),
    "negative seed": GRID.replace("[1]", "[-1]").encode(),
    "half a letter": GRID.replace("mlp", '"\\udc80"').encode(),
    "no letter": GRID.replace("mlp", '"a\\0b"').encode(),
}


def refused(*arguments) -> str:
    """The paragraph that `report demo` is refused with."""
    result = CliRunner().invoke(main, ["report", "demo", *map(str, arguments)])
    assert result.exit_code == 2 and isinstance(result.exception, SystemExit), (result.output, result.exception)
    lines = result.output.strip().splitlines()
    assert all(line.isprintable() for line in lines)
    return " ".join(lines)


@pytest.mark.parametrize("name", UNREADABLE)
def test_parameters_that_cannot_be_read(tmp_path, name):
    params = tmp_path / "params.yaml"
    params.write_bytes(UNREADABLE[name])
    for option in ("--out", "--paper"):
        assert "params.yaml" in refused(option, tmp_path / "out", "--params", params, "--results", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_names_that_cannot_be_files(tmp_path):
    tree = small_tree(tmp_path, encoders=["x" * 300], seeds=[1])
    page = (tree.build() / "index.html").read_text(encoding="utf-8")
    assert "0 of 1 trials finished" in page


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_that_may_not_be_written(tmp_path):
    tree = small_tree(tmp_path)
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    for option in ("--out", "--paper"):
        assert "locked" in refused(option, locked / "out", "--params", tree.params, "--results", tree.results)


def test_a_file_where_a_folder_should_be(tmp_path):
    tree = small_tree(tmp_path)
    (tmp_path / "file").touch()
    place = Path(tmp_path / "file" / "out")
    for option in ("--out", "--paper"):
        assert "file" in refused(option, place, "--params", tree.params, "--results", tree.results)
