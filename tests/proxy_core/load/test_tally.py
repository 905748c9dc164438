"""Counts and percentiles."""

import pytest

from proxy_core.load.judging import Fault
from proxy_core.load.tally import FaultCount, Tally, percentile


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1), (0.5, 50), (0.501, 51), (0.9, 90), (0.99, 99), (0.999, 100), (1.0, 100)]
)
def test_a_percentile_is_a_value_that_was_measured(share: float, expected: int):
    assert percentile(range(1, 101), share) == expected
    assert percentile([7.0], share) == 7.0


def test_a_result_sums_up():
    tally = Tally()
    tally.took_ms.extend(float(n) for n in range(1000, 0, -1))
    tally.in_time = 990
    for detail in ("busy", "busier"):
        tally.note_fault(Fault("HTTP 503", detail))
    tally.note_fault(Fault("no answer in time"))
    result = tally.result(2.0, 12_345)
    assert (result.requests, result.good, result.per_s) == (1003, 1000, 495.0)
    assert dict(result.percentiles_ms) == {0.5: 500.0, 0.9: 900.0, 0.99: 990.0, 0.999: 999.0}
    assert result.longest_ms == 1000.0
    assert result.late_ms is None
    assert result.faults == (FaultCount("HTTP 503", 2, "busy"), FaultCount("no answer in time", 1, ""))


def test_without_a_good_answer_there_are_no_times():
    tally = Tally()
    tally.note_fault(Fault("HTTP 503"))
    result = tally.result(1.0, 0)
    assert (result.good, dict(result.percentiles_ms), result.longest_ms) == (0, {}, 0.0)
