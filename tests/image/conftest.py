"""Podman with a store of its own, a stand-in for the image's base, and a project whose runtime is podman.

The base cannot be pulled everywhere, so that it is made here: Debian's minimal system by mmdebstrap, with this very
Python in /usr/local, as the official image has it. Everything else is the real thing: the Dockerfile, docker/image.py,
the engine, the trial.
"""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from tests.needs import skip_without

ROOT = Path(__file__).resolve().parents[2]
VARIANT = os.environ.get("OYSTER_TEST_VARIANT", "cpu")  # cuda: gigabytes, and minutes more
TOOLS = ("podman", "runc", "mmdebstrap")
MARK = "not-for-the-image-3f9c1e"  # in every secret that a build gets
LIBRARIES = "ca-certificates,netbase,tzdata,libssl3,libsqlite3-0,libffi8,libreadline8,libbz2-1.0,liblzma5,libncursesw6"
LIBRARIES += ",libexpat1,libuuid1,zlib1g,libgdbm6,libdb5.3"
CONTAINERS = """
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
compat_api_enforce_docker_hub = false
"""
STORAGE = """
[storage]
driver = "overlay"
graphroot = "{0}/graph"
runroot = "{0}/run"
"""


def why_not() -> str | None:
    """Why no image can be built here, or None."""
    if not os.environ.get("OYSTER_TEST_IMAGE"):
        return "builds an image, which takes minutes: run `make test-image`"
    if os.getuid() != 0:
        return "needs root, to make a base by mmdebstrap and build on it"
    if sys.base_prefix == "/usr":
        return "needs a Python outside /usr, to put it into the base's /usr/local"
    return None


def pytest_collection_modifyitems(items) -> None:
    """OYSTER_TEST_IMAGE=trial: of what runs in an image, the trial alone."""
    if os.environ.get("OYSTER_TEST_IMAGE") == "trial":
        for item in items:
            if item.path.name == "test_image.py" and "bytes_of_the_host" not in item.name:
                item.add_marker(pytest.mark.skip(reason="takes minutes more: run `make test-image`"))


class Engine:
    """Podman with its own store under `store`; `docker` speaks to it through a socket."""

    def __init__(self, store: Path):
        self.store, self.socket, self.mark = store, store / "podman.sock", MARK
        store.mkdir(parents=True, exist_ok=True)
        (store / "containers.conf").write_text(CONTAINERS)
        (store / "storage.conf").write_text(STORAGE.format(store))
        self.environment = {
            "CONTAINERS_CONF": str(store / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(store / "storage.conf"),
            "OYSTER_BUILD_OPTIONS": " ".join(self._build_options()),
            "DOCKER_HOST": f"unix://{self.socket}",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "DVC_NO_ANALYTICS": "1",
        }

    def run(self, *command: str, cwd: Path = ROOT, check: bool = True, **more: str) -> subprocess.CompletedProcess:
        environment = os.environ | self.environment | more
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
        if check and done.returncode:
            pytest.fail(f"{' '.join(command)} exited {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        return done

    def make_base(self) -> None:
        if self.run("podman", "image", "exists", "localhost/base", check=False).returncode == 0:
            return
        tar = self.store / "base.tar"
        self.run("mmdebstrap", "--variant=minbase", f"--include={LIBRARIES}", "bookworm", str(tar))
        add_python(tar)
        self.run("podman", "import", str(tar), "localhost/base:latest")
        tar.unlink()

    def _build_options(self) -> list[str]:
        """The stand-in as base, and this machine's way to its package index as secrets and mounted folders."""
        options = ["--isolation", "chroot", "--pull=never"]
        options += ["--build-arg", "BASE=localhost/base:latest", "--build-arg", "BASE_UNPINNED=1"]
        lines = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
        settings = {}
        for line in lines.splitlines():  # global.index-url='…'; a later line (the environment's) wins
            key, _, value = line.partition("=")
            settings[key.split(".")[-1]] = value.strip("'\"").replace("\\n", " ")
        conf = [f"# {MARK}", "[global]"]
        folders: list[str] = []
        for key in ("index-url", "extra-index-url", "find-links", "trusted-host", "timeout"):
            value = settings.get(key)
            for word in (value or "").split():
                path = word.removeprefix("file://")
                if path.startswith("/"):
                    folder = path.removesuffix("/simple")
                    value = value.replace(path, f"/mnt/{len(folders)}" + path[len(folder) :])
                    folders.append(folder)
            if value:
                conf.append(f"{key} = {value}")
        for name, text in (("pip", "\n".join(conf) + "\n"), ("ca", certificates() + f"\n# {MARK}\n")):
            (self.store / name).write_text(text)
            options += ["--secret", f"id={name},src={self.store / name}"]
        return options + [f"--volume={folder}:/mnt/{n}:ro" for n, folder in enumerate(folders)]


def certificates() -> str:
    given = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt"
    return Path(given).read_text()


def add_python(tar: Path) -> None:
    """Append this Python with its pip to the base, at /usr/local, and folders to mount packages at."""
    left_out = {"__pycache__", "test", "idlelib", "tkinter", "turtledemo", "lib2to3"}
    library = f"lib/python3.{sys.version_info.minor}"
    prefix = Path(sys.base_prefix)

    def keep(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        parts = Path(info.name).parts
        installed = parts[parts.index("site-packages") + 1 :][:1] if "site-packages" in parts else ()
        if left_out & {*parts} or (installed and installed[0].split("-")[0] != "pip"):
            return None
        info.uid = info.gid = 0
        return info

    with tarfile.open(tar, "a") as archive:
        archive.add(prefix / library, f"usr/local/{library}", filter=keep)
        archive.add(prefix / "bin" / "python3.11", "usr/local/bin/python3.11", filter=keep)
        for shared in (prefix / "lib").glob("libpython3*.so*"):
            archive.add(shared, f"usr/lib/x86_64-linux-gnu/{shared.name}", filter=keep)
        for name in ("python", "python3"):
            link = tarfile.TarInfo(f"usr/local/bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "python3.11"
            archive.addfile(link)
        for number in range(4):
            folder = tarfile.TarInfo(f"mnt/{number}")
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(folder)


@pytest.fixture(scope="session")
def engine(tmp_path_factory):
    """Podman, with the base in its store. OYSTER_TEST_IMAGE=/FOLDER keeps the store there for the next run."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        skip_without("podman", f"needs {', '.join(missing)} (Debian: apt-get install podman runc mmdebstrap)")
    asked = os.environ["OYSTER_TEST_IMAGE"]
    engine = Engine(Path(asked) if asked.startswith("/") else tmp_path_factory.mktemp("store"))
    engine.make_base()
    yield engine
    if not asked.startswith("/"):
        engine.run("podman", "rmi", "--all", "--force", check=False)
        shutil.rmtree(engine.store, ignore_errors=True)


@pytest.fixture(scope="session")
def project(engine, tmp_path_factory) -> Path:
    """A repository of the working tree with one tiny trial, its runtime podman, its image built and recorded."""
    folder = tmp_path_factory.mktemp("image") / "project"
    listing = ["git", "ls-files", "-co", "--exclude-standard"]
    for name in engine.run(*listing).stdout.splitlines():
        if (ROOT / name).is_file() and not name.startswith(("results/", "reports/benchmark/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["runtime"] = "podman"
    canary = yaml.safe_load((folder / "tests" / "canary" / "params.yaml").read_text())
    params["presets"]["canary"] = canary["presets"]["canary"]
    params["evaluation"]["canary"] = canary["evaluation"]["canary"]
    one = {"preset": "canary", "environments": ["point-robot"], "agents": ["mlp"], "seeds": [1]}
    params["grids"]["benchmark"] = one
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    choice = (folder / "docker" / "image.yaml").read_text()
    (folder / "docker" / "image.yaml").write_text(choice.replace("variant: cuda", f"variant: {VARIANT}"))
    (folder / "dvc.lock").unlink(missing_ok=True)
    person = {"GIT_AUTHOR_NAME": "test", "GIT_AUTHOR_EMAIL": "test@example.org", "GIT_AUTHOR_DATE": "1700000000 +0000"}
    person |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in person.items()}
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "-m", "project"]):
        engine.run("git", *command, cwd=folder, **person)
    engine.run("dvc", "repro", "environment", cwd=folder)
    return folder
