"""oyster: is my context encoder, or my method, really better? One file per encoder, every number reproducible."""

import importlib.util
import sys
from pathlib import Path


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
