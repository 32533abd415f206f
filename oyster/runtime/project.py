"""The project around a command: its folder, whether the engine that runs is its own, and the versions that it locks.

An engine of another tree would train with code that the project's commit does not hold.
"""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from oyster.runtime.errors import InputError

ENGINE = Path(__file__).resolve().parents[2]  # the tree, or the site-packages, that this code lies in
FILE = "params.yaml"


def find_project(place: Path) -> Path | None:
    """The nearest folder with a params.yaml, from `place` upwards."""
    place = place.resolve()
    return next((folder for folder in (place, *place.parents) if (folder / FILE).is_file()), None)


def require_project(place: Path) -> Path:
    """The folder of the project around `place`. InputError where it has an engine of its own and this is another's, or
    where this one is installed outside of any project.
    """
    root = find_project(place)
    if root is None and (ENGINE / FILE).is_file():  # an engine of a project, given all that it needs by options
        return place
    if root is None:
        raise InputError(
            f"There is no {FILE} in {place} or above it: this is no project. Change into a clone of oyster. Without "
            "one, `oyster --version` and `oyster check FILE` work."
        )
    own = (root / "oyster" / "__init__.py").is_file()
    if (own and root != ENGINE) or not (ENGINE / FILE).is_file():
        fix = "Run `make demo` there once, then use its .venv" if own else "Change into a clone of oyster"
        raise InputError(f"The engine that runs is that of {ENGINE}, the project is {root}. {fix}.")
    return root


def locked_versions(lock: Path) -> dict[str, str]:
    """Package → public version, of the pins in a lock file. OSError or ValueError where it cannot be read."""
    pins = {}
    for line in lock.read_text(encoding="utf-8").splitlines():
        try:
            requirement = Requirement(line.partition("#")[0].strip().rstrip("\\ "))
        except InvalidRequirement:  # a comment, a blank line, or an edit: then a version is missing, and that is said
            continue
        for each in requirement.specifier:
            if each.operator == "==":
                pins[canonicalize_name(requirement.name)] = public(each.version)
    return pins


def installed_version(package: str) -> str | None:
    """With its local part, as 2.13.0+cpu; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def public(number: str) -> str:
    """`2.13.0+cpu` → `2.13.0`: builds of one version carry the same results."""
    return number.partition("+")[0].strip()
