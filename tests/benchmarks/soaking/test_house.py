"""What is read of the gateway's own numbers."""

from tests.benchmarks.soaking.house import gauge

NUMBERS = """# TYPE only1mcp_sessions gauge
only1mcp_sessions 12
# TYPE only1mcp_in_flight gauge
only1mcp_in_flight{server="a"} 2
only1mcp_in_flight{server="b"} 3
only1mcp_in_flights 99
"""


def test_a_number_is_the_sum_over_its_labels():
    assert gauge(NUMBERS, "sessions") == 12
    assert gauge(NUMBERS, "in_flight") == 5


def test_a_number_that_is_not_told_is_nothing():
    assert gauge(NUMBERS, "streams") == 0
