"""The bill of materials of an image: CycloneDX, with Python's packages and Debian's."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

DPKG = ("dpkg-query", "--show", "--showformat", "${Package}\\t${Version}\\t${Architecture}\\n")


def bill(engine: str, variant: str, image: str) -> str:
    """The bill of `image` as JSON: Python's packages with the hashes they were installed by, Debian's as dpkg says.

    The same image has the same bill: no serial number, no time.
    """
    tool = shutil.which("cyclonedx-py", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if tool is None:
        sys.exit("cyclonedx-py is not installed: it is in requirements-dev.txt (`make sbom` installs that).")
    requirements = Path(__file__).with_name(f"requirements-{variant}.txt")
    content = json.loads(_output(tool, "requirements", "--output-reproducible", str(requirements)))
    for line in _output(engine, "run", "--rm", "--network=none", image, *DPKG).splitlines():
        name, version, architecture = line.split("\t")
        purl = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={architecture}&distro=bookworm"
        component = {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl}
        content["components"].append(component)
    subject = {"type": "container", "name": f"oyster-{variant}", "version": image, "bom-ref": image}
    content["metadata"]["component"] = subject
    return json.dumps(content, indent=2) + "\n"


def _output(*command: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"`{' '.join(command[:3])}` exited {done.returncode}; its own message stands above.")
    return done.stdout
