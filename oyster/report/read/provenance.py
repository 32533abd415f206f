"""provenance.json of a trial: what a report shows of it, each value of the kind that is due."""

from pathlib import Path

from oyster.report.read.records import Unreadable, as_recorded, is_count, read_json
from oyster.report.text import told
from oyster.runtime.records import Provenance

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
COUNTS = ["cores", "threads", "parameters"]
MEASURES = ["wall_seconds", "gradient_steps_per_second", "peak_memory_mb"]


def read_provenance(path: Path) -> dict:
    """By column what is recorded, None where it is not; `off_lock` as words, LISTS as they are, and `num_iterations`.

    Raises Unreadable where a value is of another kind than the column is.
    """
    recorded = as_recorded(Provenance, read_json(path))
    found = {column: _find(recorded, keys) for column, keys in (PROVENANCE | LISTS).items()}
    iterations = (recorded.settings or {}).get("num_iterations")
    if iterations is not None and not is_count(iterations):
        raise Unreadable(f"settings.num_iterations is {told(iterations)}; expected a whole number.")
    if found["off_lock"] is not None:
        found["off_lock"] = ", ".join(found["off_lock"])
    return found | {"num_iterations": iterations}


def _find(recorded: Provenance, names: tuple[str, ...]) -> object:
    """What lies at a path of names; None where one is absent."""
    for name in names:
        recorded = recorded and getattr(recorded, name)
    return recorded
