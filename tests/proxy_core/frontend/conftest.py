import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest

from proxy_core.clock import SystemClock
from proxy_core.config.models import AuthConfig, Config, LimitsConfig, ProxyConfig
from proxy_core.facts import Fact
from proxy_core.frontend.frontend import Frontend
from tests.support.gateway_process import on_fast_path
from tests.support.http_client import SOON_S, Client, Stream, request
from tests.support.scripted_gateway import HeldCall, ScriptedGateway

HELLO = b'{"jsonrpc":"2.0","method":"notifications/hello"}'


@pytest.fixture
def gateway() -> ScriptedGateway:
    return ScriptedGateway()


@pytest.fixture
def facts() -> list[Fact]:
    return []


@pytest.fixture
def fast_path(request: pytest.FixtureRequest) -> bool:
    """Whether POSTs go past aiohttp; the tests of the wire are run with and without."""
    return bool(getattr(request, "param", on_fast_path()))


@pytest.fixture
def serving(gateway: ScriptedGateway, facts: list[Fact], fast_path: bool) -> Any:
    """A frontend that listens on a free port, for as long as the context lasts."""

    @asynccontextmanager
    async def serve(**settings: Any) -> AsyncIterator[Frontend]:
        limits = settings.pop("limits", LimitsConfig())
        clock = settings.pop("clock", SystemClock())
        allow_remote = settings.pop("allow_remote", False)
        tokens = settings.pop("tokens", ())
        auth = settings.pop("auth", AuthConfig(tokens=tokens))
        profiles = settings.pop("profiles", {})
        proxy = ProxyConfig(**{"port": 0} | settings)
        config = Config(proxy=proxy, auth=auth, limits=limits, profiles=profiles)
        frontend = Frontend(
            config, gateway, clock, facts.append, allow_remote=allow_remote, fast_path=fast_path
        )
        try:
            await frontend.start()
            yield frontend
        finally:
            await frontend.aclose()

    return serve


@pytest.fixture
async def frontend(serving: Any) -> AsyncIterator[Frontend]:
    async with serving() as frontend:
        yield frontend


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SOON_S)) as session:
        yield session


@pytest.fixture
def client(http: aiohttp.ClientSession, frontend: Frontend) -> Client:
    return Client(http, frontend.url)


@pytest.fixture
def streaming(gateway: ScriptedGateway) -> Any:
    """A call of a legacy client, held by the gateway, whose POST is a stream already and has sent `HELLO`."""

    @asynccontextmanager
    async def stream(session: Client, call: Any = None) -> AsyncIterator[tuple[Stream, HeldCall]]:
        gateway.held = {"tools/call"}
        body = call or request("tools/call", {"name": "a__b"})
        async with AsyncExitStack() as stack:
            context = session.stream("POST", body, headers=session.legacy_headers())
            entering = asyncio.ensure_future(stack.enter_async_context(context))
            held = await gateway.next_call()
            held.notify(HELLO)
            opened = await entering
            assert (await opened.next())["method"] == "notifications/hello"
            yield opened, held

    return stream
