"""The modern era over real sockets: the ladder of refusals, one exchange a POST, and what a hang-up means."""

import asyncio
import base64
import logging
from typing import Any

import aiohttp
import pytest

from proxy_core.errors import (
    BackendError,
    BackendTimeout,
    InvalidParams,
    MethodNotFound,
    UnknownResource,
)
from proxy_core.frontend.event_stream import KEEP_ALIVE_S
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.sse import KEEPALIVE
from tests.support.clock import FakeClock
from tests.support.http_client import (
    ENVELOPE,
    META,
    MODERN,
    POST_HEADERS,
    SOON_S,
    Client,
    Reply,
    modern,
    request,
)
from tests.support.scripted_gateway import MODERN_RESULT, ScriptedGateway

pytestmark = pytest.mark.parametrize("fast_path", [True, False], ids=["fast", "plain"], indirect=True)

PROGRESS = jsonrpc.notification("notifications/progress", b'{"progressToken":1,"progress":1}')


@pytest.mark.requirement("W01")
@pytest.mark.parametrize("request_id", ["1", "", "é", 0, -7, 2**53])
async def test_an_id_comes_back_with_its_type(client: Client, request_id: Any):
    reply = await client.ask("tools/list", id=request_id)
    assert reply.status == 200
    assert reply.json["id"] == request_id
    assert type(reply.json["id"]) is type(request_id)


@pytest.mark.requirement("W01")
@pytest.mark.parametrize("request_id", [None, True, 1.0, 1.5, {}, []])
async def test_an_id_of_a_forbidden_type_is_refused(client: Client, gateway: ScriptedGateway, request_id: Any):
    reply = await client.ask("tools/list", id=request_id)
    assert (reply.status, reply.error_code) == (400, -32600)
    assert gateway.exchanges == []


@pytest.mark.requirement("W02")
@pytest.mark.parametrize(
    ("version", "id_member"),
    [(MODERN, {}), ("2025-11-25", {}), ("2025-06-18", {"id": None}), (None, {"id": None})],
)
async def test_what_is_no_json_is_refused_as_each_revision_says(
    client: Client, version: str | None, id_member: Any
):
    headers = POST_HEADERS | ({"Mcp-Protocol-Version": version} if version else {})
    reply = await client.send("POST", b"{nonsense", headers=headers)
    assert reply.status == 400
    error = reply.json.pop("error")
    assert error["code"] == -32700
    assert reply.json == {"jsonrpc": "2.0", "error": error} | id_member


@pytest.mark.requirement("W03")
async def test_an_array_is_refused(client: Client):
    body, headers = modern("tools/list")
    reply = await client.send("POST", [body, body], headers=headers)
    assert (reply.status, reply.error_code) == (400, -32600)


def without(*keys: str) -> dict[str, Any]:
    return {key: value for key, value in ENVELOPE.items() if key.removeprefix(META) not in keys}


@pytest.mark.requirement("W05")
async def test_a_request_without_meta_is_refused(client: Client):
    _, headers = modern("tools/list")
    reply = await client.send("POST", request("tools/list", id="x"), headers=headers)
    assert (reply.status, reply.error_code, reply.json["id"]) == (400, -32602, "x")


@pytest.mark.requirement("W06")
async def test_a_request_without_a_version_in_its_meta_is_refused(client: Client):
    reply = await client.ask("tools/list", meta=without("protocolVersion"))
    assert (reply.status, reply.error_code) == (400, -32602)


@pytest.mark.requirement("W07")
async def test_a_request_without_capabilities_is_refused(client: Client):
    reply = await client.ask("tools/list", meta=without("clientCapabilities"))
    assert (reply.status, reply.error_code) == (400, -32602)


@pytest.mark.requirement("W08")
async def test_a_request_without_client_info_is_served(client: Client, gateway: ScriptedGateway):
    assert (await client.ask("tools/list")).status == 200
    assert gateway.exchanges[0].caller.client == ""


async def test_the_caller_is_known_by_its_own_words(client: Client, gateway: ScriptedGateway):
    meta = ENVELOPE | {META + "clientInfo": {"name": "Host", "version": "1"}, META + "logLevel": "info"}
    await client.ask("tools/list", meta=meta)
    caller = gateway.exchanges[0].caller
    assert (caller.client, caller.log_level, caller.revision) == ("Host", "info", MODERN)


@pytest.mark.requirement("W09")
async def test_a_version_header_that_differs_from_the_meta_is_refused(client: Client):
    reply = await client.ask("tools/list", headers={"Mcp-Protocol-Version": "2025-11-25"})
    assert (reply.status, reply.error_code) == (400, -32020)


@pytest.mark.requirement("W10")
async def test_an_envelope_without_a_version_header_is_refused(client: Client):
    reply = await client.ask("tools/list", headers={"Mcp-Protocol-Version": None})
    assert (reply.status, reply.error_code) == (400, -32020)


@pytest.mark.requirement("W11")
async def test_an_unknown_version_is_refused_with_those_that_are_served(client: Client):
    meta = ENVELOPE | {META + "protocolVersion": "2099-01-01"}
    reply = await client.ask("tools/list", meta=meta, headers={"Mcp-Protocol-Version": "2099-01-01"})
    assert (reply.status, reply.error_code) == (400, -32022)
    data = reply.json["error"]["data"]
    assert data["requested"] == "2099-01-01"
    assert data["supported"][0] == MODERN


@pytest.mark.requirement("W12")
@pytest.mark.parametrize("value", [None, "tools/call", "Tools/List"])
async def test_a_method_header_that_differs_is_refused(client: Client, value: str | None):
    reply = await client.ask("tools/list", headers={"Mcp-Method": value})
    assert (reply.status, reply.error_code) == (400, -32020)


@pytest.mark.requirement("W13")
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {"name": "a__b"}),
        ("prompts/get", {"name": "a__b"}),
        ("resources/read", {"uri": "file:///a"}),
    ],
)
@pytest.mark.parametrize("value", [None, "other"])
async def test_a_name_header_that_differs_is_refused(
    client: Client, method: str, params: Any, value: str | None
):
    reply = await client.ask(method, params, headers={"Mcp-Name": value})
    assert (reply.status, reply.error_code) == (400, -32020)


@pytest.mark.requirement("W14")
async def test_spaces_around_a_name_header_do_not_count(client: Client):
    assert (await client.ask("tools/call", {"name": "a__b"}, headers={"Mcp-Name": "  a__b \t"})).status == 200


@pytest.mark.requirement("W15")
async def test_a_name_may_come_encoded(client: Client):
    encoded = f"=?base64?{base64.b64encode('wörk'.encode()).decode()}?="
    assert (await client.ask("tools/call", {"name": "wörk"}, headers={"Mcp-Name": encoded})).status == 200


@pytest.mark.requirement("W16")
async def test_header_names_may_come_in_any_case(client: Client):
    body, headers = modern("tools/call", {"name": "a__b"})
    for change in (str.upper, str.lower, str.title):
        spelled = {change(name): value for name, value in headers.items()}
        assert (await client.send("POST", body, headers=spelled)).status == 200


@pytest.mark.requirement("W17")
async def test_a_repeated_method_header_is_refused(client: Client):
    body, headers = modern("tools/list")
    reply = await client.send("POST", body, headers=[*headers.items(), ("Mcp-Method", "tools/list")])
    assert (reply.status, reply.error_code) == (400, -32020)


@pytest.mark.requirement("W18")
@pytest.mark.parametrize(
    "method",
    [
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
        "unknown/method",
    ],
)
async def test_a_method_of_the_other_era_is_not_found(client: Client, method: str):
    reply = await client.ask(method)
    assert (reply.status, reply.error_code, reply.json["id"]) == (404, -32601, 1)


@pytest.mark.requirement("W19")
@pytest.mark.parametrize("method", ["notifications/cancelled", "notifications/anything"])
async def test_a_notification_is_accepted_and_has_no_effect(
    client: Client, gateway: ScriptedGateway, method: str
):
    gateway.held = {"tools/call"}
    asked = asyncio.ensure_future(client.ask("tools/call", {"name": "a__b"}, id=5))
    call = await gateway.next_call()
    body = {"jsonrpc": "2.0", "method": method, "params": {"requestId": 5, "_meta": ENVELOPE}}
    _, headers = modern(method)
    reply = await client.send("POST", body, headers=headers)
    assert (reply.status, reply.body) == (202, b"")
    call.answer(MODERN_RESULT)
    assert (await asked).status == 200


@pytest.mark.requirement("W20")
async def test_a_posted_response_is_refused(client: Client):
    body = {"jsonrpc": "2.0", "id": 1, "result": {}}
    reply = await client.send("POST", body, headers=POST_HEADERS | {"Mcp-Protocol-Version": MODERN})
    assert (reply.status, reply.error_code) == (400, -32600)


@pytest.mark.requirement("W21")
@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/json", 406),
        ("text/event-stream", 406),
        ("*/*", 200),
        ("application/*, text/*", 200),
        ("text/event-stream;q=0.5, application/json", 200),
    ],
)
async def test_a_client_must_accept_both_kinds_of_answer(client: Client, accept: str, status: int):
    assert (await client.ask("tools/list", headers={"Accept": accept})).status == status


async def test_a_body_that_is_not_said_to_be_json_is_refused(client: Client):
    assert (await client.ask("tools/list", headers={"Content-Type": "text/plain"})).status == 415
    charset = {"Content-Type": "application/json; charset=utf-8"}
    assert (await client.ask("tools/list", headers=charset)).status == 200


@pytest.mark.requirement("W23")
async def test_a_log_level_that_does_not_exist_is_refused(client: Client):
    reply = await client.ask("tools/list", meta=ENVELOPE | {META + "logLevel": "loud"})
    assert (reply.status, reply.error_code) == (400, -32602)


@pytest.mark.requirement("W24")
async def test_no_answer_has_a_session_id(client: Client):
    await client.initialize()
    replies = [
        await client.ask("tools/list", headers={"Mcp-Session-Id": client.session_id}),
        await client.ask("ping", headers={"Mcp-Session-Id": client.session_id}),
        await client.ask("tools/list", headers={"Mcp-Session-Id": "made-up"}),
    ]
    assert [reply.status for reply in replies] == [200, 404, 200]
    assert all("Mcp-Session-Id" not in reply.headers for reply in replies)


@pytest.mark.requirement("W25")
async def test_a_result_says_that_it_is_complete_and_whose_it_is(client: Client):
    result = (await client.ask("tools/list")).json["result"]
    assert result["resultType"] == "complete"
    assert result["_meta"][META + "serverInfo"]["name"] == "only1mcp"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_the_modern_era_is_served_by_post_alone(client: Client, method: str):
    reply = await client.send(method, headers={"Mcp-Protocol-Version": MODERN, "Accept": "text/event-stream"})
    assert (reply.status, reply.headers["Allow"]) == (405, "POST")


# --- results and errors


@pytest.mark.parametrize(
    ("error", "status", "code", "data"),
    [
        (InvalidParams("Unknown tool"), 400, -32602, None),
        (MethodNotFound("No"), 404, -32601, None),
        (UnknownResource("file:///a"), 400, -32602, {"uri": "file:///a"}),
        (BackendError("gh", -32050, "Theirs", b'{"a":[1]}'), 200, -32050, {"a": [1]}),
        (
            BackendTimeout("gh", "No answer in time."),
            200,
            -32603,
            {"dev.only1mcp": {"kind": "backend_timeout", "backend": "gh", "retryable": False}},
        ),
    ],
)
async def test_an_error_has_the_status_of_its_code(
    client: Client, gateway: ScriptedGateway, error: Exception, status: int, code: int, data: Any
):
    gateway.scripts["tools/call"] = error
    reply = await client.ask("tools/call", {"name": "a__b"}, id="e")
    assert (reply.status, reply.error_code, reply.json["id"]) == (status, code, "e")
    assert reply.json["error"].get("data") == data


async def test_a_failure_nobody_foresaw_is_logged_and_tells_nothing(
    client: Client, gateway: ScriptedGateway, caplog: pytest.LogCaptureFixture
):
    gateway.scripts["tools/call"] = RuntimeError("secret path /home/me")
    with caplog.at_level(logging.ERROR):
        reply = await client.ask("tools/call", {"name": "a__b"})
    assert (reply.status, reply.error_code) == (200, -32603)
    assert b"secret" not in reply.body
    assert "secret path" in caplog.text


async def test_what_precedes_the_result_makes_the_answer_a_stream_in_order(
    client: Client, gateway: ScriptedGateway
):
    gateway.held = {"tools/call"}
    asked = asyncio.ensure_future(client.ask("tools/call", {"name": "a__b"}, id=9))
    call = await gateway.next_call()
    for number in range(3):
        call.notify(jsonrpc.notification("notifications/progress", b'{"progress":%d}' % number))
    call.answer(b'{\n  "resultType": "complete"\n}')
    reply = await asked
    assert reply.headers["Content-Type"] == "text/event-stream"
    assert reply.headers["Cache-Control"] == "no-cache, no-transform"
    assert [event.get("params", {}).get("progress") for event in reply.events] == [0, 1, 2, None]
    assert reply.events[-1] == {"jsonrpc": "2.0", "id": 9, "result": {"resultType": "complete"}}


async def test_an_error_after_a_notification_is_the_last_event(client: Client, gateway: ScriptedGateway):
    gateway.held = {"tools/call"}
    asked = asyncio.ensure_future(client.ask("tools/call", {"name": "a__b"}))
    call = await gateway.next_call()
    call.notify(PROGRESS)
    call.fail(MethodNotFound("Gone"))
    reply = await asked
    assert reply.status == 200
    assert reply.events[-1]["error"]["code"] == -32601


async def test_a_notification_is_sent_before_the_result_is_known(client: Client, gateway: ScriptedGateway):
    gateway.held = {"tools/call"}
    body, headers = modern("tools/call", {"name": "a__b"})

    async def ask() -> list[Any]:
        async with client.stream("POST", body, headers=headers) as stream:
            first = await stream.next()
            call.answer(MODERN_RESULT)
            return [first, await stream.next(), await stream.rest()]

    asked = asyncio.ensure_future(ask())
    call = await gateway.next_call()
    call.notify(PROGRESS)
    progress, result, rest = await asked
    assert progress["method"] == "notifications/progress"
    assert result["id"] == 1
    assert rest == b""


@pytest.mark.parametrize("is_streaming", [False, True])
async def test_a_client_that_hangs_up_has_cancelled(
    client: Client, gateway: ScriptedGateway, frontend: Any, is_streaming: bool
):
    gateway.held = {"tools/call"}
    body, headers = modern("tools/call", {"name": "a__b"})
    asked = asyncio.ensure_future(client.send("POST", body, headers=headers))
    call = await gateway.next_call()
    assert frontend.in_flight == 1
    if is_streaming:
        call.notify(PROGRESS)
    asked.cancel()
    await asyncio.wait_for(call.cancelled.wait(), 20)
    # A late word of the backend has nowhere to go, and is no error.
    call.notify(PROGRESS)
    assert frontend.in_flight == 0


async def test_many_requests_with_one_id_get_their_own_answers(client: Client, gateway: ScriptedGateway):
    gateway.scripts["tools/call"] = lambda exchange: bytes(jsonrpc.members(exchange.params)["arguments"])
    asked = [client.ask("tools/call", {"name": "a__b", "arguments": {"n": n}}, id=1) for n in range(64)]
    replies: list[Reply] = await asyncio.gather(*asked)
    assert [reply.json["result"] for reply in replies] == [{"n": n} for n in range(64)]


@pytest.mark.requirement("P11")
async def test_a_call_that_is_silent_for_long_becomes_a_stream_with_comments_and_a_fast_one_stays_json(
    serving: Any, http: aiohttp.ClientSession, gateway: ScriptedGateway
):
    clock = FakeClock()
    gateway.held = {"tools/call"}
    gateway.scripts["prompts/get"] = InvalidParams("No such prompt.")
    async with serving(clock=clock) as frontend:
        client = Client(http, frontend.url)
        body, headers = modern("tools/call", {"name": "a__b"})

        async def slow() -> bytes:
            # Only the sweep can open this stream: nothing is told before.
            async with client.stream("POST", body, headers=headers) as stream:
                call.answer(MODERN_RESULT)
                return await stream.rest()

        asked = asyncio.ensure_future(slow())
        call = await gateway.next_call()
        clock.advance(KEEP_ALIVE_S)
        told = await asyncio.wait_for(asked, SOON_S)
        fast = await client.ask("prompts/get", {"name": "x"})
    assert told.startswith(KEEPALIVE)
    assert told.count(b"data: ") == 1
    assert (fast.status, fast.headers["Content-Type"]) == (400, "application/json")


@pytest.mark.requirement("P12")
async def test_a_large_result_that_nothing_precedes_is_one_json_body(client: Client, gateway: ScriptedGateway):
    text = "x" * (2 << 20)
    gateway.scripts["tools/call"] = jsonrpc.encode({"resultType": "complete", "content": [{"text": text}]})
    reply = await client.ask("tools/call", {"name": "a__b"})
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.json["result"]["content"][0]["text"] == text
