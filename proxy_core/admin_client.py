"""One exchange with the admin API of a running gateway, over its socket or its port.

What it answers is bounded in size and comes back as the value it was, or as the exception. Keeps nothing from
one to the next but connections.
"""

from collections.abc import AsyncGenerator, Callable
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NoReturn, Self, TypeVar

import aiohttp
import msgspec

from proxy_core.admin_wire import PREFIX, ErrorAnswer, decoded, encoded, error_of
from proxy_core.errors import CertificateRefused, GatewayUnreachable, TokenRefused
from proxy_core.protocol.lines import FrameTooLarge
from proxy_core.protocol.sse import SseEvent, SseParser
from proxy_core.runtime import owner_fault

MAX_ANSWER_BYTES: Final = 64 << 20
CONNECT_S: Final = 3
ASK_S: Final = 15
VERB_S: Final = 4000
"""A drain may wait for an hour, and says nothing meanwhile."""
SILENCE_S: Final = 45
"""Of an event stream, which is kept alive three times as often."""
_READ_BYTES: Final = 1 << 16
T = TypeVar("T")


def unanswered(where: str, error: Exception) -> GatewayUnreachable:
    """Why nothing came of an exchange with the gateway at `where`, a URL or the path of a socket."""
    if isinstance(error, TimeoutError):
        return GatewayUnreachable(f"No gateway at {where}: it does not answer in time.")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        found = error.certificate_error
        why = getattr(found, "verify_message", "") or str(found)
        return CertificateRefused(
            f"The gateway at {where} has a certificate that is not trusted here: {why}. The environment "
            "variable SSL_CERT_FILE names the file of an authority that is to be trusted."
        )
    was_there = not isinstance(error, aiohttp.ClientConnectorError | aiohttp.InvalidURL)
    if was_there and isinstance(error, aiohttp.ClientConnectionError) and where.startswith("https:"):
        return GatewayUnreachable(
            f"No gateway at {where}: it hangs up, as one does that wants certificates of its clients "
            "(proxy.tls.client_ca); commands have none."
        )
    return GatewayUnreachable(f"No gateway at {where}: nothing answers there.")


class AdminClient:
    """Use as an async context manager. Every exchange raises GatewayUnreachable, and TokenRefused on a 401."""

    def __init__(
        self,
        address: str | Path,
        token: str | None = None,
        name: str = "",
        fault: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`address`: the path of a socket, or the `http://host:port` of a gateway that has it on its port.

        `name`: what people call that, if it is only the near end of the way; `fault`: why the way is closed.
        """
        self.address = address
        self.name = name or str(address)
        self._fault = fault
        self._token = token
        self._base = "http://localhost" if isinstance(address, Path) else address.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        is_socket = isinstance(self.address, Path)
        connector = aiohttp.UnixConnector(str(self.address)) if is_socket else None
        self._session = aiohttp.ClientSession(connector=connector)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str, answer: type[T], query: dict[str, str] | None = None) -> T:
        """`path`: after the prefix."""
        return await self._ask("GET", path, answer, query=query, timeout_s=ASK_S)

    async def post(self, path: str, answer: type[T], body: object = None) -> T:
        """A verb; what it raises at the gateway is raised here."""
        raw = b"{}" if body is None else encoded(body)
        return await self._ask("POST", path, answer, body=raw, timeout_s=VERB_S)

    async def events(self, query: dict[str, str]) -> AsyncGenerator[list[SseEvent], None]:
        """The event stream, as it comes; ends if the gateway ends it."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENCE_S)
        parser = SseParser(MAX_ANSWER_BYTES)
        try:
            async with self._request("GET", "events", timeout, query=query) as response:
                if response.status != HTTPStatus.OK:
                    self._raise(response.status, await self._read(response))
                async for chunk in response.content.iter_any():
                    yield parser.feed(chunk)
        except (aiohttp.ClientError, aiohttp.InvalidURL, OSError) as error:
            raise unanswered(self.name, error) from error
        except FrameTooLarge as error:
            raise self.unreachable("what answers is not Only1MCP, or another version of it") from error

    async def _ask(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        timeout_s: float,
        query: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> T:
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_S)
        try:
            async with self._request(method, path, timeout, query=query, body=body) as response:
                raw = await self._read(response)
                if response.status != HTTPStatus.OK:
                    self._raise(response.status, raw)
                return decoded(raw, answer)
        except (aiohttp.ClientError, aiohttp.InvalidURL, OSError) as error:
            raise unanswered(self.name, error) from error
        except (msgspec.DecodeError, FrameTooLarge) as error:
            raise self.unreachable("what answers is not Only1MCP, or another version of it") from error

    def _request(
        self,
        method: str,
        path: str,
        timeout: aiohttp.ClientTimeout,
        *,
        query: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> Any:
        assert self._session is not None  # entered
        if (closed := self._fault()) is not None:
            raise self.unreachable(closed)
        if isinstance(self.address, Path):
            # Nothing that another user could have put there is asked, or believed.
            fault = owner_fault(self.address)
            if fault is not None:
                raise self.unreachable(fault)
        headers = {} if self._token is None else {"authorization": f"Bearer {self._token}"}
        if body is not None:
            headers["content-type"] = "application/json"
        url = f"{self._base}{PREFIX}/{path}"
        return self._session.request(
            method, url, params=query, data=body, headers=headers, timeout=timeout, allow_redirects=False
        )

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(_READ_BYTES):
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise FrameTooLarge(MAX_ANSWER_BYTES)
        return bytes(body)

    def _raise(self, status: int, raw: bytes) -> NoReturn:
        if status == HTTPStatus.UNAUTHORIZED:
            raise self._refused()
        error = error_of(decoded(raw, ErrorAnswer).error)
        raise error

    def _refused(self) -> TokenRefused:
        said = "wants a token" if self._token is None else "does not know the token that it was sent"
        return TokenRefused(
            f"The gateway at {self.name} {said}. Put one of its tokens into the environment variable "
            "ONLY1MCP_TOKEN; `only1mcp token new` makes them."
        )

    def unreachable(self, why: str) -> GatewayUnreachable:
        return GatewayUnreachable(f"No gateway at {self.name}: {why}.")
