"""Imports no torch."""

from pathlib import Path

from oyster.algorithms import settings as shared
from oyster.algorithms.settings import Count


class Settings(shared.Settings):
    num_chunks: Count
    """Parts of an iteration, between two of which a checkpoint may be written."""


def sources(settings: Settings) -> dict[str, Path]:
    return {}


def problem(settings: Settings, horizon: int) -> str | None:
    return None


def start_tolerance(settings: Settings) -> float:
    return 1e-6
