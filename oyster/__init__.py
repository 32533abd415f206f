"""oyster: is my context encoder really better? PEARL, one file an encoder, every number reproducible."""

import importlib.util
import sys
from pathlib import Path

__version__ = "0.1.0"


def _provide_rlkit() -> None:
    """Make `import rlkit…` work: encoder files written for the benchmark expect that name.

    One module object under that one name, found beside this file, so that a clone, a worktree and the image each use
    their own and nothing has to be installed.
    """
    if "rlkit" in sys.modules:
        return
    folder = Path(__file__).parent / "rlkit"
    spec = importlib.util.spec_from_file_location(
        "rlkit", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    sys.modules["rlkit"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


_provide_rlkit()
