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


class Who(Struct, kw_only=True, omit_defaults=True):
    """What is the same for many calls, of a line of kind `call`: who asked what of whom."""

    principal: str
    client: str = ""
    """Self-reported."""
    session: str = ""
    peer: str = ""
    era: str
    method: str
    target: str = ""
    server: str = ""
    rule: str = ""


class Said(Struct, kw_only=True, omit_defaults=True):
    """What a line of kind `call` may say of its arguments."""

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
        self._shown_ms = self._shown_second = -1
        self._second = self._time = b""
        self._rule_of = rule_of
        self.forget()

    def forget(self) -> None:
        """The rules may be others now."""
        self._who = lru_cache(maxsize=1024)(self._who_asked)

    def set_clock(self, monotonic: float, wall: float) -> None:
        """How late it is; from time to time, for a wall clock may be put right."""
        self._offset = wall - monotonic

    def time(self, at: float) -> bytes:
        """Of a monotonic instant."""
        ms = int((at + self._offset) * 1000)
        if ms != self._shown_ms:
            second = ms // 1000
            if second != self._shown_second:
                self._shown_second = second
                self._second = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.").encode()
            self._shown_ms, self._time = ms, b"%b%03dZ" % (self._second, ms % 1000)
        return self._time

    def call(self, entry: CallEntry) -> bytes:
        """The members of its line, but for kind and number."""
        finished, session, profile, peer, bytes_in, params = entry
        code = finished.error_code
        who = self._who(
            finished.principal,
            finished.client,
            session,
            peer,
            finished.era,
            finished.method,
            finished.target,
            finished.server,
            profile,
        )
        # By hand: most of what the audit costs would else be made here.
        return b'"time":"%b",%b,%b,"ms":%.3f,"bytes_in":%d,"bytes_out":%d%b}' % (
            self.time(finished.at),
            who,
            _OK if code is None and not finished.is_tool_error else _outcome(code),
            finished.duration_ms,
            bytes_in,
            finished.bytes_out,
            b"" if params is None else _said(params, bytes_in),
        )

    def other(self, entry: LineEntry) -> Line:
        line, at = entry
        line.time = self.time(at).decode()
        return line

    def _who_asked(
        self,
        principal: str,
        client: str,
        session: str | None,
        peer: str,
        era: str,
        method: str,
        target: str | None,
        server: str | None,
        profile: str,
    ) -> bytes:
        shown = None if target is None else _cut(target)
        who = Who(
            principal=name(principal),
            client=word(client),
            session=session or "",
            peer=peer,
            era=era,
            method=word(method),
            target=word(target or ""),
            server=server or "",
            rule=name(self._rule_of(profile, _cut(method), shown, server)),
        )
        return encoded(who)[1:-1]


_OK: Final = b'"outcome":"ok"'


def _outcome(code: int | None) -> bytes:
    if code is None:
        # A result with `isError`: the tool's failure.
        return b'"outcome":"ok","is_error":true'
    return b'"outcome":"%b","code":%d' % (b"cancelled" if code == GAVE_UP else b"error", code)


def _cut(text: str) -> str:
    return text if len(text) <= _LOOKED_AT else text[:_LOOKED_AT]


def word(text: str) -> str:
    """What anybody said, as it may stand in a line: masked, and cut."""
    return masked_text(_cut(text)).text[:MAX_WORD] if text else ""


def name(text: str) -> str:
    """What the configuration or an issuer calls somebody: `token:ci` is no secret, though it looks like one."""
    return text[:MAX_WORD] if text.isascii() else text[:MAX_WORD].encode(errors="replace").decode()


class _Params(Struct):
    arguments: Raw = Raw(b"{}")


_params_of: Final = msgspec.json.Decoder(_Params).decode


def _said(params: Raw, bytes_in: int) -> bytes:
    """More members of a line."""
    return b"," + encoded(_arguments(params, bytes_in))[1:-1]


def _arguments(params: Raw, bytes_in: int) -> Said:
    if params is LEFT_OUT:
        too_many = "too many bytes" if bytes_in > MAX_ARGUMENT_BYTES else "too many lines waited"
        return Said(arguments_left_out=too_many)
    try:
        text = masked_body(bytes(_params_of(params).arguments)).text
        if len(text) > MAX_ARGUMENTS:
            more = f"{len(text) - MAX_ARGUMENTS} more characters"
            return Said(arguments=text[:MAX_ARGUMENTS], arguments_left_out=more)
        # As JSON in JSON, and on one line.
        return Said(arguments=Raw(msgspec.json.format(text.encode(), indent=-1)))
    except (msgspec.MsgspecError, UnicodeError):
        return Said(arguments_left_out="they are no JSON")


encoded: Final = msgspec.json.Encoder().encode
decoded_head: Final[Callable[[bytes], Head]] = msgspec.json.Decoder(Head).decode
_decoded_other: Final[Callable[[bytes], Other]] = msgspec.json.Decoder(Other).decode
_decoded_known: Final[Callable[[bytes], Opened | Torn | Gap]] = msgspec.json.Decoder(Opened | Torn | Gap).decode


def decoded(json: bytes) -> Known:
    """Raises: msgspec.DecodeError."""
    line = _decoded_other(json)
    return _decoded_known(json) if line.kind in _CHAINING else line
