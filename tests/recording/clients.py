"""Clients on the wire, as many as the session has: used to record it and to play it again.

Raw HTTP, so that what is sent and answered is seen as it is; a session's own stream and a listen stay open
until the session ends, as in real clients, and what comes over them is remembered.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.recording.session import ENDS, HEARS, LISTENS, OPENS, SUBSCRIBES, Json
from tests.support.http_client import ENVELOPE, META, MODERN, Client, Reply, modern, request
from tests.support.wire import comes_true, last_of

ANSWERED_WITHIN_S = 60.0


@dataclass
class _Open:
    """One session, or one conversation of a modern client."""

    client: Client
    revision: str
    name: str
    next_id: int = 1
    heard: list[str] = field(default_factory=list)
    """Methods of the notifications so far."""
    streams: list["asyncio.Task[None]"] = field(default_factory=list)
    begun: int = 0
    """Streams whose response has begun."""


class Clients:
    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url
        self._open: dict[str, _Open] = {}

    async def ask(self, client: str, session: str, revision: str, method: str, params: Json) -> Json | None:
        """Send one request of a session; its answer, `{"result": ...}` or `{"error": ...}`, if it has one."""
        if session not in self._open:
            self._open[session] = _Open(Client(self._http, self._url), revision, client)
        known = self._open[session]
        if method == OPENS:
            return await self._initialize(known, params)
        if method in (LISTENS, SUBSCRIBES):
            await self._listen(known, method, params)
            return None
        if method == HEARS:
            await comes_true(
                lambda: known.heard.count(params["method"]) >= params["times"], f"{session} hears {params}"
            )
            return None
        if method == ENDS:
            await self._end(session)
            return None
        known.next_id += 1
        if revision == MODERN:
            body, headers = modern(method, params, id=known.next_id, meta=_envelope(known.name))
            return _outcome(await known.client.send("POST", body, headers=headers))
        return _outcome(await self._post(known, request(method, params, known.next_id)))

    async def aclose(self) -> None:
        for session in list(self._open):
            await self._end(session)

    async def _initialize(self, known: _Open, params: Json) -> Json:
        reply = await known.client.send("POST", request("initialize", params), headers=_HEADERS)
        known.client.session_id = reply.headers.get("Mcp-Session-Id")
        await self._post(known, {"jsonrpc": "2.0", "method": "notifications/initialized"})
        return _outcome(reply)

    async def _post(self, known: _Open, body: Any) -> Reply:
        return await known.client.post(body, Mcp_Protocol_Version=known.revision)

    async def _listen(self, known: _Open, method: str, params: Json) -> None:
        if method == LISTENS:
            headers = known.client.legacy_headers(Mcp_Protocol_Version=known.revision)
            opening = known.client.stream("GET", headers=headers)
        else:
            known.next_id += 1
            body, headers = modern(method, params, id=known.next_id, meta=_envelope(known.name))
            opening = known.client.stream("POST", body, headers=headers)
        before = known.begun
        known.streams.append(asyncio.create_task(_hear(known, opening)))
        await comes_true(lambda: known.begun > before, f"the stream of {known.name} is open")

    async def _end(self, session: str) -> None:
        known = self._open.pop(session)
        if known.client.session_id is not None:
            await known.client.send("DELETE", headers=known.client.legacy_headers())
        for stream in known.streams:
            stream.cancel()
        await asyncio.gather(*known.streams, return_exceptions=True)


async def _hear(known: _Open, opening: Any) -> None:
    async with opening as stream:
        known.begun += 1
        while frame := await stream.response.content.readuntil(b"\r\n\r\n"):
            data = b"".join(line[6:] for line in frame.split(b"\r\n") if line.startswith(b"data: "))
            if data and "method" in (message := json.loads(data)):
                known.heard.append(message["method"])


@asynccontextmanager
async def clients_of(url: str) -> AsyncIterator[Clients]:
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=ANSWERED_WITHIN_S)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
        clients = Clients(http, url)
        try:
            yield clients
        finally:
            with contextlib.suppress(aiohttp.ClientError):
                await clients.aclose()


def _outcome(reply: Reply) -> Json:
    message = last_of(reply)
    return {key: message[key] for key in ("result", "error") if key in message}


def _envelope(name: str) -> Json:
    return ENVELOPE | {META + "clientInfo": {"name": name, "version": "1"}}


_HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
