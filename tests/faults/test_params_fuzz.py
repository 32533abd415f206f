"""A short run of the fuzzer: `python -m tests.faults.fuzz_params` makes a long one."""

from tests.faults.fuzz_params import check, fuzz


def test_whatever_params_yaml_holds_it_is_refused_in_words_or_read_alike_by_all():
    outcomes = fuzz(check, tries=200, number=0)
    assert outcomes["accepted"] >= 10 and outcomes["refused"] >= 50
