"""A folder that is written whole or not at all, and that replaces nothing but an older one of its kind."""

import shutil
from pathlib import Path

from reports.grid import InputError
from reports.text import shown

OWNED = {"index.html", "tables", "figures"}  # what a report's folder may hold, hence may lose


def replaceable(out: Path) -> Path:
    """`out` in full, if a report may be written there. InputError where something else is."""
    out = out.resolve()
    foreign = sorted(path.name for path in out.iterdir() if path.name not in OWNED) if out.is_dir() else []
    if foreign or (out.exists() and not out.is_dir()):
        what = f"holds {', '.join(map(shown, foreign[:3]))}" if foreign else "is a file"
        raise InputError(f"{shown(out)} {what}, so it is not replaced. Give --out a folder of its own.")
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
