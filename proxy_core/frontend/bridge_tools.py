"""Which arguments of which tool travel as headers too, learnt from the lists that pass through the bridge.

Spec: 2026-07-28 basic/transports/streamable-http, "Custom Headers from Tool Parameters".
"""

from typing import Any, Final

from proxy_core.errors import ParseError
from proxy_core.protocol import header_params, jsonrpc
from proxy_core.protocol.header_params import HeaderParam

MAX_TOOLS: Final = 10_000
_MARK: Final = header_params.ANNOTATION.encode()


class ToolHeaders:
    """Only tools that have such arguments are kept: most have none."""

    def __init__(self) -> None:
        self._params: dict[str, tuple[HeaderParam, ...]] = {}

    def headers_for(self, params: dict[str, Any]) -> dict[str, str]:
        """What goes with a call of these params."""
        known = self._params.get(str(jsonrpc.decode(params.get("name", jsonrpc.NO_JSON))))
        if not known:
            return {}
        return dict(header_params.headers_for(known, params.get("arguments", jsonrpc.NO_JSON)))

    def learn(self, response: bytes, *, is_first_page: bool) -> None:
        """Take over what an answer to tools/list says; one that is no list says nothing."""
        if is_first_page:
            self._params.clear()
        if _MARK not in response:
            return
        for tool in _tools_of(response):
            name, schema = tool.get("name"), tool.get("inputSchema")
            if isinstance(name, str) and isinstance(schema, dict) and len(self._params) < MAX_TOOLS:
                self._learn(name, schema)

    def _learn(self, name: str, schema: dict[str, Any]) -> None:
        try:
            found = header_params.annotations(schema)
        except header_params.InvalidAnnotation:
            # To be left out by whoever speaks HTTP; a call of it goes without and is refused, which says why.
            return
        if found:
            self._params[name] = found


def _tools_of(response: bytes) -> list[dict[str, Any]]:
    try:
        result = jsonrpc.members(jsonrpc.members(response).get("result", jsonrpc.NO_JSON))
        tools = jsonrpc.decode(result.get("tools", jsonrpc.NO_JSON))
    except ParseError:
        return []
    return [tool for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
