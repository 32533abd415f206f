"""The algorithms: a folder each. What a trial asks of one stands in algorithm.py."""

from importlib import import_module
from types import ModuleType


def load(name: str) -> ModuleType:
    """The module with an algorithm's Learner, Row, sources, load_sources and make_agent. Imports torch."""
    return import_module(f"oyster.algorithms.{name}.learner")
