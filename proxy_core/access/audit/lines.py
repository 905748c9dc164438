"""The lines of the audit, but for those of calls, as they stand in a file; and reading them. Pure."""

from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct


class Line(Struct, kw_only=True, omit_defaults=True, tag_field="kind"):
    """What all have. `seq` and `time` are given when it is written."""

    seq: int = -1
    time: str = ""
    """RFC 3339, UTC."""


class Refused(Line, kw_only=True, tag="refused"):
    """A request was not let in; equal ones of a second are one line."""

    where: str
    """mcp or admin"""
    principal: str = ""
    peer: str = ""
    path: str = ""
    code: int
    """HTTP status, or JSON-RPC code."""
    why: str
    count: int


class Act(Line, kw_only=True, tag="admin"):
    """Somebody steered the gateway."""

    principal: str
    act: str
    target: str = ""
    detail: dict[str, str] = {}
    outcome: str
    """ok or error"""
    code: int | None = None
    why: str = ""
    ms: float = -1.0


class Configured(Line, kw_only=True, tag="config"):
    """Another configuration is in force. Keys and ids, never values."""

    principal: str
    path: str = ""
    settings: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()


class Happened(Line, kw_only=True, tag="event"):
    """Something that those who look back must know, and that nobody did here."""

    what: str
    server: str = ""
    target: str = ""
    detail: dict[str, str] = {}


class Opened(Line, kw_only=True, tag="file"):
    """The first line of every file."""

    file: int
    """Its number."""
    oldest: int
    """The number of the oldest file that is kept as of now."""
    chain: str
    key: str = ""
    """Which key, of an HMAC."""
    before: str
    """The hash of the last line of the file before."""
    version: str
    torn_bytes: int = 0
    torn_sha256: str = ""
    """Of half a line at the end of the file before, which a crash left there."""


class Torn(Line, kw_only=True, tag="torn"):
    """What stands before it is half a line, which a crash left there."""

    bytes: int
    sha256: str


class Gap(Line, kw_only=True, tag="gap"):
    """The files were not as they had been left when the gateway came back to them."""

    why: str
    head_seq: int = 0
    head_hash: str = ""


class Lost(Line, kw_only=True, tag="lost"):
    """So many lines could not be written before this one."""

    count: int
    why: str


_CHAINING: Final = frozenset({"file", "torn", "gap"})


class Head(Struct, kw_only=True, omit_defaults=True, tag_field="kind", tag="head"):
    """Beside the files: which line is the last that is on the disk for good."""

    file: int
    seq: int
    before: str
    """Its hash."""


class Other(Struct):
    """What is read of any line but those that hold the chain together: newer versions may write others."""

    kind: str
    seq: int


Known: TypeAlias = Opened | Torn | Gap | Other


encoded: Final = msgspec.json.Encoder().encode
decoded_head: Final[Callable[[bytes], Head]] = msgspec.json.Decoder(Head).decode
_decoded_other: Final[Callable[[bytes], Other]] = msgspec.json.Decoder(Other).decode
_decoded_known: Final[Callable[[bytes], Opened | Torn | Gap]] = msgspec.json.Decoder(Opened | Torn | Gap).decode


def decoded(json: bytes) -> Known:
    """Raises: msgspec.DecodeError."""
    line = _decoded_other(json)
    return _decoded_known(json) if line.kind in _CHAINING else line
