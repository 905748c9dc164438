"""Each demo as a real child, both eras talked over its pipe."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from proxy_core.demo.clock import Clock
from proxy_core.demo.flaky import Flaky
from proxy_core.demo.notes import DB_VARIABLE, Notes, Store
from proxy_core.demo.offer import Demo
from proxy_core.protocol.revisions import SUPPORTED
from proxy_core.protocol.translate import NORMALISERS

P = "io.modelcontextprotocol/"
META = {P + "protocolVersion": "2026-07-28", P + "clientCapabilities": {}}
WAIT_S = 60
ROOT = Path(__file__).parents[3]
SCHEMAS = {
    demo.name: {tool: each.definition for tool, each in demo.tools.items()} for demo in (Clock(), Flaky())
}


class Child:
    """One demo process and what it has said so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._ids = iter(range(1, 1000))
        self.said: list[Any] = []
        """Every message that was no answer being waited for, in order."""

    def write(self, message: dict[str, Any] | bytes) -> None:
        line = message if isinstance(message, bytes) else json.dumps(message).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")

    def begin(self, method: str, params: dict[str, Any] | None = None, request_id: Any = None) -> Any:
        request_id = next(self._ids) if request_id is None else request_id
        self.write({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params or {}})
        return request_id

    def notify(self, method: str, params: dict[str, Any]) -> None:
        self.write({"jsonrpc": "2.0", "method": method, "params": params})

    async def line(self) -> bytes:
        assert self.process.stdout is not None
        return await asyncio.wait_for(self.process.stdout.readuntil(b"\n"), WAIT_S)

    async def until(self, is_it: Callable[[Any], bool]) -> Any:
        while True:
            message = json.loads(await self.line())
            if is_it(message):
                return message
            self.said.append(message)

    async def answer(self, request_id: Any) -> Any:
        return await self.until(lambda message: "method" not in message and message.get("id") == request_id)

    async def legacy(self, method: str, params: dict[str, Any] | None = None) -> Any:
        return await self.answer(self.begin(method, params))

    async def modern(self, method: str, params: dict[str, Any] | None = None, **meta: Any) -> Any:
        return await self.answer(self.begin(method, {**(params or {}), "_meta": META | meta}))

    async def call(self, name: str, **arguments: Any) -> Any:
        return (await self.legacy("tools/call", {"name": name, "arguments": arguments}))["result"]

    async def initialize(self, version: str = "2025-11-25") -> Any:
        params = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        answer = await self.legacy("initialize", params)
        self.notify("notifications/initialized", {})
        return answer

    def close_stdin(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    async def stop(self) -> None:
        self.close_stdin()
        if self.process.returncode is None:
            await asyncio.wait_for(self.process.wait(), WAIT_S)


class Spawner:
    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def __call__(self, demo: str, **env: str) -> Child:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"proxy_core.demo.{demo}",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env=os.environ | env,
            limit=2**25,
        )
        child = Child(process)
        self._stack.push_async_callback(child.stop)
        return child


@pytest.fixture
async def spawn() -> AsyncIterator[Spawner]:
    async with AsyncExitStack() as stack:
        yield Spawner(stack)


ALL = pytest.mark.parametrize("demo", ["clock", "notes", "flaky"])
LISTS = {
    "tools/list": "tools",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
    "prompts/list": "prompts",
}


def words(result: Any) -> str:
    return "".join(block["text"] for block in result["content"])


# --- every demo, both eras ------------------------------------------------------------------------------------


@ALL
async def test_a_demo_serves_both_eras_on_one_pipe(spawn: Spawner, demo: str):
    child = await spawn(demo)
    discovered = (await child.modern("server/discover"))["result"]
    assert discovered["supportedVersions"][:2] == ["2026-07-28", "2025-11-25"]
    assert discovered["resultType"] == "complete"
    assert discovered["_meta"][P + "serverInfo"]["name"] == f"only1mcp-demo-{demo}"
    opened = (await child.initialize())["result"]
    assert opened["protocolVersion"] == "2025-11-25"
    assert opened["serverInfo"]["name"] == f"only1mcp-demo-{demo}"
    assert (await child.legacy("ping"))["result"] == {}
    for method, member in LISTS.items():
        modern, legacy = (await child.modern(method))["result"], (await child.legacy(method))["result"]
        assert legacy == {member: modern[member]}
        assert isinstance(modern["ttlMs"], int) and modern["cacheScope"] in ("public", "private")
    assert child.said == []


@ALL
async def test_every_item_of_a_demo_is_valid_in_every_revision(spawn: Spawner, demo: str):
    child = await spawn(demo)
    items = {method: (await child.modern(method))["result"][member] for method, member in LISTS.items()}
    for tool in items["tools/list"]:
        jsonschema.Draft202012Validator.check_schema(tool["inputSchema"])
        jsonschema.Draft202012Validator.check_schema(tool.get("outputSchema", {}))
    for revision in SUPPORTED:
        for method, listed in items.items():
            assert [NORMALISERS[method](item, revision) for item in listed] == listed


@ALL
@pytest.mark.requirement("L01")
async def test_the_handshake_settles_on_a_revision_that_both_know(spawn: Spawner, demo: str):
    child = await spawn(demo)
    assert (await child.initialize("2024-11-05"))["result"]["protocolVersion"] == "2024-11-05"
    assert (await child.initialize("2026-07-28"))["result"]["protocolVersion"] == "2025-11-25"


@ALL
async def test_a_demo_ends_soon_after_its_stdin(spawn: Spawner, demo: str):
    child = await spawn(demo)
    await child.initialize()
    child.begin("subscriptions/listen", {"_meta": META, "notifications": {"resourcesListChanged": True}})
    await child.until(lambda message: message.get("method", "").endswith("acknowledged"))
    child.close_stdin()
    assert await asyncio.wait_for(child.process.wait(), WAIT_S) == 0
    assert child.process.stderr is not None
    assert await child.process.stderr.read() == b""


@ALL
async def test_what_is_no_request_gets_the_right_error_and_the_pipe_goes_on(spawn: Spawner, demo: str):
    child = await spawn(demo)
    child.write(b"garbage")
    assert (await child.answer(None))["error"]["code"] == -32700
    child.write(b"[]")
    assert (await child.answer(None))["error"]["code"] == -32600
    assert (await child.legacy("nonsense"))["error"]["code"] == -32601
    assert (await child.modern("ping"))["error"]["code"] == -32601
    assert (await child.legacy("tools/call", {"name": "nothing"}))["error"]["code"] == -32602
    assert (await child.legacy("prompts/get", {"name": "nothing"}))["error"]["code"] == -32602
    missing = {"uri": "nowhere:/1"}
    assert (await child.legacy("resources/read", missing))["error"]["code"] == -32002
    modern_miss = (await child.modern("resources/read", missing))["error"]
    assert (modern_miss["code"], modern_miss["data"]) == (-32602, missing)
    assert (await child.legacy("logging/setLevel", {"level": "loud"}))["error"]["code"] == -32602
    assert (await child.legacy("ping"))["result"] == {}


@ALL
async def test_an_answer_still_comes_when_stdin_ends_right_after_the_request(spawn: Spawner, demo: str):
    child = await spawn(demo)
    request_id = child.begin("ping")
    child.close_stdin()
    assert (await child.answer(request_id))["result"] == {}


# --- clock ----------------------------------------------------------------------------------------------------


async def test_the_clock_tells_and_converts_times_as_its_schemas_say(spawn: Spawner):
    child = await spawn("clock")
    here, berlin = await child.call("now"), await child.call("now", timezone="Europe/Berlin")
    converted = await child.call(
        "convert", time="2026-07-01T12:00", **{"from": "Europe/Berlin", "to": "Asia/Tokyo"}
    )
    assert berlin["structuredContent"]["timezone"] == "Europe/Berlin"
    assert converted["structuredContent"]["target"]["iso"] == "2026-07-01T19:00:00+09:00"
    assert converted["structuredContent"]["difference_hours"] == 7
    for tool, result in (("now", here), ("now", berlin), ("convert", converted)):
        jsonschema.validate(result["structuredContent"], SCHEMAS["clock"][tool]["outputSchema"])
        assert json.loads(words(result)) == result["structuredContent"]


@pytest.mark.parametrize(
    "zone", ["Mars/Olympus", "../../etc/passwd", "/etc/passwd", "America", "a\0b", "x" * 5000]
)
async def test_a_time_zone_that_is_none_is_a_tool_error(spawn: Spawner, zone: str):
    child = await spawn("clock")
    assert (await child.call("now", timezone=zone))["isError"] is True
    assert (await child.call("convert", time="25:00", **{"from": "UTC", "to": "UTC"}))["isError"] is True
    assert (await child.call("convert", time="12:00", **{"from": "UTC", "to": zone}))["isError"] is True


@pytest.mark.requirement("P02")
async def test_a_countdown_tells_its_progress_to_who_asked(spawn: Spawner):
    child = await spawn("clock")
    call = {"name": "countdown", "arguments": {"seconds": 1}}
    assert words((await child.modern("tools/call", call))["result"]) == "Counted down 1 s."
    assert child.said == []
    await child.modern("tools/call", call, progressToken="t")
    params = [message["params"] for message in child.said]
    assert [(each["progressToken"], each["progress"], each["total"]) for each in params] == [
        ("t", 0, 1),
        ("t", 1, 1),
    ]


async def test_the_clock_is_also_a_resource_a_template_and_a_prompt(spawn: Spawner):
    child = await spawn("clock")
    for uri in ("clock://now", "clock://now/UTC", "clock://now/Europe%2FBerlin", "clock://now/Europe/Berlin"):
        contents = (await child.legacy("resources/read", {"uri": uri}))["result"]["contents"]
        assert [each["uri"] for each in contents] == [uri]
    assert "error" in await child.legacy("resources/read", {"uri": "clock://now/Mars"})
    arguments = {"topic": "lunch", "timezone": "Asia/Tokyo"}
    prompt = (await child.modern("prompts/get", {"name": "meeting", "arguments": arguments}))["result"]
    assert "lunch" in prompt["messages"][0]["content"]["text"]
    assert (await child.modern("prompts/get", {"name": "meeting"}))["error"]["code"] == -32602


async def test_time_zones_are_completed_best_first_and_a_hundred_at_most(spawn: Spawner):
    child = await spawn("clock")
    ref = {"type": "ref/prompt", "name": "meeting"}
    params = {"ref": ref, "argument": {"name": "timezone", "value": "europe/ber"}}
    assert (await child.modern("completion/complete", params))["result"]["completion"]["values"] == [
        "Europe/Berlin"
    ]
    params["argument"]["value"] = ""
    completion = (await child.legacy("completion/complete", params))["result"]["completion"]
    assert len(completion["values"]) == 100 and completion["total"] > 100 and completion["hasMore"]
    params["argument"]["name"] = "topic"
    assert (await child.legacy("completion/complete", params))["result"]["completion"]["values"] == []


# --- notes ----------------------------------------------------------------------------------------------------


async def test_notes_are_kept_found_listed_read_and_deleted(spawn: Spawner):
    child = await spawn("notes")
    with closing(Store(":memory:")) as store:
        schemas = {name: tool.definition for name, tool in Notes(store).tools.items()}
    added = await child.call("add", text="Buy milk\nand bread")
    await child.call("add", text="Call Ann")
    found, listed = await child.call("search", query="MILK"), await child.call("list")
    assert [note["id"] for note in found["structuredContent"]["notes"]] == [1]
    assert [note["id"] for note in listed["structuredContent"]["notes"]] == [2, 1]
    for tool, result in (("add", added), ("search", found), ("list", listed)):
        jsonschema.validate(result["structuredContent"], schemas[tool]["outputSchema"])
    resources = (await child.legacy("resources/list"))["result"]["resources"]
    assert [(each["uri"], each["title"]) for each in resources] == [
        ("note:///2", "Call Ann"),
        ("note:///1", "Buy milk"),
    ]
    read = (await child.legacy("resources/read", {"uri": "note:///1"}))["result"]["contents"]
    assert read == [{"uri": "note:///1", "mimeType": "text/plain", "text": "Buy milk\nand bread"}]
    assert (await child.call("delete", id=1))["structuredContent"]["text"] == "Buy milk\nand bread"
    assert (await child.call("delete", id=1))["isError"] is True
    assert "error" in await child.legacy("resources/read", {"uri": "note:///1"})
    prompt = (await child.legacy("prompts/get", {"name": "summarise"}))["result"]
    assert "Call Ann" in prompt["messages"][0]["content"]["text"]


@pytest.mark.parametrize(
    "uri", ["note:///0", "note:///x", "note:///-1", "note:///" + "9" * 30, "note:///٣", "note:/1"]
)
async def test_a_uri_that_is_no_note_is_not_found(spawn: Spawner, uri: str):
    child = await spawn("notes")
    await child.call("add", text="one")
    assert (await child.legacy("resources/read", {"uri": uri}))["error"]["code"] == -32002


@pytest.mark.parametrize("arguments", [{}, {"text": ""}, {"text": 5}, {"text": "x" * 100_001}])
async def test_a_note_without_a_sane_text_is_a_tool_error(spawn: Spawner, arguments: dict[str, Any]):
    child = await spawn("notes")
    assert (await child.call("add", **arguments))["isError"] is True


async def test_a_search_takes_every_character_as_it_is(spawn: Spawner):
    child = await spawn("notes")
    await child.call("add", text="100% sure")
    assert len((await child.call("search", query="0% s"))["structuredContent"]["notes"]) == 1
    assert (await child.call("search", query="1_0"))["structuredContent"]["notes"] == []


async def test_notes_in_a_file_outlive_the_process(spawn: Spawner, tmp_path: Path):
    path = str(tmp_path / "notes.db")
    first = await spawn("notes", **{DB_VARIABLE: path})
    await first.call("add", text="still here")
    await first.stop()
    second = await spawn("notes", **{DB_VARIABLE: path})
    assert (await second.call("list"))["structuredContent"]["notes"][0]["text"] == "still here"


async def test_a_file_that_cannot_be_opened_is_told_on_stderr(spawn: Spawner, tmp_path: Path):
    child = await spawn("notes", **{DB_VARIABLE: str(tmp_path)})
    assert await asyncio.wait_for(child.process.wait(), WAIT_S) == 1
    assert child.process.stderr is not None
    assert str(tmp_path).encode() in await child.process.stderr.read()


async def test_a_legacy_peer_hears_of_changes_only_after_its_handshake(spawn: Spawner):
    child = await spawn("notes")
    await child.call("add", text="one")
    assert child.said == []
    await child.initialize()
    await child.call("add", text="two")
    assert [message["method"] for message in child.said] == ["notifications/resources/list_changed"]


@pytest.mark.requirement("C08")
@pytest.mark.parametrize("request_id", ["sub", 77])
async def test_a_modern_listener_hears_of_what_it_asked_for_until_it_cancels(spawn: Spawner, request_id: Any):
    child = await spawn("notes")
    wanted = {"toolsListChanged": True, "resourcesListChanged": True, "resourceSubscriptions": ["note:///1"]}
    child.begin("subscriptions/listen", {"_meta": META, "notifications": wanted}, request_id)
    ack = await child.until(lambda message: True)
    tag = {P + "subscriptionId": request_id}
    assert ack["method"] == "notifications/subscriptions/acknowledged"
    assert ack["params"] == {"_meta": tag, "notifications": {"resourcesListChanged": True}}
    await child.modern("tools/call", {"name": "add", "arguments": {"text": "one"}})
    assert [(each["method"], each["params"]) for each in child.said] == [
        ("notifications/resources/list_changed", {"_meta": tag})
    ]
    child.notify("notifications/cancelled", {"requestId": request_id, "_meta": META})
    await child.modern("tools/call", {"name": "add", "arguments": {"text": "two"}})
    assert len(child.said) == 1


# --- flaky ----------------------------------------------------------------------------------------------------


async def test_flaky_echoes_fails_and_errs_as_asked(spawn: Spawner):
    child = await spawn("flaky")
    assert words(await child.call("echo", text="héllo \n 世界")) == "héllo \n 世界"
    assert await child.call("fail", message="no") == {
        "content": [{"type": "text", "text": "no"}],
        "isError": True,
    }
    answer = await child.legacy("tools/call", {"name": "error", "arguments": {"code": -32050}})
    assert answer["error"]["code"] == -32050
    assert len(words(await child.call("big", bytes=3_000_000))) == 3_000_000
    assert (await child.call("big", bytes=-1))["isError"] is True


async def test_a_slow_call_does_not_hold_up_another_and_tells_its_progress(spawn: Spawner):
    child = await spawn("flaky")
    slow = {"name": "delay", "arguments": {"seconds": 1}, "_meta": {"progressToken": 5}}
    request_id = child.begin("tools/call", slow)
    await child.legacy("ping")
    assert all(message["method"] == "notifications/progress" for message in child.said)
    assert words((await child.answer(request_id))["result"]) == "Waited 1 s."
    progress = [message["params"]["progress"] for message in child.said]
    assert progress == list(range(11))


@pytest.mark.requirement("L11")
@pytest.mark.parametrize("request_id", [901, "901"])
async def test_a_cancelled_call_is_never_answered(spawn: Spawner, request_id: Any):
    child = await spawn("flaky")
    for params in ({}, {"_meta": META}):
        child.begin("tools/call", {"name": "delay", "arguments": {"seconds": 600}, **params}, request_id)
        child.notify("notifications/cancelled", {"requestId": 901 if request_id == "901" else "901"})
        child.notify("notifications/cancelled", {"requestId": request_id})
        await child.legacy("ping")
        # The id is free again, so nothing of the call is left.
        child.begin("ping", request_id=request_id)
        assert (await child.answer(request_id))["result"] == {}
    assert child.said == []


async def test_an_id_in_use_is_refused(spawn: Spawner):
    child = await spawn("flaky")
    child.begin("tools/call", {"name": "delay", "arguments": {"seconds": 600}}, 7)
    child.begin("ping", request_id=7)
    assert (await child.answer(7))["error"]["code"] == -32600


async def test_a_crash_ends_the_process_with_code_one(spawn: Spawner):
    child = await spawn("flaky")
    child.begin("tools/call", {"name": "crash"})
    assert await asyncio.wait_for(child.process.wait(), WAIT_S) == 1
    assert child.process.stdout is not None
    assert await child.process.stdout.read() == b""


async def test_garbage_comes_before_the_answer(spawn: Spawner):
    child = await spawn("flaky")
    request_id = child.begin("tools/call", {"name": "garbage"})
    with pytest.raises(json.JSONDecodeError):
        json.loads(await child.line())
    assert words((await child.answer(request_id))["result"]) == "That line was no JSON."


async def test_stderr_is_written_to_stderr_only(spawn: Spawner):
    child = await spawn("flaky")
    await child.call("stderr", text="a word")
    assert child.process.stderr is not None
    assert await asyncio.wait_for(child.process.stderr.readline(), WAIT_S) == b"a word\n"


async def test_logs_go_to_peers_that_want_their_level(spawn: Spawner):
    child = await spawn("flaky")
    warning = {"name": "log", "arguments": {"level": "warning", "text": "hot"}}
    await child.modern("tools/call", warning)
    await child.modern("tools/call", warning, **{P + "logLevel": "error"})
    await child.legacy("logging/setLevel", {"level": "error"})
    await child.legacy("tools/call", warning)
    assert child.said == []
    await child.modern("tools/call", warning, **{P + "logLevel": "info"})
    await child.legacy("logging/setLevel", {"level": "debug"})
    await child.legacy("tools/call", warning)
    params = {"level": "warning", "logger": "demo", "data": "hot"}
    assert [(each["method"], each["params"]) for each in child.said] == [("notifications/message", params)] * 2


async def test_a_line_without_an_end_stops_the_demo_before_it_fills_the_memory(spawn: Spawner):
    child = await spawn("flaky")
    child.write(b"x" * (5 * 1024 * 1024))
    assert await asyncio.wait_for(child.process.wait(), WAIT_S) == 1


def test_a_demo_that_offers_nothing_answers_with_nothing():
    demo = Demo()
    assert (demo.resources(), demo.read("x:/"), demo.complete("a", "b")) == ([], None, [])
