"""Where CI has installed what tests need, none of them may skip in silence."""

import re
from pathlib import Path

import pytest

from tests.needs import skip_without

ROOT = Path(__file__).resolve().parents[1]


def test_a_skip_is_a_failure_where_the_tool_was_installed(monkeypatch):
    monkeypatch.setenv("OYSTER_TESTS_HAVE", "browser podman")
    with pytest.raises(pytest.fail.Exception, match="OYSTER_TESTS_HAVE names podman, and yet: not found"):
        skip_without("podman", "not found")
    with pytest.raises(pytest.skip.Exception, match="not found"):
        skip_without("egl", "not found")


def test_ci_names_every_tool_that_a_test_can_skip_without():
    used = {
        name for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)
        for name in re.findall(r'skip_without\("(\w+)"', path.read_text())
    }  # fmt: skip
    given = " ".join(re.findall(r'have="(?:\$have )?([^"]*)"', (ROOT / ".ci" / "run").read_text()))
    assert used == {*given.split()}
