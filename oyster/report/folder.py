"""A folder that is written whole or not at all, and that replaces nothing but an older one of its kind."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from oyster.report.read.grid import InputError
from oyster.report.text import shown

# What a report's folder may hold, hence may lose; `figures` is of reports of before.
REPORT = ("index.html", "tables", "figures", "headline.md", "headline.tex", "results.parquet", "*.key.json")


def replaceable(out: Path, ours: Iterable[str] = REPORT, option: str = "--out") -> Path:
    """`out` in full, if it may be written anew. InputError where it holds what no pattern of `ours` names."""
    out = out.resolve()
    found = out.iterdir() if out.is_dir() else ()
    foreign = sorted(path.name for path in found if not any(map(path.match, ours)))
    if foreign or (out.exists() and not out.is_dir()):
        what = f"holds {', '.join(map(shown, foreign[:3]))}" if foreign else "is a file"
        raise InputError(f"{shown(out)} {what}, so it is not replaced. Give {option} a folder of its own.")
    return out


def partial(out: Path) -> Path:
    """An empty folder beside `out`, to be filled and swapped in."""
    place = out.with_name(f"{out.name}.partial")
    shutil.rmtree(place, ignore_errors=True)  # of a build that was killed
    place.mkdir(parents=True)
    return place


def swap(new: Path, place: Path) -> None:
    """Put a finished folder in place of an older one; who reads meanwhile never finds half of one."""
    old = place.with_name(f"{place.name}.old.partial")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    new.rename(place)
    shutil.rmtree(old, ignore_errors=True)
