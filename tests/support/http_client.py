"""A client of both eras that shows every byte, and the frontend it talks to."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

MODERN = "2026-07-28"
LATEST_LEGACY = "2025-11-25"
META = "io.modelcontextprotocol/"
ENVELOPE = {META + "protocolVersion": MODERN, META + "clientCapabilities": {}}
POST_HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
SOON_S = 20
"""Long enough for a busy machine; nothing that passes waits for it."""


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error_code(self) -> int:
        return int(self.json["error"]["code"])

    @property
    def events(self) -> list[Any]:
        """The messages of an event stream, in order; events without data are skipped."""
        lines = self.body.split(b"\r\n")
        return [json.loads(line[6:]) for line in lines if line.startswith(b"data: ") and line[6:]]


class Stream:
    """An event stream that is still open."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def event(self) -> dict[str, str]:
        """The fields of the next event; comments are skipped."""
        while True:
            frame = await asyncio.wait_for(self.response.content.readuntil(b"\r\n\r\n"), SOON_S)
            lines = (line.partition(": ") for line in frame.decode().strip().split("\r\n"))
            if fields := {name: value for name, _, value in lines if name}:
                return fields

    async def next(self) -> Any:
        """The next message; comments and events without data are skipped."""
        while True:
            frame = await asyncio.wait_for(self.response.content.readuntil(b"\r\n\r\n"), SOON_S)
            for line in frame.split(b"\r\n"):
                if line.startswith(b"data: ") and line[6:]:
                    return json.loads(line[6:])

    async def rest(self) -> bytes:
        """Everything up to the end of the stream."""
        return await asyncio.wait_for(self.response.read(), SOON_S)


class Client:
    def __init__(self, http: aiohttp.ClientSession, url: str, token: str | None = None) -> None:
        """`token` goes with everything that is sent."""
        self.http = http
        self.url = url
        self.token = token
        self.session_id: str | None = None

    async def send(self, method: str = "POST", body: Any = None, **options: Any) -> Reply:
        options = self._with_token(options)
        async with self.http.request(method, options.pop("url", self.url), data=_bytes(body), **options) as got:
            return Reply(got.status, got.headers, await got.read())

    @asynccontextmanager
    async def stream(self, method: str = "POST", body: Any = None, **options: Any) -> AsyncIterator[Stream]:
        options = self._with_token(options)
        async with self.http.request(method, self.url, data=_bytes(body), **options) as got:
            assert got.status == 200, await got.read()
            assert got.content_type == "text/event-stream"
            yield Stream(got)

    def _with_token(self, options: dict[str, Any]) -> dict[str, Any]:
        if self.token is None:
            return options
        return options | {"headers": {"Authorization": f"Bearer {self.token}"} | (options.get("headers") or {})}

    # --- modern

    async def ask(self, method: str, params: dict[str, Any] | None = None, **how: Any) -> Reply:
        """A modern request; `headers` add to and replace the right ones, None removes one."""
        body, headers = modern(method, params, **how)
        return await self.send("POST", body, headers=headers)

    # --- legacy

    async def initialize(
        self, version: str = LATEST_LEGACY, capabilities: dict[str, Any] | None = None
    ) -> Reply:
        params = {
            "protocolVersion": version,
            "capabilities": capabilities or {},
            "clientInfo": {"name": "test", "version": "1"},
        }
        reply = await self.send("POST", request("initialize", params), headers=POST_HEADERS)
        self.session_id = reply.headers.get("Mcp-Session-Id")
        return reply

    async def post(self, body: Any, **headers: str | None) -> Reply:
        return await self.send("POST", body, headers=self.legacy_headers(**headers))

    def legacy_headers(self, **changes: str | None) -> dict[str, str]:
        headers = POST_HEADERS | {"Mcp-Session-Id": self.session_id, "Mcp-Protocol-Version": LATEST_LEGACY}
        return _changed(headers, {name.replace("_", "-"): value for name, value in changes.items()})


def request(method: str, params: dict[str, Any] | None = None, id: Any = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params or {}}


def modern(
    method: str,
    params: dict[str, Any] | None = None,
    *,
    id: Any = 1,
    meta: dict[str, Any] | None = None,
    headers: dict[str, str | None] | None = None,
) -> tuple[dict[str, Any], dict[str, str]]:
    """A modern request and the headers that belong to it."""
    params = params or {}
    right = POST_HEADERS | {"Mcp-Protocol-Version": MODERN, "Mcp-Method": method}
    if (name := params.get("name", params.get("uri", params.get("taskId")))) is not None:
        right["Mcp-Name"] = name
    body = request(method, params | {"_meta": ENVELOPE if meta is None else meta}, id)
    return body, _changed(right, headers or {})


def _changed(headers: dict[str, Any], changes: dict[str, str | None]) -> dict[str, str]:
    kept = {name: value for name, value in headers.items() if name.lower() not in {c.lower() for c in changes}}
    return {name: value for name, value in (kept | changes).items() if value is not None}


def _bytes(body: Any) -> bytes | io.BytesIO | None:
    return body if body is None or isinstance(body, bytes | io.BytesIO) else json.dumps(body).encode()
