"""The bridge: what one pipe says reaches a gateway over HTTP and comes back, whatever happens to either."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from proxy_core.config.models import TokenConfig
from proxy_core.errors import HeaderMismatch
from proxy_core.frontend.bridge import Bridge
from proxy_core.frontend.frontend import Frontend
from proxy_core.frontend.pipe import Pipe
from proxy_core.protocol import jsonrpc
from tests.support.http_client import SOON_S, request
from tests.support.pipe_client import (
    PipeClient,
    cancelled,
    initialize,
    initialized,
    modern,
    notification,
    piped,
)
from tests.support.processes import free_port
from tests.support.scripted_gateway import MODERN_RESULT, ScriptedGateway
from tests.support.wire import comes_true

PROGRESS = "notifications/progress"


@dataclass
class Stage:
    client: PipeClient
    bridge: Bridge
    pipe: Pipe
    running: "asyncio.Task[None]"

    async def ended(self) -> None:
        await asyncio.wait_for(asyncio.shield(self.running), SOON_S)


@asynccontextmanager
async def bridged(url: str, token: str | None = None) -> AsyncIterator[Stage]:
    async with piped() as (client, pipe):
        bridge = Bridge(url, token, pipe)
        running = asyncio.ensure_future(bridge.run())
        try:
            yield Stage(client, bridge, pipe, running)
        finally:
            bridge.stop()
            await running


@pytest.fixture
async def stage(frontend: Frontend) -> AsyncIterator[Stage]:
    async with bridged(frontend.url) as stage:
        yield stage


# --- both eras pass


async def test_a_modern_request_arrives_with_the_headers_that_its_body_asks_for(
    stage: Stage, gateway: ScriptedGateway
):
    params: dict[str, Any] = {"name": "höhe ", "arguments": {}}
    answer = await stage.client.ask_modern("tools/call", params, id="a")
    assert (answer["id"], answer["result"]["resultType"]) == ("a", "complete")
    assert (await stage.client.ask_modern("resources/read", {"uri": "a:b"}))["result"]
    assert [exchange.method for exchange in gateway.exchanges] == ["tools/call", "resources/read"]


@pytest.mark.requirement("L18")
async def test_both_eras_pass_on_one_pipe(stage: Stage, gateway: ScriptedGateway):
    gateway.scripts["server/discover"] = MODERN_RESULT
    assert "result" in await stage.client.ask_modern("server/discover")
    assert (await stage.client.initialize("2025-06-18"))["result"]["protocolVersion"] == "2025-06-18"
    assert (await stage.client.ask("tools/list", id=2))["result"] == {"content": []}
    assert "result" in await stage.client.ask_modern("tools/list", id=3)
    assert [exchange.caller.revision for exchange in gateway.exchanges][1] == "2025-06-18"


async def test_what_was_sent_in_one_go_is_served_in_order(stage: Stage, gateway: ScriptedGateway):
    stage.client.send(initialize(), initialized(), request("tools/list", id=1), request("ping", id=2))
    stage.client.end()
    answers = [await stage.client.next() for _ in range(3)]
    assert sorted(str(answer["id"]) for answer in answers) == ["1", "2", "init"]
    assert all("result" in answer for answer in answers)
    assert [method for _, method, _ in gateway.notifications] == ["notifications/initialized"]
    await stage.ended()


async def test_errors_of_the_gateway_pass_with_code_and_id(stage: Stage):
    assert (await stage.client.ask_modern("unknown/method", id="x"))["error"]["code"] == -32601
    early = await stage.client.ask("tools/list", id=7)
    assert (early["id"], early["error"]["code"]) == (7, -32600)
    await stage.client.initialize()
    assert (await stage.client.ask("unknown/method"))["error"]["code"] == -32601


async def test_progress_comes_before_the_result_in_both_eras(stage: Stage, gateway: ScriptedGateway):
    gateway.held = {"tools/call"}
    await stage.client.initialize()
    for made in (modern, request):
        stage.client.heard.clear()
        stage.client.send(made("tools/call", {"name": "t"}, id=1))
        call = await gateway.next_call()
        for number in range(3):
            call.notify(jsonrpc.notification(PROGRESS, b'{"progress":%d}' % number))
        call.answer(MODERN_RESULT)
        await stage.client.answer(1)
        assert [m["params"]["progress"] for m in stage.client.heard[:-1]] == [0, 1, 2]


async def test_requests_run_side_by_side_and_an_id_in_use_is_refused(stage: Stage, gateway: ScriptedGateway):
    gateway.held = {"tools/call"}
    stage.client.send(modern("tools/call", {"name": "t"}, id=1), modern("tools/call", {"name": "t"}, id=2))
    calls = [await gateway.next_call() for _ in range(2)]
    assert (await stage.client.ask_modern("tools/list", id=1))["error"]["code"] == -32600
    calls[1].answer(MODERN_RESULT)
    calls[0].answer(MODERN_RESULT)
    assert {(await stage.client.next())["id"] for _ in range(2)} == {1, 2}


@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_a_cancelled_request_is_stopped_at_the_gateway_and_never_answered(
    stage: Stage, gateway: ScriptedGateway, era: str
):
    gateway.held = {"tools/call"}
    await stage.client.initialize()
    made = modern if era == "modern" else request
    stage.client.send(made("tools/call", {"name": "t"}, id=1))
    call = await gateway.next_call()
    stage.client.send(cancelled(1))
    await asyncio.wait_for(call.cancelled.wait(), SOON_S)
    await stage.client.ask("ping", id=2)
    assert [message.get("id") for message in stage.client.heard] == ["init", 2]


async def test_lists_that_change_and_questions_come_on_the_sessions_stream(
    stage: Stage, gateway: ScriptedGateway, frontend: Frontend
):
    await stage.client.initialize(capabilities={"roots": {}})
    await comes_true(lambda: frontend.stream_count == 1, "the stream is open")
    gateway.hub.changed("tools")
    assert (await stage.client.next())["method"] == "notifications/tools/list_changed"


async def test_a_server_asks_the_client_through_the_call_that_needs_it(stage: Stage, gateway: ScriptedGateway):
    gateway.held = {"tools/call"}
    await stage.client.initialize(capabilities={"roots": {}})
    stage.client.send(request("tools/call", {"name": "t"}, id=1))
    call = await gateway.next_call()
    asked = asyncio.ensure_future(call.exchange.outlet.request("roots/list", b"{}", timeout_s=SOON_S))
    question = await stage.client.next()
    assert question["method"] == "roots/list"
    stage.client.send({"jsonrpc": "2.0", "id": question["id"], "result": {"roots": []}})
    assert jsonrpc.decode(await asked) == {"roots": []}
    call.answer(b"{}")
    assert (await stage.client.answer(1))["result"] == {}


async def test_a_batch_passes_where_the_revision_has_them(stage: Stage, gateway: ScriptedGateway):
    stage.client.send([request("ping")])
    assert (await stage.client.next())["error"]["code"] == -32600
    await stage.client.initialize("2025-03-26")
    stage.client.send([request("ping", id=1), request("tools/list", id="2")])
    assert {(await stage.client.next())["id"] for _ in range(2)} == {1, "2"}


async def test_what_cannot_be_read_is_answered_here(stage: Stage):
    stage.client.send(b"nonsense\n")
    assert (await stage.client.next())["error"]["code"] == -32700


# --- listens


async def test_a_listen_passes_and_its_end_is_told_twice(
    stage: Stage, gateway: ScriptedGateway, frontend: Frontend
):
    stage.client.send(modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, "s"))
    assert (await stage.client.next())["method"] == "notifications/subscriptions/acknowledged"
    gateway.hub.changed("tools")
    assert (await stage.client.next())["method"] == "notifications/tools/list_changed"
    await frontend.end_streams()
    assert "result" in await stage.client.next()
    assert await stage.client.next() == cancelled("s")


async def test_a_cancelled_listen_is_closed_at_the_gateway(stage: Stage, frontend: Frontend):
    stage.client.send(modern("subscriptions/listen", {"notifications": {}}, "s"))
    await stage.client.next()
    assert frontend.stream_count == 1
    stage.client.send(cancelled("s"))
    await comes_true(lambda: frontend.stream_count == 0, "the listen is closed")
    await stage.client.ask_modern("tools/list")
    assert len(stage.client.heard) == 2


# --- arguments that travel as headers


TOOL = {
    "name": "t",
    "inputSchema": {
        "type": "object",
        "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
    },
}


def _lists_tools(gateway: ScriptedGateway, *tools: Any) -> None:
    gateway.scripts["tools/list"] = jsonrpc.encode(
        {"resultType": "complete", "tools": tools, "ttlMs": 0, "cacheScope": "public"}
    )


def _wants_region(exchange: Any) -> bytes:
    if ("mcp-param-region", "eu") not in (exchange.param_headers or []):
        raise HeaderMismatch("The header is missing.")
    return MODERN_RESULT


CALL: dict[str, Any] = {"name": "t", "arguments": {"region": "eu"}}


async def test_arguments_become_headers_once_the_schema_has_passed(stage: Stage, gateway: ScriptedGateway):
    _lists_tools(gateway, TOOL, {"name": "u", "inputSchema": {"type": "object"}}, {"name": 3})
    gateway.scripts["tools/call"] = _wants_region
    await stage.client.ask_modern("tools/list")
    assert "result" in await stage.client.ask_modern("tools/call", CALL)
    assert [exchange.method for exchange in gateway.exchanges] == ["tools/list", "tools/call"]


async def test_a_schema_that_was_never_seen_is_read_once(stage: Stage, gateway: ScriptedGateway):
    _lists_tools(gateway, TOOL)
    gateway.scripts["tools/call"] = _wants_region
    assert "result" in await stage.client.ask_modern("tools/call", CALL, id=1)
    assert "result" in await stage.client.ask_modern("tools/call", CALL, id=2)
    methods = [exchange.method for exchange in gateway.exchanges]
    assert methods == ["tools/call", "tools/list", "tools/call", "tools/call"]
    assert [message["id"] for message in stage.client.heard] == [1, 2]


async def test_a_refusal_that_reading_again_does_not_help_is_passed_on(stage: Stage, gateway: ScriptedGateway):
    _lists_tools(gateway)
    gateway.scripts["tools/call"] = _wants_region
    assert (await stage.client.ask_modern("tools/call", CALL))["error"]["code"] == -32020
    assert len(gateway.exchanges) == 3


# --- a gateway that is not there


async def test_without_a_gateway_each_request_is_told_what_to_do_and_later_ones_are_served(
    serving: Any, gateway: ScriptedGateway
):
    port = free_port()
    url = f"http://127.0.0.1:{port}/mcp"
    async with bridged(url) as stage:
        for answer in (
            await stage.client.ask_modern("tools/list", id="m"),
            await stage.client.ask("ping", id=3),
        ):
            assert answer["error"]["code"] == -32603
            assert url in answer["error"]["message"]
            assert "Is it running?" in answer["error"]["message"]
            assert answer["error"]["data"]["dev.only1mcp"]["retryable"]
        async with serving(port=port):
            assert "result" in await stage.client.ask_modern("tools/list", id="again")
            assert "result" in await stage.client.initialize()


async def test_a_session_that_the_gateway_has_lost_is_opened_again(serving: Any, gateway: ScriptedGateway):
    capabilities = {"tools": {"listChanged": True}, "prompts": {}}
    result = {"protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": {"name": "x"}}
    gateway.initialize = lambda *_: jsonrpc.encode(result)  # type: ignore[method-assign]
    port = free_port()
    async with bridged(f"http://127.0.0.1:{port}/mcp") as stage:
        async with serving(port=port):
            await stage.client.initialize(capabilities={"roots": {}})
            await stage.client.ask("logging/setLevel", {"level": "error"}, id=1)
            await stage.client.ask("resources/subscribe", {"uri": "a:b"}, id=2)
            await stage.client.ask("resources/subscribe", {"uri": "c:d"}, id=3)
            await stage.client.ask("resources/unsubscribe", {"uri": "c:d"}, id=4)
        gateway.exchanges.clear()
        gateway.notifications.clear()
        async with serving(port=port) as frontend:
            assert "result" in await stage.client.ask("tools/list", id=5)
            await comes_true(lambda: frontend.stream_count == 1, "the new session has its stream")
            assert frontend.session_count == 1
        methods = [exchange.method for exchange in gateway.exchanges]
        assert sorted(methods) == ["logging/setLevel", "resources/subscribe", "tools/list"]
        assert gateway.exchanges[0].caller.capabilities.features == {"roots"}
        assert gateway.notifications[0][1] == "notifications/initialized"
    told = [message["method"] for message in stage.client.heard if "method" in message]
    assert told == ["notifications/tools/list_changed"]


async def test_an_idle_client_hears_of_changes_again_after_the_gateway_was_started_anew(
    serving: Any, gateway: ScriptedGateway
):
    port = free_port()
    async with bridged(f"http://127.0.0.1:{port}/mcp") as stage:
        async with serving(port=port) as frontend:
            await stage.client.initialize()
            await comes_true(lambda: frontend.stream_count == 1, "the stream is open")
        async with serving(port=port) as frontend:
            await comes_true(lambda: frontend.stream_count == 1, "there is a new one")
            gateway.hub.changed("tools")
            await stage.client.until(lambda m: m.get("method") == "notifications/tools/list_changed")


async def test_a_call_that_the_gateway_loses_is_told_so(serving: Any, gateway: ScriptedGateway):
    gateway.held = {"tools/call"}
    async with serving() as frontend, bridged(frontend.url) as stage:
        stage.client.send(modern("tools/call", {"name": "t"}, id=1))
        call = await gateway.next_call()
        call.notify(jsonrpc.notification(PROGRESS, b'{"progress":1}'))
        await stage.client.next()
        await frontend.aclose()
        answer = await stage.client.answer(1)
        assert answer["error"]["code"] == -32603
        assert "not known" in answer["error"]["message"]


async def test_a_legacy_call_that_was_under_way_is_never_sent_again(serving: Any, gateway: ScriptedGateway):
    gateway.held = {"tools/call"}
    port = free_port()
    async with bridged(f"http://127.0.0.1:{port}/mcp") as stage:
        async with serving(port=port):
            await stage.client.initialize()
            stage.client.send(request("tools/call", {"name": "t"}, id=1))
            call = await gateway.next_call()
            call.notify(jsonrpc.notification(PROGRESS, b'{"progress":1}'))
            await stage.client.until(lambda m: m.get("method") == PROGRESS)
        async with serving(port=port):
            assert (await stage.client.answer(1))["error"]["code"] == -32603
            assert "result" in await stage.client.ask("tools/list", id=2)
    assert [exchange.method for exchange in gateway.exchanges] == ["tools/call", "tools/list"]


async def test_a_url_that_is_no_gateways_is_told_so(serving: Any):
    async with serving() as frontend, bridged(frontend.url + "/elsewhere") as stage:
        answer = await stage.client.ask_modern("tools/list")
        assert "error" in answer


# --- the end


async def test_the_end_of_the_pipe_ends_the_session_and_the_bridge(stage: Stage, frontend: Frontend):
    await stage.client.initialize()
    assert frontend.session_count == 1
    stage.client.end()
    await stage.ended()
    assert frontend.session_count == 0


async def test_at_the_end_of_the_pipe_what_is_in_flight_is_still_answered(
    stage: Stage, gateway: ScriptedGateway
):
    gateway.held = {"tools/call"}
    stage.client.send(
        modern("tools/call", {"name": "t"}), modern("subscriptions/listen", {"notifications": {}}, 2)
    )
    call = await gateway.next_call()
    stage.client.end()
    await comes_true(lambda: stage.pipe.has_ended, "the end is seen")
    call.answer(MODERN_RESULT)
    assert "result" in await stage.client.answer(1)
    await stage.ended()


async def test_a_client_that_was_killed_is_not_waited_for(stage: Stage, gateway: ScriptedGateway):
    gateway.held = {"tools/call"}
    stage.client.send(modern("tools/call", {"name": "t"}))
    call = await gateway.next_call()
    stage.client.end()
    stage.client.hang_up()
    await stage.ended()
    await asyncio.wait_for(call.cancelled.wait(), SOON_S)


async def test_a_second_handshake_ends_the_first_session(stage: Stage, frontend: Frontend):
    await stage.client.initialize("2025-06-18")
    await stage.client.initialize("2025-11-25")
    await comes_true(lambda: frontend.session_count == 1, "one session is left")
    assert "result" in await stage.client.ask("tools/list")


async def test_stray_notifications_harm_nobody(stage: Stage):
    stage.client.send(notification("notifications/roots/list_changed"), cancelled("nothing"))
    assert "result" in await stage.client.ask_modern("tools/list")


async def test_a_gateway_that_wants_a_token_gets_ours_or_says_where_to_put_it(serving: Any):
    token = TokenConfig(name="me", sha256=hashlib.sha256(b"secret-token").hexdigest())
    async with serving(tokens=(token,)) as frontend:
        async with bridged(frontend.url, "secret-token") as stage:
            assert "result" in await stage.client.ask_modern("tools/list")
            assert "result" in await stage.client.initialize()
        async with bridged(frontend.url, "another") as stage:
            answer = await stage.client.ask_modern("tools/list")
            assert "ONLY1MCP_TOKEN" in answer["error"]["message"]
