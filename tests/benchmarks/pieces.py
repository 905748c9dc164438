"""The small steps of a request's way, each alone: what reads it, frames it, counts it, and what shows it."""

import json
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from msgspec import Raw

from proxy_core.access.audit.audit import Audit
from proxy_core.access.audit.chain import Chain
from proxy_core.access.audit.journal import Journal, Sizes
from proxy_core.access.audit.places import Place
from proxy_core.access.audit.writing import Writing
from proxy_core.catalog.merge import merge
from proxy_core.clock import SystemClock
from proxy_core.config.audit import AuditConfig
from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config, RoutingConfig
from proxy_core.facts import RequestFinished
from proxy_core.gateway.exchange import Caller
from proxy_core.protocol.classify import LegacyPost, ModernRequest, classify_post
from proxy_core.protocol.headers import Headers, decode_value, encode_value, routing_headers
from proxy_core.protocol.lines import LineFramer
from proxy_core.protocol.revisions import MODERN, Era
from proxy_core.protocol.sse import SseParser, encode_event
from proxy_core.telemetry.exchanges import ExchangeStatus
from proxy_core.telemetry.metrics import Metrics
from proxy_core.telemetry.recorder import Recorder
from tests.benchmarks.intervals import Interval
from tests.benchmarks.load import call_body
from tests.benchmarks.painted import House
from tests.benchmarks.timing import per, step_us
from tests.proxy_core.catalog.lists import lists

MEASURED: Final = "metrics and the ring of requests, a call that is not recorded in full"
PIECES: Final = 64
"""Messages of one read from a socket or a pipe."""
MERGED: Final = 100
"""Servers, with ten tools each."""
SHOWN: Final = (30, 300)
MAX_BYTES: Final = 1 << 20
MESSAGE: Final = b'{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"%s"}]}}' % (b"x" * 130)
"""200 bytes."""
MODERN_HEADERS: Final[Headers] = [
    ("host", "localhost:8080"),
    ("content-type", "application/json"),
    ("accept", "application/json, text/event-stream"),
    ("mcp-protocol-version", "2026-07-28"),
    ("mcp-method", "tools/call"),
    ("mcp-name", "web__echo"),
    ("content-length", "240"),
]
LEGACY_HEADERS: Final[Headers] = [
    *MODERN_HEADERS[:3],
    ("mcp-protocol-version", "2025-11-25"),
    ("mcp-session-id", "5f0a3c1e9d7b4c2a8e6f1d3b5a7c9e0f"),
]
LEGACY_BODY: Final = json.dumps(
    {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "web__echo", "arguments": {"n": 7}}}
).encode()


class _Client:
    era, revision, principal, client = "modern", "2026-07-28", "anon", "bench"
    session, profile = None, ""


def piece_us() -> dict[str, Interval]:
    """Microseconds of each."""
    return {**_reading(), **_framing(), **_counting(), **_auditing(), **_showing()}


def _reading() -> dict[str, Interval]:
    body, plain = call_body(7, "web__echo"), "web__echo"
    encoded = encode_value("données")
    assert isinstance(classify_post(MODERN_HEADERS, body), ModernRequest)
    assert isinstance(classify_post(LEGACY_HEADERS, LEGACY_BODY), LegacyPost)
    assert decode_value(encoded) == "données" != encoded
    return {
        "classify a modern tools/call": step_us(lambda: classify_post(MODERN_HEADERS, body)),
        "classify a legacy tools/call": step_us(lambda: classify_post(LEGACY_HEADERS, LEGACY_BODY)),
        "routing headers of a modern request": step_us(lambda: routing_headers(MODERN_HEADERS)),
        "encode a header value, plain": step_us(lambda: encode_value(plain)),
        "encode a header value, base64": step_us(lambda: encode_value("données")),
        "decode a header value, plain": step_us(lambda: decode_value(plain)),
        "decode a header value, base64": step_us(lambda: decode_value(encoded)),
    }


def _framing() -> dict[str, Interval]:
    event, lines, parser = encode_event(MESSAGE), LineFramer(MAX_BYTES), SseParser(MAX_BYTES)
    large = encode_event(b"x" * 100_000)
    many_lines, many_events = (MESSAGE + b"\n") * PIECES, event * PIECES
    assert len(lines.feed(many_lines)) == len(parser.feed(many_events)) == PIECES
    return {
        "write an SSE event of 200 bytes": step_us(lambda: encode_event(MESSAGE)),
        f"read an SSE event of 200 bytes, {PIECES} in one read": per(
            step_us(lambda: parser.feed(many_events)), PIECES
        ),
        "the same, one in a read": step_us(lambda: parser.feed(event)),
        "an SSE event of 100 KB, in one read": step_us(lambda: parser.feed(large)),
        f"read a line of 200 bytes, {PIECES} in one read": per(step_us(lambda: lines.feed(many_lines)), PIECES),
    }


def _counting() -> dict[str, Interval]:
    clock, metrics = SystemClock(), Metrics()
    ring, caller, params = Recorder(clock), _Client(), Raw(b'{"name":"web__echo","arguments":{"n":7}}')
    number = count()

    def finished() -> RequestFinished:
        place = ("tools/call", "web", "web__echo")
        # Times differ, as those of calls do.
        took_ms = 1.0 + next(number) % 50
        return RequestFinished(
            clock.monotonic(), "bench", "anon", "modern", "2026-07-28", *place, took_ms, None, False, 300
        )

    def brief() -> None:
        fact = finished()
        metrics.fold(fact)
        ring.brief(fact, 240)

    def full() -> None:
        fact = finished()
        metrics.fold(fact)
        ring.end(ring.begin("tools/call", params, caller, fact.at), fact.at, ExchangeStatus.OK, MESSAGE, None)

    found = {MEASURED: step_us(brief), "the same of one that is, before it is masked": step_us(full)}
    ring.settle()
    return found


def _auditing() -> dict[str, Interval]:
    params = Raw(b'{"name":"web__echo","arguments":{"n":7}}')
    caller = Caller(Era.MODERN, MODERN)
    place = ("tools/call", "web", "web__echo")
    at = SystemClock().monotonic()
    fact = RequestFinished(at, "bench", "anon", "modern", MODERN, *place, 1.0, None, False, 300)
    with TemporaryDirectory() as folder:
        settings = Config(audit=AuditConfig(file=f"{folder}/audit.jsonl"))
        audit = Audit(LoadedConfig(settings, None, {}), SystemClock(), lambda fact: None)
        # It was not started: what waits is taken away here.
        waiting = audit._queue
        journal = Journal(Place(Path(folder) / "other.jsonl"), Chain(), Sizes(1 << 40, 0), "1", lambda: "")
        writing, entry = Writing(), (fact, caller, "127.0.0.1", 40, None)

        def told() -> None:
            audit.call(caller, "127.0.0.1", params, fact)
            waiting.clear()

        def written() -> None:
            for _ in range(PIECES):
                journal.seal_call(writing.call(entry))
            journal.flush()

        return {
            "audit: a call is told": step_us(told),
            f"audit: its line is made, chained and written, {PIECES} at once, in a thread": per(
                step_us(written), PIECES
            ),
        }


def _showing() -> dict[str, Interval]:
    servers = [lists(f"s{n}", *(f"tool_{m}" for m in range(10))) for n in range(MERGED)]
    naming = RoutingConfig()
    assert len(merge(servers, naming).tools) == 10 * MERGED
    found = {f"merge the lists of {MERGED} servers, 1,000 tools": step_us(lambda: merge(servers, naming))}
    for shown in SHOWN:
        house = House(shown)

        def picture(house: House = house) -> None:
            # A quarter of a second later, and something has happened meanwhile.
            house.frame += 1
            house.call_everywhere()
            house.proxy.snapshot()

        def calls(house: House = house) -> None:
            house.frame += 1
            house.call_everywhere()

        found[f"the picture of {shown} servers, each called once since the last, and the calls"] = step_us(
            picture
        )
        found[f"the same {shown} calls alone"] = step_us(calls)
    return found
