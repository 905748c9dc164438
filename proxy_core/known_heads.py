"""Heads of HTTP messages that come again but for their Content-Length: what they are remembered by. Pure.

llhttp reads each head once; the next with equal bytes is known, and its body is as long as it says.
Spec: RFC 9112, sections 5.2 (continued lines) and 6.2.
"""

from typing import Final, NamedTuple

MAX_BYTES: Final = 2048
"""Of a head that is remembered."""
_MAX_DIGITS: Final = 10
"""More than the length of any body has."""
_LENGTHS: Final = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")


class HeadKey(NamedTuple):
    at: int
    """Where Content-Length stands, since what follows it may be its continuation."""
    rest: bytes
    """The head without it."""


def read(data: bytes, end: int) -> tuple[bytes, HeadKey] | None:
    """The digits of a head's Content-Length, and its key; None if it is not one to be remembered.

    `end`: where the empty line after the head begins.
    """
    if not 0 <= end <= MAX_BYTES:
        return None
    for name in _LENGTHS:
        at = data.find(name, 0, end)
        if at >= 0:
            line_end = data.find(b"\r\n", at + len(name), end + 2)
            length = data[at + len(name) : line_end]
            # Digits alone, as llhttp has them too.
            if length.isdigit() and len(length) <= _MAX_DIGITS:
                return length, HeadKey(at, data[:at] + data[line_end:end])
            break
    return None
