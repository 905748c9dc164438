"""A headless Chromium of our own, driven over its DevTools protocol."""

import asyncio
import base64
import itertools
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
SOON_S = 60.0
SIZE = "1200,800"


class Page:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self.requests: list[str] = []
        """The URLs that it asked for."""
        self.received = b""
        """What came over its web sockets."""
        self.problems: list[str] = []
        """What it complained of: exceptions, refused loads."""
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            told = message.json()
            if "id" in told:
                self._answers.pop(told["id"]).set_result(told)
            else:
                self._take(told["method"], told["params"])

    def _take(self, method: str, params: Any) -> None:
        match method:
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            case "Network.webSocketFrameReceived":
                data = params["response"]["payloadData"]
                self.received += base64.b64decode(data) if params["response"]["opcode"] == 2 else data.encode()
            case "Runtime.exceptionThrown":
                self.problems.append(params["exceptionDetails"]["text"])
            case "Log.entryAdded" if params["entry"]["level"] == "error":
                self.problems.append(params["entry"]["text"])

    async def ask(self, method: str, **params: Any) -> Any:
        number = next(self._ids)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        told = await asyncio.wait_for(answer, SOON_S)
        assert "error" not in told, told
        return told["result"]

    async def open(self, url: str) -> None:
        for domain in ("Network", "Page", "Runtime", "Log"):
            await self.ask(f"{domain}.enable")
        await self.ask("Page.navigate", url=url)

    async def value(self, expression: str) -> Any:
        told = await self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        return told["result"].get("value")

    async def until(self, look: Callable[[], Any]) -> Any:
        async with asyncio.timeout(SOON_S):
            while not (found := look()):
                await asyncio.sleep(0.05)
        return found

    async def press(self, key: str) -> None:
        await self.ask("Input.insertText", text=key)

    async def screenshot(self) -> bytes:
        told = await self.ask("Page.captureScreenshot", format="png")
        return base64.b64decode(told["data"])

    async def colours(self, png: bytes) -> Counter[tuple[int, int, int]]:
        """How often each colour is in a picture; it is decoded by the browser that made it."""
        encoded = base64.b64encode(png).decode()
        pixels = await self.value(f"""(async () => {{
            const bytes = Uint8Array.from(atob("{encoded}"), c => c.charCodeAt(0));
            const image = await createImageBitmap(new Blob([bytes], {{type: "image/png"}}));
            const canvas = new OffscreenCanvas(image.width, image.height);
            const context = canvas.getContext("2d");
            context.drawImage(image, 0, 0);
            const data = context.getImageData(0, 0, image.width, image.height).data;
            const counts = new Map();
            for (let at = 0; at < data.length; at += 4) {{
                const colour = (data[at] << 16) | (data[at + 1] << 8) | data[at + 2];
                counts.set(colour, (counts.get(colour) || 0) + 1);
            }}
            return [...counts.entries()];
        }})()""")
        return Counter({(colour >> 16, colour >> 8 & 255, colour & 255): count for colour, count in pixels})

    async def aclose(self) -> None:
        self._reader.cancel()
        await self._socket.close()


@asynccontextmanager
async def chromium() -> AsyncIterator[Page]:
    """One page of it, empty."""
    assert CHROMIUM is not None
    folder = Path(tempfile.mkdtemp(prefix="o1-chromium-"))
    process = await asyncio.create_subprocess_exec(
        *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *("--remote-debugging-port=0", f"--user-data-dir={folder}", f"--window-size={SIZE}"),
        *("--no-first-run", "--disable-background-networking", "--disable-component-update", "about:blank"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with aiohttp.ClientSession() as session:
            port = await _port(folder / "DevToolsActivePort")
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                target = next(one for one in await answer.json() if one["type"] == "page")
            async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Page(socket)
                yield page
                await page.aclose()
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), SOON_S)
        shutil.rmtree(folder, ignore_errors=True)


async def _port(told: Path) -> int:
    async with asyncio.timeout(SOON_S):
        while not (told.exists() and told.read_text().count("\n")):
            await asyncio.sleep(0.05)
    return int(told.read_text().split("\n")[0])
