"""What tests need beside Python. Where `.ci/run` installed it, what cannot run fails instead of skipping."""

import os
from typing import NoReturn

import pytest


def skip_without(tool: str, reason: str) -> NoReturn:
    """`tool`: browser, egl or podman. OYSTER_TESTS_HAVE names those that must be there."""
    if tool in os.environ.get("OYSTER_TESTS_HAVE", "").split():
        pytest.fail(f"OYSTER_TESTS_HAVE names {tool}, and yet: {reason}", pytrace=False)
    pytest.skip(reason)
