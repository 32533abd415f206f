"""Matplotlib, imported without what its user set for it, which could end even the import: a backend that is none, or
a file of settings that is not UTF-8. Import this before it.

A `matplotlibrc` in the working folder is still read; what it says, `figures.style` sets aside.
"""

import os
from tempfile import TemporaryDirectory
from unittest.mock import patch

with TemporaryDirectory() as empty, patch.dict(os.environ):
    os.environ.pop("MPLBACKEND", None)
    os.environ["MATPLOTLIBRC"] = os.path.join(empty, "matplotlibrc")
    open(os.environ["MATPLOTLIBRC"], "w", encoding="utf-8").close()
    import matplotlib  # noqa: F401
