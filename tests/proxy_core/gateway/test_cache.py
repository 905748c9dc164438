"""Kept answers: bounds, times, whose they are, and what makes them go."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from proxy_core.config.saving import CacheConfig
from proxy_core.gateway.cache import (
    DIGEST_BYTES,
    ENTRY_BYTES,
    EVERYONE,
    LONG_BYTES,
    Cause,
    Entry,
    Key,
    ResponseCache,
    about,
    packed,
)
from proxy_core.gateway.coalescing import Subject
from tests.support.clock import FakeClock

READ = "resources/read"
ANN, BOB = "token:ann", "token:bob"

MakeCache = Callable[..., ResponseCache]


@pytest.fixture
def cache_of(clock: FakeClock) -> MakeCache:
    def make(**config: Any) -> ResponseCache:
        settings = CacheConfig.model_validate(config)
        return ResponseCache(clock, lambda: settings)

    return make


def key(uri: str, owner: str = EVERYONE, server: str = "box", method: str = READ) -> Key:
    return Key(method, server, packed(uri.encode()), "2026-07-28", owner)


def put(cache: ResponseCache, of: Key, body: bytes = b"{}", ttl_s: float = 10, target: str = "") -> None:
    cache.put(of, Subject(of.server, of.method, target), body, ttl_s, None)


def got(cache: ResponseCache, uri: str, owner: str = ANN, **more: Any) -> bytes | None:
    entry = cache.get(key(uri, **more), key(uri, owner, **more))
    return entry.body if isinstance(entry, Entry) else None


def evictions(cache: ResponseCache, method: str = READ) -> dict[str, int]:
    return cache.counts[method, "box"].evictions


def test_an_answer_is_good_until_its_time_is_up(cache_of: MakeCache, clock: FakeClock):
    cache = cache_of()
    put(cache, key("a"), b"A", ttl_s=10)
    clock.advance(9.9)
    assert got(cache, "a") == b"A"
    clock.advance(0.2)
    assert got(cache, "a") is None
    counts = cache.counts[READ, "box"]
    assert (counts.hits, counts.misses, round(counts.age_s, 1), round(counts.max_age_s, 1)) == (1, 1, 9.9, 9.9)


def test_what_is_one_principals_is_nobody_elses(cache_of: MakeCache):
    cache = cache_of()
    put(cache, key("a", ANN), b"Ann's")
    assert got(cache, "a", ANN) == b"Ann's"
    assert got(cache, "a", BOB) is None
    put(cache, key("a"), b"all's")
    assert (got(cache, "a", ANN), got(cache, "a", BOB)) == (b"Ann's", b"all's")


@pytest.mark.parametrize(
    "other",
    [
        key("b"),
        key("a", server="web"),
        key("a", method="tools/call"),
        key("a")._replace(revision="2025-11-25"),
    ],
)
def test_every_part_of_the_key_counts(cache_of: MakeCache, other: Key):
    cache = cache_of()
    put(cache, other, b"other")
    assert got(cache, "a") is None


def test_long_parameters_stand_as_their_digest():
    short, long = b"x" * LONG_BYTES, b"x" * (LONG_BYTES + 1)
    assert packed(short) == short
    assert len(packed(long)) == DIGEST_BYTES
    assert packed(long) != packed(long + b"x")


def test_the_least_recently_used_makes_room(cache_of: MakeCache):
    cache = cache_of(max_entries_per_method=2)
    for uri in "ab":
        put(cache, key(uri))
    assert got(cache, "a") is not None
    put(cache, key("c"))
    assert [got(cache, uri) is not None for uri in "abc"] == [True, False, True]
    put(cache, key("a", method="tools/call"))
    assert len(cache) == 3
    assert evictions(cache) == {Cause.ENTRIES: 1}


def test_bytes_are_bounded_over_all_methods_by_last_use(cache_of: MakeCache):
    cache = cache_of(max_bytes=65_536)
    body = b"x" * (20_000 - ENTRY_BYTES)
    put(cache, key("a"), body)
    put(cache, key("b", method="tools/call"), body)
    put(cache, key("c"), body)
    assert got(cache, "a") is not None
    put(cache, key("d"), body)
    assert cache.size == 60_000
    assert evictions(cache, "tools/call") == {Cause.BYTES: 1}
    assert [got(cache, uri) is not None for uri in "acd"] == [True] * 3


def test_what_has_expired_did_not_go_for_want_of_room(cache_of: MakeCache, clock: FakeClock):
    cache = cache_of(max_entries_per_method=1)
    put(cache, key("a"), ttl_s=1)
    clock.advance(2)
    put(cache, key("b"))
    assert evictions(cache) == {Cause.EXPIRED: 1}


def test_an_answer_larger_than_the_bound_and_one_good_for_no_time_are_not_kept(cache_of: MakeCache):
    cache = cache_of(max_bytes=65_536)
    put(cache, key("a"), b"x" * 65_536)
    put(cache, key("b"), ttl_s=0)
    assert (len(cache), cache.size) == (0, 0)


def test_a_renewed_answer_takes_the_place_of_the_old(cache_of: MakeCache):
    cache = cache_of()
    put(cache, key("a"), b"old")
    put(cache, key("a"), b"newer")
    assert got(cache, "a") == b"newer"
    assert (len(cache), cache.size, evictions(cache)) == (1, 5 + ENTRY_BYTES, {})


def test_an_invalidation_takes_what_it_means_and_nothing_else(cache_of: MakeCache):
    cache = cache_of()
    put(cache, key("a"), target="file:///a")
    put(cache, key("b"), target="file:///b")
    put(cache, key("t", method="tools/call"), target="t")
    put(cache, key("a", server="web"), target="file:///a")
    assert cache.invalidate(about("box", [READ], "file:///a"), Cause.UPDATED) == 1
    assert [got(cache, uri) is not None for uri in "ab"] == [False, True]
    assert cache.invalidate(about("box", ["tools/call"]), Cause.LIST_CHANGED) == 1
    assert cache.invalidate(about("box"), Cause.CLEARED) == 1
    assert got(cache, "a", server="web") is not None
    assert evictions(cache) == {Cause.UPDATED: 1, Cause.CLEARED: 1}


def test_without_stale_answers_a_lost_server_has_none(cache_of: MakeCache):
    cache = cache_of()
    put(cache, key("a"))
    cache.expire("box")
    assert cache.get_stale(key("a"), key("a", ANN)) is None
    assert evictions(cache) == {Cause.LOST: 1}


def test_stale_answers_are_bounded_in_time(cache_of: MakeCache, clock: FakeClock):
    cache = cache_of(stale_if_error_seconds=60)
    put(cache, key("a", ANN), b"A", ttl_s=600)
    put(cache, key("b"), b"B", ttl_s=600)
    clock.advance(10)
    cache.expire("box")
    assert got(cache, "a") is None
    clock.advance(59)
    stale = cache.get_stale(key("a"), key("a", ANN))
    assert stale is not None and (stale.body, clock.monotonic() - stale.stored_at) == (b"A", 69)
    assert cache.get_stale(key("a"), key("a", BOB)) is None
    clock.advance(2)
    assert cache.get_stale(key("a"), key("a", ANN)) is None
    cache.sweep()
    assert len(cache) == 0
    assert cache.counts[READ, "box"].stale_hits == 1


def test_a_sweep_frees_what_is_past_its_time(cache_of: MakeCache, clock: FakeClock):
    cache = cache_of()
    put(cache, key("a"), ttl_s=1)
    put(cache, key("b"), ttl_s=9)
    clock.advance(5)
    cache.sweep()
    assert (len(cache), evictions(cache)) == (1, {Cause.EXPIRED: 1})


def test_smaller_bounds_count_at_once_and_servers_that_are_gone_are_forgotten(clock: FakeClock):
    settings = CacheConfig()
    cache = ResponseCache(clock, lambda: settings)
    for uri in "abc":
        put(cache, key(uri))
    settings = CacheConfig(max_entries_per_method=1)
    cache.use({"box"})
    assert len(cache) == 1
    cache.use({"web"})
    assert not cache.counts


# --- against a naive oracle -----------------------------------------------------------------------------------

URIS, SERVERS, PRINCIPALS = ["a", "b", "c"], ["box", "web"], [ANN, BOB]


class Oracle(RuleBasedStateMachine):
    """What is given is the last that was stored, unexpired, not invalidated since, of the right owner."""

    @initialize(entries=st.integers(1, 6))
    def begin(self, entries: int) -> None:
        self.clock = FakeClock()
        config = CacheConfig(max_entries_per_method=entries, max_bytes=65_536)
        self.limit = entries
        self.cache = ResponseCache(self.clock, lambda: config)
        self.kept: dict[tuple[str, str, str], tuple[bytes, float]] = {}
        self.number = 0

    @rule(
        server=st.sampled_from(SERVERS),
        uri=st.sampled_from(URIS),
        owner=st.sampled_from([EVERYONE, *PRINCIPALS]),
        ttl_s=st.sampled_from([0.0, 1.0, 5.0]),
        size=st.sampled_from([1, 15_000, 70_000]),
    )
    def store(self, server: str, uri: str, owner: str, ttl_s: float, size: int) -> None:
        self.number += 1
        body = b"%d" % self.number + b"x" * size
        put(self.cache, key(uri, owner, server), body, ttl_s, target=uri)
        if ttl_s and len(body) + ENTRY_BYTES <= 65_536:
            self.kept[server, uri, owner] = (body, self.clock.monotonic() + ttl_s)

    @rule(server=st.sampled_from(SERVERS), uri=st.sampled_from(URIS), principal=st.sampled_from(PRINCIPALS))
    def ask(self, server: str, uri: str, principal: str) -> None:
        found = got(self.cache, uri, principal, server=server)
        now = self.clock.monotonic()
        good = [
            body
            for owner in (principal, EVERYONE)
            if (kept := self.kept.get((server, uri, owner))) is not None
            for body, expires_at in [kept]
            if now < expires_at
        ]
        assert found is None or found in good

    @rule(seconds=st.sampled_from([0.5, 2.0, 6.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(server=st.sampled_from(SERVERS), uri=st.sampled_from([None, *URIS]))
    def invalidate(self, server: str, uri: str | None) -> None:
        self.cache.invalidate(about(server, (), uri), Cause.UPDATED)
        for place in [place for place in self.kept if place[0] == server and uri in (None, place[1])]:
            del self.kept[place]

    @rule(server=st.sampled_from(SERVERS))
    def lose(self, server: str) -> None:
        self.cache.expire(server)
        for place in [place for place in self.kept if place[0] == server]:
            del self.kept[place]

    @rule()
    def sweep(self) -> None:
        self.cache.sweep()

    @invariant()
    def bounds_hold_and_the_accounts_are_right(self) -> None:
        counts = self.cache.counts.values()
        assert len(self.cache) == sum(each.entries for each in counts) <= self.limit
        assert self.cache.size == sum(each.bytes for each in counts) <= 65_536


TestAgainstAnOracle = Oracle.TestCase
TestAgainstAnOracle.settings = hypothesis_settings(max_examples=60, stateful_step_count=40, deadline=None)
