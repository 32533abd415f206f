"""Writes docker/environment.json: the environment that every trial runs in (the stage `environment`).

On a host the record repeats what the lock says, not what happens to be installed: results made where torch is a CUDA
build, a CPU build or a nearby version carry over, and a machine that differs from the lock gets a warning, not a
retraining. (What a trial really ran with stands in its provenance.json.) With `runtime: docker | podman | apptainer`
docker/image.py builds the image first, or pulls it, and the record names it by digest.

    python docker/environment.py           write the record, if it would change
    python docker/environment.py --warn    only say how this machine differs from the lock
"""

import hashlib
import json
import os
import re
import sys
from importlib import metadata
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.txt"
RECORD = ROOT / "docker" / "environment.json"
RUNTIMES = ("host", "docker", "podman", "apptainer")
DECISIVE = ("torch", "mujoco", "numpy")  # the packages whose arithmetic a result hangs on


def locked_version(package: str) -> str:
    """The version of `package` in the lock."""
    match = re.search(rf"^{package}==([^\s;]+)", LOCK.read_text(), flags=re.MULTILINE)
    if match is None:
        sys.exit(
            f"{LOCK.name} locks no version of {package} (a line `{package}==…`). `make lock` writes the file anew."
        )
    return match[1]


def differences() -> list[str]:
    """How the packages here differ from the lock, a sentence each."""
    found = []
    for package in DECISIVE:
        try:
            version = metadata.version(package).split("+")[0]  # 2.13.0+cpu and 2.13.0 are one public version
        except metadata.PackageNotFoundError:
            version = "none"
        found.append((package, version, locked_version(package)))
    return [f"{name} is {here} here, {locked} in the lock" for name, here, locked in found if here != locked]


def record(runtime: str) -> dict:
    """The content of docker/environment.json."""
    content = {
        "runtime": runtime,
        "lock_sha256": hashlib.sha256(LOCK.read_bytes()).hexdigest(),
        "torch": locked_version("torch"),
    }
    if runtime == "host":
        return content
    import image  # beside this file; a host does without it

    chosen = image.for_runtime(runtime)
    return content | {
        "variant": chosen.variant,
        "requirements_sha256": image.lock(chosen.variant),
        "image": chosen.reference,
    }


def chosen_runtime() -> str:
    """`runtime` of params.yaml. This reads it by itself: without the project's code the record is the same."""
    try:
        content = yaml.safe_load((ROOT / "params.yaml").read_bytes())
    except OSError as error:
        sys.exit(f"docker/environment.py: params.yaml cannot be read ({error.strerror}).")
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:  # as PyYAML stumbles
        sys.exit(f"docker/environment.py: params.yaml cannot be read as YAML: {' '.join(str(error).split())}.")
    runtime = content.get("runtime", "host") if isinstance(content, dict) else None
    if runtime not in RUNTIMES:
        sys.exit(
            f"docker/environment.py: runtime in params.yaml is {runtime!r}; expected one of {', '.join(RUNTIMES)}."
        )
    return runtime


def main() -> None:
    runtime = chosen_runtime()
    for difference in differences() if runtime == "host" else []:
        print(f"Warning: {difference}; results may differ in their last digits.", file=sys.stderr)
    if "--warn" in sys.argv[1:]:
        return
    partial = RECORD.with_suffix(".partial")
    partial.write_text(json.dumps(record(runtime), indent=2) + "\n")
    os.replace(partial, RECORD)


if __name__ == "__main__":
    main()
