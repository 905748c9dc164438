from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_core.errors import Only1Error
from proxy_core.protocol.lines import FrameTooLarge
from proxy_core.protocol.sse import (
    KEEPALIVE,
    SseEvent,
    SseParser,
    encode_event,
    has_event_with,
    priming_event,
)


def parse(data: bytes, chunk_size: int = 0) -> list[SseEvent]:
    parser = SseParser(10_000)
    size = chunk_size or len(data) or 1
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    return [event for part in parts for event in parser.feed(part)]


def data_of(data: bytes) -> list[bytes]:
    return [event.data for event in parse(data)]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize("chunk_size", [0, 1, 2, 3])
def test_all_three_line_ends_work_in_any_chunks(end: bytes, chunk_size: int):
    stream = end.join([b"event: a", b"data: 1", b"data: 2", b"", b"data: 3", b"", b""])
    events = parse(stream, chunk_size)
    assert [(event.event, event.data) for event in events] == [("a", b"1\n2"), ("message", b"3")]


def test_an_event_ends_with_the_carriage_return_and_does_not_wait_for_a_line_feed():
    parser = SseParser(100)
    assert [event.data for event in parser.feed(b"data: 1\r\n\r")] == [b"1"]
    assert [event.data for event in parser.feed(b"\ndata: 2\r\n\r\n")] == [b"2"]


def test_a_byte_order_mark_at_the_start_is_skipped_even_in_pieces():
    assert data_of(b"\xef\xbb\xbfdata: 1\n\n") == [b"1"]
    assert [event.data for event in parse(b"\xef\xbb\xbfdata: 1\n\n", 1)] == [b"1"]
    assert data_of(b"data: 1\n\n\xef\xbb\xbfdata: 2\n\n") == [b"1"]


def test_comments_unknown_fields_and_fields_without_a_colon():
    assert data_of(b": hello\nnonsense: 1\nstill nonsense\ndata: 1\n\n") == [b"1"]
    assert data_of(b"data\n\n") == [b""]
    assert data_of(b"data\ndata\n\n") == [b"\n"]


def test_one_space_after_the_colon_is_taken_off():
    assert data_of(b"data:1\n\ndata: 1\n\ndata:  1\n\n") == [b"1", b"1", b" 1"]


def test_an_event_without_data_is_not_one_and_its_type_is_forgotten():
    events = parse(b"event: lost\n\ndata: 1\n\n")
    assert [(event.event, event.data) for event in events] == [("message", b"1")]


def test_an_event_that_never_ends_is_not_told():
    assert parse(b"data: 1\n") == []


def test_ids_and_retry_last_until_the_next_and_are_known_without_an_event():
    parser = SseParser(100)
    assert parser.feed(b"id: 7\nretry: 250\n\n") == []
    assert (parser.last_event_id, parser.retry_ms) == ("7", 250)
    assert parser.feed(b"data: x\n\n") == [SseEvent("message", b"x", "7", 250)]
    assert parser.feed(b"id\ndata: x\n\n")[0].id == ""


@pytest.mark.parametrize("value", [b"", b"x", b"-1", b"1.5", b"1 ", b"9" * 5000, "٣".encode()])
def test_a_retry_that_is_no_sane_number_is_ignored(value: bytes):
    parser = SseParser(10_000)
    parser.feed(b"retry:" + value + b"\n\n")
    assert parser.retry_ms is None


def test_an_id_with_a_zero_byte_is_ignored():
    parser = SseParser(100)
    parser.feed(b"id: good\n\nid: ba\0d\n\n")
    assert parser.last_event_id == "good"


def test_an_event_above_the_limit_is_refused_in_one_line_or_in_many():
    with pytest.raises(FrameTooLarge):
        SseParser(20).feed(b"data: " + b"x" * 20)
    with pytest.raises(FrameTooLarge):
        SseParser(20).feed(b"data: xxx\n" * 20)
    assert len(SseParser(20).feed(b"data: xxx\n\n" * 20)) == 20


def test_a_priming_event_tells_its_id_with_empty_data():
    assert parse(priming_event("s1/0", 1500)) == [SseEvent("message", b"", "s1/0", 1500)]
    assert parse(priming_event("s1/0")) == [SseEvent("message", b"", "s1/0", None)]


def test_what_we_send_is_framed_as_the_spec_shows_and_a_keep_alive_is_no_event():
    assert encode_event(b'{"a":1}') == b'event: message\r\ndata: {"a":1}\r\n\r\n'
    assert encode_event(b"1", "endpoint", "9") == b"event: endpoint\r\nid: 9\r\ndata: 1\r\n\r\n"
    assert data_of(KEEPALIVE + encode_event(b"1") + KEEPALIVE) == [b"1"]


def test_an_event_is_known_by_its_whole_data_whatever_its_id():
    events = [encode_event(b'{"n":1}', event_id="1-7"), KEEPALIVE]
    assert has_event_with(events, b'{"n":1}')
    assert not has_event_with(events, b'"n":1}')
    assert not has_event_with(events, b"1}")


def test_a_large_event_in_small_chunks_is_put_together_in_linear_time():
    stream = encode_event(b"x" * 2_000_000)
    parser = SseParser(3_000_000)
    events = [event for i in range(0, len(stream), 64) for event in parser.feed(stream[i : i + 64])]
    assert [len(event.data) for event in events] == [2_000_000]


@settings(max_examples=200)
@given(
    stream=st.lists(st.sampled_from([b"data", b":", b" ", b"\r", b"\n", b"id", b"x", b"\xef\xbb\xbf"])).map(
        b"".join
    ),
    size=st.integers(1, 7),
)
def test_the_chunks_make_no_difference(stream: bytes, size: int):
    assert parse(stream, size) == parse(stream)


PIECES = [
    b"event: message\n",
    b"event: message\r\n",
    b"event: other\n",
    b"id: 1\r",
    b"id: 2\n",
    b"data: x",
    b"data:",
    b"\n",
    b"\n\n",
    b"\r\n\r\n",
    b"\r",
    b": c\n",
]


@settings(max_examples=500)
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=12), cuts=st.sets(st.integers(0, 60)))
def test_an_event_that_comes_in_one_piece_is_read_as_one_that_does_not(pieces: list[bytes], cuts: set[int]):
    stream = b"".join(pieces)
    whole, one_by_one, cut = (SseParser(1000) for _ in range(3))
    told = whole.feed(stream)
    assert told == [event for i in range(len(stream)) for event in one_by_one.feed(stream[i : i + 1])]
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    parts = [stream[a:b] for a, b in pairwise(edges)]
    assert told == [event for part in parts for event in cut.feed(part)]
    # What comes next finds them all in the same state.
    following = b"\ndata: y\n\n"
    assert whole.feed(following) == one_by_one.feed(following) == cut.feed(following)
    assert whole.last_event_id == one_by_one.last_event_id == cut.last_event_id


@settings(max_examples=200)
@given(parts=st.lists(st.binary(max_size=60), max_size=20))
def test_any_bytes_give_events_or_our_error(parts: list[bytes]):
    parser = SseParser(50)
    try:
        for part in parts:
            assert all(len(event.data) <= 50 for event in parser.feed(part))
    except Only1Error:
        pass
