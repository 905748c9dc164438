"""Limits on a clock that stands still: what gets in, what is refused for how long, and what is forgotten."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_core.access import limits as access_limits
from proxy_core.access.limits import Limits, Permit
from proxy_core.access.meters import Meter, Scope
from proxy_core.config.models import Config
from proxy_core.errors import Overloaded
from proxy_core.facts import Fact, LimitReached
from tests.support.clock import FakeClock

ANN = ("token:ann", "review")
BOB = ("token:bob", "")
SHA = "ab" * 32


class Desk:
    """Limits, their clock, and what was told."""

    def __init__(self, **sections: Any) -> None:
        self.facts: list[Fact] = []
        self.clock = FakeClock()
        self.limits = Limits(configured(**sections), self.clock, self.facts.append)
        self._lanes: dict[tuple[tuple[str, str], str, str], tuple[int, tuple[Meter, ...]]] = {}

    def call(self, viewer: tuple[str, str] = ANN, server: str = "box", tool: str = "run") -> Permit:
        """As a lane does it, that looks for its meters again only when there are others."""
        asked, limits = (viewer, server, tool), self.limits
        version, meters = self._lanes.get(asked, (-1, ()))
        if version != limits.version:
            meters = limits.meters(*asked)
            self._lanes[asked] = limits.version, meters
        limits.take(meters, self.clock.monotonic())
        return Permit(limits, meters, True)

    def request(self, viewer: tuple[str, str] = ANN) -> Permit:
        return self.limits.enter(viewer, self.clock.monotonic())

    def to_server(self, permit: Permit, server: str = "box", tool: str = "run") -> None:
        permit.to_server(server, tool, self.clock.monotonic())

    def let_in(self, **more: Any) -> int:
        """How many calls get in at this moment, one after the other."""
        for count in range(10_000):
            try:
                self.call(**more).leave()
            except Overloaded:
                return count
        raise AssertionError("nothing is limited")

    @property
    def refused(self) -> list[tuple[str, str, str]]:
        return [(fact.limit, fact.kind, fact.name) for fact in self.facts if isinstance(fact, LimitReached)]


def configured(**sections: Any) -> Config:
    box = {"id": "box", "transport": {"type": "stdio", "command": "true"}} | sections.pop("box", {})
    profiles = {"profiles": {"review": {"limits": sections.pop("review", {})}}}
    return Config.model_validate({"servers": [box], **profiles, **sections})


def token(name: str, **limits: Any) -> dict[str, Any]:
    return {"name": name, "sha256": (f"{len(name):02x}" + SHA)[:64], "limits": limits}


def test_nothing_configured_is_nothing_in_force():
    desk = Desk()
    assert not desk.limits.is_any
    desk.limits.use(configured(limits={"calls_per_s": 1}))
    assert desk.limits.is_any
    desk.limits.use(configured())
    assert not desk.limits.is_any


@pytest.mark.parametrize(
    ("sections", "limit", "name", "says"),
    [
        ({"limits": {"calls_per_s": 2}}, "principal", "token:ann", "of this client; the limit is 2 a second"),
        ({"review": {"calls_per_s": 2}}, "profile", "review", "under the profile review"),
        ({"box": {"limits": {"calls_per_s": 2}}}, "server", "box", "for the server box"),
        ({"box": {"tools": {"limits": {"r*": {"calls_per_s": 2}}}}}, "tool", "box/run", "for the tool box/run"),
        (
            {"auth": {"tokens": [token("ann", calls_per_s=2)]}, "limits": {"calls_per_s": 50}},
            "principal",
            "token:ann",
            "the limit is 2 a second",
        ),
    ],
)
def test_a_rate_lets_a_second_of_it_in_at_once_and_says_when_the_next_may_come(
    sections: dict[str, Any], limit: str, name: str, says: str
):
    desk = Desk(**sections)
    assert desk.let_in() == 2
    with pytest.raises(Overloaded, match=says) as refused:
        desk.call()
    said = refused.value.data()["dev.only1mcp"]
    assert (said["kind"], said["retryable"]) == ("overloaded", True)
    assert 499 <= said["retryAfterMs"] <= 500
    desk.clock.advance(said["retryAfterMs"] / 1000)
    assert desk.let_in() == 1
    assert set(desk.refused) == {(limit, "rate", name)}


def test_what_is_at_once_may_be_more_than_a_second_of_it():
    desk = Desk(limits={"calls_per_s": 0.5, "burst": 7})
    assert desk.let_in() == 7
    desk.clock.advance(2)
    assert desk.let_in() == 1


def test_as_many_are_in_flight_as_may_be_and_no_one_knows_when_one_ends():
    desk = Desk(box={"limits": {"concurrent": 2}})
    first, second = desk.call(), desk.call(BOB)
    with pytest.raises(Overloaded, match="at once for the server box; the limit is 2") as refused:
        desk.call()
    assert "retryAfterMs" not in refused.value.data()["dev.only1mcp"]
    first.leave()
    first.leave()
    third = desk.call()
    assert desk.limits.held == {(Scope.SERVER, "box"): 2}
    second.leave()
    third.leave()
    assert desk.limits.held == {}


def test_each_principal_and_each_tool_has_its_own_and_a_profile_and_a_server_are_shared():
    each = Desk(limits={"calls_per_s": 1})
    assert (each.let_in(), each.let_in(viewer=BOB), each.let_in()) == (1, 1, 0)
    tools = Desk(box={"tools": {"limits": {"*": {"calls_per_s": 1}}}})
    assert (tools.let_in(), tools.let_in(tool="walk"), tools.let_in(viewer=BOB)) == (1, 1, 0)
    profile = Desk(review={"calls_per_s": 1})
    assert profile.let_in() == 1
    assert profile.let_in(viewer=("token:bob", "review")) == 0
    profile.call(BOB)
    server = Desk(box={"limits": {"calls_per_s": 1}})
    assert (server.let_in(), server.let_in(viewer=BOB, tool="walk")) == (1, 0)
    server.call(server="other")


def test_a_token_may_have_no_limit_where_all_others_have_one():
    desk = Desk(limits={"calls_per_s": 1}, auth={"tokens": [token("ann", calls_per_s=0)]})
    for _ in range(100):
        desk.call()
    assert desk.let_in(viewer=BOB) == 1


def test_the_first_glob_that_fits_counts():
    desk = Desk(box={"tools": {"limits": {"run": {"calls_per_s": 3}, "*": {"calls_per_s": 1}}}})
    assert (desk.let_in(), desk.let_in(tool="walk")) == (3, 1)


def test_it_is_all_or_nothing():
    """A server that is full takes nothing from its clients, in one step or in two."""
    desk = Desk(
        limits={"calls_per_s": 5}, review={"concurrent": 9}, box={"limits": {"calls_per_s": 1, "concurrent": 9}}
    )
    desk.call().leave()
    for _ in range(20):
        with pytest.raises(Overloaded, match="server"):
            desk.call()
        with pytest.raises(Overloaded, match="server"):
            desk.to_server(desk.request())
    assert desk.limits.held == {}
    assert desk.let_in(server="other") == 4


def test_what_was_not_done_is_as_if_it_had_never_been_asked():
    desk = Desk(limits={"calls_per_s": 3}, box={"limits": {"calls_per_s": 3, "concurrent": 1}})
    for _ in range(10):
        desk.call().undo()
    assert desk.limits.held == {}
    assert desk.let_in() == 3


def test_a_request_is_counted_at_its_server_once():
    desk = Desk(box={"limits": {"calls_per_s": 2, "concurrent": 5}})
    permit = desk.request()
    for _ in range(3):
        desk.to_server(permit)
    assert desk.limits.held == {(Scope.SERVER, "box"): 1}
    permit.leave()
    permit.renew()
    permit.renew()
    assert desk.limits.held == {(Scope.SERVER, "box"): 1}
    permit.leave()
    assert desk.limits.held == {}
    assert desk.let_in() == 1


def test_of_several_limits_the_one_is_told_that_has_to_be_waited_for_longest():
    desk = Desk(limits={"calls_per_s": 1}, box={"limits": {"calls_per_s": 0.1}})
    desk.call()
    with pytest.raises(Overloaded, match="server box") as refused:
        desk.call()
    assert refused.value.retry_in_s == pytest.approx(10, abs=0.1)


# --- in the long run ------------------------------------------------------------------------------------------


@given(
    rate=st.floats(0.01, 500),
    burst=st.integers(0, 40),
    pauses=st.lists(st.floats(0, 3).map(lambda s: s**4), min_size=1, max_size=120),
)
def test_in_no_window_more_than_the_burst_and_what_the_rate_gives(rate: float, burst: int, pauses: list[float]):
    desk = Desk(limits={"calls_per_s": rate, "burst": burst})
    let_in: list[float] = []
    for pause_s in pauses:
        desk.clock.advance(pause_s)
        try:
            desk.call().leave()
        except Overloaded as refused:
            assert refused.retry_in_s is not None
            # Whoever waits for so long is let in: no refusal makes the wait longer.
            assert refused.retry_in_s <= 1 / rate + 1e-6
        else:
            let_in.append(desk.clock.monotonic())
    at_once = burst or max(1.0, rate)
    for first, since in enumerate(let_in):
        for last, at in enumerate(let_in[first:], first):
            assert last - first + 1 <= at_once + rate * (at - since) + 0.01


@given(rate=st.sampled_from([0.3, 1.0, 3.0, 7.0, 1000.0]), polls=st.integers(1, 7))
def test_who_asks_far_too_often_still_gets_the_whole_rate(rate: float, polls: int):
    """Neither drift nor starvation: thousands of refusals, and to the call what the rate gives."""
    desk = Desk(limits={"calls_per_s": rate, "burst": 1})
    got = 0
    for _ in range(2000):
        for _ in range(polls):
            try:
                desk.call().leave()
                got += 1
            except Overloaded:
                pass
        desk.clock.advance(0.5 / rate)
    assert got == 1000


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 5), st.floats(0, 2)), max_size=80)
)
def test_whatever_happens_what_is_in_flight_comes_back(steps: list[tuple[int, int, int, float]]):
    """Calls begin, are handed over, routed late, refused and end, in any order, with reloads between."""
    sections: list[dict[str, Any]] = [
        {"review": {"concurrent": 3}, "limits": {"calls_per_s": 2, "burst": 3}},
        {"review": {"concurrent": 3}, "box": {"limits": {"concurrent": 2}}},
        {},
    ]
    desk, open_permits = Desk(**sections[0]), list[Permit]()
    for what, which, index, pause_s in steps:
        desk.clock.advance(pause_s)
        permit = open_permits[index % len(open_permits)] if open_permits else None
        try:
            if what == 0:
                open_permits.append(desk.call() if which else desk.request())
            elif what == 1 and permit is not None:
                desk.to_server(permit)
            elif what == 2 and permit is not None:
                permit.leave()
                permit.renew()
            elif what == 3:
                desk.limits.use(configured(**sections[which]))
                desk.limits.sweep()
        except Overloaded:
            if what == 1 and permit is not None:
                open_permits.remove(permit)
        assert all(count > 0 for count in desk.limits.held.values())
    for permit in open_permits:
        permit.leave()
    assert desk.limits.held == {}


# --- reloads, and what is forgotten ---------------------------------------------------------------------------


def test_a_reload_keeps_the_buckets_of_what_stays_and_what_is_in_flight():
    before = {"limits": {"calls_per_s": 2}, "box": {"limits": {"calls_per_s": 4, "concurrent": 3}}}
    desk = Desk(**before)
    held = desk.call()
    assert desk.let_in() == 1
    desk.limits.use(configured(**before | {"box": {"limits": {"calls_per_s": 4, "concurrent": 1}}}))
    assert desk.let_in(server="other") == 0
    desk.clock.advance(10)
    with pytest.raises(Overloaded, match="at once"):
        desk.call()
    held.leave()
    desk.call().leave()


def test_a_limit_that_goes_and_comes_back_still_knows_what_is_in_flight():
    desk = Desk(box={"limits": {"concurrent": 1}})
    held = desk.call()
    desk.limits.use(configured())
    desk.limits.sweep()
    desk.call().leave()
    desk.limits.use(configured(box={"limits": {"concurrent": 1}}))
    with pytest.raises(Overloaded):
        desk.call()
    held.leave()
    desk.call()


def test_who_is_idle_and_full_is_forgotten_and_who_is_not_is_kept():
    desk = Desk(limits={"calls_per_s": 1, "burst": 5}, box={"limits": {"concurrent": 9}})
    for number in range(1000):
        desk.call((f"someone {number}", "")).leave()
    held = desk.call(BOB)
    assert desk.limits.remembered == 1002
    desk.limits.sweep()
    assert desk.limits.remembered == 1002
    desk.clock.advance(1.01)
    desk.limits.sweep()
    assert desk.limits.remembered == 2, "those of the call that is in flight"
    held.leave()
    desk.limits.sweep()
    assert desk.limits.remembered == 0


def test_what_is_remembered_of_callers_and_places_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(access_limits, "MAX_LANES", 10)
    desk = Desk(limits={"calls_per_s": 1}, box={"limits": {"calls_per_s": 100}})
    for number in range(50):
        desk.call((f"someone {number}", ""), tool=f"tool {number}")
    assert len(desk.limits._callers) <= 10 and len(desk.limits._places) <= 10
    assert desk.let_in(viewer=("someone 3", "")) == 0, "its meter is another matter"


# --- tokens of lists ------------------------------------------------------------------------------------------


def test_tokens_of_lists_are_bounded_for_each_principal_and_for_a_profile():
    desk = Desk(limits={"tokens_per_day": 100}, review={"tokens_per_day": 150})
    limits = desk.limits
    limits.check_tokens(ANN)
    limits.served(ANN, 120)
    with pytest.raises(Overloaded, match="100 in 24 hours") as refused:
        limits.check_tokens(ANN)
    assert refused.value.retry_in_s is not None and refused.value.retry_in_s > 86_000
    other = ("token:bob", "review")
    limits.check_tokens(other)
    limits.served(other, 50)
    with pytest.raises(Overloaded, match="under the profile review"):
        limits.check_tokens(("token:eve", "review"))
    limits.check_tokens(BOB)
    assert desk.refused == [("principal", "tokens", "token:ann"), ("profile", "tokens", "review")]
    desk.clock.advance(25 * 3600)
    limits.check_tokens(ANN)
    limits.sweep()
    assert limits.remembered == 0


def test_a_reload_does_not_give_the_tokens_of_a_day_once_more():
    desk = Desk(limits={"tokens_per_day": 100})
    desk.limits.served(ANN, 100)
    desk.limits.use(configured(limits={"tokens_per_day": 99}))
    with pytest.raises(Overloaded):
        desk.limits.check_tokens(ANN)
    desk.limits.use(configured(limits={"tokens_per_day": 101}))
    desk.limits.check_tokens(ANN)


def test_who_has_called_before_takes_from_the_meters_that_there_are_now():
    desk = Desk()
    desk.call().leave()
    desk.limits.use(configured(limits={"calls_per_s": 1, "burst": 2}))
    assert desk.let_in() == 2
    desk.clock.advance(3600)
    desk.limits.sweep()
    assert desk.limits.remembered == 0
    # One comes by the lane that knew the meter which was forgotten, the other is new: both are one client.
    desk.call().leave()
    desk.request().leave()
    assert desk.let_in() == 0
