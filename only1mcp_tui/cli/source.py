"""Where the commands get their answers: from the running gateway, else from servers of their own.

A gateway that answers is always asked; only if nothing is there are servers started: those that are needed,
without a listener, for the length of one command.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from only1mcp_tui.cli.output import note
from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config
from proxy_core.control_client import GatewayClient, GatewayUnreachable
from proxy_core.errors import CertificateRefused
from proxy_core.proxy import Proxy
from proxy_core.telemetry.logs import setup_logging
from proxy_core.telemetry.snapshot import NamedItem, ServerState

READY_S: Final = 60
"""How long to wait for servers to start; `npx` may have to download one."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where to ask."""

    loaded: LoadedConfig
    url: str
    token: str | None = field(repr=False)
    """Sent to it; None: nothing is."""
    may_start: bool
    """Whether servers may be started for the command if nothing answers."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is offered, and how each server is. From a running gateway a state is what its lists show."""

    items: tuple[NamedItem, ...]
    states: Mapping[str, tuple[str, str]]
    """Server id -> state and reason."""


async def listing(gateway: Gateway) -> Answer:
    """Everything that is offered. Raises: GatewayUnreachable, TokenRefused, BackendError."""
    async with GatewayClient(gateway.url, gateway.token) as client:
        if await _answers(client, gateway):
            items, missing = await client.listing()
            return Answer(items, _states_from_afar(gateway.loaded, missing))
    async with own_proxy(gateway.loaded, enabled(gateway.loaded.config)) as proxy:
        rows = proxy.snapshot().servers
        states = {row.id: (row.state.value, row.reason) for row in rows}
        return Answer(proxy.names(), _disabled(gateway.loaded) | states)


async def called(gateway: Gateway, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The result of a tool. Raises: GatewayUnreachable, TokenRefused, and what the call failed with."""
    async with GatewayClient(gateway.url, gateway.token) as client:
        if await _answers(client, gateway):
            return await client.call(name, arguments)
    async with own_proxy(gateway.loaded, _owners(gateway.loaded.config, name)) as proxy:
        for row in proxy.snapshot().servers:
            if row.state is not ServerState.HEALTHY and row.reason:
                note(f"{row.id}: {row.reason}")
        return await proxy.call(name, arguments)


async def _answers(client: GatewayClient, gateway: Gateway) -> bool:
    """Raises: GatewayUnreachable if nothing answers and nothing may be started either; CertificateRefused,
    TokenRefused.
    """
    try:
        await client.check()
    except GatewayUnreachable as error:
        if not gateway.may_start or isinstance(error, CertificateRefused):
            raise
        note(f"{error.message} Starting the servers for this command alone.")
        return False
    return True


@asynccontextmanager
async def own_proxy(loaded: LoadedConfig, only: frozenset[str]) -> AsyncIterator[Proxy]:
    setup_logging("error", "pretty", None, to_stderr=True)
    proxy = Proxy(loaded, listen=False, only=only)
    async with proxy.started():
        if not await proxy.wait_ready(READY_S):
            note(f"Some servers are not ready after {READY_S} s; going on without them.")
        yield proxy


def enabled(config: Config) -> frozenset[str]:
    return frozenset(server.id for server in config.servers if server.enabled)


def _owners(config: Config, name: str) -> frozenset[str]:
    """The server that an exposed name belongs to; without a prefix, all that could have it."""
    named = frozenset(server.id for server in config.servers if name.startswith(f"{server.id}__"))
    return named or enabled(config)


def _disabled(loaded: LoadedConfig) -> dict[str, tuple[str, str]]:
    servers = (server for server in loaded.config.servers if not server.enabled)
    return {server.id: (ServerState.DISABLED.value, loaded.unset.get(server.id, "")) for server in servers}


def _states_from_afar(loaded: LoadedConfig, missing: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    return _disabled(loaded) | dict.fromkeys(missing, ("unavailable", "its items are missing from the lists"))
