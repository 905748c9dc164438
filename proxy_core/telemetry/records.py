"""What is shown of a recorded exchange, made of its trace: secrets masked, bodies cut, times from its start.

Pure. The one way from what was held as it came to what anybody may see; a record that is kept is one block of
bytes beside its row, so that thousands cost little and no collector looks at them.
"""

import hashlib
from collections.abc import Iterator
from operator import attrgetter, itemgetter
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import fields

from proxy_core.facts import RequestFinished
from proxy_core.telemetry.exchanges import (
    ExchangeDetail,
    ExchangeRow,
    ExchangeStatus,
    Hop,
    Message,
    MessageKind,
    Step,
)
from proxy_core.telemetry.masking import masked_body, masked_headers, masked_text
from proxy_core.telemetry.trace import (
    ANSWERED,
    KEPT_BYTES,
    OVERLAP_BYTES,
    REQUESTED,
    RETURNED,
    SENT,
    Did,
    Line,
    Said,
    Trace,
    beginning,
)

OFF: Final = "off"
FULL: Final = "full"
REPLAYABLE: Final = frozenset(
    {
        *("tools/call", "prompts/get", "resources/read", "completion/complete"),
        *("tools/list", "prompts/list", "resources/list", "resources/templates/list"),
    }
)
MAX_METHOD: Final = 128
CANCELLED: Final = -1
"""How a request that its client gave up is counted."""
BRIEF: Final = "more requests came at the same time than could be recorded in full"
_SESSION_CHARS: Final = 8
_MEMBERS: Final = tuple(field.name for field in fields(Message))
_values: Final = attrgetter(*_MEMBERS)
_AFTER_INPUT: Final = (b'"requestState"', b'"inputResponses"')


class Kept(Struct, gc=False):
    """An exchange that has ended, as it may be shown."""

    seq: int
    row: ExchangeRow
    rest: bytes
    """Of its detail, packed."""


class Brief(Struct, gc=False):
    """An exchange of which only the end was recorded."""

    id: int
    seq: int
    finished: RequestFinished
    bytes_in: int


class _Whole(Struct):
    """A JSON-RPC message, as far as it is looked at."""

    method: str = ""
    params: Raw = Raw(b"")


def row_of(trace: Trace, wall_offset: float) -> ExchangeRow:
    """`wall_offset`: what makes epoch seconds of monotonic ones."""
    caller, line = trace.caller, trace.line
    ended_at = trace.ended_at
    return ExchangeRow(
        id=trace.id,
        wall=trace.begun_at + wall_offset,
        client=masked_text(caller.client).text,
        principal=caller.principal,
        era=str(caller.era),
        revision=caller.revision,
        method=masked_text(trace.method[:MAX_METHOD]).text,
        target=masked_text(trace.target).text,
        server=trace.server,
        replica=trace.replica,
        status=trace.status,
        code=trace.failure.code if trace.failure is not None else None,
        duration_ms=None if ended_at is None else (ended_at - trace.begun_at) * 1000,
        server_ms=_server_ms(trace),
        bytes_in=trace.bytes_in,
        bytes_out=trace.size_out,
        saved=trace.saved,
        attempts=trace.attempts,
        rounds=trace.rounds,
        is_translated=line is not None and line.peer.era != caller.era,
        is_replay=trace.replay_of is not None,
    )


def row_in_brief(brief: Brief, wall_offset: float) -> ExchangeRow:
    end = brief.finished
    return ExchangeRow(
        id=brief.id,
        wall=end.at - end.duration_ms / 1000 + wall_offset,
        client=masked_text(end.client).text,
        principal=end.principal,
        era=str(end.era),
        revision=end.revision,
        method=end.method[:MAX_METHOD],
        target=end.target or "",
        server=end.server or "",
        replica="",
        status=status_of(end),
        code=end.error_code if status_of(end) is ExchangeStatus.ERROR else None,
        duration_ms=end.duration_ms,
        server_ms=None,
        bytes_in=brief.bytes_in,
        bytes_out=end.bytes_out,
    )


def detail_in_brief(brief: Brief, wall_offset: float) -> ExchangeDetail:
    row = row_in_brief(brief, wall_offset)
    steps = (Step(0.0, "arrived", BRIEF), Step(row.duration_ms or 0.0, "ended", str(row.status)))
    return ExchangeDetail(row, steps, why_not_replayable="Not all of the request was kept: " + BRIEF + ".")


def status_of(end: RequestFinished) -> ExchangeStatus:
    if end.error_code is None:
        return ExchangeStatus.TOOL_ERROR if end.is_tool_error else ExchangeStatus.OK
    return ExchangeStatus.CANCELLED if end.error_code == CANCELLED else ExchangeStatus.ERROR


def without_secrets(end: RequestFinished) -> RequestFinished:
    """Nearly always itself: what names a tool names no secret."""
    if end.error_code is None and (end.target is None or end.target.isidentifier()):
        return end
    target = None if end.target is None else masked_text(end.target).text
    method = masked_text(end.method[:MAX_METHOD]).text
    return msgspec.structs.replace(end, method=method, target=target)


def packed(trace: Trace, detail: ExchangeDetail) -> Kept:
    # Without the names of members, which would be most of it.
    steps = [(step.at_ms, step.name, step.text) for step in detail.steps]
    messages = [_values(message) for message in detail.messages]
    others = detail.profile, detail.session, detail.masked, detail.why_not_replayable, detail.replay_of
    rest = msgspec.msgpack.encode((steps, messages, others))
    return Kept(trace.seq, detail.row, rest)


def unpacked(kept: Kept) -> ExchangeDetail:
    steps, messages, others = msgspec.msgpack.decode(kept.rest)
    return ExchangeDetail(
        kept.row,
        tuple(Step(*step) for step in steps),
        tuple(map(_message_of, messages)),
        *others,
    )


def _message_of(values: list[Any]) -> Message:
    known = dict(zip(_MEMBERS, values, strict=True))
    known["hop"], known["kind"] = Hop(known["hop"]), MessageKind(known["kind"])
    known["headers"] = tuple((name, value) for name, value in known["headers"])
    return Message(**known)


class Making:
    """A detail in the making: a message at a time, so that whoever makes it may let others go on in between."""

    def __init__(self, trace: Trace, bodies: str, wall_offset: float) -> None:
        self._trace = trace
        self._bodies = bodies
        self._wall_offset = wall_offset
        self._messages: list[Message] = []
        self._masked = 0
        self._masked_in_request = 0

    def steps(self) -> Iterator[None]:
        """Each a piece of the work; then `detail` is there."""
        for said in _all_said(self._trace):
            message, masked, in_headers = self._message(said)
            self._messages.append(message)
            self._masked += masked + in_headers
            if said.way is REQUESTED:
                self._masked_in_request = masked
            yield

    def detail(self) -> ExchangeDetail:
        trace = self._trace
        session = trace.caller.session
        return ExchangeDetail(
            row_of(trace, self._wall_offset),
            _steps(trace),
            tuple(self._messages),
            trace.caller.profile,
            hashlib.sha256(session.encode()).hexdigest()[:_SESSION_CHARS] if session else "",
            self._masked,
            self._why_not_replayable(),
            trace.replay_of,
        )

    def _message(self, said: Said) -> tuple[Message, int, int]:
        """And how many secrets were masked in it, and in its headers."""
        trace, line = self._trace, said.line
        text, masked, is_cut = self._body(said)
        is_sent = said.way is SENT and line is not None
        headers, in_headers = masked_headers(line.headers if is_sent and line is not None else said.headers)
        era, revision = trace.caller.era, trace.caller.revision
        if said.way.hop is Hop.SERVER:
            era, revision = (line.peer.era, line.peer.revision) if line is not None else ("", "")
        message = Message(
            (said.at - trace.begun_at) * 1000,
            said.way.hop,
            said.way.is_outgoing,
            said.way.kind,
            masked_text(_method_of(said)[:MAX_METHOD]).text,
            text,
            _size(said),
            is_cut,
            headers,
            str(era),
            revision,
            _place(line),
            line.attempt if line is not None else 0,
            said.is_error,
        )
        return message, masked, in_headers

    def _body(self, said: Said) -> tuple[str, int, bool]:
        """Its text, how many secrets were masked in it, and whether it is only its beginning."""
        if self._bodies == OFF:
            return "", 0, False
        body = bytes(said.body)
        if not body:
            return "", 0, _size(said) > 0
        is_cut = len(body) > KEPT_BYTES
        if is_cut:
            body = beginning(body)
        if said.is_whole and not is_cut:
            body = bytes(_whole(body).params) or b"{}"
        text, masked = (body.decode(errors="replace"), 0) if self._bodies == FULL else masked_body(body)
        return (_cut(text) if is_cut else text), masked, is_cut

    def _why_not_replayable(self) -> str:
        trace = self._trace
        if trace.method not in REPLAYABLE:
            return f"A request of {masked_text(trace.method[:MAX_METHOD]).text} cannot be made again by itself."
        if self._bodies == OFF:
            return "What was asked is not known: bodies are not recorded (inspect.bodies: off)."
        if trace.ended_at is None:
            return "It has not been answered yet."
        request = next((message for message in self._messages if _is_request(message)), None)
        if request is None or request.is_cut:
            return "Not all of the request was kept."
        if self._masked_in_request:
            return "The request held secrets, which are not kept (inspect.bodies: redacted)."
        if any(mark in bytes(trace.params) for mark in _AFTER_INPUT):
            return "It brought back answers that are good for one request; replay the one before it."
        return ""


def _is_request(message: Message) -> bool:
    return (message.hop, message.is_outgoing, message.kind) == REQUESTED


def _all_said(trace: Trace) -> list[Said]:
    """The client's request first, the answer to it last."""
    said = [Said(trace.begun_at, REQUESTED, trace.method, trace.params, trace.bytes_in), *trace.said]
    said[0].headers = trace.headers
    if trace.ended_at is not None and trace.status is not ExchangeStatus.CANCELLED:
        last = Said(trace.ended_at, RETURNED, trace.method, trace.result, trace.size_out)
        last.is_error = trace.failure is not None
        said.append(last)
    return said


def _size(said: Said) -> int:
    return said.size if said.size >= 0 else memoryview(said.body).nbytes


def _place(line: Line | None) -> str:
    return f"{line.server}/{line.replica}" if line is not None else ""


def _method_of(said: Said) -> str:
    return _whole(bytes(said.body)).method if said.is_whole else said.method


def _whole(body: bytes) -> _Whole:
    try:
        return msgspec.json.decode(body, type=_Whole)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _Whole("", Raw(body))


def _cut(text: str) -> str:
    """The end of what was held may be half of a secret that was not known as one."""
    return text[:-OVERLAP_BYTES].encode(errors="replace")[:KEPT_BYTES].decode(errors="ignore")


def _server_ms(trace: Trace) -> float | None:
    sent = [said.at for said in trace.said if said.way is SENT]
    answered = [said.at for said in trace.said if said.way is ANSWERED]
    return (answered[-1] - sent[0]) * 1000 if sent and answered else None


def _steps(trace: Trace) -> tuple[Step, ...]:
    did: list[Did] = [(trace.begun_at, "arrived", trace.arrival), *trace.steps]
    did += [step for said in trace.said if (step := _step_of(said)) is not None]
    if trace.ended_at is not None:
        did.append((trace.ended_at, "ended", str(trace.status)))
    did.sort(key=itemgetter(0))
    return tuple(Step((at - trace.begun_at) * 1000, name, masked_text(text).text) for at, name, text in did)


def _step_of(said: Said) -> Did | None:
    line = said.line
    if said.way is SENT and line is not None:
        return said.at, "sent", _place(line)
    if said.way is ANSWERED:
        return said.at, "answered", "with an error" if said.is_error else ""
    return None
