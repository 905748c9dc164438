"""Subscriptions from end to end: clients of both eras hear of what changes at real servers of both."""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config
from proxy_core.proxy import Proxy
from tests.support.gateway_process import remote, stdio
from tests.support.http_client import META, Client, Stream, modern
from tests.support.processes import ROOT, free_port, running
from tests.support.wire import ask, call_text, comes_true, connected

URI = "note://one"
UPDATED = "notifications/resources/updated"
SCRIPT = (sys.executable, str(ROOT / "tests/support/telling_server.py"))
BACKENDS = [(kind, era) for kind in ("stdio", "http") for era in ("legacy", "modern")]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    with running((*SCRIPT, str(port)), port, tmp_path_factory.mktemp("telling") / "telling.log"):
        yield f"http://127.0.0.1:{port}/mcp"


@pytest.fixture(params=BACKENDS, ids=" ".join)
async def gateway(request: pytest.FixtureRequest, url: str) -> AsyncIterator[str]:
    """The address of a gateway in front of one such server."""
    kind, era = request.param
    server = remote("box", url, era=era) if kind == "http" else stdio("box", (*SCRIPT, "stdio"), era=era)
    config = Config.model_validate({"proxy": {"port": 0}, "servers": [server]})
    proxy = Proxy(LoadedConfig(config))
    async with proxy.started():
        assert await proxy.wait_ready(60)
        yield proxy.snapshot().url


@asynccontextmanager
async def listening(url: str, era: str) -> AsyncIterator[tuple[Client, Stream]]:
    """A client that is subscribed to `URI`, and the stream on which it hears of it."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(connected(url, era))
        if era == "legacy":
            got = client.stream("GET", headers=client.legacy_headers())
            stream = await stack.enter_async_context(got)
            assert (await ask(client, "resources/subscribe", {"uri": URI}))["result"] == {}
        else:
            body, headers = modern("subscriptions/listen", {"notifications": {"resourceSubscriptions": [URI]}})
            stream = await stack.enter_async_context(client.stream("POST", body, headers=headers))
            assert (await stream.next())["params"]["notifications"] == {"resourceSubscriptions": [URI]}
        yield client, stream


async def news(stream: Stream) -> Any:
    while (message := await stream.next())["method"] != UPDATED:
        # A legacy client hears of lists unasked.
        assert message["method"].endswith("/list_changed")
    message["params"].pop("_meta", None)
    return message["params"]


@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_a_client_hears_of_what_it_subscribed_to_until_it_leaves(gateway: str, era: str):
    async with connected(gateway) as other:
        async with listening(gateway, era) as (client, stream):
            await call_text(client, "box__touch")
            assert await news(stream) == {"uri": URI}
            await call_text(other, "box__touch")
            assert await news(stream) == {"uri": URI}
            if client.session_id is not None:
                assert (await ask(client, "resources/unsubscribe", {"uri": URI}))["result"] == {}
        # The server's own count of its legacy subscribers; a modern one has none.
        await comes_true(lambda: _is_alone(other), "the server is not asked any more")


async def _is_alone(client: Client) -> bool:
    return await call_text(client, "box__touch") == "0"


async def test_both_eras_listen_at_once_and_the_tag_is_the_listens_own(gateway: str):
    async with listening(gateway, "legacy") as (client, old), listening(gateway, "modern") as (_, new):
        await call_text(client, "box__touch")
        assert await news(old) == {"uri": URI}
        message = await new.next()
        assert message["params"] == {"_meta": {META + "subscriptionId": 1}, "uri": URI}
