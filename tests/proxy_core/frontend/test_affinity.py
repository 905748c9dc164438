"""Which header of a client chooses among equal replicas."""

import pytest

from proxy_core.config.models import RoutingConfig
from proxy_core.frontend.affinity import MAX_CHARS, Affinity
from proxy_core.frontend.wire import WireHead


def head(**values: str) -> WireHead:
    named = {name.replace("_", "-"): value for name, value in values.items()}
    return WireHead("POST", "/mcp", list(named.items()), "127.0.0.1", named)


def affinity(hash_key: str) -> Affinity:
    return Affinity(RoutingConfig(balance="consistent_hash", hash_key=hash_key))


@pytest.mark.parametrize("written", ["X-Tenant", "x-tenant", "X-TENANT"])
def test_the_header_that_the_configuration_names_counts_however_it_is_written(written: str) -> None:
    assert affinity(f"header:{written}").of(head(x_tenant="acme", x_other="no")) == "acme"


def test_a_client_that_does_not_send_it_says_nothing() -> None:
    assert affinity("header:X-Tenant").of(head(x_other="no")) == ""


@pytest.mark.parametrize("hash_key", ["tool", "client", "session"])
def test_without_a_header_in_the_configuration_none_is_looked_at(hash_key: str) -> None:
    assert affinity(hash_key).of(head(tool="a", client="b", session="c")) == ""


def test_a_long_value_is_cut() -> None:
    assert affinity("header:X-Tenant").of(head(x_tenant="a" * (MAX_CHARS + 1))) == "a" * MAX_CHARS


def test_another_configuration_holds_at_once() -> None:
    changing = affinity("header:X-Tenant")
    changing.use(RoutingConfig(hash_key="header:X-Team"))
    assert changing.of(head(x_tenant="acme", x_team="blue")) == "blue"
    changing.use(RoutingConfig())
    assert changing.of(head(x_tenant="acme", x_team="blue")) == ""
