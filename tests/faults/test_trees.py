"""What lies beside sources, and how a tree was cloned, changes no result and makes nothing stale."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from oyster.runtime import provenance
from oyster.runtime.files import DROPPINGS, counts, source_files
from tests.faults.conftest import TINY

ROOT = Path(__file__).resolve().parents[2]
LEFT_BEHIND = (
    ".agent.py.swp", "agent.py~", ".DS_Store", ".nfs0000000001", "#agent.py#", "._agent.py", ".agent.py.un~",
    "agent.py.orig", "agent.py.rej", "Thumbs.db", "4913",
)  # fmt: skip


def run(tree: Path, *command: str, **environment: str) -> subprocess.CompletedProcess:
    paths = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, cwd=tree, env=os.environ | paths | environment, capture_output=True, text=True, timeout=300
    )


def git(tree: Path, *arguments: str) -> str:
    done = run(tree, "git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working tree's files as one commit, results and lock included."""
    folder = tmp_path_factory.mktemp("tree") / "tree"
    listed = run(ROOT, "git", "ls-files", "-z", "-co", "--exclude-standard").stdout.split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "tree")
    return folder


def stale(tree: Path) -> list[str]:
    done = run(tree, "dvc", "repro", "--allow-missing", "--dry")
    assert done.returncode == 0, done.stdout + done.stderr
    return re.findall(r"Running stage '(train@[^']*)'", done.stdout)


def test_one_list_of_droppings():
    for name in (".gitignore", ".dvcignore"):
        block = (ROOT / name).read_text().partition("# Droppings")[2].splitlines()[1:]
        assert [line.removeprefix("\\") for line in block if line] == list(DROPPINGS), name


def test_what_counts():
    assert all(not counts(Path("oyster/rl") / name) for name in LEFT_BEHIND)
    assert not counts(Path("oyster/.ipynb_checkpoints/agent.py"))
    tracked = git(ROOT, "ls-files").splitlines()
    assert all(counts(Path(name)) for name in tracked)


def test_droppings_make_nothing_stale(tree: Path):
    before = stale(tree)
    places = [
        tree / folder
        for folder in ("oyster/algorithms/pearl", "oyster/runtime", "oyster/rlkit/torch", "encoders", "docker")
    ]
    left = [place / name for place in places for name in LEFT_BEHIND]
    links = [place / ".#agent.py" for place in places]
    try:
        for file in left:
            file.write_text("left behind")
        for link in links:
            link.symlink_to("me@host.1:1")  # an Emacs lock
        assert stale(tree) == before
        code = "from oyster.runtime.provenance import commit; print(commit()['dirty'])"
        assert run(tree, sys.executable, "-c", code).stdout.strip() == "False"
        dry = run(tree, "snakemake", "-n", "demo")
        assert dry.returncode == 0, dry.stdout + dry.stderr
    finally:
        for path in (*left, *links):
            path.unlink(missing_ok=True)


def test_sources_are_listed_without_droppings(tmp_path: Path):
    folder = tmp_path / "package"
    (folder / ".ipynb_checkpoints").mkdir(parents=True)
    for name in ("a.py", "b.txt", *LEFT_BEHIND, ".ipynb_checkpoints/a.py"):
        (folder / name).write_text("")
    (folder / ".#a.py").symlink_to("nowhere")
    (folder / "gone.py").symlink_to("nowhere")
    assert source_files([folder], ".py") == [folder / "a.py"]
    assert source_files([folder]) == [folder / "a.py", folder / "b.txt"]


def test_a_clone_with_other_line_ends_is_the_same_tree(tree: Path, tmp_path: Path):
    run(tmp_path, "git", "clone", "--quiet", "--config", "core.autocrlf=true", str(tree), str(tmp_path / "clone"))
    clone = tmp_path / "clone"
    assert b"\r" not in (clone / "docker" / "run").read_bytes()
    assert stale(clone) == stale(tree)
    assert run(clone, "docker/run", "true").returncode == 0


# --- provenance -------------------------------------------------------------------------------------------------------


def train(tree: Path, out: Path, **environment: str) -> subprocess.CompletedProcess:
    options = ("--env", "point-robot", "--encoder", "mlp", "--seed", "1", "--preset", "tiny", "--params", str(TINY))
    return run(tree, sys.executable, "-m", "oyster", "train", *options, "--out", str(out), **environment)


def commit(tree: Path, **environment: str) -> dict:
    code = "import json; from oyster.runtime.provenance import commit; print(json.dumps(commit()))"
    done = run(tree, sys.executable, "-c", code, **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def copy(tree: Path, tmp_path: Path) -> Path:
    run(tmp_path, "git", "clone", "--quiet", str(tree), str(tmp_path / "copy"))
    return tmp_path / "copy"


def make_odd(tree: Path) -> None:
    """Untracked things that once ended a trial after its last iteration."""
    (tree / "encoders" / "mémoire.py").write_text("")
    (tree / "encoders" / 'with "quotes"\tand tab.py').write_text("")
    (tree / "encoders" / "line\nbreak.py").write_text("")
    (tree / "encoders" / os.fsdecode(b"no-utf8-\xff.py")).write_text("")
    (tree / "encoders" / "dangling.py").symlink_to("nowhere")
    (tree / "encoders" / ".#mine.py").symlink_to("me@host.1:1")
    (tree / "encoders" / "loop.py").symlink_to("loop.py")
    os.mkfifo(tree / "encoders" / "fifo.py")
    git(tree, "init", "--quiet", "encoders/nested")
    (tree / "encoders" / "nested" / "x.py").write_text("")
    (tree / "docker" / "run").unlink()
    os.mkfifo(tree / "docker" / "run")


def test_odd_files_do_not_end_a_trial(copy: Path, tmp_path: Path):
    make_odd(copy)
    done = train(copy, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    origin = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert origin["dirty"] and "docker/run" in origin["unreadable"][-1]
    assert "provenance lacks" in done.stderr and done.stderr.index("provenance") < done.stderr.index("iteration")


def test_an_unreadable_source_is_named(copy: Path, monkeypatch):
    monkeypatch.setattr(provenance, "ROOT", copy)
    (copy / "encoders" / "mine.py").write_text("")
    read = Path.read_bytes

    def refused(path: Path) -> bytes:
        if path.name == "mine.py":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refused)
    assert provenance.commit()["unreadable"] == ["encoders/mine.py: Permission denied"]


def test_the_users_git_configuration_is_nothing_to_provenance(copy: Path, tmp_path: Path):
    with (copy / "encoders" / "mlp.py").open("a") as file:
        file.write("# edited\n")
    (copy / "encoders" / "new.py").write_text("")
    plain = commit(copy)
    assert plain["dirty"]
    (tmp_path / "ignored").write_text("new.py\n")
    (tmp_path / "attributes").write_text("*.py diff=mine\n")
    (tmp_path / "gitconfig").write_text(
        "[color]\n ui = always\n[diff]\n noprefix = true\n external = /bin/echo\n mnemonicPrefix = true\n"
        ' algorithm = patience\n context = 9\n renames = copies\n[diff "mine"]\n textconv = wc\n'
        f"[core]\n quotePath = false\n pager = cat\n abbrev = 4\n excludesFile = {tmp_path}/ignored\n"
        f" attributesFile = {tmp_path}/attributes\n[status]\n relativePaths = false\n[log]\n showSignature = true\n"
    )
    assert commit(copy, GIT_CONFIG_GLOBAL=str(tmp_path / "gitconfig")) == plain
    elsewhere = {"GIT_DIR": str(ROOT / ".git"), "GIT_WORK_TREE": "/", "GIT_INDEX_FILE": "/nowhere"}
    assert commit(copy, **elsewhere) == plain
    assert commit(copy, GIT_EXTERNAL_DIFF="/bin/echo", LC_ALL="C", COLUMNS="20") == plain


def test_another_edit_is_another_difference(copy: Path):
    clean = commit(copy)
    assert clean["dirty"] is False and clean["diff_sha256"] is None
    (copy / "encoders" / "mlp.py").write_text("a")
    one = commit(copy)
    (copy / "encoders" / "mlp.py").write_text("b")
    other = commit(copy)
    (copy / "encoders" / "mlp.py").unlink()
    gone = commit(copy)
    assert len({each["diff_sha256"] for each in (one, other, gone)}) == 3


def test_a_tree_that_git_distrusts_is_said_before_training(copy: Path, tmp_path: Path):
    if os.getuid() != 0:
        pytest.skip("only root can give a tree to another user")
    for place in (copy, copy / ".git"):
        os.chown(place, 12345, 12345)
    done = train(copy, tmp_path / "out", GIT_CONFIG_GLOBAL="/dev/null", HOME=str(tmp_path))
    assert done.returncode == 2 and "safe.directory" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out.partial").exists()


# --- the user's own settings ------------------------------------------------------------------------------------------


def test_a_matplotlibrc_is_nothing_to_simulate(trained: Path, tmp_path: Path):
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nlines.linewidth: 9\nxtick.direction: in\n")
    for name, folder in (("theirs", str(tmp_path)), ("plain", str(tmp_path / "none"))):
        command = (sys.executable, "-m", "oyster", "simulate", str(trained), "--out", str(tmp_path / name))
        done = run(ROOT, *command, MPLCONFIGDIR=folder)
        assert done.returncode == 0, done.stderr
    picture = "trajectories.png"
    assert (tmp_path / "theirs" / picture).read_bytes() == (tmp_path / "plain" / picture).read_bytes()


def test_the_environment_changes_no_byte_of_a_trial(trained: Path, tmp_path: Path):
    odd = {
        "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2", "PYTHONHASHSEED": "7", "LC_ALL": "C", "TZ": "Asia/Tokyo",
        "PYTHONIOENCODING": "ascii", "ONEDNN_DEFAULT_FPMATH_MODE": "BF16", "PYTHONUTF8": "0", "PYTHONOPTIMIZE": "1",
    }  # fmt: skip
    done = train(ROOT, tmp_path / "out", **odd)
    assert done.returncode == 0, done.stderr
    for name in ("metrics.json", "progress.csv", "weights.safetensors", "trajectories.npz"):
        assert (tmp_path / "out" / name).read_bytes() == (trained / name).read_bytes(), name


def test_variables_that_choose_other_kernels_are_recorded(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    assert provenance.environment()["variables"]["ATEN_CPU_CAPABILITY"] == "default"


def test_a_terminal_without_letters_gets_escapes(tmp_path: Path):
    done = run(ROOT, sys.executable, "-m", "oyster", "train", "--env", "pöint", "--encoder", "mlp", "--seed", "1",
               "--preset", "tiny", "--out", str(tmp_path / "out"), PYTHONIOENCODING="ascii")  # fmt: skip
    assert done.returncode == 2 and "Traceback" not in done.stderr
