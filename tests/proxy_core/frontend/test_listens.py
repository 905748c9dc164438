"""subscriptions/listen over real sockets: acknowledged, tagged, bounded, and ended with a result."""

import asyncio
import json
from typing import Any

import pytest
from msgspec import Raw

from proxy_core.config.models import LimitsConfig
from proxy_core.errors import Overloaded
from proxy_core.frontend.event_stream import MAX_QUEUED_EVENTS, EventStreams
from proxy_core.frontend.listens import MAX_EARLY, Listen
from proxy_core.gateway.subscriptions import ListKind
from proxy_core.protocol.capabilities import TASKS
from tests.support.clock import FakeClock
from tests.support.http_client import ENVELOPE, META, SOON_S, Client, modern
from tests.support.open_wire import OpenWire
from tests.support.scripted_channel import acknowledges, until
from tests.support.scripted_gateway import ScriptedGateway
from tests.support.stub_backends import MODERN, House, Outbox, StubServer, resource, tool
from tests.support.stub_backends import client as modern_caller

SUBSCRIPTION_ID = META + "subscriptionId"


def listen(client: Client, wanted: Any, id: Any = 4) -> Any:
    body, headers = modern("subscriptions/listen", {"notifications": wanted}, id=id)
    return client.stream("POST", body, headers=headers)


@pytest.mark.requirement("C08")
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


@pytest.mark.requirement("C09")
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


@pytest.mark.requirement("C15")
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


async def test_a_change_just_before_the_gateway_stops_is_still_told(
    client: Client, gateway: ScriptedGateway, frontend: Any
):
    async with listen(client, {"toolsListChanged": True}, "last") as stream:
        await stream.next()
        gateway.hub.changed("tools")
        await frontend.stop_listening()
        await frontend.end_streams()
        assert (await stream.next())["method"] == "notifications/tools/list_changed"
        assert (await stream.next())["id"] == "last"


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


# --- single resources ---------------------------------------------------------------------------------------


@pytest.mark.requirement("C08")
async def test_of_the_uris_those_that_were_accepted_are_acknowledged(client: Client, gateway: ScriptedGateway):
    gateway.updates.accepted = {"file:///a", "file:///c"}
    async with listen(
        client, {"resourceSubscriptions": ["file:///c", "file:///b", "file:///a"]}, "s"
    ) as stream:
        acknowledged = await stream.next()
        assert acknowledged["params"]["notifications"] == {"resourceSubscriptions": ["file:///c", "file:///a"]}
        gateway.updates.says("file:///a")
        assert await stream.next() == {
            "jsonrpc": "2.0",
            "method": "notifications/resources/updated",
            "params": {"_meta": {SUBSCRIPTION_ID: "s"}, "uri": "file:///a"},
        }
    await until(lambda: not gateway.updates.listeners)


@pytest.mark.requirement("C08")
async def test_what_happens_before_the_acknowledgement_comes_after_it(client: Client, gateway: ScriptedGateway):
    gateway.updates.accepted = {"file:///a"}
    gateway.updates.is_ready.clear()
    wanted = {"toolsListChanged": True, "resourceSubscriptions": ["file:///a"]}

    async def change() -> None:
        await until(lambda: gateway.updates.listeners)
        told: list[ListKind] = []
        gateway.hub.add(frozenset({"tools"}), told.append)
        gateway.hub.changed("tools")
        await until(lambda: told)
        for _ in range(2):
            gateway.updates.says("file:///a")
        gateway.updates.is_ready.set()

    changing = asyncio.ensure_future(change())
    async with listen(client, wanted) as stream:
        methods = [(await stream.next())["method"].removeprefix("notifications/") for _ in range(3)]
        assert methods == ["subscriptions/acknowledged", "tools/list_changed", "resources/updated"]
    await changing


async def test_without_uris_no_resource_is_subscribed_to(client: Client, gateway: ScriptedGateway):
    async with listen(client, {"resourceSubscriptions": []}) as stream:
        assert (await stream.next())["params"]["notifications"] == {}
        assert gateway.updates.listeners == []


@pytest.mark.parametrize(
    "wanted",
    [
        {"resourceSubscriptions": "file:///a"},
        {"resourceSubscriptions": {"uri": "file:///a"}},
        {"resourceSubscriptions": ["file:///a", 7]},
        {"resourceSubscriptions": [None]},
        {"toolsListChanged": "yes"},
        {"promptsListChanged": 1},
    ],
)
async def test_a_filter_of_another_shape_is_refused(client: Client, wanted: Any):
    reply = await client.ask("subscriptions/listen", {"notifications": wanted})
    assert (reply.status, reply.error_code) == (400, -32602)


async def test_one_who_would_hear_of_too_much_at_once_is_refused(gateway: ScriptedGateway):
    gateway.updates.is_ready.clear()
    line = _Line()
    listening = Listen(gateway, line, b"1")
    opening = asyncio.ensure_future(listening.open(_filter(["file:///a"]), modern_caller()))
    await until(lambda: gateway.updates.listeners)
    for number in range(MAX_EARLY + 1):
        gateway.updates.says(f"file:///a/{number}")
    gateway.updates.is_ready.set()
    with pytest.raises(Overloaded):
        await opening
    assert line.messages == []
    listening.close()
    assert gateway.updates.listeners == []


@pytest.mark.requirement("C17")
async def test_a_listener_that_does_not_read_loses_its_stream_and_others_lose_nothing(gateway: ScriptedGateway):
    gateway.updates.accepted = {"file:///a"}
    slow, quick = OpenWire(), OpenWire()
    slow.reads.clear()
    streams = EventStreams(FakeClock())
    opened = [streams.open(wire.open) for wire in (slow, quick)]
    for stream in opened:
        await Listen(gateway, stream, b"1").open(_filter(["file:///a"]), modern_caller())
    await until(lambda: slow.sent and quick.sent)
    for number in range(MAX_QUEUED_EVENTS + 1):
        gateway.updates.says(f"file:///a/{number}")
        gateway.updates.says(f"file:///a/{number}")
        await until(lambda number=number: b'file:///a/%d"' % number in quick.sent)
        assert slow.is_aborted is (number == MAX_QUEUED_EVENTS), "what is equal waits once"
    assert not quick.is_aborted
    assert quick.sent.count(b"resources/updated") >= MAX_QUEUED_EVENTS
    for stream in opened:
        streams.release(stream)
    await streams.aclose()


@pytest.mark.requirement("C14")
@pytest.mark.parametrize("revision", ["2025-06-18", MODERN])
async def test_progress_and_log_messages_of_a_call_never_come_on_a_listen(revision: str):
    box = StubServer(
        revision,
        tools=[tool("run")],
        resources=[resource("file:///a")],
        offers={"resources": {"subscribe": True, "listChanged": True}, "logging": {}},
        script={
            "subscriptions/listen": acknowledges,
            "resources/subscribe": lambda asked: asked.answer({}),
        },
    )
    async with House({"box": box}).open() as house:
        line, outbox = _Line(), Outbox()
        listening = Listen(house.gateway, line, b"1")
        await listening.open(_filter(["file:///a"]), modern_caller())
        caller = modern_caller(log_level="debug")
        params = {"name": "box__run", "_meta": {"progressToken": 1}}
        call = house.begin("tools/call", params, caller, outbox)
        asked = await box.next("tools/call")
        asked.progress(1)
        for origin in (asked.id, None):
            log = {
                "jsonrpc": "2.0",
                "method": "notifications/message",
                "params": {"level": "info", "data": "x"},
            }
            asked.channel.says(log, origin)
        box.tells("notifications/resources/updated", uri="file:///a")
        asked.answer({"content": []})
        await call
        assert "notifications/progress" in [each["method"] for each in outbox.messages]
        assert [each["method"] for each in line.messages] == [
            "notifications/subscriptions/acknowledged",
            "notifications/resources/updated",
        ]
        listening.close()


def _filter(uris: list[str]) -> Raw:
    return Raw(json.dumps({"notifications": {"resourceSubscriptions": uris}}).encode())


class _Line:
    """Where a listen's messages go."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def notify(self, message: bytes) -> None:
        self.messages.append(json.loads(message))

    notify_once = notify


# --- tasks ---------------------------------------------------------------------------------------------------

KNOWS_TASKS = ENVELOPE | {META + "clientCapabilities": {"extensions": {TASKS: {}}}}


@pytest.mark.requirement("T01")
@pytest.mark.parametrize("task_ids", [["t"], []])
async def test_who_did_not_declare_tasks_cannot_listen_to_any(client: Client, task_ids: list[str]):
    reply = await client.ask("subscriptions/listen", {"notifications": {"taskIds": task_ids}})
    assert (reply.status, reply.error_code) == (400, -32021)
    assert reply.json["error"]["data"] == {"requiredCapabilities": {"extensions": {TASKS: {}}}}


@pytest.mark.parametrize("task_ids", ["t", [7], {"t": True}])
async def test_the_ids_of_tasks_are_texts(client: Client, task_ids: Any):
    wanted = {"notifications": {"taskIds": task_ids}}
    reply = await client.ask("subscriptions/listen", wanted, meta=KNOWS_TASKS)
    assert (reply.status, reply.error_code) == (400, -32602)


async def test_news_of_tasks_are_tagged_and_only_accepted_ones_acknowledged(
    client: Client, gateway: ScriptedGateway
):
    gateway.task_updates.accepted = {"t"}
    body, headers = modern(
        "subscriptions/listen", {"notifications": {"taskIds": ["t", "u"]}}, id="s", meta=KNOWS_TASKS
    )
    async with client.stream("POST", body, headers=headers) as stream:
        assert (await stream.next())["params"]["notifications"] == {"taskIds": ["t"]}
        gateway.task_updates.says({"taskId": "t", "status": "working"})
        assert await stream.next() == {
            "jsonrpc": "2.0",
            "method": "notifications/tasks",
            "params": {"taskId": "t", "status": "working", "_meta": {SUBSCRIPTION_ID: "s"}},
        }
    await until(lambda: not gateway.task_updates.listeners)
