"""A server switched off and on while clients work: the lists follow, clients are told, no call is lost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config
from proxy_core.proxy import Proxy
from proxy_core.telemetry.snapshot import ServerRow, ServerState
from tests.support.gateway_process import stdio
from tests.support.http_client import Client, Stream, modern
from tests.support.processes import demo_command
from tests.support.wire import call, call_text, comes_true, connected, once_listed, open_call, tool_names

TOOLS_CHANGED = "notifications/tools/list_changed"
VERBS = [pytest.param("drain", "undrain", ServerState.DRAINED, id="drain")]
VERBS += [pytest.param("disable", "enable", ServerState.DISABLED, id="disable")]


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    servers = [stdio(name, demo_command(name)) for name in ("clock", "flaky")]
    proxy = Proxy(LoadedConfig(Config.model_validate({"proxy": {"port": 0}, "servers": servers})))
    async with proxy.started():
        assert await proxy.wait_ready(60)
        yield proxy


def _row(proxy: Proxy) -> ServerRow:
    return next(row for row in proxy.snapshot().servers if row.id == "flaky")


async def _told(stream: Stream) -> None:
    while (await stream.next()).get("method") != TOOLS_CHANGED:
        pass


@pytest.mark.parametrize(("off", "on", "off_state"), VERBS)
async def test_a_server_leaves_and_comes_back_without_losing_a_call(
    proxy: Proxy, off: str, on: str, off_state: ServerState
) -> None:
    """Off: gone from the lists at once, both eras told, the call in flight finishes, new ones are refused.

    On: listed and told again, and it answers.
    """
    turn_off: Callable[[str], Awaitable[object]] = getattr(proxy, off)
    url = proxy.snapshot().url
    listen, headers = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, id="listen")
    async with connected(url, "legacy") as legacy, connected(url) as client:
        await once_listed(client, "flaky__delay")
        async with (
            legacy.stream("GET", headers=legacy.legacy_headers()) as pushed,
            client.stream("POST", listen, headers=headers) as listened,
            open_call(client, "flaky__delay", {"seconds": 1.5}, id="slow") as slow,
        ):
            assert (await listened.next())["method"] == "notifications/subscriptions/acknowledged"
            await slow.next()
            switching = asyncio.ensure_future(turn_off("flaky"))
            await asyncio.gather(_told(pushed), _told(listened))

            assert _row(proxy).state is ServerState.DRAINING
            assert _row(proxy).in_flight == 1
            assert {name.partition("__")[0] for name in await tool_names(client)} == {"clock"}
            await _is_refused(client)
            await _finishes(slow)
            outcome = await switching
            assert (outcome.finished, outcome.abandoned) == (1, 0)  # type: ignore[attr-defined]
            await comes_true(lambda: _row(proxy).state is off_state, f"it is {off_state}")
            assert _row(proxy).in_flight == 0 and _row(proxy).pid is None
            await _is_refused(client)

            await getattr(proxy, on)("flaky")
            await asyncio.gather(_told(pushed), _told(listened))
            await once_listed(client, "flaky__echo")
            assert await call_text(legacy, "flaky__echo", {"text": "back"}) == "back"


async def _is_refused(client: Client) -> None:
    error = (await call(client, "flaky__echo", {"text": "no"}))["error"]
    ours = error["data"]["dev.only1mcp"]
    assert (error["code"], ours["kind"], ours["backend"]) == (-32603, "backend_unavailable", "flaky")


async def _finishes(slow: Stream) -> None:
    message = await slow.next()
    while "method" in message:
        message = await slow.next()
    assert message["result"]["content"][0]["text"] == "Waited 1.5 s."


async def test_a_restart_keeps_the_names(proxy: Proxy) -> None:
    async with connected(proxy.snapshot().url) as client:
        await once_listed(client, "flaky__echo")
        before, pid = await tool_names(client), _row(proxy).pid
        await proxy.restart("flaky")
        await comes_true(lambda: _row(proxy).state is ServerState.HEALTHY, "it is healthy again")
        assert await tool_names(client) == before
        assert _row(proxy).pid != pid
