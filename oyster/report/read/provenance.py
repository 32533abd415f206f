"""provenance.json of a trial: what a report shows of it, each value of the kind that is due."""

from pathlib import Path

from oyster.report.read.records import Unreadable, is_count, is_number, read_json
from oyster.report.text import told

# Column of the trials frame: where it lies in provenance.json.
PROVENANCE = {
    "commit": ("commit",), "dirty": ("dirty",), "diff_sha256": ("diff_sha256",),
    "settings_sha256": ("settings_sha256",), "encoder_sha256": ("encoder_sha256",),
    "lock_sha256": ("environment", "lock_sha256"), "python": ("environment", "python"),
    "torch": ("environment", "torch"), "mujoco": ("environment", "mujoco"), "numpy": ("environment", "numpy"),
    "runtime": ("environment", "runtime"), "image_digest": ("environment", "image_digest"),
    "off_lock": ("environment", "off_lock"),
    "cpu": ("hardware", "cpu"), "cpu_family": ("hardware", "cpu_family"), "cores": ("hardware", "cores"),
    "gpu": ("hardware", "gpu"),
    "device": ("device",), "precision": ("precision",), "threads": ("threads",),
    "parameters": ("parameters",), "wall_seconds": ("wall_seconds",),
    "gradient_steps_per_second": ("gradient_steps_per_second",), "peak_memory_mb": ("peak_memory_mb",),
    "command": ("command",),
}  # fmt: skip
# What the report reads besides: no column, but lines and curves of its own.
LISTS = {"iteration_seconds": ("iteration_seconds",), "warnings": ("warnings",), "unreadable": ("unreadable",)}
ITERATIONS = {"num_iterations": ("settings", "num_iterations")}
COUNTS = ["cores", "threads", "parameters"]
MEASURES = ["wall_seconds", "gradient_steps_per_second", "peak_memory_mb"]


def read_provenance(path: Path) -> dict:
    """By column what is recorded, None where it is not; `off_lock` as words, LISTS and ITERATIONS as they are.

    Raises Unreadable where a value is of another kind than the column is.
    """
    recorded = read_json(path)
    paths = PROVENANCE | LISTS | ITERATIONS
    found = {column: _find(recorded, keys) for column, keys in paths.items()}
    for column, value in found.items():
        due, fits = _kind(column)
        if value is not None and not fits(value):
            raise Unreadable(f"{'.'.join(paths[column])} is {told(value)}; expected {due}.")
    if found["off_lock"] is not None:
        found["off_lock"] = ", ".join(found["off_lock"])
    return found


def _kind(column: str):
    """What a column holds, in words, and what tells it."""
    if column in (*COUNTS, *ITERATIONS):
        return "a whole number", is_count
    if column in MEASURES:
        return "a finite number", is_number
    if column == "dirty":
        return "true or false", lambda value: isinstance(value, bool)
    if column == "iteration_seconds":
        return "a list of finite numbers", lambda value: isinstance(value, list) and all(map(is_number, value))
    if column in ("off_lock", *LISTS):
        return "a list of texts", lambda value: isinstance(value, list) and all(isinstance(part, str) for part in value)
    return "text", lambda value: isinstance(value, str)


def _find(recorded: dict, keys: tuple[str, ...]) -> object:
    """What lies at a path of keys; None where a key is absent."""
    for key in keys:
        if recorded is None:
            return None
        if not isinstance(recorded, dict):
            raise Unreadable(f"{told(recorded)} stands where a mapping with {key} is expected.")
        recorded = recorded.get(key)
    return recorded
