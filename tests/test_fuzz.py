"""A short run of ``make fuzz``."""
import pytest
from fuzzing import KINDS, fuzz


@pytest.mark.slow
def test_mutated_files_are_read_or_refused():
    counts, failures = fuzz(1, cases=300, report=lambda line: None)
    assert failures == []
    assert {kind for kind, _ in counts} == set(KINDS) and sum(counts.values()) == 300
    refused = sum(number for (_, outcome), number in counts.items() if outcome != 'read')
    assert refused > 50  # the mutations reach the checks
