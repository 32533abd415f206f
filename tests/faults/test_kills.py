"""A few random kills, with the script that `make kills` runs for hundreds."""

import re
import subprocess
import sys
from pathlib import Path


def test_trials_that_are_killed_end_with_the_same_bytes():
    command = [sys.executable, "-m", "tests.faults.kills", "--kills", "3", "--seed", "1"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(re.search(r"(\d+) kills, \d+ trials ended with the same bytes\.$", done.stdout.strip())[1]) >= 3
