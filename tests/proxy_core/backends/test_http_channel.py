"""Streamable HTTP towards real small servers: what is sent, what is read, what is refused, what ends when."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from msgspec import Raw

from proxy_core.backends import http_channel, resumption
from proxy_core.backends.call import Call
from proxy_core.backends.channel import Outgoing
from proxy_core.backends.connection import Connection
from proxy_core.backends.http_channel import HttpChannel
from proxy_core.backends.http_client import may_follow
from proxy_core.backends.http_url import Origin, Url
from proxy_core.backends.sse_channel import SseChannel
from proxy_core.config.models import HttpTransport, ServerConfig
from proxy_core.errors import (
    BackendAuthRequired,
    BackendFailing,
    BackendFault,
    BackendHttpError,
    BackendProtocolError,
    BackendSessionLost,
    BackendStreamLost,
    BackendTimeout,
    BackendUnavailable,
    NotServable,
)
from tests.support.backend_server import (
    DISCOVERED,
    INITIALIZED,
    BackendServer,
    Handler,
    Holds,
    Seen,
    accepts,
    answers,
    closed_port,
    event,
    event_stream,
    json_reply,
    refuses,
    result_event,
    rpc_error,
    serving,
    serving_bytes,
    streams,
)
from tests.support.clock import FakeClock
from tests.support.scripted_channel import Heard, Owner, Sink, until

Table = dict[str, Handler | list[Handler]]
MODERN, LEGACY = "2026-07-28", "2025-06-18"
PROGRESS = b'{"jsonrpc":"2.0","method":"notifications/progress","params":{}}'


def request(request_id: int, method: str = "tools/call", **more: Any) -> Outgoing:
    data = b'{"jsonrpc":"2.0","id":%d,"method":"%s","params":{}}' % (request_id, method.encode())
    return Outgoing(data, request_id, method, **{"revision": LEGACY} | more)


def notification(method: str = "notifications/initialized") -> Outgoing:
    return Outgoing(b'{"jsonrpc":"2.0","method":"%s"}' % method.encode(), None, method, revision=LEGACY)


class Wire:
    """An open channel and what it told."""

    def __init__(self, url: str, headers: dict[str, str], connect_s: float) -> None:
        self.heard = Heard(*range(1, 10))
        self.notes: list[str] = []
        transport = HttpTransport(url=url, headers=headers)
        self.channel = HttpChannel("box", transport, self.heard, connect_s, self.notes.append)

    def begin(self, message: Outgoing) -> "asyncio.Task[None]":
        return asyncio.ensure_future(self.channel.send(message))


@pytest.fixture
async def wire() -> AsyncIterator[Callable[..., Any]]:
    wires: list[Wire] = []

    async def open_to(url: str, connect_s: float = 30, **headers: str) -> Wire:
        wires.append(Wire(url, headers, connect_s))
        await wires[-1].channel.open()
        return wires[-1]

    yield open_to
    for each in wires:
        await each.channel.aclose()


# --- what is sent -------------------------------------------------------------------------------------------


@pytest.mark.requirement("H09")
async def test_a_modern_request_carries_its_routing_headers_and_nothing_else(wire: Any) -> None:
    async with serving({"tools/call": answers({})}) as server:
        box = await wire(server.url, Authorization="Bearer ours", X_Ours="1")
        await box.channel.send(request(1, revision=MODERN, is_modern=True, name="add"))
    sent = {name.lower(): value for name, value in server.seen[0].headers.items()}
    assert sent.pop("host") and sent.pop("content-length")
    assert sent == {
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
        "mcp-protocol-version": MODERN,
        "mcp-method": "tools/call",
        "mcp-name": "add",
        "authorization": "Bearer ours",
        "x_ours": "1",
    }


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("add", "add"),
        ("naïve", "=?base64?bmHDr3Zl?="),
        ("a\r\nX-Evil: 1", "=?base64?YQ0KWC1FdmlsOiAx?="),
        (" edge ", "=?base64?IGVkZ2Ug?="),
        ("=?base64?eA==?=", "=?base64?PT9iYXNlNjQ/ZUE9PT89?="),
    ],
)
async def test_a_name_travels_encoded_where_a_header_could_not_carry_it(
    wire: Any, name: str, header: str
) -> None:
    async with serving({"tools/call": answers({})}) as server:
        box = await wire(server.url)
        await box.channel.send(request(1, revision=MODERN, is_modern=True, name=name))
    assert server.seen[0].headers["Mcp-Name"] == header
    assert "X-Evil" not in server.seen[0].headers


@pytest.mark.parametrize(
    ("revision", "header"), [(None, None), ("2024-11-05", None), ("2025-03-26", "2025-03-26"), (LEGACY, LEGACY)]
)
async def test_a_legacy_request_carries_the_version_that_was_agreed(
    wire: Any, revision: str | None, header: str | None
) -> None:
    async with serving({"tools/call": answers({})}) as server:
        await (await wire(server.url)).channel.send(request(1, revision=revision))
    assert server.seen[0].headers.get("MCP-Protocol-Version") == header
    assert "Mcp-Method" not in server.seen[0].headers


async def test_the_session_id_is_repeated_until_the_session_ends(wire: Any) -> None:
    table: Table = {
        "initialize": answers({}, Mcp_Session_Id="s-1"),
        "tools/call": answers({}),
        "DELETE": accepts,
    }
    async with serving(table) as server:
        box = await wire(server.url)
        await box.channel.send(request(1, "initialize"))
        await box.channel.send(request(2))
        await box.channel.send(request(3, "initialize"))
        await box.channel.send(request(4, revision=MODERN, is_modern=True))
        await box.channel.aclose()
    assert [seen.headers.get("Mcp-Session-Id") for seen in server.seen] == [None, "s-1", None, None, "s-1"]
    assert server.keys[-1] == "DELETE"


async def test_a_server_without_sessions_is_told_of_no_end(wire: Any) -> None:
    async with serving({"initialize": answers({})}) as server:
        box = await wire(server.url)
        await box.channel.send(request(1, "initialize"))
        await box.channel.aclose()
    assert server.keys == ["initialize"]


@pytest.mark.parametrize("session_id", ["two words", "é", "x" * 1025, ""])
async def test_a_session_id_that_is_none_is_refused(wire: Any, session_id: str) -> None:
    async with serving({"initialize": answers({}, Mcp_Session_Id=session_id)}) as server:
        box = await wire(server.url)
        with pytest.raises(BackendProtocolError, match="invalid session id"):
            await box.channel.send(request(1, "initialize"))


async def test_cookies_are_not_kept(wire: Any) -> None:
    async with serving({"tools/call": answers({}, Set_Cookie="tracked=1")}) as server:
        box = await wire(server.url)
        await box.channel.send(request(1))
        await box.channel.send(request(2))
    assert "Cookie" not in server.seen[1].headers


# --- answers ------------------------------------------------------------------------------------------------


async def test_an_answer_may_be_json(wire: Any) -> None:
    async with serving({"tools/call": answers({"ok": 1})}) as server:
        box = await wire(server.url)
        await box.channel.send(request(7))
    assert box.heard.messages == [({"jsonrpc": "2.0", "id": 7, "result": {"ok": 1}}, 7)]
    assert box.heard.failures == []


async def test_an_answer_may_be_a_stream_with_its_notifications_first(wire: Any) -> None:
    stream = streams(b": hello\n\nid: 1\ndata:\n\n", event(PROGRESS), result_event({"ok": 1}))
    async with serving({"tools/call": stream}) as server:
        box = await wire(server.url)
        await box.channel.send(request(7))
    assert [(message.get("method"), origin) for message, origin in box.heard.messages] == [
        ("notifications/progress", 7),
        (None, 7),
    ]


async def test_a_stream_may_come_in_any_pieces(wire: Any) -> None:
    async def byte_by_byte(seen: Seen) -> Any:
        response = await event_stream(seen)
        for byte in event(PROGRESS) + event(seen.result("ü")).replace(b"\n", b"\r\n"):
            await response.write(bytes([byte]))
        return response

    async with serving({"tools/call": byte_by_byte}) as server:
        box = await wire(server.url)
        await box.channel.send(request(1))
    assert [message.get("result") for message, _ in box.heard.messages] == [None, "ü"]


async def test_the_answer_ends_the_stream_even_if_the_server_does_not(wire: Any) -> None:
    gone = asyncio.Event()

    async def goes_on(seen: Seen) -> Any:
        response = await event_stream(seen)
        await response.write(event(seen.result({})))
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()

    async with serving({"tools/call": goes_on}) as server:
        box = await wire(server.url)
        await box.channel.send(request(1))
        async with asyncio.timeout(30):
            await gone.wait()


async def fault_of(box: Wire, message: Outgoing) -> BackendFault:
    """However it was told."""
    try:
        await box.channel.send(message)
    except BackendFault as fault:
        return fault
    ((request_id, fault),) = box.heard.failures
    assert request_id == message.request_id
    return fault


@pytest.mark.parametrize(
    ("handler", "fault"),
    [
        pytest.param(streams(event(PROGRESS)), BackendStreamLost, id="stream-without-an-answer"),
        pytest.param(streams(b"data: {"), BackendStreamLost, id="stream-cut-in-an-event"),
        pytest.param(refuses(200, b"<html>", "text/html"), BackendProtocolError, id="html"),
        pytest.param(refuses(200), BackendProtocolError, id="empty"),
        pytest.param(refuses(202), BackendProtocolError, id="202-to-a-request"),
        pytest.param(refuses(204), BackendProtocolError, id="204"),
        pytest.param(refuses(401), BackendAuthRequired, id="401"),
        pytest.param(refuses(403), BackendAuthRequired, id="403"),
        pytest.param(refuses(400), BackendHttpError, id="400"),
        pytest.param(refuses(404), BackendHttpError, id="404-without-a-session"),
        pytest.param(refuses(429), BackendHttpError, id="429"),
        pytest.param(refuses(500), BackendFailing, id="500"),
        pytest.param(refuses(503), BackendFailing, id="503"),
    ],
)
async def test_a_request_that_is_not_answered_fails_with_its_reason(
    wire: Any, handler: Handler, fault: type[BackendFault]
) -> None:
    async with serving({"tools/call": handler}) as server:
        box = await wire(server.url)
        assert type(await fault_of(box, request(1))) is fault
        assert box.heard.closes == [], "the server is there, only this request failed"


@pytest.mark.requirement("A07")
async def test_the_metadata_that_a_server_points_to_when_it_wants_credentials_is_fetched_from_nowhere(
    wire: Any,
) -> None:
    """No discovery is built, so none can be led astray."""
    async with serving({"GET": refuses(200)}) as elsewhere:
        challenge = {"WWW-Authenticate": f'Bearer resource_metadata="{elsewhere.url}"'}

        async def unauthorized(seen: Seen) -> Any:
            return web.Response(status=401, headers=challenge)

        async with serving({"tools/call": unauthorized}) as server:
            box = await wire(server.url)
            assert isinstance(await fault_of(box, request(1)), BackendAuthRequired)
        assert elsewhere.keys == []


@pytest.mark.parametrize("status", [400, 404, 405, 422])
async def test_an_error_answer_counts_whatever_its_status(wire: Any, status: int) -> None:
    async with serving({"tools/call": rpc_error(-32601, status)}) as server:
        box = await wire(server.url)
        await box.channel.send(request(1))
    assert box.heard.messages[0][0]["error"]["code"] == -32601


@pytest.mark.parametrize("status", [401, 403, 500, 503])
async def test_a_refusal_by_someone_in_between_is_no_answer_of_the_server(wire: Any, status: int) -> None:
    async with serving({"tools/call": rpc_error(-32601, status)}) as server:
        box = await wire(server.url)
        assert isinstance(await fault_of(box, request(1)), BackendAuthRequired | BackendUnavailable)


async def test_an_answer_to_another_request_is_none_to_ours(wire: Any) -> None:
    async def other(seen: Seen) -> Any:
        return json_reply(b'{"jsonrpc":"2.0","id":99,"result":{}}')

    async with serving({"tools/call": other}) as server:
        box = await wire(server.url)
        assert isinstance(await fault_of(box, request(1)), BackendProtocolError)


async def test_an_answer_to_another_request_is_none_on_a_connection_that_is_used_again(wire: Any) -> None:
    async def strays(seen: Seen) -> web.StreamResponse:
        return json_reply(b'{"jsonrpc":"2.0","id":9,"result":{}}')

    async with serving({"tools/call": [answers({}), strays]}) as server:
        box = await wire(server.url)
        await box.channel.send(request(1))
        fault = await fault_of(box, request(2))
    assert isinstance(fault, BackendProtocolError)
    assert "belongs to no request" in fault.detail or "belongs to no request" in fault.message


async def test_who_gives_up_hangs_up_also_on_a_connection_that_is_used_again(wire: Any) -> None:
    held = Holds()
    async with serving({"tools/call": [answers({}), held]}) as server:
        box = await wire(server.url)
        await box.channel.send(request(1))
        call = box.begin(request(2))
        await held.arrived.wait()
        call.cancel()
        await asyncio.wait_for(held.gone.wait(), 20)


# --- redirects ----------------------------------------------------------------------------------------------


@pytest.mark.requirement("B11")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_origin_is_refused(wire: Any, status: int) -> None:
    async with serving({"tools/call": answers({})}) as other:
        async with serving({"tools/call": refuses(status, Location=other.url + "?token=x")}) as server:
            box = await wire(server.url, Authorization="Bearer ours")
            fault = await fault_of(box, request(1))
    assert isinstance(fault, BackendProtocolError)
    assert fault.detail.startswith(f"it redirects to {other.url}: if you trust that address")
    assert other.seen == []


@pytest.mark.requirement("B11")
@pytest.mark.parametrize(
    "location", ["http://[bad", "mailto:me", "//evil.example/", "http://{host}@evil.example/", None]
)
async def test_a_redirect_to_nowhere_is_refused(wire: Any, location: str | None) -> None:
    async with serving({}) as server:
        host = server.url.removeprefix("http://").removesuffix("/mcp")
        named = {} if location is None else {"Location": location.format(host=host)}
        server.table["tools/call"] = refuses(307, **named)
        box = await wire(server.url)
        fault = await fault_of(box, request(1))
    assert isinstance(fault, BackendProtocolError)
    assert "redirects to" in fault.detail
    assert len(server.seen) == 1


async def test_a_redirect_takes_no_password_of_the_url_along(wire: Any) -> None:
    async with serving(
        {"tools/call": [refuses(307, Location="/v2/mcp"), answers({})], "GET": accepts}
    ) as server:
        box = await wire(server.url.replace("http://", "http://ann:secret@"))
        await box.channel.send(request(1))
    assert ["Authorization" in seen.headers for seen in server.seen[:2]] == [True, False]


@pytest.mark.requirement("B11")
@pytest.mark.parametrize("status", [307, 308])
async def test_a_redirect_within_the_origin_is_followed_with_the_same_request(wire: Any, status: int) -> None:
    table: Table = {"tools/call": [refuses(status, Location="/v2/mcp"), answers({"ok": 1})], "GET": accepts}
    async with serving(table) as server:
        box = await wire(server.url, Authorization="Bearer ours")
        await box.channel.send(request(1, revision=MODERN, is_modern=True, name="add"))
    first, second = server.seen
    assert (first.request.path, second.request.path) == ("/mcp", "/v2/mcp")
    assert second.message == first.message
    assert second.headers == first.headers
    assert box.heard.messages[0][0]["result"] == {"ok": 1}


@pytest.mark.requirement("B11")
@pytest.mark.parametrize("status", [301, 302, 303])
async def test_a_redirect_that_could_turn_a_post_into_a_get_is_refused(wire: Any, status: int) -> None:
    async with serving({"tools/call": refuses(status, Location="/v2/mcp")}) as server:
        box = await wire(server.url)
        fault = await fault_of(box, request(1))
    assert fault.detail.endswith(f"/v2/mcp with HTTP status {status}: put that address into the config")
    assert len(server.seen) == 1


@pytest.mark.requirement("B11")
async def test_redirects_without_end_are_not_followed_for_ever(wire: Any) -> None:
    async with serving({"tools/call": refuses(308, Location="/mcp")}) as server:
        box = await wire(server.url)
        fault = await fault_of(box, request(1))
    assert fault.detail == "it redirects more than 3 times in a row"
    assert len(server.seen) == 4


@pytest.mark.requirement("B11")
@pytest.mark.parametrize(
    ("target", "is_followed"),
    [
        ("https://box.example/mcp", True),
        ("https://box.example:443/other", True),
        ("https://box.example:8443/mcp", False),
        ("https://www.box.example/mcp", False),
        ("http://box.example:8080/mcp", False),
        ("ftp://box.example/mcp", False),
    ],
)
def test_only_https_on_the_same_host_is_another_origin_that_is_followed(target: str, is_followed: bool) -> None:
    assert may_follow(Origin("http", "box.example", 80), Url.of(target).origin) is is_followed
    assert not may_follow(Origin("https", "box.example", 443), Origin("http", "box.example", 80))
    assert not may_follow(Origin("http", "box.example", 8080), Origin("https", "box.example", 443))


# --- broken HTTP --------------------------------------------------------------------------------------------


async def test_a_notification_whose_connection_breaks_has_not_arrived(wire: Any) -> None:
    async with serving_bytes(b"") as url:
        box = await wire(url)
        with pytest.raises(BackendStreamLost):
            await box.channel.send(notification())


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{",
            BackendStreamLost,
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n5\r\ndata:\r\n",
            BackendStreamLost,
        ),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", BackendProtocolError),
        (b"SSH-2.0-OpenSSH_9.6\r\n", BackendProtocolError),
        (b"", BackendStreamLost),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
            b"Content-Length: 4\r\n\r\nnope",
            BackendProtocolError,
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Type: ;;;\r\nContent-Length: 0\r\n\r\n", BackendProtocolError),
    ],
    ids=["json-cut", "chunk-cut", "huge-header", "no-http", "hangs-up", "bad-gzip", "odd-type"],
)
async def test_broken_http_fails_its_request_alone(wire: Any, reply: bytes, fault: type[BackendFault]) -> None:
    async with serving_bytes(reply) as url:
        box = await wire(url)
        told = await fault_of(box, request(1))
    assert isinstance(told, fault)
    assert box.heard.closes == []


async def test_a_server_that_cannot_be_reached_ends_the_connection(wire: Any) -> None:
    box = await wire(f"http://127.0.0.1:{await closed_port()}/mcp")
    with pytest.raises(BackendUnavailable) as failure:
        await box.channel.send(request(1))
    assert failure.value.message == "The server cannot be reached."
    assert "could not connect" in failure.value.detail
    assert len(box.heard.closes) == 1
    with pytest.raises(BackendUnavailable):
        await box.channel.send(request(2))
    assert len(box.heard.closes) == 1


async def test_an_answer_beyond_the_limit_is_not_read(wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_channel, "MAX_JSON_BYTES", 1000)
    async with serving({"tools/call": [answers("x" * 2000), answers("x")]}) as server:
        box = await wire(server.url)
        assert "larger than 1000 bytes" in (await fault_of(box, request(1))).message
        await box.channel.send(request(2))
    assert box.heard.messages[0][0]["id"] == 2


async def test_an_event_beyond_the_limit_is_not_read(wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_channel, "MAX_EVENT_BYTES", 1000)
    endless = streams(*([b"data: " + b"x" * 100] * 100))
    async with serving({"tools/call": [endless, streams(result_event("x"))]}) as server:
        box = await wire(server.url)
        assert "too large" in (await fault_of(box, request(1))).message
        await box.channel.send(request(2))
    assert box.heard.messages[0][0]["id"] == 2


async def test_the_body_of_a_refusal_is_read_within_bounds(wire: Any) -> None:
    async with serving({"tools/call": refuses(404, b"x" * 2_000_000)}) as server:
        box = await wire(server.url)
        assert isinstance(await fault_of(box, request(1)), BackendProtocolError)


# --- the session --------------------------------------------------------------------------------------------


@pytest.mark.requirement("B05")
@pytest.mark.parametrize(
    "gone", [refuses(404), rpc_error(-32001, 404), refuses(400, b"Bad Request: No valid session ID")]
)
async def test_a_session_that_ended_is_told_apart(wire: Any, gone: Handler) -> None:
    async with serving({"initialize": answers({}, Mcp_Session_Id="s-1"), "tools/call": gone}) as server:
        box = await wire(server.url)
        await box.channel.send(request(1, "initialize"))
        for number in (2, 3):
            message = request(number)
            if number == 3:
                box.channel.session_id = "s-1"
            with pytest.raises(BackendSessionLost):
                await box.channel.send(message)
            assert box.channel.session_id is None


@pytest.mark.requirement("B05")
async def test_late_refusals_of_an_old_session_do_not_end_the_new_one(wire: Any) -> None:
    holds = [Holds() for _ in range(3)]

    async def held(seen: Seen) -> Any:
        await holds[seen.id - 2](seen)
        return await refuses(404)(seen)

    sessions = iter(["s-1", "s-2"])

    async def open_session(seen: Seen) -> Any:
        return await answers({}, Mcp_Session_Id=next(sessions))(seen)

    async with serving({"initialize": open_session, "tools/call": held}) as server:
        box = await wire(server.url)
        await box.channel.send(request(1, "initialize"))
        posts = [box.begin(request(number)) for number in (2, 3, 4)]
        for hold in holds:
            await hold.arrived.wait()
        for number, hold in enumerate(holds):
            hold.release.set()
            with pytest.raises(BackendSessionLost):
                await posts[number]
            if number == 1:
                # Between the second refusal and the third, the session is renewed.
                await box.channel.send(request(5, "initialize"))
        assert box.channel.session_id == "s-2"


async def test_a_server_that_does_not_answer_the_goodbye_is_left(
    wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_channel, "CLOSE_S", 0.05)
    hold = Holds()
    async with serving({"initialize": answers({}, Mcp_Session_Id="s-1"), "DELETE": hold}) as server:
        box = await wire(server.url)
        await box.channel.send(request(1, "initialize"))
        await box.channel.aclose()
        await box.channel.aclose()
    assert box.notes == ["could not end the session: no answer"]


# --- ending a request ---------------------------------------------------------------------------------------


@pytest.mark.requirement("P04")
@pytest.mark.parametrize("as_stream", [False, True])
async def test_cancelling_whoever_asks_ends_the_post(wire: Any, as_stream: bool) -> None:
    hold = Holds(as_stream=as_stream)
    async with serving({"tools/call": hold}) as server:
        box = await wire(server.url)
        post = box.begin(request(1))
        await hold.arrived.wait()
        post.cancel()
        with pytest.raises(asyncio.CancelledError):
            await post
        async with asyncio.timeout(30):
            await hold.gone.wait()


@pytest.mark.parametrize("as_stream", [False, True])
async def test_an_abort_ends_the_post_and_not_whoever_asked(wire: Any, as_stream: bool) -> None:
    hold = Holds(as_stream=as_stream)
    async with serving({"tools/call": hold}) as server:
        box = await wire(server.url)
        post = box.begin(request(1))
        await hold.arrived.wait()
        box.channel.abort(1)
        box.channel.abort(1)
        box.channel.abort(2)
        await post
        assert post.cancelling() == 0
        async with asyncio.timeout(30):
            await hold.gone.wait()


async def test_an_abort_does_not_swallow_a_cancellation(wire: Any) -> None:
    hold = Holds()
    async with serving({"tools/call": hold}) as server:
        box = await wire(server.url)
        post = box.begin(request(1))
        await hold.arrived.wait()
        box.channel.abort(1)
        post.cancel()
        with pytest.raises(asyncio.CancelledError):
            await post


async def test_a_notification_that_is_never_accepted_does_not_hold_us(wire: Any) -> None:
    async with serving({"notifications/initialized": Holds()}) as server:
        box = await wire(server.url, connect_s=0.1)
        with pytest.raises(BackendTimeout) as failure:
            await box.channel.send(notification())
    assert failure.value.detail == "it did not take notifications/initialized"


@pytest.mark.parametrize("status", [200, 202, 204])
async def test_a_notification_is_accepted_by_any_success(wire: Any, status: int) -> None:
    async with serving({"notifications/initialized": refuses(status)}) as server:
        box = await wire(server.url)
        await box.channel.send(notification())


async def test_closing_ends_what_is_in_flight(wire: Any) -> None:
    hold = Holds()
    async with serving({"tools/call": hold}) as server:
        box = await wire(server.url)
        post = box.begin(request(1))
        await hold.arrived.wait()
        await box.channel.aclose()
        with pytest.raises(BackendFault):
            await post
        with pytest.raises(BackendUnavailable):
            await box.channel.send(request(2))
    assert box.heard.closes == [], "we closed it ourselves"


# --- the stream for what the server starts by itself --------------------------------------------------------


def changed(number: int) -> bytes:
    return b'{"jsonrpc":"2.0","method":"notifications/n%d"}' % number


def methods(heard: Heard) -> list[str]:
    return [message["method"] for message, origin in heard.messages if origin is None]


async def test_the_stream_is_read_and_opened_again_from_the_last_event(wire: Any) -> None:
    first = streams(b"retry: 100\n\n", event(changed(1), "e-1"), b"id: e-2\ndata: {cut in the")
    hold = Holds(as_stream=True)
    table: Table = {
        "initialize": answers({}, Mcp_Session_Id="s-1"),
        "GET": [first, streams(event(changed(2))), hold],
        "DELETE": accepts,
    }
    async with serving(table) as server:
        box = await wire(server.url, Authorization="Bearer ours")
        await box.channel.send(request(1, "initialize"))
        box.channel.start_stream(LEGACY)
        await hold.arrived.wait()
        gets = server.of("GET")
        assert methods(box.heard) == ["notifications/n1", "notifications/n2"]
        assert gets[0].headers.get("Last-Event-ID") is None
        assert gets[1].headers["Last-Event-ID"] == "e-1", "the event that was cut off is still to come"
        for get in gets:
            assert get.headers["Mcp-Session-Id"] == "s-1"
            assert get.headers["MCP-Protocol-Version"] == LEGACY
            assert get.headers["Authorization"] == "Bearer ours"
            assert get.headers["Accept"] == "text/event-stream"


@pytest.mark.parametrize("reply", [refuses(405), refuses(404), refuses(400), answers({})])
async def test_a_server_that_offers_no_stream_is_not_asked_again(wire: Any, reply: Handler) -> None:
    async with serving({"GET": reply}) as server:
        box = await wire(server.url)
        box.channel.start_stream(LEGACY)
        await until(lambda: box.channel._stream_task.done())
        assert server.keys == ["GET"]
    assert box.heard.closes == []


async def test_a_stream_that_fails_is_tried_again(wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_channel, "RETRY_MS", 1)
    hold = Holds(as_stream=True)
    async with serving({"GET": [refuses(503), refuses(502), hold]}) as server:
        box = await wire(server.url)
        box.channel.start_stream(LEGACY)
        await hold.arrived.wait()
        assert server.keys == ["GET"] * 3
    assert box.notes[0] == "its event stream broke: it answered with HTTP status 503"


async def test_an_event_beyond_the_limit_breaks_the_stream_and_no_more(
    wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_channel, "RETRY_MS", 1)
    monkeypatch.setattr(http_channel, "MAX_EVENT_BYTES", 1000)
    hold = Holds(as_stream=True)
    async with serving({"GET": [streams(b"data: " + b"x" * 5000), hold]}) as server:
        box = await wire(server.url)
        box.channel.start_stream(LEGACY)
        await hold.arrived.wait()
    assert "its event stream broke" in box.notes[0]


@pytest.mark.requirement("C16")
@pytest.mark.parametrize(("event_id", "gaps"), [("e-1", 0), (None, 1)])
async def test_a_stream_that_is_opened_again_without_an_event_id_has_a_gap(
    wire: Any, monkeypatch: pytest.MonkeyPatch, event_id: str | None, gaps: int
) -> None:
    monkeypatch.setattr(http_channel, "RETRY_MS", 1)
    hold = Holds(as_stream=True)
    sent = event(changed(1), event_id) if event_id else event(changed(1))
    async with serving({"GET": [refuses(503), streams(sent), refuses(503), hold]}) as server:
        box = await wire(server.url)
        box.channel.start_stream(LEGACY)
        await hold.arrived.wait()
        await until(lambda: box.heard.gaps == gaps)


async def test_a_server_that_has_gone_is_noticed_by_the_stream(
    wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_channel, "RETRY_MS", 1)
    hold = Holds(as_stream=True)
    async with serving({"GET": hold}) as server:
        box = await wire(server.url)
        box.channel.start_stream(LEGACY)
        await hold.arrived.wait()
    await until(lambda: box.heard.closes)


async def test_a_new_session_has_a_stream_of_its_own(wire: Any) -> None:
    first, second = Holds(as_stream=True), Holds(as_stream=True)
    async with serving({"GET": [first, second]}) as server:
        box = await wire(server.url)
        box.channel.start_stream(LEGACY)
        await first.arrived.wait()
        box.channel.start_stream(LEGACY)
        await second.arrived.wait()
        async with asyncio.timeout(30):
            await first.gone.wait()


# --- an answer whose stream broke off -----------------------------------------------------------------------


def priming(event_id: str, retry_ms: int = 1) -> bytes:
    return b"id: %s\nretry: %d\ndata:\n\n" % (event_id.encode(), retry_ms)


def answer_event(request_id: int, event_id: str = "e-9") -> bytes:
    return event(b'{"jsonrpc":"2.0","id":%d,"result":{"ok":1}}' % request_id, event_id)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumption, "RETRY_MS", 1)
    monkeypatch.setattr(resumption, "MIN_PAUSE_S", 0.0)


@pytest.mark.requirement("B06")
@pytest.mark.parametrize("first", [priming("e-1"), event(PROGRESS, "e-1") + b"id: e-2\ndata: cut"])
async def test_a_stream_that_ended_is_resumed_from_its_last_whole_event(
    wire: Any, hasty: None, first: bytes
) -> None:
    """Whether it was cut off, or the server closed it on purpose to be asked again."""
    table: Table = {
        "initialize": answers({}, Mcp_Session_Id="s-1"),
        "tools/call": streams(first),
        "GET": streams(event(PROGRESS, "e-3") + answer_event(2)),
    }
    async with serving(table) as server:
        box = await wire(server.url)
        await box.channel.send(request(1, "initialize"))
        await box.channel.send(request(2))
        (resumed,) = server.of("GET")
        assert resumed.headers["Last-Event-ID"] == "e-1"
        assert resumed.headers["Mcp-Session-Id"] == "s-1"
        assert resumed.headers["MCP-Protocol-Version"] == LEGACY
        assert resumed.headers["Accept"] == "text/event-stream"
    told = box.heard.messages[1:]
    assert [message["result"] for message, _ in told if "result" in message] == [{"ok": 1}]
    assert {origin for _, origin in told} == {2}, "all that a resumed stream carries is its request's"
    assert box.heard.failures == []
    # Only a server that says when to come back has ended its stream on purpose.
    assert box.heard.polled == ([2] if b"retry" in first else [])


@pytest.mark.requirement("B06")
async def test_the_servers_retry_time_is_kept(wire: Any) -> None:
    table: Table = {"tools/call": streams(priming("e-1", 300)), "GET": streams(answer_event(1))}
    async with serving(table) as server:
        box = await wire(server.url)
        begun_at = asyncio.get_running_loop().time()
        await box.channel.send(request(1))
        assert asyncio.get_running_loop().time() - begun_at >= 0.3
    assert server.keys == ["tools/call", "GET"]


@pytest.mark.requirement("B06")
async def test_a_server_that_is_polled_may_close_as_often_as_it_brings_something(
    wire: Any, hasty: None
) -> None:
    polls: list[Handler] = [streams(priming(f"e-{number}")) for number in range(2, 12)]
    table: Table = {"tools/call": streams(priming("e-1")), "GET": [*polls, streams(answer_event(1))]}
    async with serving(table) as server:
        box = await wire(server.url)
        await box.channel.send(request(1))
    assert [seen.headers["Last-Event-ID"] for seen in server.of("GET")] == [f"e-{n}" for n in range(1, 12)]
    assert len(box.heard.messages) == 1


@pytest.mark.requirement("B06")
@pytest.mark.parametrize("reply", [streams(b": nothing\n\n"), refuses(503), refuses(409), refuses(429)])
async def test_a_stream_that_brings_nothing_is_resumed_five_times(
    wire: Any, hasty: None, reply: Handler
) -> None:
    async with serving({"tools/call": streams(priming("e-1")), "GET": reply}) as server:
        box = await wire(server.url)
        fault = await fault_of(box, request(1))
    assert isinstance(fault, BackendStreamLost)
    assert server.keys == ["tools/call"] + ["GET"] * 5
    assert box.heard.closes == []


@pytest.mark.requirement("B06")
@pytest.mark.parametrize("reply", [refuses(405), refuses(404), refuses(400), answers({}), refuses(204)])
async def test_a_server_that_does_not_resume_is_not_asked_again(wire: Any, hasty: None, reply: Handler) -> None:
    async with serving({"tools/call": streams(priming("e-1")), "GET": reply}) as server:
        box = await wire(server.url)
        assert isinstance(await fault_of(box, request(1)), BackendStreamLost)
    assert server.keys == ["tools/call", "GET"]


@pytest.mark.requirement("B06")
@pytest.mark.parametrize("event_id", [None, "", "x" * 1025, "a\x01b"])
async def test_a_stream_without_an_id_that_a_header_can_carry_is_lost(
    wire: Any, hasty: None, event_id: str | None
) -> None:
    async with serving({"tools/call": streams(event(PROGRESS, event_id))}) as server:
        box = await wire(server.url)
        assert isinstance(await fault_of(box, request(1)), BackendStreamLost)
    assert server.keys == ["tools/call"]


@pytest.mark.requirement("B07")
async def test_a_modern_stream_is_never_resumed(wire: Any, hasty: None) -> None:
    async with serving({"tools/call": streams(priming("e-1"))}) as server:
        box = await wire(server.url)
        fault = await fault_of(box, request(1, revision=MODERN, is_modern=True))
    assert isinstance(fault, BackendStreamLost)
    assert server.keys == ["tools/call"]


@pytest.mark.requirement("B06")
async def test_cancelling_the_call_ends_the_waiting_for_its_stream(wire: Any) -> None:
    async with serving({"tools/call": streams(priming("e-1", 600_000))}) as server:
        box = await wire(server.url)
        call = box.begin(request(1))
        await until(lambda: server.seen)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert server.keys == ["tools/call"]


@pytest.mark.requirement("B06")
@pytest.mark.parametrize(
    ("method", "fault"), [("resources/read", BackendSessionLost), ("tools/call", BackendStreamLost)]
)
async def test_a_session_that_ended_meanwhile_is_renewed_for_what_cannot_act_twice(
    wire: Any, hasty: None, method: str, fault: type[BackendFault]
) -> None:
    table: Table = {
        "initialize": answers({}, Mcp_Session_Id="s-1"),
        method: streams(priming("e-1")),
        "GET": refuses(404),
        "DELETE": accepts,
    }
    async with serving(table) as server:
        box = await wire(server.url)
        await box.channel.send(request(1, "initialize"))
        assert type(await fault_of(box, request(2, method))) is fault
    assert server.keys == ["initialize", method, "GET"]


@pytest.mark.requirement("B06")
async def test_an_answer_on_another_stream_ends_the_resuming(wire: Any) -> None:
    async with serving({"tools/call": streams(priming("e-1", 600_000))}) as server:
        box = await wire(server.url)
        call = box.begin(request(1))
        await until(lambda: server.seen)
        box.heard.message(b'{"jsonrpc":"2.0","id":1,"result":{}}', None)
        box.channel.abort(1)
        await call
    assert box.heard.failures == []


# --- a connection over it -----------------------------------------------------------------------------------


class Line:
    def __init__(self, url: str, **more: Any) -> None:
        self.owner = Owner()
        self.clock = FakeClock()
        config = ServerConfig(id="box", transport=HttpTransport(url=url), **more)

        def channel(kind: Any, receiver: Any) -> Any:
            make = SseChannel if kind == "sse" else HttpChannel
            return make("box", config.transport, receiver, 30, lambda note: None)

        self.connection = Connection(config, channel, self.owner, self.clock)

    async def call(self, sink: Sink | None = None) -> Any:
        params = Raw(b'{"name":"add","arguments":{}}')
        return json.loads(bytes(await self.connection.call(Call("tools/call", params, name="add", sink=sink))))


@pytest.fixture
async def dial() -> AsyncIterator[Callable[..., Line]]:
    lines: list[Line] = []

    def new(server: BackendServer, **more: Any) -> Line:
        lines.append(Line(server.url, **more))
        return lines[-1]

    yield new
    for line in lines:
        await line.connection.aclose()


HANDSHAKE: Table = {"initialize": answers(INITIALIZED), "notifications/initialized": accepts}


async def test_a_modern_server_is_found_and_called(dial: Any) -> None:
    async with serving(
        {"server/discover": answers(DISCOVERED), "tools/call": streams(result_event({}))}
    ) as server:
        line = dial(server)
        await line.connection.open()
        assert await line.call() == {}
    discover, call = server.seen
    assert (discover.headers["Mcp-Method"], call.headers["Mcp-Method"]) == ("server/discover", "tools/call")
    assert "Mcp-Name" not in discover.headers


@pytest.mark.requirement("B02")
@pytest.mark.parametrize(
    ("discover", "keys", "revision"),
    [
        pytest.param(
            [rpc_error(-32022, 400, {"supported": [MODERN]}), answers(DISCOVERED)],
            ["server/discover"] * 2,
            MODERN,
            id="unsupported-then-modern",
        ),
        pytest.param(refuses(400), [], LEGACY, id="400-empty"),
        pytest.param(refuses(404, b"<html>", "text/html"), [], LEGACY, id="404-page"),
        pytest.param(rpc_error(-32601), [], LEGACY, id="method-not-found"),
        pytest.param(rpc_error(-32601, 404), [], LEGACY, id="method-not-found-404"),
        pytest.param(rpc_error(-32022, 400, {"supported": [LEGACY]}), [], LEGACY, id="legacy-versions"),
        pytest.param(answers(DISCOVERED | {"supportedVersions": [LEGACY]}), [], LEGACY, id="lists-legacy"),
    ],
)
async def test_an_http_server_ends_in_the_right_era(
    dial: Any, discover: Handler | list[Handler], keys: list[str], revision: str
) -> None:
    legacy = ["server/discover", "initialize", "notifications/initialized", "GET"]
    async with serving(HANDSHAKE | {"server/discover": discover}) as server:
        line = dial(server)
        await line.connection.open()
        await until(lambda: len(server.seen) == len(keys or legacy))
        assert server.keys == (keys or legacy)
        assert line.connection.peer.revision == revision


@pytest.mark.requirement("B02")
@pytest.mark.parametrize("code", [-32020, -32021])
async def test_a_modern_refusal_of_the_probe_is_no_reason_to_fall_back(dial: Any, code: int) -> None:
    async with serving(HANDSHAKE | {"server/discover": rpc_error(code, 400)}) as server:
        with pytest.raises(NotServable) as caught:
            await dial(server).connection.open()
    assert caught.value.detail == f"it refused server/discover with error {code}"
    assert server.keys == ["server/discover"]


@pytest.mark.requirement("B04")
async def test_a_server_that_lists_legacy_versions_alone_gets_initialize(dial: Any) -> None:
    old = DISCOVERED | {"supportedVersions": ["2025-06-18", "2025-03-26"]}
    async with serving(HANDSHAKE | {"server/discover": answers(old)}) as server:
        line = dial(server)
        await line.connection.open()
    assert server.keys[:2] == ["server/discover", "initialize"]
    assert line.connection.peer.revision == LEGACY


@pytest.mark.requirement("B06")
async def test_a_call_whose_stream_ended_is_answered_once_from_its_resumed_stream(
    dial: Any, hasty: None
) -> None:
    """What comes before the answer there still belongs to the call."""
    sink = Sink()

    async def rest(seen: Seen) -> Any:
        if "Last-Event-ID" not in seen.headers:
            return await refuses(405)(seen)
        call_id = server.of("tools/call")[0].id
        log = b'{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"on"}}'
        answer = b'{"jsonrpc":"2.0","id":%d,"result":{"ok":1}}' % call_id
        return await streams(event(log, "e-2") + event(answer, "e-3") + event(answer, "e-4"))(seen)

    table: Table = HANDSHAKE | {"server/discover": refuses(404), "tools/call": streams(priming("e-1"))}
    async with serving(table | {"GET": rest}) as server:
        line = dial(server)
        await line.connection.open()
        assert await line.call(sink) == {"ok": 1}
        assert len(server.of("tools/call")) == 1
    assert len(sink.logs) == 1
    assert line.connection.in_flight == 0


@pytest.mark.requirement("B03")
async def test_initialize_has_no_version_header_left_over(dial: Any) -> None:
    async with serving(HANDSHAKE | {"server/discover": refuses(400)}) as server:
        await dial(server).connection.open()
    versions = [seen.headers.get("MCP-Protocol-Version") for seen in server.seen[:3]]
    assert versions == [MODERN, None, LEGACY]
    assert "Mcp-Method" not in server.seen[1].headers


@pytest.mark.requirement("B02")
@pytest.mark.parametrize("status", [404, 405])
async def test_a_server_of_2024_is_found_by_its_event_stream(dial: Any, status: int) -> None:
    stream: asyncio.Queue[bytes] = asyncio.Queue()

    async def old_stream(seen: Seen) -> Any:
        response = await event_stream(seen)
        await response.write(b"event: endpoint\ndata: /messages?session_id=1\n\n")
        while True:
            await response.write(event(await stream.get()))

    async def take(seen: Seen) -> Any:
        if not seen.request.path.startswith("/messages"):
            return await refuses(status)(seen)
        answer = INITIALIZED | {"protocolVersion": "2024-11-05"}
        await stream.put(seen.result(answer if seen.key == "initialize" else {"old": True}))
        return await accepts(seen)

    table: Table = {
        "initialize": take,
        "tools/call": take,
        "notifications/initialized": accepts,
        "GET": old_stream,
    }
    async with serving(table) as server:
        line = dial(server)
        await line.connection.open()
        assert await line.call() == {"old": True}
        assert line.connection.transport == "sse"
        assert line.connection.peer.revision == "2024-11-05"
        await line.connection.aclose()
    assert server.keys == [
        "server/discover",
        "initialize",
        "GET",
        "initialize",
        "notifications/initialized",
        "tools/call",
    ]


@pytest.mark.requirement("B02")
@pytest.mark.parametrize(("status", "fault"), [(401, BackendAuthRequired), (503, BackendUnavailable)])
async def test_missing_credentials_and_outages_give_no_verdict(
    dial: Any, status: int, fault: type[BackendFault]
) -> None:
    async with serving(HANDSHAKE | {"server/discover": refuses(status)}) as server:
        with pytest.raises(fault):
            await dial(server).connection.open()
    assert server.keys == ["server/discover"]


@pytest.mark.requirement("B05")
async def test_calls_whose_session_ended_share_one_new_session(dial: Any) -> None:
    sessions = iter(["s-1", "s-2"])
    alive = {"s-1"}

    async def open_session(seen: Seen) -> Any:
        return await answers(INITIALIZED, Mcp_Session_Id=next(sessions))(seen)

    async def serve(seen: Seen) -> Any:
        known = seen.headers.get("Mcp-Session-Id") in alive
        return await (answers({"ok": True}) if known else refuses(404))(seen)

    table = HANDSHAKE | {"initialize": open_session, "tools/call": serve, "ping": serve, "DELETE": accepts}
    async with serving(table) as server:
        line = dial(server, era="legacy")
        await line.connection.open()
        alive.symmetric_difference_update({"s-1", "s-2"})
        results = await asyncio.gather(*(line.call() for _ in range(8)))
        assert results == [{"ok": True}] * 8
        await line.connection.probe(5)
        assert len(server.of("initialize")) == 2
        assert len(server.of("tools/call")) <= 16
        assert line.owner.renewals == 1
        await line.connection.aclose()
        assert server.seen[-1].headers["Mcp-Session-Id"] == "s-2"


async def test_an_answer_on_the_shared_stream_ends_the_post_that_waits(dial: Any) -> None:
    hold = Holds(as_stream=True)
    asked: asyncio.Queue[Seen] = asyncio.Queue()

    async def shared(seen: Seen) -> Any:
        response = await event_stream(seen)
        await response.write(event((await asked.get()).result("here")))
        await asyncio.Event().wait()

    async def held(seen: Seen) -> Any:
        await asked.put(seen)
        return await hold(seen)

    async with serving(HANDSHAKE | {"GET": shared, "tools/call": held}) as server:
        line = dial(server, era="legacy")
        await line.connection.open()
        assert await line.call() == "here"
        async with asyncio.timeout(30):
            await hold.gone.wait()
        await line.connection.aclose()


@pytest.mark.requirement("P04")
async def test_a_call_that_times_out_closes_its_stream_and_says_nothing_more(dial: Any) -> None:
    hold = Holds(as_stream=True)
    async with serving({"server/discover": answers(DISCOVERED), "tools/call": hold}) as server:
        line = dial(server)
        await line.connection.open()
        call = asyncio.ensure_future(line.call())
        await hold.arrived.wait()
        line.clock.advance(300)
        line.connection.sweep(line.clock.monotonic())
        with pytest.raises(BackendTimeout):
            await call
        async with asyncio.timeout(30):
            await hold.gone.wait()
        await line.connection.aclose()
    assert server.keys == ["server/discover", "tools/call"]


async def test_a_server_that_never_accepts_our_notification_does_not_start(dial: Any) -> None:
    async with serving(HANDSHAKE | {"notifications/initialized": Holds()}) as server:
        line = dial(server, era="legacy")
        line.connection._make_channel = lambda kind, receiver: HttpChannel(
            "box", HttpTransport(url=server.url), receiver, 0.1, lambda note: None
        )
        with pytest.raises(BackendTimeout):
            await line.connection.open()
