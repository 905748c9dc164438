"""URIs that results pointed to: remembered for one principal, for an hour, so many and no more."""

import pytest

from proxy_core.catalog.seen import KEEP_S, MAX_SEEN, MAX_SEEN_CHARS, SeenUris


@pytest.fixture
def seen() -> SeenUris:
    seen = SeenUris()
    seen.remember("ann", "x:1", "box", 0)
    return seen


@pytest.mark.requirement("N09")
def test_what_one_principal_was_told_is_nothing_to_another(seen: SeenUris):
    assert seen.server_of("ann", "x:1", 1) == "box"
    assert seen.server_of("bob", "x:1", 1) is None


def test_it_is_kept_for_an_hour_after_it_was_last_asked_for(seen: SeenUris):
    assert seen.server_of("ann", "x:1", KEEP_S) == "box"
    assert seen.server_of("ann", "x:1", 2 * KEEP_S) == "box"
    assert seen.server_of("ann", "x:1", 3 * KEEP_S + 1) is None
    assert len(seen) == 0


def test_the_last_one_who_told_of_it_has_it(seen: SeenUris):
    seen.remember("ann", "x:1", "other", 1)
    assert seen.server_of("ann", "x:1", 2) == "other"


def test_what_was_not_used_for_longest_makes_room(seen: SeenUris):
    for number in range(MAX_SEEN - 1):
        seen.remember("bob", f"y:{number}", "box", 1)
    assert seen.server_of("ann", "x:1", 1) == "box"
    seen.remember("bob", "one more", "box", 1)
    assert len(seen) == MAX_SEEN
    assert seen.server_of("bob", "y:0", 1) is None
    assert seen.server_of("ann", "x:1", 1) == "box"


def test_a_uri_of_absurd_length_is_not_kept(seen: SeenUris):
    seen.remember("ann", "x" * (MAX_SEEN_CHARS + 1), "box", 0)
    assert len(seen) == 1
