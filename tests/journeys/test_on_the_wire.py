"""What only real servers show: order on a stream, and how far a hang-up or a cancel reaches."""

from collections.abc import Iterator

import pytest
from mcp.shared.exceptions import MCPDeprecationWarning

from tests.support.gateway_process import GatewayProcess, remote, serving, stdio
from tests.support.http_client import Client
from tests.support.processes import sdk_command, sdk_server
from tests.support.recorded import talking
from tests.support.wire import (
    call,
    call_text,
    called,
    comes_true,
    connected,
    messages_of,
    once_listed,
    open_call,
)

LONG_S = 300
eras = pytest.mark.parametrize("era", ["legacy", "modern"])
servers = pytest.mark.parametrize("server", ["pipe", "http", "old"])


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    folder = tmp_path_factory.mktemp("wire")
    with (
        sdk_server("http", folder / "sdk.log") as url,
        serving(
            folder,
            [
                stdio("pipe", sdk_command()),
                remote("http", url),
                stdio("old", sdk_command(), era="legacy"),
            ],
        ) as gateway,
    ):
        yield gateway


async def _history(client: Client, server: str) -> list[str]:
    answer = await call(client, f"{server}__history")
    return [str(entry) for entry in answer["result"]["structuredContent"]["result"]]


async def _comes_to_pass(client: Client, server: str, entry: str) -> None:
    async def has_happened() -> bool:
        return entry in await _history(client, server)

    await comes_true(has_happened, f"{server} says: {entry}")


@eras
@servers
async def test_progress_comes_before_the_result_on_the_same_stream(
    gateway: GatewayProcess, server: str, era: str
) -> None:
    """In the order the server sent it, with the client's own token, and nothing after the result."""
    async with connected(gateway.url, era) as client:
        await once_listed(client, f"{server}__steps")
        body, headers = called(client, f"{server}__steps", {"text": "go", "count": 3}, id="a", token="tok")
        *progress, answer = messages_of(await client.send("POST", body, headers=headers))
    assert [message["params"]["message"] for message in progress] == ["go 0", "go 1", "go 2"]
    assert {message["params"]["progressToken"] for message in progress} == {"tok"}
    assert (answer["id"], answer["result"]["content"][0]["text"]) == ("a", "go")


@servers
@pytest.mark.requirement("P04")
async def test_a_modern_client_that_hangs_up_has_cancelled(gateway: GatewayProcess, server: str) -> None:
    """The server itself stops working, whatever its transport and era."""
    async with connected(gateway.url) as client:
        await once_listed(client, f"{server}__wait")
        mark = f"hung-up-{server}"
        async with connected(gateway.url) as leaving:
            async with open_call(leaving, f"{server}__wait", {"mark": mark, "seconds": LONG_S}) as stream:
                assert (await stream.next())["params"]["message"] == f"began {mark}"
        await _comes_to_pass(client, server, f"cancelled {mark}")


@servers
@pytest.mark.requirement("L10")
async def test_a_legacy_client_that_hangs_up_has_not_cancelled(gateway: GatewayProcess, server: str) -> None:
    """The server finishes what it was asked for."""
    async with connected(gateway.url) as client:
        await once_listed(client, f"{server}__wait")
        mark = f"dropped-{server}"
        async with connected(gateway.url, "legacy") as leaving:
            async with open_call(leaving, f"{server}__wait", {"mark": mark, "seconds": 0.5}) as stream:
                assert (await stream.next())["params"]["message"] == f"began {mark}"
        await _comes_to_pass(client, server, f"finished {mark}")
        assert f"cancelled {mark}" not in await _history(client, server)


@servers
@pytest.mark.requirement("L11")
async def test_a_legacy_cancel_reaches_the_server_and_nothing_follows(
    gateway: GatewayProcess, server: str
) -> None:
    """The stream of the call ends without a response."""
    async with connected(gateway.url, "legacy") as client:
        await once_listed(client, f"{server}__wait")
        mark = f"cancelled-{server}"
        async with open_call(client, f"{server}__wait", {"mark": mark, "seconds": LONG_S}, id=7) as stream:
            await stream.next()
            params = {"requestId": 7, "reason": "changed my mind"}
            await client.post({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
            assert b"data:" not in await stream.rest()
        await _comes_to_pass(client, server, f"cancelled {mark}")


@pytest.mark.requirement("P05")
async def test_a_modern_cancel_that_is_posted_cancels_nothing(gateway: GatewayProcess) -> None:
    async with connected(gateway.url) as client:
        await once_listed(client, "pipe__wait")
        async with open_call(client, "pipe__wait", {"mark": "kept", "seconds": 0.5}, id=9) as stream:
            await stream.next()
            reply = await client.ask("notifications/cancelled", {"requestId": 9})
            assert (await stream.next())["result"]["content"][0]["text"] == "waited kept"
        assert reply.status in (202, 404)
        assert "cancelled kept" not in await _history(client, "pipe")


@pytest.mark.requirement("P07")
@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_log_messages_reach_the_client_that_asked_for_their_level(
    gateway: GatewayProcess, mode: str
) -> None:
    """Warning and above only, by the official client."""
    heard: list[str] = []

    async def hear(message: object) -> None:
        heard.append(str(message.data))  # type: ignore[attr-defined]

    async with talking(gateway.url, mode, log_level="warning", logging_callback=hear) as talk:
        if mode == "legacy":
            with pytest.warns(MCPDeprecationWarning):
                await talk.client.set_logging_level("warning")
        await talk.client.call_tool("http__announce", {"text": mode})
        await comes_true(lambda: heard, "the log message came")
    assert heard == [f"warning {mode}"]


@pytest.mark.requirement("P06")
async def test_a_modern_call_without_a_level_hears_no_log(gateway: GatewayProcess) -> None:
    async with connected(gateway.url) as client:
        await once_listed(client, "http__announce")
        reply = await client.ask("tools/call", {"name": "http__announce", "arguments": {"text": "quiet"}})
        assert [message.get("method") for message in messages_of(reply)] == [None]
        assert await call_text(client, "http__announce", {"text": "quiet"}) == "quiet"
