"""The clients' side as one thing: where it may listen, what it tells, and how it ends."""

import asyncio
from typing import Any

import aiohttp
import pytest

from proxy_core.config.models import Config, LimitsConfig, ProxyConfig
from proxy_core.errors import InsecureBind
from proxy_core.frontend import server
from tests.support.http_client import SOON_S, Client, modern, request
from tests.support.scripted_gateway import MODERN_RESULT, ScriptedGateway


@pytest.mark.requirement("A06")
@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
async def test_an_address_that_strangers_reach_is_refused_unless_it_was_asked_for(serving: Any, host: str):
    with pytest.raises(InsecureBind, match="--insecure"):
        async with serving(host=host):
            pass


async def test_the_url_names_the_port_that_was_bound_and_an_address_that_answers(serving: Any, http: Any):
    async with serving(host="0.0.0.0", allow_remote=True, path="/only") as frontend:
        assert frontend.url.startswith("http://127.0.0.1:")
        assert frontend.url.endswith("/only")
        assert (await Client(http, frontend.url).ask("tools/list")).status == 200


async def test_a_stop_refuses_new_work_and_finishes_what_is_in_flight(
    client: Client, frontend: Any, gateway: ScriptedGateway
):
    gateway.held = {"tools/call"}
    await client.ask("tools/list")
    asked = asyncio.ensure_future(client.ask("tools/call", {"name": "a__b"}))
    call = await gateway.next_call()
    await client.ask("tools/list")
    await frontend.stop_listening()
    # An open connection still reaches us, a new one does not.
    late = await client.ask("tools/list")
    assert (late.status, late.headers["Connection"]) == (503, "close")
    async with aiohttp.ClientSession() as stranger:
        with pytest.raises(aiohttp.ClientConnectorError):
            await Client(stranger, client.url).ask("tools/list")
    assert frontend.in_flight == 1
    call.answer(MODERN_RESULT)
    assert (await asked).status == 200


async def test_a_close_sends_what_is_ready_and_cancels_the_rest(
    client: Client, frontend: Any, gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(server, "SHUTDOWN_S", 0.2)
    gateway.held = {"tools/call"}
    await client.initialize()
    ready = asyncio.ensure_future(client.ask("tools/call", {"name": "a__b"}))
    ready_call = await gateway.next_call()
    modern_one = asyncio.ensure_future(client.ask("tools/call", {"name": "a__b"}))
    modern_call = await gateway.next_call()
    legacy_one = asyncio.ensure_future(client.post(request("tools/call")))
    legacy_call = await gateway.next_call()
    ready_call.answer(MODERN_RESULT)
    await asyncio.wait_for(frontend.aclose(), SOON_S)
    assert (await ready).status == 200
    assert modern_call.cancelled.is_set()
    assert legacy_call.cancelled.is_set()
    assert (frontend.in_flight, frontend.session_count, frontend.stream_count) == (0, 0, 0)
    await asyncio.wait([modern_one, legacy_one])
    await frontend.aclose()


async def test_allow_lists_and_limits_change_without_a_restart(client: Client, frontend: Any):
    body, headers = modern("tools/list")
    foreign = headers | {"Origin": "https://app.example"}
    assert (await client.send("POST", body, headers=foreign)).status == 403
    proxy = ProxyConfig(port=1, path="/other", allowed_origins=("https://app.example",))
    frontend.use(Config(proxy=proxy, limits=LimitsConfig(sessions=1)))
    assert (await client.send("POST", body, headers=foreign)).status == 200
    await client.initialize()
    await client.initialize()
    assert frontend.session_count == 1
