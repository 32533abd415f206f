"""The same results give the same report, whatever the settings and variables of who builds it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
    """Call it with variables of the environment for everything that a build in it writes."""
    tree = small_tree(tmp_path_factory.mktemp("surroundings"), seeds=[1])
    tree.write_trial("point-robot", "mlp", 1, iterations=2, provenance={"hardware": {"cpu": "Prozessör™", "cores": 2}})

    def built(**variables) -> dict[Path, bytes]:
        out = tree.root / "out"
        arguments = ["build", "--grid", "demo", "--params", tree.params, "--results", tree.results, "--out", out]
        process = subprocess.run(
            [sys.executable, "-m", "reports", *map(str, arguments)], cwd=ROOT, capture_output=True,
            env=os.environ | variables,
        )  # fmt: skip
        assert process.returncode == 0, process.stderr.decode(errors="replace")[-2000:]
        return everything(out)

    return built


@pytest.fixture(scope="module")
def plain(build):
    return build()


def differing(files: dict[Path, bytes], others: dict[Path, bytes]) -> set[str]:
    return {str(path) for path in files.keys() | others.keys() if files.get(path) != others.get(path)}


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
