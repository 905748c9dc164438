"""How what happened becomes a line: named, masked, timed. Pure, and meant for one thread.

The line of a call is made by hand from two parts: who asked what of whom, which is the same for many calls, and
how it went.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Protocol, TypeAlias

import msgspec
from msgspec import Raw, Struct

from proxy_core.access.audit.lines import Line, encoded
from proxy_core.access.audit.words import cut, name, word
from proxy_core.facts import RequestFinished
from proxy_core.telemetry.masking import MAX_JSON_BYTES, masked_body

MAX_ARGUMENTS: Final = 8192
"""Characters of arguments in a line."""
MAX_ARGUMENT_BYTES: Final = MAX_JSON_BYTES
"""Of params that are looked at; of longer ones the size alone is told."""
GAVE_UP: Final = -1
WITH_ARGUMENTS: Final = frozenset({"tools/call", "prompts/get"})
LEFT_OUT: Final = Raw(b"")
"""Params that were not kept: they are too long, or too many wait."""
RuleOf: TypeAlias = Callable[[str, str, str, str], str]
"""Of a profile, a method, a target as the client said it, and the server that answered, each of them empty
if there is none: which rule of the policy let a call through, or did not."""


class Asker(Protocol):
    """The client, as the gateway knows it."""

    @property
    def session(self) -> str | None: ...
    @property
    def profile(self) -> str: ...


CallEntry: TypeAlias = tuple[RequestFinished, Asker, str, int, Raw | None]
"""A call as it waits to be written, made on its way: the fact, who asked, peer, bytes in, and params if its
arguments are wanted."""
LineEntry: TypeAlias = tuple[Line, float]
"""Any other line, and the `Clock.monotonic()` of what it tells."""


def profile_name(profile: str, method: str, target: str, server: str) -> str:
    """The rule, where nothing finer is known."""
    return profile


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
        """The members of its line, but for kind and number; what closes it is still to come."""
        finished, asker, peer, bytes_in, params = entry
        code = finished.error_code
        who = self._who(
            finished.principal,
            finished.client,
            asker.session,
            peer,
            finished.era,
            finished.method,
            finished.target,
            finished.server,
            asker.profile,
        )
        # By hand: most of what the audit costs would else be made here.
        return b'"time":"%b",%b,%b,"ms":%.3f,"bytes_in":%d,"bytes_out":%d%b' % (
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
        who = Who(
            principal=name(principal),
            client=word(client),
            session=session or "",
            peer=peer,
            era=era,
            method=word(method),
            target=word(target or ""),
            server=server or "",
            rule=name(self._rule_of(profile, cut(method), cut(target or ""), server or "")),
        )
        return encoded(who)[1:-1]


_OK: Final = b'"outcome":"ok"'


def _outcome(code: int | None) -> bytes:
    if code is None:
        # A result with `isError`: the tool's failure.
        return b'"outcome":"ok","is_error":true'
    return b'"outcome":"%b","code":%d' % (b"cancelled" if code == GAVE_UP else b"error", code)


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
