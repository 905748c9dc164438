"""Which replica is asked: by health, by what the protocol binds, by balance."""

from collections.abc import Iterable
from typing import Any

import pytest
from msgspec import Raw

from proxy_core.backends.breaker import Breaker
from proxy_core.backends.call import Call
from proxy_core.backends.choice import Choice
from proxy_core.backends.peer import nobody
from proxy_core.config.models import (
    CircuitBreakerConfig,
    HttpTransport,
    ReplicaConfig,
    RoutingConfig,
    ServerConfig,
    StdioTransport,
)
from proxy_core.errors import BackendTimeout
from proxy_core.protocol.revisions import LEGACY_REVISIONS, MODERN
from proxy_core.telemetry.snapshot import ServerState as S
from tests.support.clock import FakeClock

OPEN_S = 30.0
SILENT = BackendTimeout("box", "too long")
CHILD = StdioTransport(command="box")
REMOTE = HttpTransport(url="http://box.example/mcp")


class Place:
    """A replica as far as the choice looks at it."""

    def __init__(self, replica: str, clock: FakeClock) -> None:
        self.id = replica
        self.weight = 1
        self.in_flight = 0
        self.state = S.HEALTHY
        self.connection: object | None = object()
        self.peer: Any = nobody(MODERN)
        self.settings = ServerConfig(id="box", transport=CHILD)
        rules = CircuitBreakerConfig(failure_threshold=1, open_s=OPEN_S)
        self.breaker = Breaker("box", lambda: rules, clock.monotonic)

    def fails(self) -> None:
        """Its breaker opens."""
        self.breaker.ended(self.breaker.admit(), SILENT)

    def lost(self, state: S) -> None:
        self.state, self.connection, self.peer = state, None, None


class Places:
    """The replicas a, b, c ... of one server, and the choice among them."""

    def __init__(self, ids: str = "abc", routing: RoutingConfig | None = None, **more: Any) -> None:
        self.clock = FakeClock()
        self.routing = routing or RoutingConfig()
        self.settings = ServerConfig(
            id="box",
            replicas=tuple(ReplicaConfig(id=each, transport=CHILD) for each in ids),
            **more,
        )
        self.choice: Any = Choice(self.settings, lambda: self.routing)
        self.all = [Place(each, self.clock) for each in ids]
        self.holders: dict[tuple[str, str], frozenset[str]] = {}
        self.changed()

    def __getitem__(self, replica: str) -> Place:
        return next(each for each in self.all if each.id == replica)

    def changed(self) -> "Places":
        self.choice.changed(self.all, self.holders)
        return self

    def are(self, **states: S) -> "Places":
        for replica, state in states.items():
            self[replica].state = state
        return self.changed()

    def lost(self, **states: S) -> "Places":
        """Not connected, and in these states."""
        for replica, state in states.items():
            self[replica].lost(state)
        return self.changed()

    def sessions(self, revision: str = LEGACY_REVISIONS[0], transport: Any = REMOTE) -> "Places":
        """They are legacy ones on HTTP, which keep something for each session."""
        for each in self.all:
            each.peer = nobody(revision)
            each.settings = ServerConfig(id="box", transport=transport)
        return self.changed()

    def picks(self, count: int = 30, **more: Any) -> str:
        """Who is asked by so many calls, each named once."""
        return _names(self.choice.member(call(**more)) for _ in range(count))

    def others(self, tried: str, count: int = 30, **more: Any) -> str:
        members = {self[each] for each in tried}
        return _names(self.choice.other(call(**more), members) for _ in range(count))

    def order(self, count: int, **more: Any) -> str:
        return "".join(self.choice.member(call(**more)).id for _ in range(count))


def call(name: str | None = "add", method: str = "tools/call", **more: Any) -> Call:
    return Call(method, Raw(b"{}"), name=name, **more)


def _names(members: Iterable[Place | None]) -> str:
    return "".join(sorted({member.id if member is not None else "-" for member in members}))


# --- health -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", list(S))
@pytest.mark.parametrize("is_connected", [True, False])
def test_the_only_one_is_asked_however_it_is_and_says_why_not(state: S, is_connected: bool) -> None:
    places = Places("a").are(a=state) if is_connected else Places("a").lost(a=state)
    assert (places.picks(), places.others("a")) == ("a", "-")


@pytest.mark.parametrize(
    ("states", "asked"),
    [
        ({}, "abc"),
        ({"a": S.DEGRADED}, "bc"),
        ({"a": S.UNHEALTHY}, "bc"),
        ({"a": S.DEGRADED, "b": S.UNHEALTHY, "c": S.DEGRADED}, "ac"),
        ({"a": S.UNHEALTHY, "b": S.UNHEALTHY, "c": S.DEGRADED}, "c"),
        ({"a": S.UNHEALTHY, "b": S.UNHEALTHY, "c": S.UNHEALTHY}, "abc"),
        ({"a": S.DRAINING, "b": S.DEGRADED, "c": S.UNHEALTHY}, "b"),
        ({"a": S.DRAINING, "b": S.DRAINED, "c": S.UNHEALTHY}, "c"),
        ({"a": S.DRAINING, "b": S.DRAINED, "c": S.DISABLED}, "abc"),
    ],
)
def test_an_ailing_one_is_asked_only_where_no_better_one_is_connected(states: dict[str, S], asked: str) -> None:
    assert Places().are(**states).picks() == asked


@pytest.mark.parametrize(
    ("lost", "asked"),
    [
        ({"a": S.UNHEALTHY}, "bc"),
        ({"a": S.STARTING, "b": S.FAILED}, "c"),
        ({"a": S.UNHEALTHY, "b": S.STARTING, "c": S.FAILED}, "b"),
        ({"a": S.UNHEALTHY, "b": S.RESTARTING, "c": S.STARTING}, "bc"),
        ({"a": S.UNHEALTHY, "b": S.AUTH_REQUIRED, "c": S.DRAINED}, "ab"),
        ({"a": S.DRAINED, "b": S.DISABLED, "c": S.DRAINED}, "abc"),
    ],
)
def test_without_a_connection_one_is_asked_only_where_no_other_has_one(lost: dict[str, S], asked: str) -> None:
    assert Places().lost(**lost).picks() == asked


def test_an_ailing_one_that_is_connected_goes_before_a_start() -> None:
    places = Places("ab").are(a=S.UNHEALTHY).lost(b=S.STARTING)
    assert places.picks() == "a"


# --- breakers -----------------------------------------------------------------------------------------------


def test_one_whose_breaker_is_open_is_not_asked() -> None:
    places = Places()
    places["b"].fails()
    assert places.picks() == "ac"


def test_an_ailing_one_goes_before_one_whose_breaker_is_open() -> None:
    places = Places("ab").are(b=S.DEGRADED)
    places["a"].fails()
    assert places.picks() == "b"


def test_with_all_breakers_open_the_one_is_asked_that_is_tried_first() -> None:
    places = Places()
    for each in "bca":
        places[each].fails()
        places.clock.advance(1)
    assert places.picks() == "b", "it says when that will be"


def test_a_half_open_one_is_left_to_the_probes_while_others_serve() -> None:
    places = Places("ab")
    places["a"].fails()
    places.clock.advance(OPEN_S)
    assert places["a"].breaker.admits
    assert places.picks() == "b"


def test_a_half_open_one_is_tried_where_all_others_are_open() -> None:
    places = Places("ab")
    places["a"].fails()
    places.clock.advance(OPEN_S)
    places["b"].fails()
    assert places.picks() == "a"


def test_one_with_its_trials_under_way_is_not_tried_by_more() -> None:
    places = Places("ab")
    places["a"].fails()
    places["b"].fails()
    places.clock.advance(OPEN_S)
    places["a"].breaker.admit()
    assert places.picks() == "b"


# --- another one for a call that failed ---------------------------------------------------------------------


def test_a_second_try_goes_to_one_that_was_not_tried() -> None:
    places = Places()
    assert places.others("a") == "bc"
    assert places.others("ac") == "b"
    assert places.others("abc") == "-"


@pytest.mark.parametrize("state", [S.UNHEALTHY, S.RESTARTING, S.STARTING])
def test_a_second_try_waits_for_no_connection(state: S) -> None:
    places = Places("ab").lost(b=state)
    assert places.others("a") == "-"
    assert places.lost(a=state).others("a") == "-"


def test_a_second_try_knows_health_and_breakers() -> None:
    places = Places("abcd").are(b=S.DEGRADED, c=S.DRAINING)
    assert places.others("a") == "d"
    places["d"].fails()
    assert places.others("a") == "b"
    places["b"].fails()
    assert places.others("a") == "-"


# --- what not every replica has -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "listed"),
    [
        ("tools/call", "tools/list"),
        ("prompts/get", "prompts/list"),
        ("resources/read", "resources/list"),
    ],
)
def test_a_call_goes_to_those_that_have_what_it_names(method: str, listed: str) -> None:
    places = Places()
    places.holders = {(listed, "rare"): frozenset("bc")}
    places.changed()
    assert places.picks(name="rare", method=method) == "bc"
    assert places.others("b", name="rare", method=method) == "c"
    assert places.picks(name="common", method=method) == "abc"
    assert places.picks(name="rare", method="completion/complete") == "abc"


def test_the_name_of_a_tool_says_nothing_of_prompts() -> None:
    places = Places()
    places.holders = {("tools/list", "rare"): frozenset("b")}
    places.changed()
    assert places.picks(name="rare", method="prompts/get") == "abc"


def test_one_that_has_it_and_is_ill_goes_before_one_that_does_not_have_it() -> None:
    places = Places().are(b=S.UNHEALTHY)
    places.holders = {("tools/list", "rare"): frozenset("b")}
    assert places.changed().picks(name="rare") == "b"
    assert places.lost(b=S.RESTARTING).picks(name="rare") == "b"
    assert places.others("b", name="rare") == "-"


def test_what_only_some_had_may_be_had_by_all() -> None:
    places = Places()
    places.holders = {("tools/list", "rare"): frozenset("b")}
    assert places.changed().picks(name="rare") == "b"
    places.holders = {}
    assert places.changed().picks(name="rare") == "abc"


def test_what_some_have_moves_as_they_fare() -> None:
    places = Places()
    places.holders = {("tools/list", "rare"): frozenset("ab")}
    assert places.changed().picks(name="rare") == "ab"
    assert places.are(a=S.DEGRADED).picks(name="rare") == "b"


# --- what the protocol binds --------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [S.HEALTHY, S.DEGRADED, S.UNHEALTHY, S.DRAINING])
def test_a_call_about_what_one_replica_has_goes_there(state: S) -> None:
    places = Places().are(b=state)
    places["b"].fails()
    assert places.picks(replica="b") == "b"
    assert places.others("b", replica="b") == "-", "no other knows of it"


def test_of_two_with_one_name_the_one_that_serves_has_it() -> None:
    places = Places("ab")
    places.all.append(Place("a", places.clock))
    places["a"].lost(S.STARTING)
    places.changed()
    assert places.choice.member(call(replica="a")) is places.all[2]
    places.all[0].connection = object()
    places.changed()
    assert places.choice.member(call(replica="a")) is places.all[0], "the one that is configured"


def test_a_call_about_what_is_gone_goes_to_any() -> None:
    assert Places("ab").picks(replica="z") == "ab"


def test_a_legacy_session_stays_where_it_is_as_long_as_that_serves() -> None:
    places = Places().sessions()
    home = places.picks(session="s")
    assert len(home) == 1
    assert places.are(**{home: S.DEGRADED}).picks(session="s") == home, "what it has is there"
    assert places.picks(session=None) != home
    places.lost(**{home: S.RESTARTING})
    other = places.picks(session="s")
    assert len(other) == 1 and other != home
    places[home].connection, places[home].state = object(), S.HEALTHY
    assert places.changed().picks(session="s") == other, "what it has is there by now"


def test_sessions_are_spread() -> None:
    places = Places().sessions()
    homes = [places.picks(session=f"s{number}") for number in range(6)]
    assert sorted(homes) == list("aabbcc")


def test_a_legacy_session_leaves_a_replica_that_drains_or_whose_breaker_opens() -> None:
    places = Places("ab").sessions()
    home = places.picks(session="s")
    other = "b" if home == "a" else "a"
    assert places.are(**{home: S.DRAINING}).picks(session="s") == other
    places.are(**{home: S.HEALTHY})
    places[other].fails()
    assert places.picks(session="s") == home


def test_a_second_try_takes_its_session_along() -> None:
    places = Places("ab").sessions()
    home = places.picks(session="s")
    other = places.others(home, session="s")
    assert places.picks(session="s") == other


def test_a_legacy_session_goes_elsewhere_for_what_its_replica_does_not_have() -> None:
    places = Places("ab").sessions()
    home = places.picks(session="s")
    other = "b" if home == "a" else "a"
    places.holders = {("tools/list", "rare"): frozenset(other)}
    assert places.changed().picks(session="s", name="rare") == other


def test_a_session_that_has_ended_is_forgotten() -> None:
    places = Places("ab").sessions()
    places.order(1, session="s")
    places.choice.session_ended("s")
    places.choice.session_ended("never was")
    assert places.order(2, session="s") == "bb"


@pytest.mark.parametrize(
    ("revision", "transport"), [(MODERN, CHILD), (MODERN, REMOTE), (LEGACY_REVISIONS[0], CHILD)]
)
def test_where_nothing_is_kept_for_a_session_calls_are_balanced(revision: str, transport: Any) -> None:
    assert Places("ab").sessions(revision, transport).picks(session="s") == "ab"


def test_children_that_are_kept_apart_by_session_have_it_stay() -> None:
    assert len(Places("ab", isolation="session").picks(session="s")) == 1


# --- balance ------------------------------------------------------------------------------------------------


def test_the_server_has_a_balance_of_its_own_or_that_of_the_section() -> None:
    assert Places().choice.balance == "round_robin"
    assert Places(routing=RoutingConfig(balance="random")).choice.balance == "random"
    assert Places(routing=RoutingConfig(balance="random"), balance="weighted_random").choice.balance == (
        "weighted_random"
    )


def test_a_balance_that_stays_the_same_goes_on_where_it_is() -> None:
    places = Places()
    assert places.order(4) == "abca"
    places.choice.use(places.settings.model_copy(update={"name": "Box"}))
    assert places.order(3) == "bca"


def test_another_balance_holds_at_once() -> None:
    places = Places()
    places["a"].in_flight = places["b"].in_flight = 9
    assert places.picks() == "abc"
    places.routing = RoutingConfig(balance="least_connections")
    places.choice.use(places.settings)
    assert places.picks() == "c"
    places.choice.use(places.settings.model_copy(update={"balance": "round_robin"}))
    assert places.picks() == "abc"


def test_a_second_try_is_no_turn_of_the_first_ones() -> None:
    """Else of two replicas, one of which fails, that one would get each call first."""
    places = Places("ab")
    order = ""
    for _ in range(6):
        order += (first := places.order(1))
        places.others(first, count=1)
    assert order == "ababab"


def test_the_calls_of_one_whose_breaker_is_open_are_spread_over_the_others() -> None:
    places = Places()
    places["a"].fails()
    order = places.order(60)
    assert (order.count("b"), order.count("c")) == (30, 30)


@pytest.mark.parametrize(
    ("hash_key", "same", "different"),
    [
        ("tool", {"name": "x"}, "name"),
        ("session", {"session": "x"}, "session"),
        ("session", {"principal": "x"}, "principal"),
        ("client", {"client": "x"}, "client"),
        ("client", {"principal": "x"}, "principal"),
        ("header:X-Tenant", {"affinity": "x"}, "affinity"),
        ("header:X-Tenant", {"client": "x"}, "client"),
    ],
)
def test_consistent_hash_goes_by_its_key(hash_key: str, same: dict[str, str], different: str) -> None:
    places = Places(routing=RoutingConfig(balance="consistent_hash", hash_key=hash_key))
    assert len(places.picks(**same)) == 1
    spread = {places.picks(1, **{different: f"{different}{number}"}) for number in range(50)}
    assert spread == set("abc")


def test_a_header_that_one_client_does_not_send_leaves_it_to_what_it_calls_itself() -> None:
    routing = RoutingConfig(balance="consistent_hash", hash_key="header:X-Tenant")
    places = Places("abcdefgh", routing=routing)
    spread = {places.picks(1, affinity="x", client=f"client{number}") for number in range(50)}
    assert len(spread) == 1, "the header alone counts"


@pytest.mark.parametrize("is_tried", [True, False])
def test_a_key_whose_replica_is_out_goes_to_the_same_other_one_each_time(is_tried: bool) -> None:
    places = Places(routing=RoutingConfig(balance="consistent_hash"))
    first = places.picks(name="add")
    if is_tried:
        other = places.others(first, name="add")
    else:
        places[first].fails()
        other = places.picks(name="add")
    assert len(other) == 1 and other != first
