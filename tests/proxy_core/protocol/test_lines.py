import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_core.errors import Only1Error
from proxy_core.protocol.lines import FrameTooLarge, LineFramer


def chunks(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def test_lines_come_out_when_their_end_arrives():
    framer = LineFramer(100)
    assert framer.feed(b'{"a"') == []
    assert framer.pending == 4
    assert framer.feed(b':1}\n{"b":2}\n{"c') == [b'{"a":1}', b'{"b":2}']
    assert framer.pending == 3


def test_blank_lines_are_dropped_and_one_carriage_return_is_taken_off():
    assert LineFramer(100).feed(b"\n\r\n  \t\na\r\nb\r\r\n") == [b"a", b"b\r"]


def test_a_line_of_exactly_the_limit_passes_and_a_longer_one_does_not():
    assert LineFramer(4).feed(b"abcd\nefgh\n") == [b"abcd", b"efgh"]
    with pytest.raises(FrameTooLarge):
        LineFramer(4).feed(b"abcde")
    with pytest.raises(FrameTooLarge):
        LineFramer(4).feed(b"ab\nabcde\n")


def test_a_line_that_drips_in_is_cut_off_at_the_limit_not_after():
    framer = LineFramer(1000)
    with pytest.raises(FrameTooLarge):
        for _ in range(1001):
            framer.feed(b"x")
    assert framer.pending == 1000


def test_a_large_line_in_small_chunks_is_put_together_in_linear_time():
    data = b"x" * 4_000_000 + b"\n"
    framer = LineFramer(len(data))
    lines = [line for chunk in chunks(data, 64) for line in framer.feed(chunk)]
    assert lines == [data[:-1]]


@settings(max_examples=200)
@given(data=st.binary(max_size=200), size=st.integers(1, 50))
def test_the_chunks_make_no_difference(data: bytes, size: int):
    framer = LineFramer(1000)
    in_chunks = [line for chunk in chunks(data, size) for line in framer.feed(chunk)]
    assert in_chunks == LineFramer(1000).feed(data)
    assert all(line and b"\n" not in line for line in in_chunks)


@settings(max_examples=200)
@given(parts=st.lists(st.binary(max_size=60), max_size=20))
def test_any_bytes_give_lines_or_our_error(parts: list[bytes]):
    framer = LineFramer(30)
    try:
        for part in parts:
            framer.feed(part)
    except Only1Error:
        pass
    assert framer.pending <= 30
