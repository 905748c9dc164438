"""Which heads are remembered, and by what: two with one key differ in the digits of one length alone."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_core import known_heads

LINE = b"\r\nContent-Length: "


def read(head: bytes) -> tuple[bytes, known_heads.HeadKey] | None:
    return known_heads.read(head + b"\r\n\r\nbody", len(head))


def test_heads_that_differ_in_their_length_alone_have_one_key() -> None:
    short, long = (
        read(b"POST / HTTP/1.1" + LINE + b"7\r\nHost: a"),
        read(b"POST / HTTP/1.1" + LINE + b"12\r\nHost: a"),
    )
    assert short is not None and long is not None
    assert (short[0], long[0]) == (b"7", b"12")
    assert short[1] == long[1]


@pytest.mark.parametrize(
    "other",
    [
        b"POST / HTTP/1.1" + LINE + b"7\r\nHost: b",
        b"POST / HTTP/1.1\r\nHost: a" + LINE + b"7",
        b"POST / HTTP/1.1\r\ncontent-length: 7\r\nHost: a\r\nX: y",
        b"POST / HTTP/1.1" + LINE + b"7\r\nHost: a" + LINE + b"7",
        b"POST / HTTP/1.1" + LINE + b"7\r\n Host: a",
    ],
)
def test_any_other_difference_is_another_key(other: bytes) -> None:
    first, second = read(b"POST / HTTP/1.1" + LINE + b"7\r\nHost: a"), read(other)
    assert first is not None and second is not None
    assert first[1] != second[1]


@pytest.mark.parametrize("value", [b"", b"+7", b" 7", b"7 ", b"7,7", b"0x7", b"-1", b"1" * 11, b"\xc2\xb2"])
def test_a_length_that_is_not_digits_alone_is_not_remembered(value: bytes) -> None:
    assert read(b"POST / HTTP/1.1" + LINE + value + b"\r\nHost: a") is None


def test_a_head_without_a_length_and_a_long_one_are_not_remembered() -> None:
    assert read(b"POST / HTTP/1.1\r\nHost: a") is None
    assert read(b"POST / HTTP/1.1" + LINE + b"7\r\nX: " + b"x" * known_heads.MAX_BYTES) is None
    assert known_heads.read(b"POST / HTTP/1.1" + LINE + b"7", -1) is None


PIECES = st.sampled_from([LINE, b"\r\ncontent-length: ", b"\r\nX: ", b"1", b"22", b" ", b"\r\n", b"a", b":"])


@given(st.lists(PIECES, max_size=12), st.lists(PIECES, max_size=12))
def test_one_key_means_one_head_but_for_its_digits(one: list[bytes], other: list[bytes]) -> None:
    heads = [b"POST / HTTP/1.1" + b"".join(pieces) for pieces in (one, other)]
    first, second = (read(head) for head in heads)
    if first is None or second is None or first[1] != second[1]:
        return
    at = first[1].at
    name = re.match(rb"\r\n[^:]+: ", heads[0][at:])
    again = re.match(rb"\r\n[^:]+: ", heads[1][at:])
    assert name is not None and again is not None
    begins = [head[:at] for head in heads]
    ends = [
        head[at + len(found[0]) + len(length) :]
        for head, found, length in zip(heads, (name, again), (first[0], second[0]), strict=True)
    ]
    assert begins[0] == begins[1]
    assert ends[0] == ends[1]
