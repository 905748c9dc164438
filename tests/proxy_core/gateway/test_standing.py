"""How one merged list stands: what clients are told of it, whatever it is made of."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_core.backends.lists import Listing
from proxy_core.config.saving import CacheConfig
from proxy_core.gateway.cache import ResponseCache
from proxy_core.gateway.standing import MAX_TTL_MS, PARTIAL, PARTIAL_TTL_MS, STALE, Part, Standing
from proxy_core.protocol.revisions import Era
from tests.support.clock import FakeClock

NOW = 1000.0


def standing(*listings: Listing, **more: Any) -> Standing:
    parts = tuple(Part(f"s{number}", listing) for number, listing in enumerate(listings))
    said = {"partial": (), "stale": (), "is_private": False, "good_until": NOW + 60} | more
    return Standing(parts, **said)


def suffix(of: Standing, era: Era = Era.MODERN, now: float = NOW) -> dict[str, Any]:
    members: dict[str, Any] = json.loads(b"{%s}" % of.suffix(era, now).removeprefix(b","))
    return members


@pytest.mark.parametrize(
    ("listings", "age_s", "ttl_ms"),
    [
        ([Listing(ttl_ms=50_000, read_at=NOW)], 20, 30_000),
        ([Listing(ttl_ms=50_000, read_at=NOW), Listing(ttl_ms=20_000, read_at=NOW)], 5, 15_000),
        ([Listing(ttl_ms=86_400_000, read_at=NOW)], 0, MAX_TTL_MS),
        ([Listing(ttl_ms=60_000, read_at=NOW, is_synthetic=True, is_fed=True)], 300, 60_000),
        ([Listing(ttl_ms=5_000, read_at=NOW, is_synthetic=True)], 2, 3_000),
        ([Listing(ttl_ms=5_000, read_at=NOW, is_synthetic=True)], 300, 0),
        ([], 0, PARTIAL_TTL_MS),
    ],
)
@pytest.mark.requirement("C02")
def test_clients_are_told_the_least_that_is_left_anywhere(listings: list[Listing], age_s: float, ttl_ms: int):
    """A legacy list does not grow old as long as its server would say so; else it does (2.9 of the digest)."""
    assert suffix(standing(*listings), now=NOW + age_s)["ttlMs"] == ttl_ms


def test_what_is_missing_or_old_is_marked_and_soon_asked_for_again():
    told = suffix(standing(Listing(read_at=NOW), partial=("box", "web"), stale=("web",), is_private=True))
    assert (told["_meta"][PARTIAL], told["_meta"][STALE]) == (["box", "web"], ["web"])
    assert (told["ttlMs"], told["cacheScope"], told["resultType"]) == (PARTIAL_TTL_MS, "private", "complete")


@pytest.mark.requirement("L14")
def test_a_legacy_client_is_told_no_hints():
    assert standing(Listing(read_at=NOW)).suffix(Era.LEGACY, NOW) == b""
    assert suffix(standing(partial=("box",)), Era.LEGACY) == {"_meta": {PARTIAL: ["box"]}}


def test_hits_go_on_the_account_of_every_server_with_the_age_of_its_own_list(clock: FakeClock):
    cache = ResponseCache(clock, CacheConfig)
    one = standing(Listing(read_at=NOW - 10), Listing(read_at=NOW - 1))
    for moment in (NOW, NOW + 2):
        one.hit(moment)
    one.count("tools/list", cache)
    one.count("tools/list", cache)
    old, new = (cache.counts["tools/list", server] for server in ("s0", "s1"))
    assert (old.hits, old.age_s, old.max_age_s) == (2, 22, 12)
    assert (new.hits, new.age_s, new.max_age_s) == (2, 4, 3)


LISTINGS = st.builds(
    Listing,
    ttl_ms=st.integers(0, 90_000),
    read_at=st.integers(0, 100).map(float),
    is_synthetic=st.booleans(),
    is_fed=st.booleans(),
)


@given(st.lists(LISTINGS, min_size=1, max_size=8), st.integers(0, 200_000))
def test_a_list_is_told_as_good_for_as_long_as_the_part_that_grows_old_first(
    listings: list[Listing], after_ms: int
):
    now = 100 + after_ms / 1000
    shortest = min(listing.told_ttl_ms(now) for listing in listings)
    # Both are rounded to milliseconds from floating seconds.
    assert abs(standing(*listings).ttl_ms(now) - min(shortest, MAX_TTL_MS)) <= 1


def test_what_is_told_follows_from_one_part_of_each_kind():
    steady = [Listing(ttl_ms=ttl, is_synthetic=True, is_fed=True) for ttl in (60_000, 50_000)]
    aging = [Listing(ttl_ms=55_000, read_at=0.0), Listing(ttl_ms=52_000, read_at=1.0)]
    stands = standing(*steady, *aging)
    assert [stands.ttl_ms(now) for now in (1.0, 5.5, 60.0)] == [50_000, 47_500, 0]
