"""No text that was recorded can end the report, or reach a page or terminal as anything but text."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from oyster.report.build import build_paper
from oyster.report.text import plain
from tests.faults.report_trees import edit, small_tree

ROOT = Path(__file__).resolve().parents[2]
ODD = ["\udc80", "\x1b[2J\x1b]0;title\x07", "\x00", "\x9b31m", "\u202egnp", "two\nlines\r"]


def control_characters(text: str) -> set[str]:
    return {letter for letter in text if not letter.isprintable()} - {"\n", "\u202f"}  # which the page itself has


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_any_letter_in_any_recorded_text_is_shown_as_a_letter(tmp_path):
    tree = small_tree(tmp_path, seeds=list(range(2 * len(ODD))))
    for seed, odd in enumerate(ODD):
        tree.write_trial("point-robot", "mlp", len(ODD) + seed, failure={"reason": f"it said {odd}!", "iteration": 1})
        place = tree.write_trial("point-robot", "mlp", seed)
        texts = dict.fromkeys(("commit", "diff_sha256", "command", "device", "precision"), f"of {odd}!")
        environment = dict.fromkeys(("python", "torch", "runtime", "image_digest"), f"1{odd}!")
        edit(
            place / "provenance.json", hardware={"cpu": f"cpu {odd}!", "cores": 2, "gpu": f"gpu {odd}!"},
            environment=environment | {"off_lock": [odd]}, settings={odd: odd}, warnings=[f"beware {odd}!"],
            unreadable=[odd], **texts,
        )  # fmt: skip
    out = tree.build()
    page = read(out / "index.html")
    assert not control_characters(page[page.index("<header class") :]) and "could not be used" not in page
    for odd in ODD:
        for said in (f"it said {odd}!", f"cpu {odd}!", f"beware {odd}!"):
            assert plain(said) in page
    build_paper(tree.read_grid(), tree.results, tree.root / "paper")
    for path in (out / "tables" / "trials.csv", tree.root / "paper" / "trials.tex", tree.root / "paper" / "trials.md"):
        assert not control_characters(read(path))


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems refuse such names")
def test_a_folder_of_odd_bytes_is_told_by_its_repr(tmp_path):
    tree = small_tree(tmp_path, seeds=[1])
    place = tree.write_trial("point-robot", "mlp", 1)
    odd = os.fsencode(tree.results) + b"/caf\xe9\x1b[2J"
    os.mkdir(odd)
    (Path(os.fsdecode(odd)) / "metrics.json").write_bytes((place / "metrics.json").read_bytes())
    page = read(tree.build() / "index.html")
    assert r"caf\udce9\x1b[2J" in page and "1 result is not of this grid, and is not counted." in page


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems refuse such names")
def test_names_that_were_given_reach_the_terminal_by_repr(tmp_path):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9\x1b[2J")
    for option in ("--params", "--results"):
        command = [sys.executable, "-m", "oyster", "report", "demo", option, odd]
        process = subprocess.run(command, cwd=ROOT, capture_output=True)
        assert process.returncode == 2 and b"\x1b" not in process.stderr, process.stderr
        assert rb"caf\udce9\x1b[2J" in process.stderr and process.stderr.count(b"\n") == 1
