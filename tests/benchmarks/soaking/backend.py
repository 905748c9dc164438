"""A server whose answers name their call, on each transport, as cheap as the one of the benchmarks.

    python -m tests.benchmarks.soaking.backend FOLDER KIND:SERVER:INSTANCE:PORT ...

KIND is `stdio` (alone, PORT 0), `modern` (Streamable HTTP, 2026-07-28) or `sse` (HTTP+SSE). The tool `tell`
says the call's `key`, the server's id and so many letters as `pad` asks for, after `wait_ms`. The process id
is written to INSTANCE.pid in the folder.
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec
import uvloop
from aiohttp import web

from tests.benchmarks import backend
from tests.support.faults.houses import STDIO
from tests.support.faults.http_server import SSE

TOOL: Final = "tell"
LIST: Final = (
    f'{{"resultType":"complete","tools":[{{"name":"{TOOL}","inputSchema":{{"type":"object"}}}}],'
    f'"ttlMs":600000,"cacheScope":"public",{backend.INFO}}}'
)
LINE_BYTES: Final = 1 << 24


class _Arguments(msgspec.Struct):
    key: str = ""
    pad: int = 0
    wait_ms: float = 0


class _Params(msgspec.Struct):
    arguments: _Arguments = msgspec.field(default_factory=_Arguments)


class _Message(msgspec.Struct):
    id: msgspec.Raw = msgspec.Raw()
    method: str = ""
    params: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Message).decode
_decode_params = msgspec.json.Decoder(_Params).decode


def told(key: str, server: str, pad: int) -> str:
    """The text of the answer to one call."""
    return f"{key} by {server} {'x' * pad}"


class Server:
    def __init__(self, kind: str, name: str) -> None:
        self._kind = kind
        self._name = name
        self._others = backend.Backend()
        """Answers all but its list and its calls."""

    async def answer(self, body: bytes) -> bytes:
        """Empty for a notification."""
        message = _decode(body)
        if message.method == "tools/list":
            return b'{"jsonrpc":"2.0","id":%s,"result":%s}' % (bytes(message.id), LIST.encode())
        if message.method != "tools/call":
            # The transport of 2024-11-05 knows no server/discover.
            hidden = self._kind == SSE and message.method == "server/discover"
            return self._others.answer(body.replace(b"server/discover", b"none", 1) if hidden else body)
        asked = _decode_params(message.params).arguments
        if asked.wait_ms:
            await asyncio.sleep(asked.wait_ms / 1000)
        text = told(asked.key, self._name, asked.pad).encode()
        return (
            b'{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete",'
            b'"content":[{"type":"text","text":"%s"}],%s}}'
        ) % (bytes(message.id), text, backend.INFO.encode())


class Http:
    """One server at one port."""

    def __init__(self, kind: str, server: Server) -> None:
        self._kind = kind
        self._server = server
        self._streams: dict[str, asyncio.Queue[bytes]] = {}

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._kind == SSE:
            return await (self._stream if request.method == "GET" else self._message)(request)
        if request.method != "POST":
            return web.Response(status=405)
        reply = await self._server.answer(await request.read())
        return web.Response(body=reply, content_type="application/json", status=200 if reply else 202)

    async def _stream(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        session = uuid4().hex
        replies = self._streams[session] = asyncio.Queue()
        try:
            await response.write(b"event: endpoint\ndata: /messages?session=%s\n\n" % session.encode())
            while True:
                await response.write(b"event: message\ndata: %s\n\n" % await replies.get())
        except ConnectionError:
            return response
        finally:
            del self._streams[session]

    async def _message(self, request: web.BaseRequest) -> web.StreamResponse:
        replies = self._streams.get(request.query.get("session", ""))
        if replies is None:
            return web.Response(status=404)
        if reply := await self._server.answer(await request.read()):
            replies.put_nowait(reply)
        return web.Response(status=202)


async def serve_stdio(server: Server) -> None:
    """Until stdin ends."""
    reader = asyncio.StreamReader(limit=LINE_BYTES)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def answer(line: bytes) -> None:
        if reply := await server.answer(line):
            sys.stdout.buffer.write(reply + b"\n")
            sys.stdout.buffer.flush()

    under_way: set[asyncio.Task[None]] = set()
    async for line in reader:
        task = asyncio.create_task(answer(line))
        under_way.add(task)
        task.add_done_callback(under_way.discard)


async def serve(folder: Path, instances: list[str]) -> None:
    for words in instances:
        kind, name, instance, port = words.split(":")
        (folder / f"{instance}.pid").write_text(str(os.getpid()))
        server = Server(kind, name)
        if kind == STDIO:
            await serve_stdio(server)
            return
        runner = web.ServerRunner(web.Server(Http(kind, server).handle, access_log=None))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", int(port)).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("instances", nargs="+")
    given = parser.parse_args()
    uvloop.run(serve(given.folder, given.instances))
