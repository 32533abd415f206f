"""A key is the hash of all that determines a trial's result; of a report, of its own code and its trials' keys.

A result is up to date where it carries the key that the working tree asks for. Names (agent, preset, grid), hardware,
the Python and the container are not part of it: they change no byte, and provenance tells them. Pure functions of the
tree; no torch.
"""

import ast
import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache, cached_property
from importlib.metadata import packages_distributions
from importlib.util import resolve_name
from pathlib import Path
from typing import Any, NamedTuple

from packaging.utils import canonicalize_name

from oyster.algorithms import package
from oyster.algorithms.settings import Settings
from oyster.envs import family_file, load_family
from oyster.runtime.errors import InputError
from oyster.runtime.files import source_files
from oyster.runtime.project import installed_version, locked_versions, public

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.txt"
DIGITS = 16
VERSIONS = ("torch", "mujoco", "gymnasium", "numpy")  # the packages that a trial computes with
ENGINE = "oyster.trial.run"  # the module that runs a trial, and so what it imports
REPORT = ("oyster/report", "oyster/envs/pictures", "reports/published")
NAMES = (
    "agent",
    "algorithm",
    "preset",
    "encoder",
    "encoder_arguments",
    "environment",
)  # settings that are no part of the settings'


class Key(NamedTuple):
    """`parts` by name, each plain data; `text` is the hash of all of them."""

    text: str
    parts: dict[str, Any]


class Tree:
    """The sources on the disk, each read once: a thousand keys cost little. To look again, take a new one."""

    def __init__(self) -> None:
        self._hashes: dict[Path, str] = {}
        self._algorithms: dict[str, list[Path]] = {}
        self._families: dict[str, dict[str, str]] = {}
        self._user_files: dict[Path, dict[str, Any]] = {}

    def trial_key(self, settings: Settings, sources: Mapping[str, Path]) -> Key:
        """`sources`: the user's files, by what they are. InputError where a file cannot be read."""
        settings_part = {key: value for key, value in settings.model_dump(mode="json").items() if key not in NAMES}
        arguments = {name: getattr(settings, f"{name}_arguments", {}) for name in sources}
        parts = {
            "engine": self._sha256s(self._engine),
            "algorithm": self._sha256s(self._algorithm(settings.algorithm)),
            "family": self._family(settings.environment),
            **{name: self._user_file(file) | {"arguments": arguments[name]} for name, file in sources.items()},
            "settings": settings_part,
            "versions": self.locked_versions,
        }
        return Key(text_of(parts), parts)

    def report_key(self, grid: Mapping[str, Any], trials: Mapping[str, str], beside: Iterable[Path]) -> Key:
        """Of a grid's entry, its trials' keys by place, and the key files that lie under the grids beside it."""
        code = [ROOT / name for name in REPORT]
        parts = {
            "code": self._sha256s(source_files(code)),
            "families": {name: self._family(name) for name in grid["environments"]},
            "grid": dict(grid),
            "trials": dict(trials),
            "beside": sorted("/".join(file.parts[-5:]) for file in beside),
        }
        return Key(text_of(parts), parts)

    @cached_property
    def locked_versions(self) -> dict[str, str]:
        """The lock's public versions of VERSIONS. InputError where it lacks one."""
        if missing := [name for name in VERSIONS if name not in self._lock]:
            raise InputError(f"{LOCK.name} locks no version of {', '.join(missing)}. `make lock` writes the file anew.")
        return {name: self._lock[name] for name in VERSIONS}

    def off_lock(self) -> list[str]:
        """The packages of VERSIONS that are installed in another version than the lock's, in words."""
        here = {name: _public_here(name) for name in self.locked_versions}
        versions = self.locked_versions.items()
        return [f"{name} {here[name]}, locked {locked}" for name, locked in versions if here[name] != locked]

    @cached_property
    def _engine(self) -> list[Path]:
        """The files that a trial of any algorithm and family loads."""
        return closure([_module_file(ENGINE)])

    def _algorithm(self, name: str) -> list[Path]:
        """The files that an algorithm loads beside the engine; of rlkit all, since an encoder may import any."""
        if name not in self._algorithms:
            rlkit = source_files([ROOT / "oyster" / "rlkit"], ".py")
            roots = [file for part in ("learner", "settings") for file in _files_of(f"{package(name)}.{part}")]
            if len(roots) < 2:
                raise InputError(f"the algorithm {name} does not lie in this project, so that no key could follow it.")
            loaded = closure([*roots, *rlkit])
            self._algorithms[name] = [file for file in loaded if file not in self._engine]
        return self._algorithms[name]

    def _family(self, environment: str) -> dict[str, str]:
        """A family's file, what it imports beside the engine, and the data that it reads."""
        if environment not in self._families:
            file = family_file(environment)
            data = [file.parent / name for name in load_family(environment).files]
            own = [each for each in [*closure([file]), *data] if each not in self._engine]
            packages = {f"package {name}": number for name, number in self._packages(file).items()}
            self._families[environment] = self._sha256s(own) | packages
        return self._families[environment]

    def _user_file(self, file: Path) -> dict[str, Any]:
        if file not in self._user_files:
            self._user_files[file] = {"file": self._sha256(file), "packages": self._packages(file)}
        return self._user_files[file]

    def _packages(self, file: Path) -> dict[str, str]:
        """The installed packages that a user's file imports, beside those of VERSIONS, by name and version."""
        known = {"oyster", "rlkit", *VERSIONS, *sys.stdlib_module_names}
        roots = {name.split(".")[0] for name in _imported(file)} - known
        names = {name for root in roots for name in _distributions().get(root, [root])}
        return {
            name: self._lock.get(canonicalize_name(name)) or _public_here(name) or "not installed"
            for name in sorted(names)
        }

    @cached_property
    def _lock(self) -> dict[str, str]:
        try:
            return locked_versions(LOCK)
        except (OSError, ValueError) as error:
            raise InputError(
                f"{LOCK.name} cannot be read ({error}). `git checkout {LOCK.name}` brings it back."
            ) from None

    def _sha256s(self, files: Iterable[Path]) -> dict[str, str]:
        return {_name(file): self._sha256(file) for file in files}

    def _sha256(self, file: Path) -> str:
        if file not in self._hashes:
            try:
                self._hashes[file] = hashlib.sha256(file.read_bytes()).hexdigest()[:DIGITS]
            except OSError as error:
                raise InputError(f"{str(file)!r} cannot be read: {error.strerror}. A key needs it.") from error
        return self._hashes[file]


def text_of(parts: Mapping[str, Any]) -> str:
    """16 hex digits."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:DIGITS]


def differences(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is another in two keys' parts, in words: `settings.net_size 300 → 32`, `engine (oyster/trial/run.py)`."""
    found = []
    for part in dict.fromkeys((*recorded, *now)):
        old, new = recorded.get(part), now.get(part)
        if old == new:
            continue
        if not isinstance(old, dict) or not isinstance(new, dict):
            found.append(part)
            continue
        changed = [name for name in dict.fromkeys((*old, *new)) if old.get(name) != new.get(name)]
        if part in ("settings", "versions"):
            found += [f"{part}.{name} {_shown(old.get(name))} → {_shown(new.get(name))}" for name in changed]
        else:
            more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
            found.append(f"{part} ({', '.join(changed[:3])}{more})")
    return found


def closure(files: Iterable[Path]) -> list[Path]:
    """The files, and all of the tree that their import statements lead to, packages' __init__ too; sorted."""
    found, modules, waiting = set(), set(), list(files)
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            new = _imported(file) - modules
            modules |= new
            waiting += [each for module in new for each in _files_of(module)]
    return sorted(found)


def _imported(file: Path) -> set[str]:
    """Every module that an import statement in a file may name, those inside of functions too."""
    package = file.parent.relative_to(ROOT).parts if file.is_relative_to(ROOT) else ()
    return _imported_by(file.read_bytes(), ".".join(package))


@cache  # a trial looks three times: parsing takes long, and what is parsed has not changed
def _imported_by(source: bytes, package: str) -> set[str]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):  # running it will say so
        return set()
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            with suppress(ImportError):  # relative, and above the top: running it will say so
                module = resolve_name("." * node.level + (node.module or ""), package)
                names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return names


def _files_of(module: str) -> list[Path]:
    """A module's file and those of the packages around it; none for what is not of the tree."""
    parts = module.split(".")
    names = [".".join(parts[: n + 1]) for n in range(len(parts))]
    return [file for file in map(_module_file, names) if file is not None]


def _module_file(module: str) -> Path | None:
    place = ROOT.joinpath(*(["oyster"] if module.split(".")[0] == "rlkit" else []), *module.split("."))
    files = (place / "__init__.py", place.with_name(f"{place.name}.py"))
    return next((file for file in files if file.is_file()), None)


def _name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix() if file.is_relative_to(ROOT) else file.name


@cache
def _distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


def _public_here(package: str) -> str | None:
    found = installed_version(package)
    return found and public(found)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."
