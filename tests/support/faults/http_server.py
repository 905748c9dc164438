"""Instances on Streamable HTTP and on HTTP+SSE, each on a port of its own, all in one process.

    python -m tests.support.faults.http_server FOLDER KIND:SERVER:INSTANCE:PORT ...

KIND is `modern` (no sessions), `legacy` (sessions) or `sse` (2024-11-05). A tool is answered with an event
stream, everything else with JSON. Sessions are written to the journal when they open and when they close.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiohttp import web

from proxy_core.demo.server import Server
from tests.support.faults.journal import CLOSED, OPENED, PROBED, Journal
from tests.support.faults.ports import HeldPort
from tests.support.faults.steady import Steady
from tests.support.processes import (
    MODULE_ENV,
    accepts_connections,
    eventually,
    module_command,
)

MODERN, LEGACY, SSE = "modern", "legacy", "sse"
SESSION = "Mcp-Session-Id"
STREAMED = ("tools/call", "subscriptions/listen")


class Instance:
    def __init__(self, folder: Path, kind: str, server: str, name: str) -> None:
        self._kind = kind
        self._demo = Steady(folder, server, name)
        self._journal = Journal(folder, name)
        self._sessions: set[str] = set()
        self._streams: dict[str, Server] = {}

    def app(self) -> web.Application:
        app = web.Application()
        if self._kind == SSE:
            app.router.add_get("/sse", self._event_stream)
            app.router.add_post("/messages", self._message)
            app.router.add_post("/forget", self._forget)
        else:
            app.router.add_post("/mcp", self._post)
            app.router.add_delete("/mcp", self._delete)
        app.router.add_get("/health", self._health)
        return app

    # --- Streamable HTTP --------------------------------------------------------------------------------------

    async def _post(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        message = json.loads(body)
        self._note(message.get("method"))
        headers: dict[str, str] = {}
        if self._kind == LEGACY:
            if message.get("method") == "server/discover":
                return _not_found(message)
            if message.get("method") == "initialize":
                headers[SESSION] = self._open()
            elif request.headers.get(SESSION) not in self._sessions:
                return web.Response(status=404, text="no such session")
        if "id" not in message:
            return web.Response(status=202)
        lines: asyncio.Queue[bytes] = asyncio.Queue()
        server = Server(self._demo, lines.put_nowait)
        try:
            server.receive(body)
            if message.get("method") in STREAMED:
                return await _streamed(request, lines)
            return web.Response(body=await lines.get(), content_type="application/json", headers=headers)
        finally:
            await server.aclose(0)

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        session = request.headers.get(SESSION, "")
        if session not in self._sessions:
            return web.Response(status=404)
        self._close(session)
        return web.Response(status=204)

    # --- HTTP+SSE ---------------------------------------------------------------------------------------------

    async def _event_stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        lines: asyncio.Queue[bytes] = asyncio.Queue()
        server, session = Server(self._demo, lines.put_nowait), self._open()
        self._streams[session] = server
        try:
            await response.write(b"event: endpoint\ndata: /messages?session=%s\n\n" % session.encode())
            while True:
                await response.write(_event(await lines.get()))
        except (ConnectionError, asyncio.CancelledError):
            return response
        finally:
            self._streams.pop(session, None)
            self._close(session)
            await server.aclose(0)

    async def _message(self, request: web.Request) -> web.StreamResponse:
        server = self._streams.get(request.query.get("session", ""))
        if server is None:
            return web.Response(status=404)
        body = await request.read()
        message = json.loads(body)
        self._note(message.get("method"))
        if message.get("method") == "server/discover":
            server.send_line(json.dumps(_no_method(message)).encode())
        else:
            server.receive(body)
        return web.Response(status=202, text="Accepted")

    async def _forget(self, request: web.Request) -> web.StreamResponse:
        """As a server does that was started again behind a balancer which keeps the streams open."""
        self._streams.clear()
        return web.Response(status=204)

    async def _health(self, request: web.Request) -> web.StreamResponse:
        self._journal.write(PROBED)
        return web.Response(text="well")

    def _note(self, method: str | None) -> None:
        if method == "ping":
            self._journal.write(PROBED)

    def _open(self) -> str:
        session = uuid4().hex
        self._sessions.add(session)
        self._journal.write(OPENED, session=session)
        return session

    def _close(self, session: str) -> None:
        self._sessions.discard(session)
        self._journal.write(CLOSED, session=session)


async def _streamed(request: web.Request, lines: "asyncio.Queue[bytes]") -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    with suppress(ConnectionError):
        while True:
            line = await lines.get()
            await response.write(_event(line))
            if "method" not in json.loads(line):
                break
    return response


def _event(line: bytes) -> bytes:
    return b"event: message\ndata: " + line + b"\n\n"


def _no_method(message: dict[str, Any]) -> dict[str, Any]:
    error = {"code": -32601, "message": "Method not found"}
    return {"jsonrpc": "2.0", "id": message.get("id"), "error": error}


def _not_found(message: dict[str, Any]) -> web.Response:
    return web.json_response(_no_method(message), status=404)


async def _serve(folder: Path, instances: Sequence[str]) -> None:
    for words in instances:
        kind, server, name, port = words.split(":")
        runner = web.AppRunner(
            Instance(folder, kind, server, name).app(), handler_cancellation=True, access_log=None
        )
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", int(port)).start()
    await asyncio.Event().wait()


class HttpHost:
    """The process of some instances. It can be killed, stopped and started again on the same ports."""

    def __init__(self, folder: Path, name: str, module: str = __spec__.name) -> None:
        """`module`: the program, which takes the arguments that this one takes."""
        self._folder = folder
        self._module = module
        self._log = folder / f"{name}.log"
        self._instances: list[str] = []
        self._ports: list[HeldPort] = []
        self._process: subprocess.Popen[bytes] | None = None

    def add(self, kind: str, server: str, instance: str) -> int:
        """One more, to be there from the next start on; its port."""
        port = HeldPort()
        self._ports.append(port)
        self._instances.append(f"{kind}:{server}:{instance}:{port.number}")
        return port.number

    def start(self) -> None:
        if not self._instances:
            return
        command = module_command(self._module, str(self._folder), *self._instances)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **MODULE_ENV}
            )

    def ready(self) -> None:
        """Wait until all of it serves."""
        for port in self._ports:
            number = port.number
            eventually(lambda number=number: accepts_connections(number), f"{self._log}: {number} serves")

    def signal(self, number: int) -> None:
        if self._process is not None:
            os.kill(self._process.pid, number)

    def kill(self) -> None:
        """As `kill -9` does; safe to call twice."""
        if self._process is not None:
            # One that is stopped dies of this too.
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """End it, and give up its ports."""
        self.kill()
        for port in self._ports:
            port.release()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("instances", nargs="+")
    given = parser.parse_args()
    try:
        asyncio.run(_serve(given.folder, given.instances))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
