"""The algorithms: a folder each, or an importable package of one's own. What a trial asks of one: algorithm.py."""

from collections.abc import Callable
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from oyster.algorithms.settings import Model, Settings, section_of
from oyster.runtime.errors import InputError

HERE = Path(__file__).parent


class Algorithm(NamedTuple):
    """What can be known of an algorithm without torch."""

    settings: type[Settings]
    section: type[Model]  # what a preset's section may hold: every field optional
    presets: Path
    sources: Callable[..., dict[str, Path]]  # (settings, **given): the user's files that determine the agent
    problem: Callable[[Any, int], str | None]  # (settings, horizon): what does not fit together, in words
    start_tolerance: Callable[[Any], float]  # largest relative difference of a start on other hardware


def names() -> list[str]:
    """Those with a folder here."""
    return sorted(path.parent.name for path in HERE.glob("*/learner.py"))


@cache
def find(name: str) -> Algorithm:
    """InputError where there is no such algorithm."""
    module = import_module(f"{package(name)}.settings")
    return Algorithm(
        module.Settings,
        section_of(module.Settings),
        Path(module.__file__).with_name("presets.yaml"),
        module.sources,
        module.problem,
        module.start_tolerance,
    )


def load(name: str) -> ModuleType:
    """Its module with Learner, Row, load_sources and make_agent. Imports torch. InputError as `find`."""
    return import_module(f"{package(name)}.learner")


def package(name: str) -> str:
    """The importable name of an algorithm's folder. InputError where there is none."""
    if "." not in name and name in names():
        return f"{__name__}.{name}"
    try:
        found = "." in name and find_spec(f"{name}.settings") and find_spec(f"{name}.learner")
    except ImportError:
        found = None
    if not found:
        meant = "".join(f", did you mean {near}?" for near in get_close_matches(name, names(), n=1))
        raise InputError(
            f"there is no algorithm '{name}'{meant}; there are: {', '.join(names())}, and importable packages by their "
            "dotted name."
        )
    return name
