"""A walk through every screen over a real gateway with the demo servers, filmed.

`python -m tests.support.tour` writes docs/images/tour.svg. Nothing is posed: the servers are children, the
calls are those of a client over HTTP.
"""

import asyncio
import contextlib
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from textual.pilot import Pilot

from only1mcp_tui.app import Only1App
from proxy_core.config.demo import demo_config
from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import ServerConfig, StdioTransport
from proxy_core.control_client import GatewayClient
from proxy_core.errors import Only1Error
from proxy_core.proxy import Proxy
from tests.support.film import Frame, film

TARGET = Path(__file__).parents[2] / "docs" / "images" / "tour.svg"
SIZE = (110, 32)
UP_S = 20.0
WARM_S = 8.0
"""Of traffic before the first picture."""
KEYS: tuple[tuple[str, float], ...] = (
    ("", 1.2),
    ("", 1.2),
    ("j", 0.6),
    ("d", 1.4),
    ("y", 1.2),
    ("d", 1.2),
    ("2", 1.2),
    ("right_square_bracket", 1.6),
    ("3", 2.2),
    ("4", 1.8),
    ("up", 0.6),
    ("enter", 2.2),
    ("escape", 0.6),
    ("5", 1.6),
    ("ctrl+p", 1.8),
    ("escape", 0.4),
    ("1", 1.4),
)
"""What is pressed, and how long one looks at what comes of it."""


def main() -> None:
    logging.disable(logging.CRITICAL)
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    frames = asyncio.run(_walk())
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(film(frames), encoding="utf-8")


async def _walk() -> list[Frame]:
    loaded = demo_config()
    proxy_config = loaded.config.proxy.model_copy(update={"port": 0})
    admin = loaded.config.admin.model_copy(update={"socket": None})
    servers = tuple(map(_by_name, loaded.config.servers))
    config = loaded.config.model_copy(update={"proxy": proxy_config, "admin": admin, "servers": servers})
    proxy = Proxy(LoadedConfig(config, loaded.path))
    app = Only1App(proxy, run=proxy.run, stop=proxy.request_stop, tui=config.tui)
    frames: list[Frame] = []
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await _until(pilot, lambda: bool(proxy.snapshot().url))
        await proxy.wait_ready(UP_S)
        async with _traffic(proxy.snapshot().url):
            await asyncio.sleep(WARM_S)
            for key, shown_s in KEYS:
                if key:
                    await pilot.press(key)
                await asyncio.sleep(1.1)
                await pilot.pause()
                frames.append(Frame(app.export_screenshot(title="only1mcp", simplify=True), shown_s))
        await pilot.press("ctrl+q")
        await _until(pilot, lambda: not app.is_running)
    return frames


def _by_name(server: ServerConfig) -> ServerConfig:
    """Its command as one would write it, and not as a path of this machine."""
    transport = server.transport
    assert isinstance(transport, StdioTransport)
    return server.model_copy(update={"transport": transport.model_copy(update={"command": "python"})})


@contextlib.asynccontextmanager
async def _traffic(url: str) -> AsyncIterator[None]:
    """A client that lists and calls, all the time."""
    async with GatewayClient(url) as client:
        task = asyncio.ensure_future(_ask_on(client))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _ask_on(client: GatewayClient) -> None:
    wishes: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: client.call("clock__now", {"timezone": "Asia/Tokyo"}),
        client.listing,
        lambda: client.call("notes__search", {"query": "tea"}),
        lambda: client.call("flaky__delay", {"seconds": 0.04}),
    )
    turn = 0
    while True:
        turn += 1
        with contextlib.suppress(Only1Error):
            await wishes[turn % len(wishes)]()
        await asyncio.sleep(0.02 + 0.05 * (time.monotonic() % 1))


async def _until(pilot: Pilot[None], is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(UP_S):
        while not is_so():
            await pilot.pause(0.05)


if __name__ == "__main__":
    main()
