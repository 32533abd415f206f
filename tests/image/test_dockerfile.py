"""What the image is made of, as far as reading tells: no engine is needed."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()


def pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==([^\s;]+)", path.read_text(), flags=re.MULTILINE))


def test_both_variants_are_the_lock_with_hashes():
    lock = pins(ROOT / "requirements.txt")
    cuda, cpu = (pins(ROOT / "docker" / f"requirements-{variant}.txt") for variant in ("cuda", "cpu"))
    assert cpu == lock | {"torch": lock["torch"] + "+cpu"}
    beside = cuda.keys() - lock.keys()
    assert {name: cuda[name] for name in lock} == lock
    assert beside and all(name.startswith(("nvidia-", "cuda-", "triton")) for name in beside)


@pytest.mark.parametrize("variant", ["cuda", "cpu"])
def test_every_requirement_has_hashes_and_none_names_a_place(variant):
    text = (ROOT / "docker" / f"requirements-{variant}.txt").read_text()
    requirements = [part for part in re.sub(r"\\\n", " ", text).splitlines() if part and not part.startswith("#")]
    assert len(requirements) == len(pins(ROOT / "docker" / f"requirements-{variant}.txt"))
    for requirement in requirements:
        assert re.fullmatch(r"[a-z0-9._-]+==\S+( +--hash=sha256:[0-9a-f]{64})+", requirement.strip()), requirement[:80]


def test_hadolint_finds_nothing():
    tool = Path(sys.executable).with_name("hadolint")
    tool = str(tool) if tool.exists() else shutil.which("hadolint")
    assert tool, "hadolint is in requirements-dev.txt"
    done = subprocess.run([tool, "--failure-threshold", "style", "docker/Dockerfile"], cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stdout.decode()
    ignored = re.findall(r"# hadolint ignore=(\S+)", DOCKERFILE)
    assert ignored == ["DL3008"], "versions of Debian's packages are not pinned; every other rule holds"


def test_only_the_requirements_reach_the_build():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules == ["*", "!docker/requirements-cuda.txt", "!docker/requirements-cpu.txt"]
    assert re.findall(r"^COPY (?!--from)(\S+)", DOCKERFILE, flags=re.MULTILINE) == [
        "docker/requirements-${VARIANT}.txt"
    ]
    assert "ADD " not in DOCKERFILE


def test_the_dockerfile_itself_refuses_a_base_without_a_digest():
    """Whoever builds by hand meets it too: the check as it stands in the RUN, by this machine's shell."""
    check = re.search(r'RUN (case "\$\{BASE\}.*?esac)', DOCKERFILE, re.DOTALL)[1].replace("\\\n", "")
    pinned = "name@sha256:" + "0" * 64
    for base, unpinned, status in ((pinned, "", 0), ("name:tag", "", 1), ("name:tag", "1", 0)):
        done = subprocess.run(["sh", "-c", check], env={"BASE": base, "BASE_UNPINNED": unpinned}, capture_output=True)
        assert done.returncode == status, (base, unpinned)


def test_the_image_of_a_commit_does_not_hang_on_other_commits(tmp_path):
    """Its label `revision` and its times are of the last commit that touched what it is made of."""
    shutil.copytree(ROOT / "docker", tmp_path / "docker", ignore=shutil.ignore_patterns("__pycache__"))
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.org"]

    def commit(message: str) -> str:
        for command in (["add", "--all"], ["commit", "--quiet", "--message", message]):
            subprocess.run([*git, *command], cwd=tmp_path, check=True)
        return subprocess.run([*git, "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True).stdout.strip()

    subprocess.run([*git, "init", "--quiet"], cwd=tmp_path, check=True)
    first = commit("first")
    sys.path.insert(0, str(tmp_path / "docker"))
    try:
        spec = importlib.util.spec_from_file_location("image_of_a_copy", tmp_path / "docker" / "image.py")
        image = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(image)
    finally:
        sys.path.remove(str(tmp_path / "docker"))
        sys.modules.pop("bill", None)
    inputs = image.inputs("cpu")
    (tmp_path / "encoder.py").write_text("# an edit of the code\n")
    commit("code")
    assert image.committed("%H", "cpu") == first and image.inputs("cpu") == inputs
    with (tmp_path / "docker" / "requirements-cpu.txt").open("a") as file:
        file.write("# other requirements\n")
    assert image.committed("%H", "cpu") == "" and image.inputs("cpu") != inputs
    assert image.committed("%H", "cuda") == first
    assert commit("requirements") == image.committed("%H", "cpu")
