"""The image for real: built, run, compared with the host. `make test-image` runs these, where podman is installed."""

import hashlib
import json
import os
import re
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from oyster.runtime.records import RESULT_FILES, WEIGHTS
from tests.image.conftest import VARIANT

ROOT = Path(__file__).resolve().parents[2]
HARDENED = ["--rm", "--network=none", "--read-only", "--cap-drop=all", "--security-opt=no-new-privileges"]
HARDENED += ["--tmpfs", "/tmp"]
pytestmark = pytest.mark.timeout(2400)
TRIAL = ["--env", "point-robot", "--encoder", "mlp", "--seed", "1", "--preset", "canary", "--device", "cpu"]
RENDER = """
import mujoco
model = mujoco.MjModel.from_xml_string(
    '<mujoco><worldbody><light pos="0 0 3"/><geom size=".3" rgba="1 0 0 1"/></worldbody></mujoco>')
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
renderer = mujoco.Renderer(model, 64, 64)
renderer.update_scene(data)
print(renderer.render().max(axis=(0, 1)).tolist())
renderer.close()
"""
WRITABLE = """
import json, os
mounts = [line.split(" - ") for line in open("/proc/self/mountinfo")]
in_memory = {left.split()[4] for left, right in mounts if right.split()[0] not in ("overlay", "ext4", "xfs", "btrfs")}
found = []
for folder, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if os.path.join(folder, name) not in in_memory]
    paths = [folder, *(os.path.join(folder, name) for name in files)]
    found += [path for path in paths if not os.path.islink(path) and os.access(path, os.W_OK)]
print(json.dumps(found))
"""


def record(project: Path) -> dict:
    return json.loads((project / "docker" / "environment.json").read_text())


def plain(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def same_results(one: Path, other: Path) -> None:
    for name in RESULT_FILES:
        if name != "provenance.json":
            assert (one / name).read_bytes() == (other / name).read_bytes(), name


def test_the_record_names_the_image_that_was_built(engine, project):
    content = record(project)
    assert content["runtime"] == "podman" and content["variant"] == VARIANT
    assert re.fullmatch("sha256:[0-9a-f]{64}", content["image"])
    about = json.loads(engine.run("podman", "image", "inspect", content["image"]).stdout)[0]
    labels = about["Labels"]
    requirements = (project / "docker" / f"requirements-{VARIANT}.txt").read_bytes()
    assert labels["oyster.lock"] == content["requirements_sha256"] == hashlib.sha256(requirements).hexdigest()
    assert {"org.opencontainers.image.revision", "org.opencontainers.image.source"} <= labels.keys()
    assert about["Config"]["User"] == "10001:10001" and about["Size"] < {"cpu": 3e9, "cuda": 8e9}[VARIANT]


def test_a_second_environment_stage_builds_nothing(engine, project):
    before = (project / "docker" / "environment.json").read_bytes()
    began = time.monotonic()
    engine.run("dvc", "repro", "--force", "environment", cwd=project)
    assert time.monotonic() - began < 60
    assert (project / "docker" / "environment.json").read_bytes() == before


def test_it_is_no_root_and_holds_no_tools_of_the_build_and_no_code(engine, project):
    shell = "id -u; command -v gcc cc make pip pip3 curl; ls /var/lib/apt/lists /var/log /project; exit 0"
    done = engine.run("podman", "run", *HARDENED, record(project)["image"], "sh", "-c", shell)
    words = [line for line in done.stdout.splitlines() if line and not line.endswith(":")]
    assert words == ["10001"]


@pytest.mark.parametrize("user", ["10001:10001", "0:0"])
def test_nothing_can_be_written_but_the_mounted_output(engine, project, user, tmp_path):
    tmp_path.chmod(0o777)
    command = ["podman", "run", *HARDENED, "--user", user, "--volume", f"{tmp_path}:/out", record(project)["image"]]
    found = json.loads(engine.run(*command, "python", "-c", WRITABLE).stdout)
    assert found == ["/out"]  # beside what lives in memory and ends with the container: /tmp, /dev, …


def test_there_is_no_network(engine, project):
    look = "import os, socket; print(*os.listdir('/sys/class/net'), flush=True); socket.getaddrinfo('example.org', 443)"
    done = engine.run("docker/run", "python", "-c", look, cwd=project, check=False)
    assert done.stdout.split() == ["lo"] and done.returncode == 1 and "gaierror" in done.stderr


def test_it_renders(engine, project):
    done = engine.run("podman", "run", *HARDENED, record(project)["image"], "python", "-c", RENDER)
    red, green, blue = json.loads(done.stdout.splitlines()[-1])
    assert red > 100 and red > green and red > blue


def test_a_trial_in_the_container_has_the_bytes_of_the_host(engine, project):
    engine.run("dvc", "repro", "train@point-robot-mlp-1", cwd=project)
    inside = project / "results" / "benchmark" / "point-robot" / "mlp" / "1"
    outside = project / "results" / "host"
    engine.run("python", "-m", "oyster", "train", *TRIAL, "--out", str(outside), cwd=project)
    same_results(inside, outside)
    weights = project / "weights" / "benchmark" / "point-robot" / "mlp" / "1" / WEIGHTS
    assert weights.read_bytes() == (outside / WEIGHTS).read_bytes()
    provenance = json.loads((inside / "provenance.json").read_text())
    assert provenance["environment"]["runtime"] == "podman"
    assert provenance["environment"]["image_digest"] == record(project)["image"]
    commit = engine.run("git", "rev-parse", "HEAD", cwd=project).stdout.strip()
    assert provenance["commit"] == commit
    # Snakemake finds nothing to train, nor does DVC again.
    before = (inside / "provenance.json").read_bytes()
    key_file = next(inside.glob("*.key.json")).relative_to(project)
    engine.run("snakemake", "--cores", "1", str(key_file), cwd=project)
    engine.run("dvc", "repro", "--single-item", "train@point-robot-mlp-1", cwd=project)
    assert (inside / "provenance.json").read_bytes() == before


def test_cuda_asked_for_and_not_there_is_an_error_before_training(engine, project):
    out = project / "results" / "never"
    command = ["docker/run", "python", "-m", "oyster", "train", *TRIAL[:-1], "cuda", "--out", str(out)]
    done = engine.run(*command, cwd=project, check=False)
    assert done.returncode != 0 and "torch.cuda.is_available() is false" in done.stderr and not out.exists()
    # GPUs passed through that an engine ignored: docker/run sets OYSTER_GPUS, and torch sees none.
    given = [
        "podman",
        "run",
        *HARDENED,
        "--env",
        "OYSTER_GPUS=all",
        "--volume",
        f"{project}:{project}",
        "--user",
        "0:0",
    ]
    given += ["--workdir", str(project), record(project)["image"]]
    done = engine.run(*given, *command[1:-3], "auto", *command[-2:], check=False)
    assert done.returncode != 0 and "passed this machine's GPUs into the container" in done.stderr and not out.exists()


def test_streams_status_and_signals_are_the_commands_own(engine, project):
    script = "import sys; print(sys.stdin.read().upper()); sys.stderr.write('err'); sys.exit(7)"
    environment = {**os.environ, **engine.environment}
    done = subprocess.run(
        ["docker/run", "python", "-c", script],
        cwd=project,
        env=environment,
        input="given",
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, "GIVEN\n", "err")
    script = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(9)); print('up', flush=True)"
    script += "; signal.pause()"
    running = subprocess.Popen(
        ["docker/run", "python", "-c", script], cwd=project, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert running.stdout.readline() == "up\n"
    running.send_signal(signal.SIGTERM)
    assert running.wait(30) == 9


@pytest.fixture
def docker(engine):
    """The docker command line, with podman's socket to speak to."""
    if engine.run("docker", "--version", check=False).returncode:
        pytest.skip("needs docker's command line (Debian: apt-get install docker.io)")
    environment = {**os.environ, **engine.environment}
    command = ["podman", "system", "service", "--time=0", f"unix://{engine.socket}"]
    with subprocess.Popen(command, env=environment) as service:
        for _ in range(100):
            if engine.socket.exists() and engine.run("docker", "info", check=False).returncode == 0:
                break
            time.sleep(0.1)
        yield engine
        service.terminate()


def test_the_docker_run_line_of_the_docs_works_as_it_stands(docker, project):
    text = (ROOT / "docs/how-to/container.md").read_text()
    (line,) = re.findall(r"```bash\n(mkdir -p results && docker run .*?)```", text, re.DOTALL)
    docker.run("sh", "-c", line, cwd=project)
    out = re.search(r"--out (\S+)", line)[1]
    metrics = json.loads((project / out / "metrics.json").read_text())
    assert metrics["failure"] is None and metrics["meta_test_return"] < 0


def test_the_runtime_docker_runs_the_same_image(docker, project):
    path = project / "docker" / "environment.json"
    before = path.read_text()
    try:
        path.write_text(before.replace('"podman"', '"docker"'))
        done = docker.run(
            "docker/run", "sh", "-c", "echo $OYSTER_RUNTIME $OYSTER_IMAGE_DIGEST; id -u; pwd", cwd=project
        )
    finally:
        path.write_text(before)
    assert done.stdout.split() == ["docker", record(project)["image"], "0", str(project)]


def test_the_archive_and_the_bill_are_of_the_image(engine, project, tmp_path):
    engine.run("python", "docker/image.py", "--variant", "cpu", "--archive", "--bill", cwd=project)
    images = project / "docker" / "images"
    engine.run("sha256sum", "--check", "oyster-cpu.tar.sha256", cwd=images)
    with tarfile.open(images / "oyster-cpu.tar") as archive:
        index = json.load(archive.extractfile("index.json"))
        manifest = json.load(archive.extractfile("blobs/sha256/" + index["manifests"][0]["digest"].split(":")[1]))
    assert manifest["config"]["digest"] == record(project)["image"]
    bill = json.loads((images / "cpu.cdx.json").read_text())
    assert bill["metadata"]["component"]["version"] == record(project)["image"]
    versions = {part["name"]: part["version"] for part in bill["components"]}
    assert versions["torch"] == "2.13.0+cpu" and {"libegl1", "libc6", "mujoco"} <= versions.keys()
    installed = (
        "from importlib.metadata import distributions as d; print(sorted(x.name + ' ' + x.version for x in d()))"
    )
    inside = engine.run("podman", "run", *HARDENED, record(project)["image"], "python", "-c", installed).stdout
    of_python = [f"{part['name']} {part['version']}" for part in bill["components"] if "pkg:pypi" in part["purl"]]
    assert {plain(words) for words in re.findall("'(.*?)'", inside)} == {plain(words) for words in of_python}


def test_secrets_leave_no_trace(engine, project, tmp_path):
    """Neither what the build was given nor where it was given it, in any layer, the history or the configuration."""
    tar = tmp_path / "image.tar"
    engine.run("podman", "save", "--format", "docker-archive", "--output", str(tar), record(project)["image"])
    secrets = [engine.mark.encode(), str(engine.store).encode(), str(project).encode()]
    secrets += [line.encode() for line in (engine.store / "pip").read_text().splitlines() if "=" in line]
    searched = 0
    with tarfile.open(tar) as outer:
        for member in outer:
            content = outer.extractfile(member)
            if member.name.endswith(".json"):
                text = content.read()
                assert not any(secret in text for secret in secrets)
            elif member.name.endswith(".tar"):
                with tarfile.open(fileobj=content) as layer:
                    for file in layer:
                        assert file.name not in ("run/pip.conf", "run/ca.pem")
                        if file.isfile():
                            text = layer.extractfile(file).read()
                            assert not any(secret in text for secret in secrets), file.name
                            searched += 1
    assert searched > 10_000
    tar.unlink()


def test_two_builds_give_one_digest(engine, project):
    """Neither uses a layer of the other. Last, since the second takes the name from the first."""
    code = "import sys; sys.path.insert(0, 'docker'); import image; print(image.build('podman', 'cpu').reference)"
    first = record(project)["image"]
    about = json.loads(engine.run("podman", "image", "inspect", first).stdout)[0]
    commit = engine.run("git", "rev-parse", "HEAD", cwd=project).stdout.strip()
    if about["Labels"]["org.opencontainers.image.revision"] != commit:
        first = engine.run("python", "-c", code, cwd=project).stdout.split()[-1]  # a kept store's, of another commit
    assert engine.run("python", "-c", code, cwd=project).stdout.split()[-1] == first
