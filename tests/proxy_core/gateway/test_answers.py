"""What servers answer, as clients of each revision see it."""

import json
from typing import Any

import pytest

from proxy_core import __version__
from proxy_core.backends import connection
from proxy_core.errors import (
    BackendError,
    BackendProtocolError,
    Kind,
    Only1Error,
    UnknownResource,
)
from proxy_core.facts import RequestFinished
from proxy_core.gateway import answers
from proxy_core.gateway.exchange import Caller
from proxy_core.protocol.revisions import MODERN, SUPPORTED
from tests.support.scripted_channel import refuses, result
from tests.support.stub_backends import (
    LEGACY,
    House,
    StubServer,
    client,
    raw_result,
    resource,
    searcher,
    tool,
)

P = "io.modelcontextprotocol/"
OURS = {"name": "only1mcp", "version": __version__}


# --- results by era --------------------------------------------------------------------------------------


@pytest.mark.requirement("W25")
@pytest.mark.parametrize("revision", SUPPORTED)
async def test_a_modern_client_gets_a_type_and_our_stamp(revision: str):
    own = {"_meta": {P + "serverInfo": {"name": "box", "version": "9"}, "x/y": 1}, "content": []}
    box = StubServer(revision, tools=[tool("run")], script={"tools/call": result(own)})
    async with House({"box": box}).open() as house:
        answer = await house.call("box__run")
        assert answer == {
            "resultType": "complete",
            "content": [],
            "_meta": {P + "serverInfo": OURS, "x/y": 1},
        }


@pytest.mark.requirement("L14")
async def test_a_legacy_client_sees_nothing_of_the_modern_era():
    own = {
        "resultType": "complete",
        "content": [],
        "ttlMs": 1,
        "cacheScope": "public",
        "_meta": {P + "serverInfo": OURS, "x/y": 1},
    }
    box = StubServer(MODERN, tools=[tool("run")], script={"tools/call": result(own)})
    async with House({"box": box}).open() as house:
        assert await house.call("box__run", client("2025-11-25")) == {"content": [], "_meta": {"x/y": 1}}


@pytest.mark.requirement("L14")
@pytest.mark.parametrize("method", ["tools/list", "prompts/list", "resources/list", "resources/templates/list"])
async def test_a_list_for_a_legacy_client_is_the_list_alone(method: str):
    async with House({"box": searcher(MODERN, hints={"ttlMs": 9, "cacheScope": "public"})}).open() as house:
        assert len(await house.ask(method, {}, client("2025-11-25"))) == 1


@pytest.mark.parametrize("server", [LEGACY, MODERN])
@pytest.mark.parametrize(
    "own",
    [
        {"content": []},
        {"content": [{"type": "text", "text": "\u00e9"}], "isError": True},
        {"content": [{"type": "text", "text": "1", "annotations": {"priority": 1}, "_meta": {"a": [1]}}]},
        {"content": [], "structuredContent": {"rows": [{"isError": True}], "n": 1e2}},
        {"content": [], "structuredContent": [1, 2]},
        {"content": [], "_meta": {P + "serverInfo": {"name": "box", "version": "9"}}},
        {"content": [], "_meta": {P + "serverInfo": {"name": "box", "version": "9"}, "x/y": 1}},
        {"content": [], "_meta": "none"},
        {"content": [], "_meta": {"long": "x" * 2000}},
        {"content": [{"type": "text", "text": 7}]},
        {"content": [{"type": "image", "data": "", "mimeType": "image/png"}]},
        {"content": [{"type": "resource_link", "uri": "box:///a", "name": "a"}]},
        {"content": [{"type": "text", "text": "a", "more": 1}]},
        {"content": "none"},
        {"content": [], "ttlMs": 1},
    ],
)
async def test_a_large_result_says_the_same_as_a_small_one(
    own: dict[str, Any], server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if server == MODERN:
        own = {"resultType": "complete"} | own
    told = []
    for large in (0, 1 << 30):
        monkeypatch.setattr(connection, "LARGE_BYTES", large)
        box = StubServer(server, tools=[tool("run")], script={"tools/call": result(own)})
        async with House({"box": box}).open() as house:
            heard = [await _outcome(house, client(revision)) for revision in SUPPORTED]
            failed = [fact.is_tool_error for fact in house.facts if isinstance(fact, RequestFinished)]
        told.append((heard, failed if "rows" not in str(own) else []))
    assert told[0] == told[1]


async def _outcome(house: House, caller: Caller) -> Any:
    try:
        return await house.call("box__run", caller)
    except Only1Error as error:
        return error.code, error.message


async def test_a_result_that_needs_no_change_is_the_very_same_bytes():
    body = b'{ "isError":false, "content":[{"type":"text","text":"1.0e2\\n"}] ,"structuredContent":{"n":1.0e2}}'
    box = StubServer(tools=[tool("run")], script={"tools/call": raw_result(body)})
    async with House({"box": box}).open() as house:
        assert await house.bytes_of("tools/call", {"name": "box__run"}, client(LEGACY)) == body
        assert (await house.bytes_of("tools/call", {"name": "box__run"})).endswith(body[1:].lstrip())


@pytest.mark.requirement("B13")
@pytest.mark.parametrize("kind", ["input_required", "task", "odd", 7])
@pytest.mark.parametrize("revision", [MODERN, LEGACY])
async def test_a_result_of_a_type_that_nobody_asked_for_is_refused(revision: str, kind: Any):
    reply = result({"resultType": kind, "content": [], "inputRequests": {}})
    box = StubServer(MODERN, tools=[tool("run")], script={"tools/call": reply})
    async with House({"box": box}).open() as house:
        error = await house.refused("tools/call", {"name": "box__run"}, revision)
        assert isinstance(error, BackendProtocolError)
        assert error.data()["dev.only1mcp"]["kind"] == Kind.PROTOCOL


@pytest.mark.parametrize("revision", SUPPORTED)
async def test_a_content_type_that_no_revision_knows_is_text_for_everyone(revision: str):
    block = {"type": "hologram", "data": "x"}
    box = StubServer(tools=[tool("run")], script={"tools/call": result({"content": [block]})})
    async with House({"box": box}).open() as house:
        [shown] = (await house.call("box__run", client(revision)))["content"]
        assert shown["type"] == "text"
        assert json.loads(shown["text"]) == block


@pytest.mark.requirement("N19")
async def test_a_structured_array_is_for_modern_clients_and_text_for_the_others():
    reply = result({"content": [], "structuredContent": [1, 2]})
    box = StubServer(MODERN, tools=[tool("run")], script={"tools/call": reply})
    async with House({"box": box}).open() as house:
        assert (await house.call("box__run"))["structuredContent"] == [1, 2]
        legacy = await house.call("box__run", client(LEGACY))
        assert legacy == {"content": [{"type": "text", "text": "[1, 2]"}]}


# --- errors by era ---------------------------------------------------------------------------------------


async def failing(code: int, data: Any = None, revision: str = MODERN, **params: Any) -> Only1Error:
    box = StubServer(
        tools=[tool("run")],
        resources=[resource("file:///a")],
        script={"tools/call": refuses(code, data), "resources/read": refuses(code, data)},
    )
    async with House({"box": box}).open() as house:
        method = "resources/read" if "uri" in params else "tools/call"
        return await house.refused(method, params or {"name": "box__run"}, revision)


@pytest.mark.parametrize("code", [-32603, -32602, -32601, -32000, -1, 42])
@pytest.mark.parametrize("revision", [MODERN, LEGACY])
async def test_an_error_that_clients_understand_passes_as_it_is(code: int, revision: str):
    error = await failing(code, {"why": 1}, revision)
    assert isinstance(error, BackendError)
    assert (error.code, error.message, json.loads(error.raw_data)) == (code, "no", {"why": 1})


@pytest.mark.parametrize("code", [-32050, -32077, -32099])
@pytest.mark.parametrize("revision", [MODERN, LEGACY])
async def test_a_code_of_the_specification_that_nobody_knows_is_an_internal_error_that_names_it(
    code: int, revision: str
):
    error = await failing(code, {"secret": "x"}, revision)
    assert isinstance(error, BackendProtocolError)
    own = {"kind": Kind.PROTOCOL, "backend": "box", "retryable": False, "backendCode": code}
    assert error.data() == {"dev.only1mcp": own}


@pytest.mark.parametrize("code", [-32700, -32600, -32020, -32022])
@pytest.mark.parametrize("revision", [MODERN, LEGACY])
async def test_a_fault_of_our_own_hop_is_an_internal_error(code: int, revision: str):
    error = await failing(code, {"secret": "x"}, revision)
    assert isinstance(error, BackendProtocolError)
    assert error.data() == {"dev.only1mcp": {"kind": Kind.PROTOCOL, "backend": "box", "retryable": False}}
    assert str(code) not in error.message
    assert str(code) in error.detail


@pytest.mark.requirement("N10")
@pytest.mark.parametrize("revision", [MODERN, LEGACY])
@pytest.mark.parametrize("code", [-32002, -32602])
async def test_a_servers_not_found_names_the_uri_that_the_client_said(code: int, revision: str):
    error = await failing(code, {"uri": "file:///a"}, revision, uri="box+file:///a")
    assert isinstance(error, UnknownResource)
    assert error.uri == "box+file:///a"


async def test_the_legacy_not_found_of_any_other_method_never_reaches_a_modern_client():
    assert (await failing(-32002)).code == -32602
    assert (await failing(-32002, revision=LEGACY)).code == -32002


@pytest.mark.parametrize(
    ("revision", "code"), [("2025-11-25", -32042), ("2025-06-18", -32603), (MODERN, -32603)]
)
async def test_only_one_revision_is_sent_to_a_url(revision: str, code: int):
    assert (await failing(-32042, {"elicitations": []}, revision)).code == code


async def test_error_data_beyond_64_kib_is_left_out():
    assert isinstance(error := await failing(-32603, "x" * 65_000), BackendError)
    assert error.raw_data
    assert isinstance(error := await failing(-32603, "x" * 66_000), BackendError)
    assert not error.raw_data


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (b'{"content":[],"isError":true}', True),
        (b'{"content":[],"isError" : true}', True),
        (b'{"content":[],"isError":false}', False),
        (b'{"content":[]}', False),
    ],
)
def test_a_failure_of_a_tool_is_told_from_its_result(result: bytes, expected: bool):
    assert answers.says_is_error(result) is expected
