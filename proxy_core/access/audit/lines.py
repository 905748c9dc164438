"""The lines of the audit, and how what happened becomes one: masked, cut, timed. Pure, and meant for a thread.

Everything that a client or a server said is cut first, so that nobody makes a line long, and then masked.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, TypeAlias

import msgspec
from msgspec import Raw, Struct

from proxy_core.facts import RequestFinished
from proxy_core.telemetry.masking import MAX_JSON_BYTES, masked_body, masked_text

MAX_WORD: Final = 256
"""Characters of what anybody said, in a line."""
_LOOKED_AT: Final = 4 * MAX_WORD
"""Characters that are masked before it is cut to that: none is shown of a secret that would be cut in two."""
MAX_ARGUMENTS: Final = 8192
"""Characters of arguments in a line."""
MAX_ARGUMENT_BYTES: Final = MAX_JSON_BYTES
"""Of params that are looked at; of longer ones the size alone is told."""
GAVE_UP: Final = -1
WITH_ARGUMENTS: Final = frozenset({"tools/call", "prompts/get"})
LEFT_OUT: Final = Raw(b"")
"""Params that were not kept: they are too long, or too many wait."""
RuleOf: TypeAlias = Callable[[str, str, str | None, str | None], str]
"""Of a profile, a method, a target and a server: which rule of the policy let a call through, or did not."""


def profile_name(profile: str, method: str, target: str | None, server: str | None) -> str:
    """The rule, where nothing finer is known."""
    return profile


class Line(Struct, kw_only=True, omit_defaults=True, tag_field="kind"):
    """What all have. `seq` and `time` are given when it is written."""

    seq: int = -1
    time: str = ""
    """RFC 3339, UTC."""


class Call(Line, kw_only=True, tag="call"):
    """A client's request was answered, well or not."""

    principal: str
    client: str = ""
    """Self-reported."""
    session: str = ""
    peer: str = ""
    era: str
    method: str
    target: str = ""
    server: str = ""
    outcome: str
    """ok, error or cancelled"""
    code: int | None = None
    is_error: bool = False
    """A result with `isError`: the tool's failure."""
    ms: float
    bytes_in: int
    bytes_out: int
    rule: str = ""
    arguments: Raw | str | None = None
    arguments_left_out: str = ""
    """Why there are none, or not all, where they are asked for."""


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


CallEntry: TypeAlias = tuple[RequestFinished, str | None, str, str, int, Raw | None]
"""A call as it waits to be written, made on its way: the fact, session, profile, peer, bytes in, and params if
its arguments are wanted."""
LineEntry: TypeAlias = tuple[Line, float]
"""Any other line, and the `Clock.monotonic()` of what it tells."""


class Writing:
    """From entries to lines, for one thread."""

    def __init__(self, rule_of: RuleOf = profile_name) -> None:
        """`rule_of` is called in that thread, and may be remembered until `forget`: the same for the same."""
        self._offset = 0.0
        self._second = -1
        self._shown_second = ""
        self._rule_of = rule_of
        self.forget()

    def forget(self) -> None:
        """The rules may be others now."""
        self._rule = lru_cache(maxsize=4096)(self._safe_rule)

    def _safe_rule(self, profile: str, method: str, target: str | None, server: str | None) -> str:
        return name(self._rule_of(profile, method, target, server))

    def set_clock(self, monotonic: float, wall: float) -> None:
        """How late it is; from time to time, for a wall clock may be put right."""
        self._offset = wall - monotonic

    def time(self, at: float) -> str:
        """Of a monotonic instant."""
        wall = at + self._offset
        second = int(wall)
        if second != self._second:
            self._second = second
            self._shown_second = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
        return f"{self._shown_second}{int((wall - second) * 1000):03d}Z"

    def line(self, entry: CallEntry | LineEntry) -> Line:
        if len(entry) == 2:
            line, at = entry
            line.time = self.time(at)
            return line
        return self._call(entry)

    def _call(self, entry: CallEntry) -> Call:
        finished, session, profile, peer, bytes_in, params = entry
        method, target, server, code = finished.method, finished.target, finished.server, finished.error_code
        shown = "" if target is None else _cut(target)
        line = Call(
            time=self.time(finished.at),
            principal=name(finished.principal),
            client=_word(finished.client),
            session=session or "",
            peer=peer,
            era=finished.era,
            method=_word(_cut(method)),
            target=_word(shown),
            server=server or "",
            outcome="ok" if code is None else "cancelled" if code == GAVE_UP else "error",
            code=code,
            is_error=finished.is_tool_error,
            ms=round(finished.duration_ms, 3),
            bytes_in=bytes_in,
            bytes_out=finished.bytes_out,
            rule=self._rule(profile, _cut(method), shown or None, server),
        )
        if params is not None:
            _add_arguments(line, params, bytes_in)
        return line


def _cut(text: str) -> str:
    return text if len(text) <= _LOOKED_AT else text[:_LOOKED_AT]


def word(text: str) -> str:
    """What anybody said, as it may stand in a line: masked, and cut."""
    return _word(_cut(text))


def name(text: str) -> str:
    """What the configuration or an issuer calls somebody: `token:ci` is no secret, though it looks like one."""
    return text[:MAX_WORD] if text.isascii() else text[:MAX_WORD].encode(errors="replace").decode()


@lru_cache(maxsize=4096)
def _word(text: str) -> str:
    return masked_text(text).text[:MAX_WORD]


class _Params(Struct):
    arguments: Raw = Raw(b"{}")


_params_of: Final = msgspec.json.Decoder(_Params).decode


def _add_arguments(line: Call, params: Raw, bytes_in: int) -> None:
    if params is LEFT_OUT:
        line.arguments_left_out = "too many bytes" if bytes_in > MAX_ARGUMENT_BYTES else "too many lines waited"
        return
    try:
        text = masked_body(bytes(_params_of(params).arguments)).text
        if len(text) <= MAX_ARGUMENTS:
            # As JSON in JSON, and on one line.
            line.arguments = Raw(msgspec.json.format(text.encode(), indent=-1))
        else:
            line.arguments = text[:MAX_ARGUMENTS]
            line.arguments_left_out = f"{len(text) - MAX_ARGUMENTS} more characters"
    except (msgspec.MsgspecError, UnicodeError):
        line.arguments_left_out = "they are no JSON"


encoded: Final = msgspec.json.Encoder().encode
decoded_head: Final[Callable[[bytes], Head]] = msgspec.json.Decoder(Head).decode
_decoded_other: Final[Callable[[bytes], Other]] = msgspec.json.Decoder(Other).decode
_decoded_known: Final[Callable[[bytes], Opened | Torn | Gap]] = msgspec.json.Decoder(Opened | Torn | Gap).decode


def decoded(json: bytes) -> Known:
    """Raises: msgspec.DecodeError."""
    line = _decoded_other(json)
    return _decoded_known(json) if line.kind in _CHAINING else line
