"""Every trial's state, in a word and a reason; what is left, in hours; and a grid beside another."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from oyster import status as module
from oyster.cli import main
from oyster.grid import load_params
from oyster.key import Tree
from oyster.report.commands import beside, paper
from oyster.report.commands import build as build_report
from oyster.runtime.destination import exclusive, scratch_folder
from oyster.runtime.errors import InputError
from oyster.runtime.key_file import find_key_file, write_key_file
from oyster.runtime.records import write_csv, write_json
from oyster.shell import names_of
from oyster.status import (
    FAILED,
    INTERRUPTED,
    MISSING,
    NO_KEY,
    SPOILT,
    STALE,
    TRAINING,
    UP_TO_DATE,
    State,
    in_words,
    keyed_trials,
    require_whole,
    states,
    summary,
)

ROOT = Path(__file__).resolve().parents[1]
TINY = ROOT / "tests" / "faults" / "tiny.yaml"


@pytest.fixture(scope="module")
def trained(made_once) -> Path:
    """A folder with results/tiny of one trial of two, as the pipeline leaves it. Copy it before changing it."""

    def make(folder: Path) -> None:
        first = keyed_trials(load_params(TINY), "tiny")[0]
        out = folder / first.folder
        command = [sys.executable, "-m", "oyster", "train", "--env", "point-robot", "--agent", "mlp", "--seed", "1"]
        command += [
            "--preset",
            "tiny",
            "--params",
            TINY,
            "--device",
            "cpu",
            "--out",
            out,
            "--expect-key",
            first.key.text,
        ]
        done = subprocess.run([*map(str, command)], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    return made_once("trained_for_status", make)


@pytest.fixture
def here(trained, tmp_path, monkeypatch) -> Path:
    """The first trial's folder, in a copy that is the working directory."""
    shutil.copytree(trained, tmp_path / "here")
    shutil.copy(TINY, tmp_path / "here" / "params.yaml")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here" / "results" / "tiny" / "point-robot" / "mlp" / "1"


def now() -> tuple[State, State]:
    first, second = states(load_params(TINY), "tiny")
    return first, second


def test_up_to_date_and_not_run(here):
    first, second = now()
    assert (first.word, first.why, second.word) == (UP_TO_DATE, "", MISSING)
    assert first.seconds > 0 and first.memory_mb > 0 and first.bytes > 1000


def test_weights_that_are_not_here_are_said(here):
    (here / "weights.safetensors").unlink()
    assert now()[0][1:3] == (UP_TO_DATE, "weights not here")


def test_stale_says_which_part_changed(here, tmp_path):
    text = TINY.read_text().replace("net_size: 16", "net_size: 17")
    (tmp_path / "params.yaml").write_text(text)
    first, _ = states(load_params(tmp_path / "params.yaml"), "tiny")
    assert (first.word, first.why) == (STALE, "settings.net_size 16 → 17")


def test_spoilt_failed_off_the_lock_and_without_a_key(here):
    (here / "adaptation.csv").write_text("")
    assert now()[0].word == SPOILT and "adaptation.csv has 0 bytes" in now()[0].why
    path = find_key_file(here).path
    content = json.loads(path.read_text())
    del content["files"]["adaptation.csv"], content["files"]["metrics.json"]
    metrics = json.loads((here / "metrics.json").read_text()) | {"failure": {"reason": "it raised", "iteration": 3}}
    (here / "metrics.json").write_text(json.dumps(metrics))
    path.write_text(json.dumps(content))
    assert now()[0][1:3] == (FAILED, "iteration 3: it raised")
    path.write_text(json.dumps(content | {"off_lock": ["torch 2.14.0, locked 2.13.0"]}))
    assert now()[0].why == "not of the lock: torch 2.14.0, locked 2.13.0"
    path.unlink()
    assert now()[0].word == NO_KEY
    for name in ("0123456789abcdef", "fedcba9876543210"):
        (here / f"{name}.key.json").write_text("{}")
    assert now()[0].word == SPOILT and "2 key files" in now()[0].why


def test_a_trial_that_runs_and_one_that_was_stopped(here):
    second = keyed_trials(load_params(TINY), "tiny")[1]
    scratch = scratch_folder(second.folder, second.key.text)
    with exclusive(scratch):
        assert now()[1][1:3] == (TRAINING, "iteration 0 of 2")
        write_json(scratch / "running.json", {"iteration_seconds": [200.0], "num_iterations": 2})
        write_csv(scratch / "progress.csv", ("iteration", "meta_test_return"), [(0, -12.345)])
        assert now()[1][1:4] == (TRAINING, "iteration 1 of 2, return -12.35, 3 min left", 200.0)
    assert now()[1].word == INTERRUPTED
    (scratch / "progress.csv").write_text("half of a li")
    (scratch / "running.json").write_text('{"iteration_sec')
    assert now()[1][1:3] == (INTERRUPTED, "iteration 0 of 2")


def test_what_is_left_in_hours(here, monkeypatch):
    monkeypatch.setattr(module.os, "cpu_count", lambda: 4)
    first, second = now()
    measured = first._replace(seconds=7200.0, memory_mb=500.0, bytes=2_000_000)
    assert summary([measured, second]) == [
        "1 up to date, 1 not run of 2 trials",
        "1 trials to do: about 2.0 core-hours, 2.0 h with 1 at a time; up to 500 MB of memory each, 2 MB of disk",
    ]
    assert summary([measured]) == ["1 up to date of 1 trials"]
    assert "how long is not known" in summary([second])[1]
    half = State(second.keyed, TRAINING, "", seconds=3600.0)
    assert "about 1.0 core-hours, 60 min with 1 at a time" in summary([measured, half])[1]
    stopped = half._replace(word=INTERRUPTED)
    assert "about 1.0 core-hours" in summary([measured, stopped])[1] and "1.0 core-hours" in summary([stopped])[1]
    assert "8.0 core-hours, 2.0 h with 4 at a time" in summary([measured, *[second] * 4])[1]
    assert [in_words(seconds) for seconds in (20, 600, 7200)] == ["20 s", "10 min", "2.0 h"]


def test_the_command(here):
    done = CliRunner().invoke(main, ["status", "tiny", "--params", str(TINY), "--all"])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[:2] == [
        "up to date     tiny/point-robot/mlp/1",
        "not run        tiny/point-robot/mlp/2",
    ]
    done = CliRunner().invoke(main, ["status", "tinny", "--params", str(TINY)])
    assert done.exit_code == 2 and "there is no grid 'tinny', did you mean tiny?" in done.output
    done = CliRunner().invoke(main, ["status", "tiny", "--params", str(TINY), "--keys", "keys.json"])
    keys = json.loads(Path("keys.json").read_text())
    assert done.exit_code == 0 and set(keys) == {"trials", "report"}
    assert keys["trials"]["point-robot"]["mlp"]["1"] == find_key_file(here).key


# --- beside -----------------------------------------------------------------------------------------------------------


BESIDE = """
  mine: {preset: tiny, environments: [point-robot], agents: [attention], seeds: [1], beside: [tiny, other]}
  other: {preset: demo, environments: [point-robot], agents: [recurrent], seeds: [1]}
agents:"""


@pytest.fixture
def params(tmp_path) -> Path:
    path = tmp_path / "beside.yaml"
    text = TINY.read_text().replace("\nagents:", BESIDE)
    tasks = "evaluation:\n  demo: {point-robot: {train_tasks: 4, test_tasks: 2, evaluations: 1}}"
    path.write_text(text.replace("evaluation:", tasks))
    return path


def test_what_agrees_stands_beside_and_what_does_not_is_named(here, params):
    found, remarks = beside(load_params(params), "mine", Tree())
    assert found == {("point-robot", "mlp", 1): "tiny"}
    assert remarks == ["Nothing of grids.other stands beside these: it was trained at the preset demo, not tiny."]


def test_stale_results_are_never_pooled(here, params):
    params.write_text(params.read_text().replace("net_size: 16", "net_size: 17"))
    found, remarks = beside(load_params(params), "mine", Tree())
    assert found == {}
    assert remarks[0] == (
        "tiny/point-robot/mlp/1 does not stand beside these: it is stale (settings.net_size 16 → 17)."
    )


def test_a_grid_beside_that_was_not_run_is_named(here, params):
    shutil.rmtree(here.parents[1])
    found, remarks = beside(load_params(params), "mine", Tree())
    assert found == {}
    assert remarks[0] == "grids.tiny stands beside these, but has no results: `snakemake --cores all tiny`."


def test_a_report_with_another_grid_beside_it(here, params, tmp_path):
    """It touches nothing of the other's, and each number's origin is where it lies."""
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    mine = here.parents[3] / "mine" / "point-robot" / "attention" / "1"
    shutil.copytree(here, mine)  # whose agent it is, its place says
    (words,) = build_report("mine", Path("results/mine"), tmp_path / "page", None, params)
    assert words.endswith("1 of 1 trials of grids.mine finished, 1 trials beside them")
    page = (tmp_path / "page" / "index.html").read_text()
    assert "(1 agent " in page and "1 more of these stand beside the grid's own, from tiny" in page
    assert "python -m oyster verify results/tiny/point-robot/mlp/1" in page
    assert "mine/point-robot/attention/1 is stale" in page
    assert "Nothing of grids.other stands beside these" in page
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before
    shutil.copytree(mine.parents[2], tmp_path / "elsewhere")  # the other's results are where they were
    (words,) = build_report("mine", tmp_path / "elsewhere", tmp_path / "page", None, params)
    assert words.endswith("1 of 1 trials of grids.mine finished, 1 trials beside them")
    assert "of these stand beside" in (tmp_path / "page" / "index.html").read_text()


def test_a_report_of_a_part_of_its_grid_carries_no_key(here):
    """Else the pipeline would take it for the whole one, and never make that."""
    build_report("tiny", None, None, None, TINY)
    report = Path("reports/tiny")
    assert (report / "index.html").is_file() and not list(report.glob("*.key.json"))
    second = keyed_trials(load_params(TINY), "tiny")[1]
    shutil.copytree(here, second.folder)
    old = find_key_file(second.folder)
    write_key_file(second.folder, second.key.text, second.key.parts, [second.folder / "metrics.json"])
    old.path.unlink()
    build_report("tiny", None, None, None, TINY)
    found = find_key_file(report)
    assert {"index.html", "headline.md", "results.parquet"} <= set(found.files)
    require_whole([found.path])
    (report / "index.html").unlink()
    with pytest.raises(InputError, match=r"carries its key, and index\.html is missing"):
        require_whole([found.path])


def test_two_reports_of_one_folder_wait_for_each_other(here):
    with exclusive(scratch_folder(Path("reports/tiny").resolve())), pytest.raises(InputError, match="Another process"):
        build_report("tiny", None, None, None, TINY)


def test_what_a_paper_takes_from_stale_results_is_said(here):
    stale = find_key_file(here)
    text = stale.path.read_text().replace(stale.key, "0" * 16)
    stale.path.unlink()
    (here / f"{'0' * 16}.key.json").write_text(text)
    said = paper("tiny", None, Path("paper"), TINY)
    assert any("tiny/point-robot/mlp/1 is stale" in line for line in said[1:])


def test_names_are_completed_in_a_folder_of_the_project(monkeypatch):
    monkeypatch.chdir(ROOT / "docs")
    assert names_of("grids")(None, None, "bench") == ["benchmark"]
    assert "recurrent" in names_of("agents")(None, None, "rec")
