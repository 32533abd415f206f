"""Is my context encoder, or my method, really better? One file per encoder, every number reproducible.

oyster.load(place)         a trained agent, which adapts to tasks that it has never met
oyster.envs.make(name)     a gymnasium environment of any task family
oyster.envs.families()     the families' names

In a shell, `oyster --help` lists the commands. docs/how-to/library-and-notebook.md shows all of these at work.
"""

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

__all__ = ["envs", "load"]


def _provide_rlkit() -> None:
    """Make `import rlkit…` work: encoder files written for the benchmark expect that name.

    One module object under that one name, found beside this file, so that a clone, a worktree and the image each use
    their own and site-packages has none. ImportError where another rlkit was imported before.
    """
    folder = Path(__file__).resolve().parent / "rlkit"
    if "rlkit" in sys.modules:
        place = getattr(sys.modules["rlkit"], "__file__", None)
        if place is None or Path(place).resolve().parent != folder:
            raise ImportError(
                f"Another rlkit was imported before oyster, from {place}: oyster brings its own, in {folder}, and a "
                "process can hold only one. Import oyster first, or in a process of its own."
            )
        return
    spec = importlib.util.spec_from_file_location(
        "rlkit", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    sys.modules["rlkit"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


_provide_rlkit()


def __getattr__(name: str) -> Any:
    """What __all__ names, imported when it is first asked for: `import oyster` alone imports no torch."""
    if name == "load":
        return importlib.import_module("oyster.library").load
    if name == "envs":
        return importlib.import_module("oyster.envs")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
