"""Exchanges to look at: both eras, translated, retried, asked, failed, given up, cached, masked, hostile."""

import json
from typing import Any

from msgspec.structs import replace

from proxy_core.telemetry.exchanges import (
    ExchangeDetail,
    ExchangeRow,
    ExchangeStatus,
    Hop,
    Message,
    MessageKind,
    Step,
)
from proxy_core.telemetry.snapshot import NamedItem
from proxy_core.telemetry.tool_detail import ToolDetail
from tests.support.fake_control import WALL, FakeControl, exchange_row
from tests.support.screens import busy_control

MODERN, LEGACY = "2026-07-28", "2025-11-25"
EVIL = (
    '\x1b]52;c;ZXZpbA==\x07\x9b31m\x00\r\n\u202etxt\u2066\u200b[/etc] [bold]{"path":"[/etc]"} '
    "\ud800 \U000e0041 日本語 \x7f"
)
MASK = "•••"


def many_rows(number: int, first: int = 1) -> tuple[ExchangeRow, ...]:
    """Traffic of a small office."""
    return tuple(_one_of_many(id) for id in range(first, first + number))


def _one_of_many(id: int) -> ExchangeRow:
    tools = ("github__search_issues", "files__read", "notes__add", "clock__now")
    target = tools[id % 4]
    status = ExchangeStatus.ERROR if id % 17 == 0 else ExchangeStatus.OK
    return exchange_row(
        id,
        target=target,
        server=target.partition("__")[0],
        client=("claude-code", "cursor", "codex")[id % 3],
        status=status,
        code=-32603 if id % 17 == 0 else None,
        duration_ms=float(id % 300),
        wall=WALL + id / 10,
    )


CALL_META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "claude-code", "version": "3.1"},
}
MODERN_HEADERS = (
    ("content-type", "application/json"),
    ("accept", "application/json, text/event-stream"),
    ("authorization", f"Bearer {MASK}"),
    ("mcp-protocol-version", MODERN),
    ("mcp-method", "tools/call"),
    ("mcp-name", "github__search_issues"),
)


def message(at_ms: float, hop: Hop, is_outgoing: bool, kind: MessageKind, body: str, **fields: Any) -> Message:
    known: dict[str, Any] = {"method": "tools/call", "size": len(body), "era": "modern", "revision": MODERN}
    return Message(at_ms, hop, is_outgoing, kind, body=body, **(known | fields))


SEARCH = {"query": "is:open label:bug", "limit": 2, "token": MASK}
FOUND = {
    "content": [{"type": "text", "text": "2 issues: #12 Crash on start, #15 Überlauf in 日本語 names"}],
    "structuredContent": {"total": 2, "issues": [{"number": 12, "open": True}, {"number": 15, "open": None}]},
    "isError": False,
}


def translated_detail(id: int = 8812) -> ExchangeDetail:
    """A modern client, a legacy server that failed once and then asked for input."""
    row = exchange_row(
        id, is_translated=True, replica="a", attempts=2, rounds=1, duration_ms=412.6, server_ms=180.2
    )
    client = json.dumps({"name": "github__search_issues", "arguments": SEARCH, "_meta": CALL_META})
    inner = {"name": "search_issues", "arguments": SEARCH, "_meta": {"progressToken": 7}}
    legacy: dict[str, Any] = {"hop": Hop.SERVER, "era": "legacy", "revision": LEGACY, "replica": "github/a"}
    ask = {"message": "Which repository?", "requestedSchema": {"type": "object", "properties": {"repo": {}}}}
    request, response, notification = MessageKind.REQUEST, MessageKind.RESPONSE, MessageKind.NOTIFICATION
    messages = (
        message(0.0, Hop.CLIENT, False, request, client, headers=MODERN_HEADERS),
        message(2.1, is_outgoing=True, kind=request, body=json.dumps(inner), attempt=1, **legacy),
        message(
            40.0,
            is_outgoing=False,
            kind=response,
            body=json.dumps({"code": -32603, "message": "upstream 502"}),
            is_error=True,
            attempt=1,
            **legacy,
        ),
        message(60.2, is_outgoing=True, kind=request, body=json.dumps(inner), attempt=2, **legacy),
        message(
            70.5,
            is_outgoing=False,
            kind=notification,
            method="notifications/progress",
            body='{"progressToken":7,"progress":1}',
            attempt=2,
            **legacy,
        ),
        message(
            90.0,
            is_outgoing=False,
            kind=request,
            method="elicitation/create",
            body=json.dumps(ask),
            attempt=2,
            **legacy,
        ),
        message(
            91.0,
            Hop.CLIENT,
            True,
            response,
            json.dumps({"resultType": "input_required", "inputRequests": {"1": ask}}),
            headers=(("content-type", "application/json"),),
        ),
        message(300.0, Hop.CLIENT, False, request, client, headers=MODERN_HEADERS),
        message(
            301.0,
            is_outgoing=True,
            kind=response,
            method="elicitation/create",
            body=json.dumps({"action": "accept", "content": {"repo": "core"}}),
            attempt=2,
            **legacy,
        ),
        message(411.0, is_outgoing=False, kind=response, body=json.dumps(FOUND), attempt=2, **legacy),
        message(
            412.6,
            Hop.CLIENT,
            True,
            response,
            json.dumps({"resultType": "complete", **FOUND}),
            headers=(("content-type", "application/json"),),
        ),
    )
    steps = (
        Step(0.0, "arrived", "POST /mcp"),
        Step(0.3, "routed", "search_issues"),
        Step(1.9, "queued", "2 ms for a free place"),
        Step(2.1, "sent", "github/a"),
        Step(40.0, "answered", "with an error"),
        Step(40.2, "retried", "github/a: server error"),
        Step(60.2, "sent", "github/a"),
        Step(90.1, "asked", "elicitation/create"),
        Step(411.0, "answered"),
        Step(412.6, "ended", "ok"),
    )
    return ExchangeDetail(row, steps, messages, profile="work", masked=3)


def plain_detail(row: ExchangeRow, result: Any = None, arguments: Any = None, **fields: Any) -> ExchangeDetail:
    """One request, one answer, on both hops."""
    params: dict[str, Any] = {"arguments": arguments or {}} if row.method == "tools/call" else {}
    if row.target:
        params["uri" if row.method.startswith("resources/") else "name"] = row.target
    if row.era == "modern":
        params["_meta"] = CALL_META
    how: dict[str, Any] = {"method": row.method, "era": row.era, "revision": row.revision}
    body = json.dumps(params)
    request, response = MessageKind.REQUEST, MessageKind.RESPONSE
    messages = [message(0.0, Hop.CLIENT, False, request, body, **how)]
    if row.server:
        messages.append(message(0.4, Hop.SERVER, True, request, body, replica="github/a", attempt=1, **how))
    if row.duration_ms is not None:
        error = {"code": row.code, "message": "it broke"}
        said = json.dumps(error if row.code is not None else result or FOUND)
        how["is_error"] = row.code is not None
        if row.server:
            messages.append(
                message(row.duration_ms - 0.5, Hop.SERVER, False, response, said, replica="github/a", **how)
            )
        messages.append(message(row.duration_ms, Hop.CLIENT, True, response, said, **how))
    return ExchangeDetail(row, (Step(0.0, "arrived"), Step(0.2, "routed")), tuple(messages), **fields)


def hostile_detail(id: int = 8900) -> ExchangeDetail:
    row = exchange_row(
        id,
        EVIL,
        EVIL,
        client=EVIL,
        principal=EVIL,
        era=EVIL,
        revision=EVIL,
        server=EVIL,
        replica=EVIL,
        saved=EVIL,
        status=ExchangeStatus.ERROR,
        code=-32603,
        is_translated=True,
    )
    bodies = (json.dumps({EVIL.replace("\ud800", ""): [EVIL.replace("\ud800", "")] * 3}), EVIL, "[" * 3000)
    how: dict[str, Any] = {"method": EVIL, "era": EVIL, "revision": EVIL, "replica": EVIL}
    messages = tuple(
        message(float(at), hop, is_out, kind, body, headers=((EVIL, EVIL),), is_cut=True, **how)
        for at, (hop, is_out, kind) in enumerate(
            (h, o, k) for h in Hop for o in (True, False) for k in MessageKind
        )
        for body in bodies
    )
    return ExchangeDetail(
        row, (Step(0.0, EVIL, EVIL),), messages, EVIL, EVIL, masked=1, why_not_replayable=EVIL
    )


def sample_details() -> tuple[ExchangeDetail, ...]:
    """One of each kind, oldest first; ids around 8800."""
    status = ExchangeStatus
    lists = exchange_row(
        8801, "tools/list", "", server="", replica="", attempts=0, saved="hit", server_ms=None, duration_ms=0.6
    )
    cursor = exchange_row(8802, client="cursor", era="legacy", revision=LEGACY, duration_ms=6.1)
    failed = replace(cursor, id=8803, status=status.ERROR, code=-32603, attempts=3, target="jira__get_issue")
    tool_error = exchange_row(8804, status=status.TOOL_ERROR, target="notes__add_note", server="notes")
    gone = exchange_row(8805, status=status.CANCELLED, target="flaky__slow", server="flaky", duration_ms=4100.0)
    stale = exchange_row(8806, "resources/read", "note://日本語/読む", saved="stale", server="", replica="")
    again = exchange_row(8807, is_replay=True)
    opened = exchange_row(
        8813, target="postgres__query", server="postgres", status=status.OPEN, duration_ms=None, wall=WALL - 7.2
    )
    return (
        *(plain_detail(row) for row in (lists, cursor, failed)),
        plain_detail(tool_error, {"content": [{"type": "text", "text": "no such note"}], "isError": True}),
        plain_detail(gone, why_not_replayable="Its body was cut when it was recorded."),
        plain_detail(stale, {"contents": [{"uri": "note://日本語/読む", "text": "読む" * 30}]}),
        plain_detail(again, {**FOUND, "structuredContent": {"total": 3, "issues": []}}, replay_of=8802),
        translated_detail(),
        plain_detail(opened),
    )


def exchanges_control(*more: ExchangeDetail) -> FakeControl:
    """A busy gateway, and one exchange of each kind that was recorded."""
    control = busy_control()
    details = (*sample_details(), *more)
    control.exchanges = {detail.row.id: detail for detail in details}
    control.see(*(detail.row for detail in details))
    control.items = (
        NamedItem("tool", "github__search_issues", "search_issues", "github", read_only=True),
        NamedItem("tool", "notes__add_note", "add_note", "notes"),
    )
    control.tools = {
        item.name: ToolDetail(item.name, item.origin, item.server, read_only=item.read_only)
        for item in control.items
    }
    return control
