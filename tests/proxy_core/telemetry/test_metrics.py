import pytest

from proxy_core.facts import SessionsChanged, StateChanged
from proxy_core.telemetry.metrics import Metrics
from tests.support.finished_requests import finished


def test_a_request_counts_for_its_server_and_for_all():
    metrics = Metrics()
    for server in ("one", "one", "two", None):
        metrics.fold(finished(server))
    assert (metrics.of("one").calls, metrics.of("two").calls, metrics.total.calls) == (2, 1, 4)
    assert metrics.of("one").latency.latency(100).p50_ms == pytest.approx(20, rel=0.15)
    assert metrics.total.rate.per_s(101) == 0.4


@pytest.mark.parametrize(
    ("code", "is_the_servers"),
    [
        (None, False),
        *((code, False) for code in (-1, -32600, -32601, -32602, -32002)),
        *((code, True) for code in (-32603, -32000, 7)),
    ],
)
def test_an_error_counts_unless_the_client_asked_wrongly_or_gave_up(code: int | None, is_the_servers: bool):
    metrics = Metrics()
    metrics.fold(finished(error_code=code))
    assert metrics.of("box").errors == metrics.total.errors == is_the_servers
    assert metrics.of("box").error_rate.per_s(101) == is_the_servers / 10


def test_a_tools_own_failure_is_no_error_of_its_server():
    metrics = Metrics()
    metrics.fold(finished(is_tool_error=True))
    assert (metrics.of("box").calls, metrics.of("box").errors) == (1, 0)


def test_sessions_and_streams_are_as_last_told():
    metrics = Metrics()
    metrics.fold(SessionsChanged(1, 3, 4))
    metrics.fold(SessionsChanged(2, 2, 5))
    metrics.fold(StateChanged(3, "box", "starting", "healthy", ""))
    assert (metrics.sessions, metrics.streams, metrics.total.calls) == (2, 5, 0)


def test_a_server_that_left_the_configuration_begins_anew_if_it_returns():
    metrics = Metrics()
    for server in ("one", "two"):
        metrics.fold(finished(server))
    metrics.keep({"two"})
    assert (metrics.of("one").calls, metrics.of("two").calls, metrics.total.calls) == (0, 1, 2)
