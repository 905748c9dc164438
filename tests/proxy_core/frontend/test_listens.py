"""subscriptions/listen over real sockets: acknowledged, tagged, bounded, and ended with a result."""

import asyncio
from typing import Any

import pytest

from proxy_core.config.models import LimitsConfig
from tests.support.http_client import META, SOON_S, Client, modern
from tests.support.scripted_gateway import ScriptedGateway

SUBSCRIPTION_ID = META + "subscriptionId"


def listen(client: Client, wanted: Any, id: Any = 4) -> Any:
    body, headers = modern("subscriptions/listen", {"notifications": wanted}, id=id)
    return client.stream("POST", body, headers=headers)


@pytest.mark.parametrize("request_id", [4, "4"])
async def test_the_acknowledgement_comes_first_and_names_what_is_honoured(client: Client, request_id: Any):
    wanted = {
        "toolsListChanged": True,
        "promptsListChanged": False,
        "resourceSubscriptions": ["file:///a"],
        "somethingNew": True,
    }
    async with listen(client, wanted, request_id) as stream:
        assert await stream.next() == {
            "jsonrpc": "2.0",
            "method": "notifications/subscriptions/acknowledged",
            "params": {
                "_meta": {SUBSCRIPTION_ID: request_id},
                "notifications": {"toolsListChanged": True},
            },
        }


async def test_only_what_was_asked_for_arrives_and_it_is_tagged(client: Client, gateway: ScriptedGateway):
    async with listen(client, {"promptsListChanged": True}, "s") as stream:
        await stream.next()
        gateway.hub.changed("tools")
        gateway.hub.changed("prompts")
        assert await stream.next() == {
            "jsonrpc": "2.0",
            "method": "notifications/prompts/list_changed",
            "params": {"_meta": {SUBSCRIPTION_ID: "s"}},
        }


async def test_several_listens_each_get_every_change(client: Client, gateway: ScriptedGateway, frontend: Any):
    wanted = {"toolsListChanged": True}
    async with listen(client, wanted, 1) as one, listen(client, wanted, 2) as two:
        await one.next()
        await two.next()
        assert frontend.stream_count == 2
        assert frontend.in_flight == 0
        gateway.hub.changed("tools")
        tags = [(await stream.next())["params"]["_meta"][SUBSCRIPTION_ID] for stream in (one, two)]
        assert tags == [1, 2]


@pytest.mark.parametrize("wanted", [None, [], "tools", True])
async def test_a_filter_that_is_no_object_is_refused(client: Client, wanted: Any):
    reply = await client.ask("subscriptions/listen", {"notifications": wanted})
    assert (reply.status, reply.error_code) == (400, -32602)


async def test_a_client_that_leaves_is_forgotten(client: Client, gateway: ScriptedGateway, frontend: Any):
    async with listen(client, {"toolsListChanged": True}) as stream:
        await stream.next()
        assert len(gateway.hub) == 1
        stream.response.close()
    while frontend.stream_count:
        await asyncio.sleep(0)
    assert len(gateway.hub) == 0


@pytest.mark.requirement("W25")
async def test_a_listen_ends_with_its_result_when_the_gateway_stops(client: Client, frontend: Any):
    async with listen(client, {}, "last") as stream:
        await stream.next()
        await frontend.stop_listening()
        await frontend.end_streams()
        result = await stream.next()
        assert result["id"] == "last"
        assert result["result"]["resultType"] == "complete"
        assert result["result"]["_meta"][SUBSCRIPTION_ID] == "last"
        assert result["result"]["_meta"][META + "serverInfo"]["name"] == "only1mcp"
        assert await stream.rest() == b""


async def test_listens_beyond_the_limit_are_refused_where_strangers_may_connect(serving: Any, http: Any):
    async with serving(host="0.0.0.0", allow_remote=True, limits=LimitsConfig(listens=1)) as frontend:
        client = Client(http, frontend.url)
        async with listen(client, {}) as stream:
            await stream.next()
            reply = await client.ask("subscriptions/listen", {"notifications": {}})
            assert reply.json["error"]["data"]["dev.only1mcp"]["kind"] == "overloaded"


async def test_listens_are_not_counted_on_loopback(serving: Any, http: Any):
    async with serving(limits=LimitsConfig(listens=1)) as frontend:
        client = Client(http, frontend.url)
        async with listen(client, {}) as one, listen(client, {}) as two:
            await asyncio.wait_for(asyncio.gather(one.next(), two.next()), SOON_S)
