"""The same results give the same report, whatever the settings and variables of who builds it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from oyster.report.figures import FIGURES
from tests.faults.report_trees import small_tree

ROOT = Path(__file__).resolve().parents[2]
MATPLOTLIBRC = """
xtick.direction: in
xtick.minor.visible: True
lines.linewidth: 9
legend.frameon: True
axes.formatter.limits: -1, 1
axes.formatter.use_locale: True
font.serif: Nothing
savefig.bbox: tight
svg.image_inline: False
path.sketch: 1, 100, 2
"""


def everything(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Call it with variables of the environment for everything that a report and a paper in it are."""
    tree = small_tree(tmp_path_factory.mktemp("surroundings"), encoders=["mlp", "attention"], seeds=[1])
    for encoder in ("mlp", "attention"):
        machine = {"hardware": {"cpu": "Prozessör™", "cores": 2}}
        tree.write_trial("point-robot", encoder, 1, iterations=2, provenance=machine)

    def built(**variables) -> dict[Path, bytes]:
        given = ["report", "demo", "--params", str(tree.params), "--results", str(tree.results)]
        written = {option: str(tree.root / "written" / option.strip("-")) for option in ("--out", "--paper")}
        calls = [f"main({[*given, *option]}, standalone_mode=False)" for option in written.items()]
        process = subprocess.run(
            [sys.executable, "-c", "; ".join(["from oyster.cli import main", *calls])], cwd=ROOT, capture_output=True,
            env=os.environ | variables,
        )  # fmt: skip
        assert process.returncode == 0, process.stderr.decode(errors="replace")[-2000:]
        return everything(tree.root / "written")

    return built


@pytest.fixture(scope="module")
def plain(build):
    return build()


def differing(files: dict[Path, bytes], others: dict[Path, bytes]) -> set[str]:
    return {str(path) for path in files.keys() | others.keys() if files.get(path) != others.get(path)}


def test_every_panel_is_compared(plain):
    files = {path.name for path in plain}
    assert {f"{spec.kind}_point-robot.{form}" for spec in FIGURES for form in ("svg", "pdf")} <= files


def test_matplotlibs_settings(build, plain, tmp_path):
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\n" + MATPLOTLIBRC)
    assert differing(build(MPLCONFIGDIR=str(tmp_path)), plain) == set()


def test_variables_of_the_environment(build, plain, tmp_path):
    (tmp_path / "matplotlibrc").write_bytes("# r\xe9glages\n".encode("latin-1"))  # which ends Matplotlib's import
    variables = {
        "MATPLOTLIBRC": str(tmp_path), "MPLBACKEND": "no backend", "SOURCE_DATE_EPOCH": "1", "PYTHONHASHSEED": "7",
        "TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "COLUMNS": "20",
        "GIT_DIR": str(tmp_path), "NO_COLOR": "1",
    }  # fmt: skip
    assert differing(build(**variables), plain) == set()
