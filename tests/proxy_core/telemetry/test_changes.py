"""How each server came to be as it is."""

from proxy_core.facts import BreakerTurned, CatalogChanged, ReplicaChanged, StateChanged
from proxy_core.telemetry.changes import KEPT, Changes
from proxy_core.telemetry.metrics import Metrics
from proxy_core.telemetry.snapshot import Change


def test_states_and_breakers_are_kept_in_order_and_nothing_else():
    changes = Changes()
    changes.fold(StateChanged(1.0, "box", "starting", "healthy", ""))
    changes.fold(CatalogChanged(1.5, "tools", 3))
    changes.fold(ReplicaChanged(2.0, "box", "a", "healthy", "unhealthy", "no answer"))
    changes.fold(BreakerTurned(3.0, "box", "a", "open", "5 calls failed"))
    assert changes.of("box") == (
        Change(1.0, "", "state", "healthy", "starting"),
        Change(2.0, "a", "state", "unhealthy", "healthy", "no answer"),
        Change(3.0, "a", "breaker", "open", reason="5 calls failed"),
    )
    assert changes.of("other") == ()


def test_the_last_ones_alone_are_kept():
    changes = Changes()
    for at in range(KEPT + 5):
        changes.fold(StateChanged(float(at), "box", "a", "b", ""))
    assert [change.at for change in changes.of("box")] == [float(at) for at in range(5, KEPT + 5)]


def test_a_server_that_is_no_longer_configured_is_forgotten():
    metrics = Metrics()
    metrics.fold(StateChanged(1.0, "box", "a", "b", ""))
    assert metrics.changes.of("box")
    metrics.keep({"other"})
    assert metrics.changes.of("box") == ()
