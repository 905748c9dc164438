"""Modern requests on their way over HTTP: the headers that repeat their bodies, and one retry where a schema
asks for headers that the bridge did not know of.

Spec: 2026-07-28 basic/transports/streamable-http, "Request Metadata" and "Custom Headers from Tool Parameters".
"""

from collections.abc import Callable
from typing import Final

from msgspec import Raw

from proxy_core.errors import ErrorCode, ParseError
from proxy_core.frontend.bridge_remote import Remote
from proxy_core.frontend.bridge_tools import ToolHeaders
from proxy_core.protocol import jsonrpc, meta, methods
from proxy_core.protocol.classify import ModernRequest
from proxy_core.protocol.headers import MCP_METHOD, MCP_NAME, MCP_PROTOCOL_VERSION, encode_value

MAX_LIST_PAGES: Final = 100
_ENVELOPE: Final = (methods.PROTOCOL_VERSION, methods.CLIENT_CAPABILITIES, methods.CLIENT_INFO)
_OWN_ID: Final = "only1mcp-bridge"


class ModernRequests:
    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._tools = ToolHeaders()

    async def ask(self, body: bytes, posted: ModernRequest, heard: Callable[[bytes], None]) -> bytes:
        """The answer as one line; `heard` gets the lines before it. Raises: BackendFault."""
        request = posted.request
        answer = await self._post(body, request, posted.version, heard)
        if request.method == "tools/list":
            self._learn(request, answer)
        elif request.method == "tools/call" and _error_code(answer) == ErrorCode.HEADER_MISMATCH:
            # Its schema has never passed here, or has changed since.
            await self._read_tools(posted)
            answer = await self._post(body, request, posted.version, heard)
        return answer

    async def _post(
        self, body: bytes, request: jsonrpc.Request, version: str, heard: Callable[[bytes], None]
    ) -> bytes:
        headers = self._headers(request, version)
        return (await self._remote.answer(body, headers, request, heard)).line

    def _headers(self, request: jsonrpc.Request, version: str) -> dict[str, str]:
        headers = {MCP_PROTOCOL_VERSION: version, MCP_METHOD: request.method}
        params = jsonrpc.members(request.params)
        key = methods.NAME_HEADER_PARAM.get(request.method)
        name = None if key is None else jsonrpc.decode(params.get(key, jsonrpc.NO_JSON))
        if isinstance(name, str):
            headers[MCP_NAME] = encode_value(name)
        return headers | self._tools.headers_for(params) if request.method == "tools/call" else headers

    def _learn(self, request: jsonrpc.Request, answer: bytes) -> None:
        is_first_page = "cursor" not in jsonrpc.members(request.params)
        self._tools.learn(answer, is_first_page=is_first_page)

    async def _read_tools(self, posted: ModernRequest) -> None:
        """Read every page of the tools, in the name of the call that was refused."""
        given = meta.read_meta(posted.request.params)
        envelope = jsonrpc.encode({key: given[key] for key in _ENVELOPE if key in given})
        params = {"_meta": Raw(envelope)}
        for _ in range(MAX_LIST_PAGES):
            request = jsonrpc.Request(
                _OWN_ID, jsonrpc.encode(_OWN_ID), "tools/list", Raw(jsonrpc.encode(params))
            )
            body = jsonrpc.request(request.raw_id, request.method, request.params)
            answer = await self._post(body, request, posted.version, _ignore)
            self._learn(request, answer)
            cursor = _next_cursor(answer)
            if cursor is None:
                return
            params["cursor"] = cursor


def _next_cursor(answer: bytes) -> Raw | None:
    try:
        return jsonrpc.members(jsonrpc.members(answer).get("result", jsonrpc.NO_JSON)).get("nextCursor")
    except ParseError:
        return None


def _error_code(answer: bytes) -> int | None:
    error = jsonrpc.members(answer).get("error")
    return None if error is None else jsonrpc.rpc_error(error).code


def _ignore(line: bytes) -> None:
    """Nobody asked for it."""
