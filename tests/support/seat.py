"""A person before the screens of a real gateway: presses keys and reads, near or far, and waits."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from only1mcp_tui.app import Only1App
from proxy_core.config.load import load
from proxy_core.control import Control
from proxy_core.control_client import RemoteControl
from proxy_core.proxy import Proxy
from tests.support.screens import text_of

SOON_S = 10.0
"""Long enough for a busy machine; nothing that passes waits for it."""
SIZE = (140, 40)
LOOK_S = 0.05


@dataclass
class Seat:
    """One screen, and who sits before it."""

    app: Only1App
    pilot: Pilot[None]

    @property
    def text(self) -> str:
        return text_of(self.app)

    @property
    def clipboard(self) -> str:
        return self.app.clipboard

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        names = {"{": "left_curly_bracket", "}": "right_curly_bracket", "/": "slash", " ": "space"}
        await self.pilot.press(*(names.get(char, char) for char in text))

    async def shows(self, *words: str, without: str = "") -> str:
        """Wait until all of this stands on the screen, and that does not; the screen as it then is."""

        def is_so() -> bool:
            text = self.text
            return all(word in text for word in words) and not (without and without in text)

        await self.until(is_so, f"{words} on the screen, without {without!r}")
        return self.text

    async def until(self, is_so: Callable[[], bool], what: str = "it is so") -> None:
        try:
            async with asyncio.timeout(SOON_S):
                while not is_so():
                    await self.pilot.pause(LOOK_S)
        except TimeoutError:
            raise AssertionError(f"after {SOON_S:g} s still not: {what}; on the screen:\n{self.text}") from None

    async def leave(self) -> None:
        await self.pilot.press("ctrl+q")
        await self.until(lambda: not self.app.is_running, "the app has ended")


def config_file(folder: Path, *servers: dict[str, Any], **sections: Any) -> Path:
    """A configuration, its port any and its socket in `folder`. JSON is YAML too."""
    path = folder / "only1mcp.yaml"
    plain = {"version": 1, "proxy": {"port": 0}, "admin": {"socket": str(folder / "admin.sock")}}
    path.write_text(json.dumps({**plain, **sections, "servers": servers}))
    return path


def proxy_of(path: Path) -> Proxy:
    """A gateway as this file says, which reads it again at every reload."""
    return Proxy(load(path, {}), lambda: load(path, {}))


@asynccontextmanager
async def near(proxy: Proxy, **options: Any) -> AsyncIterator[Seat]:
    """The app that runs the gateway; all servers are in service, and leaving stops it."""
    app = Only1App(proxy, run=proxy.run, stop=proxy.request_stop, tui=proxy.config.tui, **options)
    async with _seated(app) as seat:
        await seat.until(lambda: bool(proxy.snapshot().url), "the gateway serves")
        assert await proxy.wait_ready(SOON_S)
        yield seat


@asynccontextmanager
async def far(socket: Path, **options: Any) -> AsyncIterator[Seat]:
    """A monitor: the same screens over the admin API, as `only1mcp monitor` makes them."""
    async with RemoteControl(socket) as control:
        await control.fetch_session()
        control.follow()
        async with watching(control, **options) as seat:
            yield seat


@asynccontextmanager
async def watching(control: Control, **options: Any) -> AsyncIterator[Seat]:
    async with _seated(Only1App(control, **options)) as seat:
        yield seat


@asynccontextmanager
async def _seated(app: Only1App) -> AsyncIterator[Seat]:
    app.animation_level = "none"
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        seat = Seat(app, pilot)
        try:
            yield seat
        finally:
            await seat.leave()
    assert "screen" not in app._alarms, app._alarms["screen"].text
