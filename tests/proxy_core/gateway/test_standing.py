"""How one merged list stands: what clients are told of it, whatever it is made of."""

from hypothesis import given
from hypothesis import strategies as st

from proxy_core.backends.lists import Listing
from proxy_core.gateway.standing import MAX_TTL_MS, PARTIAL_TTL_MS, Part, Standing
from proxy_core.protocol.revisions import Era

READ_AT = st.integers(0, 100).map(float)
LISTINGS = st.builds(
    Listing,
    ttl_ms=st.integers(0, 90_000),
    read_at=READ_AT,
    is_synthetic=st.booleans(),
    is_fed=st.booleans(),
)


def standing(*listings: Listing, partial: tuple[str, ...] = ()) -> Standing:
    parts = tuple(Part(f"s{number}", listing) for number, listing in enumerate(listings))
    return Standing(parts, partial, (), False, 0.0)


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


def test_an_incomplete_list_is_told_as_good_for_a_moment():
    long = Listing(ttl_ms=60_000)
    assert standing(long, partial=("gone",)).ttl_ms(1.0) == PARTIAL_TTL_MS
    assert standing(partial=("gone",)).ttl_ms(1.0) == PARTIAL_TTL_MS


def test_only_modern_clients_are_told():
    stands = standing(Listing(ttl_ms=9_000))
    assert stands.suffix(Era.LEGACY, 0.0) == b""
    assert stands.suffix(Era.MODERN, 2.0).startswith(b',"ttlMs":7000,"cacheScope":"public"')
