"""How lines hang together: each ends with a hash over the hash before it and its own bytes. Pure.

A line is a JSON object whose last member is `hash`. What is hashed is what stands before that member, as it
stands there: nothing is read and written anew to verify it, so that there is one way only to be right.
"""

import hashlib
import hmac
from typing import Final

GENESIS: Final = b"0" * 64
"""The hash before the first line of all."""
MAX_LINE: Final = 65_536
"""Bytes of a line with its end; none is written that is longer."""
_MARK: Final = b',"hash":"'
_END: Final = b'"}'
_TAIL: Final = len(_MARK) + 64 + len(_END)
_HEX: Final = frozenset(b"0123456789abcdef")
_KEY_ID: Final = b"only1mcp audit key"


class Chain:
    """SHA-256, or HMAC of it where there is a key: who has not got the key can then make no line."""

    def __init__(self, key: str | None = None) -> None:
        self._fresh = hashlib.sha256() if key is None else hmac.new(key.encode(), digestmod="sha256")
        """With the key in it, if any, and nothing else yet: a copy costs less than to begin anew."""
        self.name: Final = "sha256" if key is None else "hmac-sha256"
        self.key_id: Final = "" if key is None else hmac.digest(key.encode(), _KEY_ID, "sha256").hex()[:16]
        """Tells keys apart, and says nothing of them."""

    def __repr__(self) -> str:
        return f"Chain({self.name}{f', key {self.key_id}' if self.key_id else ''})"

    def hash(self, before: bytes, body: bytes) -> bytes:
        """Of a line, in hex. `before`: of the line before it."""
        return self.sealed(before, body)[1]

    def sealed(self, before: bytes, body: bytes) -> tuple[bytes, bytes]:
        """An object's JSON without its last brace, as a line with its end, and its hash."""
        hashed = self._fresh.copy()
        hashed.update(before + body)
        digest = hashed.hexdigest().encode()
        return b'%b,"hash":"%b"}\n' % (body, digest), digest


def split(line: bytes) -> tuple[bytes, bytes] | None:
    """What is hashed of a line without its end, and the hash that it says; None: it is no line of ours."""
    body, tail = line[:-_TAIL], line[-_TAIL:]
    digest = tail[len(_MARK) : -len(_END)]
    if not (
        body.startswith(b"{") and tail.startswith(_MARK) and tail.endswith(_END) and _HEX.issuperset(digest)
    ):
        return None
    return body, digest
