"""What tests need beside Python. Where `.ci/run` installed it, what cannot run fails instead of skipping."""

import os
from typing import NoReturn

import pytest

from oyster.envs.family import TaskFamily
from oyster.runtime.errors import NotInstalled


def skip_without(tool: str, reason: str) -> NoReturn:
    """`tool`: browser, egl, podman or metaworld. OYSTER_TESTS_HAVE names those that must be there."""
    if tool in os.environ.get("OYSTER_TESTS_HAVE", "").split():
        pytest.fail(f"OYSTER_TESTS_HAVE names {tool}, and yet: {reason}", pytrace=False)
    pytest.skip(reason)


def need_installed(family: type[TaskFamily]) -> None:
    """For tests that step a family: skip without what it needs beside the engine."""
    try:
        family.require_installed()
    except NotInstalled as error:
        skip_without("metaworld", f"make metaworld was not run: {error}")
