"""A gateway's clients' side with the operator's beside it, on a real port and socket, over a `FakeControl`."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from proxy_core.clock import SystemClock
from proxy_core.config.models import AdminConfig, AuthConfig, Config, ProxyConfig, TokenConfig
from proxy_core.frontend.frontend import Frontend
from proxy_core.telemetry.metrics import Metrics
from tests.support.fake_control import FakeControl
from tests.support.scripted_gateway import ScriptedGateway

API = "/admin/v1"
SOON_S = 20.0


@dataclass(frozen=True)
class Said:
    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return str(self.json["error"]["type"])


class House:
    def __init__(self, frontend: Frontend, control: FakeControl, metrics: Metrics) -> None:
        self.frontend = frontend
        self.control = control
        self.metrics = metrics

    @property
    def socket(self) -> Path:
        assert self.frontend.admin_socket is not None
        return self.frontend.admin_socket

    @property
    def origin(self) -> str:
        """Scheme, host and port of the port."""
        url = urlsplit(self.frontend.url)
        return f"{url.scheme}://{url.netloc}"

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for an answer on the socket."""
        steering = self.frontend._steering
        assert steering is not None and steering._listener is not None
        served = steering._listener._rest._server
        return served is None or not served._handlers

    async def ask(self, method: str, path: str, body: object = None, **more: Any) -> Said:
        """Over the socket; `path` after the prefix, as it stands."""
        connector = aiohttp.UnixConnector(str(self.socket))
        return await _asked(connector, method, f"http://localhost{API}/{path}", body, more)

    async def ask_port(self, method: str, path: str, body: object = None, **more: Any) -> Said:
        """Over the port; `path` whole."""
        return await _asked(None, method, self.origin + path, body, more)

    @asynccontextmanager
    async def raw(self) -> AsyncIterator[Any]:
        """A connection to the socket on which the test writes every byte itself."""
        reader, writer = await asyncio.open_unix_connection(str(self.socket))
        try:
            yield reader, writer
        finally:
            writer.close()


async def _asked(
    connector: aiohttp.BaseConnector | None, method: str, url: str, body: object, more: dict[str, Any]
) -> Said:
    headers = dict(more.get("headers", {}))
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    if data is not None:
        headers.setdefault("Content-Type", "application/json")
    timeout = aiohttp.ClientTimeout(total=SOON_S)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
        session.request(method, url, data=data, headers=headers, allow_redirects=False) as response,
    ):
        return Said(response.status, response.headers, await response.read())


def config_of(
    *, tokens: tuple[TokenConfig, ...] = (), admin: AdminConfig | None = None, **proxy: Any
) -> Config:
    return Config(
        proxy=ProxyConfig(**{"port": 0} | proxy), auth=AuthConfig(tokens=tokens), admin=admin or AdminConfig()
    )


@asynccontextmanager
async def house(
    control: FakeControl | None = None, config: Config | None = None, clock: Any = None
) -> AsyncIterator[House]:
    control, metrics = control or FakeControl(), Metrics()
    frontend = Frontend(
        config or config_of(),
        ScriptedGateway(),
        clock or SystemClock(),
        lambda fact: None,
        control=control,
        metrics=metrics,
    )
    try:
        await frontend.start()
        yield House(frontend, control, metrics)
    finally:
        await frontend.aclose()
