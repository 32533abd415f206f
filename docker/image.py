"""Builds the image that docker/Dockerfile describes, or pulls the one that docker/image.yaml names.

    python docker/image.py --variant cuda              build it unless it is there; write docker/images/cuda.json
    python docker/image.py --variant cpu --archive     and docker/images/oyster-cpu.tar, with its SHA-256 beside it
    python docker/image.py --variant cpu --bill        and docker/images/cpu.cdx.json, its bill of materials
    python docker/image.py --pin-base                  write the base's present digest into docker/Dockerfile

The engine is --engine, or the first of podman and docker that answers. OYSTER_BUILD_OPTIONS holds further options for
its `build`: secrets for a package mirror, another base (docs/how-to/container.md).
"""

import argparse
import functools
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple, NoReturn

import yaml
from bill import bill

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = ROOT / "docker" / "Dockerfile"
CHOICE = ROOT / "docker" / "image.yaml"
IMAGES = ROOT / "docker" / "images"
VARIANTS = ("cuda", "cpu")
PINNED = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")


class Image(NamedTuple):
    """An image that an engine has: what to call it there (an ID, or NAME@sha256:…), and how many bytes it takes."""

    variant: str
    reference: str
    size: int
    labels: dict[str, str]

    @property
    def digest(self) -> str:
        return "sha256:" + self.reference.rpartition("sha256:")[2]


def for_runtime(runtime: str) -> Image:
    """The image of the variant that docker/image.yaml chooses, ready for docker/run."""
    variant = mapping(CHOICE).get("variant", "cuda")
    if variant not in VARIANTS:
        stop(f"docker/{CHOICE.name} asks for variant {variant!r}; expected {' or '.join(VARIANTS)}.")
    if runtime != "apptainer":
        return obtain(variant, find_engine(runtime))
    if shutil.which("apptainer") is None:
        stop("`runtime: apptainer` needs apptainer, which is not on the PATH. Or set `runtime: host` in params.yaml.")
    engine = find_engine(None)  # apptainer itself builds from no Dockerfile
    image = obtain(variant, engine)
    sif = ROOT / ".pipeline" / "images" / f"{image.digest.removeprefix('sha256:')}.sif"
    if not sif.exists():
        tar, partial = sif.with_suffix(".tar"), sif.with_suffix(".partial")
        save(engine, image.reference, tar, "docker-archive")
        run("apptainer", "build", "--force", str(partial), f"docker-archive:{tar}")
        tar.unlink()
        os.replace(partial, sif)
    return image


def obtain(variant: str, engine: str) -> Image:
    """The published image, pulled unless it is there; without one, the image of these inputs, built unless there."""
    choices = mapping(CHOICE).get("published") or {}
    if not isinstance(choices, dict):
        stop(f"docker/{CHOICE.name} has published: {choices!r}; expected {{cuda: …, cpu: …}}, an image or null each.")
    published = choices.get(variant)
    if published is None:
        image = find(engine, variant, f"oyster:{variant}")
        return image if image and image.labels.get("oyster.inputs") == inputs(variant) else build(engine, variant)
    if not isinstance(published, str) or not PINNED.fullmatch(published):
        stop(f"docker/{CHOICE.name} names the published image {published!r}; expected NAME@sha256:<64 hex digits>.")
    if find(engine, variant, published) is None:
        run(engine, "pull", published)
    image = find(engine, variant, published)
    if image is None or image.labels.get("oyster.lock") != lock(variant):
        stop(
            f"{published} was made of other requirements than docker/requirements-{variant}.txt (label oyster.lock). "
            f"Name another in docker/{CHOICE.name}, or null to build it here."
        )
    return image


def build(engine: str, variant: str) -> Image:
    """Build the variant. The same inputs, base and Debian packages give the same digest, whatever the clock says."""
    extra = build_options()
    if not PINNED.fullmatch(base()) and "BASE_UNPINNED=1" not in extra:
        stop(
            f"docker/Dockerfile starts from {base()}, which has no digest: the same build could give another image "
            "tomorrow. `make pin-base` writes the present digest into it, once. (Or, for a stand-in of the base, "
            'OYSTER_BUILD_OPTIONS="--build-arg BASE=… --build-arg BASE_UNPINNED=1".)'
        )
    moment = os.environ.get("SOURCE_DATE_EPOCH") or committed("%ct", variant) or "0"
    labels = {
        "org.opencontainers.image.source": source(),
        "org.opencontainers.image.revision": committed("%H", variant),
        "oyster.lock": lock(variant),
        "oyster.inputs": inputs(variant),
    }
    options = ["--build-arg", f"VARIANT={variant}", "--build-arg", f"SOURCE_DATE_EPOCH={moment}"]
    options += [part for name, value in labels.items() for part in ("--label", f"{name}={value}")]
    if engine == "podman":  # without its cache of layers, whose names and age would enter the history, so the digest
        options += ["--layers=false", "--format", "oci", "--timestamp", moment, "--identity-label=false"]
    run(engine, "build", "--file", str(DOCKERFILE), "--tag", f"oyster:{variant}", *options, *extra, str(ROOT))
    return find(engine, variant, f"oyster:{variant}") or stop(f"{engine} built oyster:{variant} but does not know it.")


def find(engine: str, variant: str, name: str) -> Image | None:
    """The image that the engine knows by `name`, or None."""
    done = subprocess.run([engine, "image", "inspect", name], capture_output=True, text=True)
    if done.returncode:
        return None
    (about,) = json.loads(done.stdout)
    reference = name if "@" in name else "sha256:" + about["Id"].removeprefix("sha256:")
    labels = about.get("Labels") or (about.get("Config") or {}).get("Labels") or {}
    return Image(variant, reference, about["Size"], labels)


def record(image: Image) -> Path:
    """Write what the image is to docker/images/VARIANT.json."""
    path = IMAGES / f"{image.variant}.json"
    labels = {name: image.labels[name] for name in sorted(image.labels) if name.startswith(("oyster.", "org."))}
    write(path, json.dumps({"image": image.reference, "bytes": image.size, "labels": labels}, indent=2) + "\n")
    return path


def archive(engine: str, image: Image) -> Path:
    """Save the image as a tar (`podman load` and `docker load` read it), and the tar's SHA-256 beside it."""
    path = IMAGES / f"oyster-{image.variant}.tar"
    save(engine, image.reference if "@" in image.reference else f"oyster:{image.variant}", path, "oci-archive")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    write(Path(f"{path}.sha256"), f"{digest}  {path.name}\n")  # as `sha256sum --check` reads it
    return path


def save(engine: str, name: str, path: Path, podman_format: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    run(engine, "save", "--output", str(partial), *(["--format", podman_format] if engine == "podman" else []), name)
    os.replace(partial, path)


def pin_base(engine: str) -> None:
    """Pull the base's tag and write the digest that the registry gave into docker/Dockerfile's ARG BASE."""
    name = base().partition("@")[0]
    run(engine, "pull", name)
    digests = json.loads(output(engine, "image", "inspect", "--format", "{{json .RepoDigests}}", name))
    found = re.search(r"@(sha256:[0-9a-f]{64})", " ".join(digests or []))
    if found is None:
        stop(f"{engine} pulled {name} but names no digest of it: {digests}.")
    text = DOCKERFILE.read_text()
    write(DOCKERFILE, re.sub(r"^ARG BASE=.*$", f"ARG BASE={name}@{found[1]}", text, count=1, flags=re.MULTILINE))
    print(f"docker/Dockerfile: ARG BASE={name}@{found[1]}")


def base() -> str:
    """What the build starts from: the Dockerfile's BASE, or that of OYSTER_BUILD_OPTIONS."""
    given = [option.removeprefix("BASE=") for option in build_options() if option.startswith("BASE=")]
    return given[-1] if given else re.search(r"^ARG BASE=(\S+)$", DOCKERFILE.read_text(), flags=re.MULTILINE)[1]


def build_options() -> list[str]:
    return shlex.split(os.environ.get("OYSTER_BUILD_OPTIONS", ""))


def requirements(variant: str) -> Path:
    return ROOT / "docker" / f"requirements-{variant}.txt"


def lock(variant: str) -> str:
    """SHA-256 of the variant's hash-pinned requirements."""
    return hashlib.sha256(requirements(variant).read_bytes()).hexdigest()


def inputs(variant: str) -> str:
    """SHA-256 of what the build is made of: Dockerfile, requirements, base."""
    content = b"\0".join([DOCKERFILE.read_bytes(), requirements(variant).read_bytes(), base().encode()])
    return hashlib.sha256(content).hexdigest()


def committed(what: str, variant: str) -> str:
    """The hash (%H) or time (%ct) of the last commit that touched the inputs: other commits change no image.

    "" outside git, or where the inputs are not as committed."""
    files = ["--", str(DOCKERFILE), str(requirements(variant))]
    for command in (["diff", "--quiet", "HEAD", *files], ["log", "-1", f"--format={what}", *files]):
        done = subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            return ""
    return done.stdout.strip()


def source() -> str:
    """Where the project is published, as CITATION.cff says, or ""."""
    citation = ROOT / "CITATION.cff"
    return mapping(citation).get("repository-code", "") if citation.exists() else ""


def mapping(path: Path) -> dict:
    """What a YAML file holds. This reads it by itself: an image is made without the project's code."""
    name = path.relative_to(ROOT)
    try:
        content = yaml.safe_load(path.read_bytes())
    except OSError as error:
        stop(f"{name} cannot be read ({error.strerror}).")
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:  # as PyYAML stumbles
        stop(f"{name} cannot be read as YAML: {' '.join(str(error).split())}.")
    if not isinstance(content, dict):
        stop(f"{name} holds {content!r}; expected lines of the form `key: value`.")
    return content


@functools.cache
def find_engine(asked: str | None) -> str:
    """The engine asked for, or the first that answers."""
    for engine in (asked,) if asked else ("podman", "docker"):
        if shutil.which(engine) and subprocess.run([engine, "info"], capture_output=True).returncode == 0:
            return engine
    stop(f"No container engine answers here (tried `{asked or 'podman'} info`{'' if asked else ' and `docker info`'}). "
         "Install and start one, or set `runtime: host` in params.yaml.")  # fmt: skip


def run(*command: str) -> None:
    """Run a command whose output is for the person waiting; stop with its exit status if it fails."""
    done = subprocess.run(command, stdout=sys.stderr)
    if done.returncode:
        stop(f"`{' '.join(command[:2])}` failed (exit status {done.returncode}); its own message stands above.")


def output(*command: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    return done.stdout if done.returncode == 0 else stop(f"`{' '.join(command)}` exited {done.returncode}.")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    os.replace(partial, path)


def stop(message: str) -> NoReturn:
    sys.exit(f"docker/image.py: {message}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--variant", choices=VARIANTS, default="cuda")
    parser.add_argument("--engine", choices=("podman", "docker"))
    for flag in ("archive", "bill", "pin-base"):
        parser.add_argument(f"--{flag}", action="store_true")
    asked = parser.parse_args()
    engine = find_engine(asked.engine)
    if asked.pin_base:
        return pin_base(engine)
    image = obtain(asked.variant, engine)
    print(f"{image.reference}  {image.size / 1e9:.2f} GB  {record(image).relative_to(ROOT)}")
    if asked.archive:
        print(archive(engine, image).relative_to(ROOT))
    if asked.bill:
        path = IMAGES / f"{image.variant}.cdx.json"
        write(path, bill(engine, image.variant, image.reference))
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
