"""Recorded files spoilt at random, for some seconds: `fuzz_results.py` does the same for as long as one likes."""

import random
import time

import pytest

from tests.faults.fuzz_results import Fuzz
from tests.faults.mutation import mutate

SECONDS = 20


@pytest.mark.filterwarnings("ignore")
def test_no_spoilt_file_ends_the_report_or_costs_more_than_a_line(tmp_path):
    fuzz = Fuzz(tmp_path, seed=1)
    assert fuzz.build().unusable == []
    refused, end = 0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        refused += len(fuzz.one().unusable)
    assert refused > 0


def test_the_same_seed_spoils_alike():
    data = b'{"a": [1, 2, {"b": "text"}]}'
    again = [[mutate(data, rng) for _ in range(50)] for rng in (random.Random(3), random.Random(3))]
    assert again[0] == again[1] and sum(spoilt != data for spoilt in again[0]) > 45
