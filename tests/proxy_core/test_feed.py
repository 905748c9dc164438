from hypothesis import given
from hypothesis import strategies as st

from proxy_core.feed import Feed


def test_an_empty_feed_has_nothing_newer_than_nothing():
    feed: Feed[str] = Feed(3)
    assert (feed.last_seq, list(feed.after(0)), list(feed.after(7))) == (0, [], [])


def test_a_reader_gets_what_is_newer_than_what_it_has():
    feed: Feed[str] = Feed(3)
    for item in "abc":
        feed.publish(item)
    assert list(feed.after(0)) == [(1, "a"), (2, "b"), (3, "c")]
    assert list(feed.after(2)) == [(3, "c")]
    assert list(feed.after(3)) == []


def test_a_reader_that_was_away_for_too_long_sees_from_the_numbers_what_it_missed():
    feed: Feed[str] = Feed(2)
    for item in "abcd":
        feed.publish(item)
    assert list(feed.after(1)) == [(3, "c"), (4, "d")]


@given(st.integers(1, 5), st.integers(0, 20), st.integers(0, 25))
def test_numbers_belong_to_items_whatever_was_dropped(capacity: int, count: int, seq: int):
    feed: Feed[int] = Feed(capacity)
    for number in range(1, count + 1):
        feed.publish(number)
    kept = range(max(1, count - capacity + 1), count + 1)
    assert list(feed.after(seq)) == [(number, number) for number in kept if number > seq]


def test_a_consumer_gets_every_item_at_once_even_those_the_ring_drops():
    feed: Feed[str] = Feed(1)
    feed.publish("before")
    seen: list[str] = []
    feed.consume(seen.append)
    for item in "abc":
        feed.publish(item)
    assert seen == ["a", "b", "c"]
