"""What is asked before a load: which era the endpoint speaks, a session where one is needed, and its tools."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any, Final

from msgspec import Raw

from proxy_core.errors import ClientFault, GatewayUnreachable, Only1Error, TokenRefused
from proxy_core.load.asking import CLIENT_INFO, FIRST_ID, Ask, Dialect, goodbye, notification, question
from proxy_core.load.judging import Fault, fault_in
from proxy_core.load.line import Line
from proxy_core.load.target import Target
from proxy_core.protocol import header_params, headers, jsonrpc
from proxy_core.protocol.revisions import LATEST_LEGACY, MODERN, Era

AUTO: Final = "auto"
MAX_PAGES: Final = 100
MAX_SESSION: Final = 1024
"""Characters of a session's id."""


class Unfit(Only1Error):
    """The endpoint cannot be loaded as it was wished."""


class NoSuchTool(ClientFault):
    """The endpoint has no tool of that name."""

    def __init__(self, name: str, known: list[str]) -> None:
        near = get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; it has {len(known)}."
        super().__init__(f"The server has no tool {name!r}{hint}")


@dataclass(frozen=True, slots=True)
class Tool:
    """What matters of a tool before it is called over and over."""

    name: str
    only_reads: bool
    """Whether it says so."""
    schema: dict[str, Any]

    def header_lines(self, arguments: dict[str, Any]) -> headers.Headers:
        """Those that repeat arguments. Raises: InvalidAnnotation."""
        return header_params.headers_for(header_params.annotations(self.schema), Raw(jsonrpc.encode(arguments)))


class Acquaintance:
    """An endpoint that has been greeted, and the way that it is spoken to."""

    def __init__(self, line: Line, target: Target, dialect: Dialect) -> None:
        self._line = line
        self._target = target
        self.dialect = dialect

    @property
    def revision(self) -> str:
        return self.dialect.revision

    @property
    def is_modern(self) -> bool:
        return self.dialect.era is Era.MODERN

    async def try_once(self, ask: Ask) -> None:
        """Whether this is answered at all. Raises: Unfit, TokenRefused, GatewayUnreachable."""
        fault = await _fault_in_answer(self._line, self._target, self.dialect, ask)
        if fault is not None:
            raise Unfit(f"Nothing was loaded, for the first request failed: {_told(fault)}")

    async def result_of(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Raises: Unfit, TokenRefused, GatewayUnreachable."""
        return await _result(self._line, self._target, self.dialect, method, params)

    async def tool(self, name: str) -> Tool:
        """Raises: NoSuchTool; Unfit."""
        known: list[str] = []
        params: dict[str, Any] = {}
        for _ in range(MAX_PAGES):
            page = await self.result_of("tools/list", params)
            for entry in _objects(page.get("tools")):
                if entry.get("name") == name:
                    notes, schema = entry.get("annotations"), entry.get("inputSchema")
                    only_reads = isinstance(notes, dict) and notes.get("readOnlyHint") is True
                    return Tool(name, only_reads, schema if isinstance(schema, dict) else {})
                known.append(str(entry.get("name", "")))
            if not isinstance(cursor := page.get("nextCursor"), str):
                break
            params = {"cursor": cursor}
        raise NoSuchTool(name, known)


@asynccontextmanager
async def greeted(target: Target, era: str, token: str | None) -> AsyncIterator[Acquaintance]:
    """`era`: one of `Era`, or AUTO, which finds out. The session that it opens ends with it.

    Raises: GatewayUnreachable, TokenRefused, Unfit.
    """
    line = Line(target)
    dialect = Dialect(target.authority, target.path, token=token)
    try:
        await line.open()
        if era == Era.LEGACY or (era == AUTO and not await _is_modern(line, target, dialect)):
            dialect = await _initialized(line, target, replace(dialect, revision=LATEST_LEGACY))
        elif era == Era.MODERN:
            await _result(line, target, dialect, "server/discover")
        yield Acquaintance(line, target, dialect)
    finally:
        if dialect.session is not None:
            # One that does not answer any more ends its sessions by itself.
            with suppress(GatewayUnreachable):
                await line.ask(goodbye(dialect))
        line.close()


async def _is_modern(line: Line, target: Target, dialect: Dialect) -> bool:
    try:
        result = await _result(line, target, dialect, "server/discover")
    except Unfit:
        return False
    versions = result.get("supportedVersions")
    return isinstance(versions, list) and MODERN in versions


async def _initialized(line: Line, target: Target, dialect: Dialect) -> Dialect:
    params = {"protocolVersion": dialect.revision, "capabilities": {}, "clientInfo": Raw(CLIENT_INFO)}
    result = await _result(line, target, dialect, "initialize", params)
    revision = result.get("protocolVersion")
    session = line.connection.headers.get(b"mcp-session-id", b"").decode("latin-1").strip()
    if not isinstance(revision, str) or not _is_word(revision) or (session and not _is_word(session)):
        raise Unfit(f"{target.url} answered initialize with what is no revision or no session.")
    dialect = replace(dialect, revision=revision, session=session or None)
    await line.ask(notification(dialect, "notifications/initialized"))
    return dialect


def _is_word(text: str) -> bool:
    """Whether a header can carry it as it is."""
    return 0 < len(text) <= MAX_SESSION and text.isascii() and text.isprintable() and " " not in text


async def _result(
    line: Line, target: Target, dialect: Dialect, method: str, params: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What `method` is answered with. Raises: Unfit, TokenRefused, GatewayUnreachable."""
    fault = await _fault_in_answer(line, target, dialect, question(dialect, method, params))
    if fault is not None:
        raise Unfit(f"{target.url} did not answer {method} as an MCP server does: {_told(fault)}")
    result: dict[str, Any] = jsonrpc.decode(line.connection.body)["result"]
    return result


async def _fault_in_answer(line: Line, target: Target, dialect: Dialect, ask: Ask) -> Fault | None:
    """Raises: TokenRefused, GatewayUnreachable."""
    await line.ask(ask(FIRST_ID), FIRST_ID)
    connection = line.connection
    if connection.status == HTTPStatus.UNAUTHORIZED:
        said = "wants a token" if dialect.token is None else "does not know the token that it was sent"
        raise TokenRefused(f"{target.url} {said}. Put one into a variable and name it: --token-env VARIABLE.")
    return connection.fault or fault_in(connection.status, connection.body, FIRST_ID)


def _told(fault: Fault) -> str:
    return f"{fault.kind}: {fault.detail}" if fault.detail else f"{fault.kind}."


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
