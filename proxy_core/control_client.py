"""The running gateway as a modern MCP client sees it: what the command line asks from afar.

The door to the gateway's own words too: `RemoteControl` is found here, and where its socket is.

One POST is one exchange; nothing is kept between them but the HTTP connection. What the gateway answers is
bounded in size. Spec: 2026-07-28 basic/transports/streamable-http; server/utilities/pagination.
"""

from collections.abc import Iterator
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import aiohttp

from proxy_core import __version__
from proxy_core.admin_client import unanswered
from proxy_core.errors import BackendError, GatewayUnreachable, ParseError, TokenRefused
from proxy_core.protocol import headers, jsonrpc, meta, methods
from proxy_core.protocol.lines import FrameTooLarge
from proxy_core.protocol.revisions import MODERN
from proxy_core.protocol.sse import SseParser
from proxy_core.remote_control import RemoteControl
from proxy_core.runtime import socket_path
from proxy_core.ssh_tunnel import SCHEME as SSH
from proxy_core.ssh_tunnel import SshRefused, SshTunnel, ssh_target
from proxy_core.telemetry.snapshot import NamedItem

__all__ = [
    "SSH",
    "GatewayClient",
    "GatewayUnreachable",
    "Listing",
    "RemoteControl",
    "SshRefused",
    "SshTunnel",
    "TokenRefused",
    "socket_path",
    "ssh_target",
]

MAX_ANSWER_BYTES: Final = 64 << 20
MAX_PAGES: Final = 1000
CONNECT_S: Final = 3
CHECK_S: Final = 5
LIST_S: Final = 30
CALL_S: Final = 3600
GATEWAY_NAME: Final = "only1mcp"
_READ_BYTES: Final = 1 << 16
_KINDS: Final = {
    "tools": ("tool", "name"),
    "resources": ("resource", "uri"),
    "resourceTemplates": ("template", "uriTemplate"),
    "prompts": ("prompt", "name"),
}
"""Member of a list result -> our word for its items, and the key that names one."""
_CLIENT_INFO: Final = jsonrpc.encode({"name": "only1mcp-cli", "version": __version__})


class Listing(NamedTuple):
    """Everything the gateway offers."""

    items: tuple[NamedItem, ...]
    missing: tuple[str, ...]
    """Ids of servers whose items may be absent because they do not answer."""


class GatewayClient:
    """A client of one gateway. Use as an async context manager. Every exchange raises TokenRefused on a 401."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url
        self._token = token
        self._last_id = 0
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def check(self) -> None:
        """Whether this gateway answers. Raises: GatewayUnreachable."""
        try:
            answer = await self.request("server/discover", {}, CHECK_S)
        except BackendError as error:
            raise self._unreachable("what answers is not Only1MCP") from error
        if _object(_object(answer.get("_meta")).get(methods.SERVER_INFO)).get("name") != GATEWAY_NAME:
            raise self._unreachable("what answers is not Only1MCP")

    async def listing(self) -> Listing:
        """Every page of every list. Raises: GatewayUnreachable, BackendError."""
        items: list[NamedItem] = []
        missing: dict[str, None] = {}
        for method, member in methods.LIST_METHODS.items():
            for page in await self._pages(method):
                found = page.get(member)
                entries = found if isinstance(found, list) else []
                items += [_named(member, entry) for entry in entries if isinstance(entry, dict)]
                partial = _object(page.get("_meta")).get(methods.OWN_META + "partial")
                missing |= dict.fromkeys(_strings(partial))
        return Listing(tuple(items), tuple(missing))

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The result of a tool. Raises: BackendError if the answer is an error, GatewayUnreachable."""
        return await self.request("tools/call", {"name": name, "arguments": arguments}, CALL_S)

    async def request(self, method: str, params: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """One exchange. Raises: BackendError with the error that was answered, GatewayUnreachable."""
        self._last_id += 1
        raw_id = str(self._last_id).encode()
        envelope = meta.envelope(MODERN, b"{}", _CLIENT_INFO)
        body = jsonrpc.request(raw_id, method, jsonrpc.encode({**params, "_meta": envelope}))
        answer = await self._post(body, _headers(method, params) | self._credentials(), timeout_s)
        if answer.id != self._last_id and answer.id is not None:
            raise self._unreachable("it answered something else than was asked")
        if not jsonrpc.is_empty(answer.error):
            error = jsonrpc.rpc_error(answer.error)
            raise BackendError(GATEWAY_NAME, error.code, error.message, bytes(error.data))
        result = jsonrpc.decode(answer.result)
        return result if isinstance(result, dict) else {}

    async def _pages(self, method: str) -> list[dict[str, Any]]:
        pages: list[dict[str, Any]] = []
        cursor: object = None
        while len(pages) < MAX_PAGES:
            page = await self.request(method, {} if cursor is None else {"cursor": cursor}, LIST_S)
            pages.append(page)
            cursor = page.get("nextCursor")
            if not isinstance(cursor, str):
                break
        return pages

    async def _post(self, body: bytes, request_headers: dict[str, str], timeout_s: float) -> jsonrpc.Response:
        assert self._session is not None  # entered
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_S)
        try:
            async with self._session.post(
                self.url, data=body, headers=request_headers, timeout=timeout, allow_redirects=False
            ) as response:
                if response.status == HTTPStatus.UNAUTHORIZED:
                    raise self._refused()
                return await self._read(response)
        except (aiohttp.ClientError, aiohttp.InvalidURL, OSError) as error:
            raise unanswered(self.url, error) from error
        except (ParseError, jsonrpc.NotOneMessage, FrameTooLarge) as error:
            raise self._unreachable("what answers does not speak MCP") from error

    async def _read(self, response: aiohttp.ClientResponse) -> jsonrpc.Response:
        """The one response in the body, be it JSON or a stream. Notifications before it are of no use here."""
        body = bytearray()
        async for chunk in response.content.iter_chunked(_READ_BYTES):
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise FrameTooLarge(MAX_ANSWER_BYTES)
        is_stream = response.content_type == "text/event-stream"
        for data in _events(bytes(body)) if is_stream else (bytes(body),):
            message = jsonrpc.parse(data)
            if isinstance(message, jsonrpc.Response):
                return message
        raise ParseError("There is no response in the body.")

    def _credentials(self) -> dict[str, str]:
        return {} if self._token is None else {"authorization": f"Bearer {self._token}"}

    def _refused(self) -> TokenRefused:
        said = "wants a token" if self._token is None else "does not know the token that it was sent"
        return TokenRefused(
            f"The gateway at {self.url} {said}. Put one of its tokens into the environment variable "
            "ONLY1MCP_TOKEN; `only1mcp token new` makes them."
        )

    def _unreachable(self, why: str) -> GatewayUnreachable:
        return GatewayUnreachable(f"No gateway at {self.url}: {why}.")


def _events(body: bytes) -> Iterator[bytes]:
    return (event.data for event in SseParser(MAX_ANSWER_BYTES).feed(body) if event.data)


def _headers(method: str, params: dict[str, Any]) -> dict[str, str]:
    result = {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        headers.MCP_PROTOCOL_VERSION: MODERN,
        headers.MCP_METHOD: method,
    }
    if (named_by := methods.NAME_HEADER_PARAM.get(method)) is not None:
        result[headers.MCP_NAME] = headers.encode_value(str(params[named_by]))
    return result


def _named(member: str, entry: dict[str, Any]) -> NamedItem:
    origin = _object(_object(entry.get("_meta")).get(methods.OWN_META + "origin"))
    kind, name_key = _KINDS[member]
    name = str(entry.get(name_key, ""))
    return NamedItem(
        kind=kind,
        name=name,
        origin=str(origin.get("name", name)),
        server=str(origin.get("backend", "")),
        title=str(entry.get("title") or ""),
        description=str(entry.get("description") or ""),
        arguments=_arguments(kind, entry),
        read_only=kind == "tool" and _object(entry.get("annotations")).get("readOnlyHint") is True,
    )


def _arguments(kind: str, entry: dict[str, Any]) -> tuple[tuple[str, bool], ...]:
    if kind == "tool":
        schema = _object(entry.get("inputSchema"))
        required = _strings(schema.get("required"))
        return tuple((name, name in required) for name in _object(schema.get("properties")))
    given = entry.get("arguments")
    listed = [_object(argument) for argument in given] if isinstance(given, list) else []
    return tuple((str(one.get("name", "")), one.get("required") is True) for one in listed)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _strings(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
