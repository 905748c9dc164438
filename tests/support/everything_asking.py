"""How a tool of the everything server asks its client, in the way of the client's era.

A modern client is answered `input_required` and calls again with what it was asked for (2026-07-28
basic/utilities/mrtr). A legacy client gets requests while its call is open (2025-11-25 client/elicitation,
client/sampling, client/roots). The tool awaits `ask` and cannot tell.
"""

import json
from typing import Any

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from pydantic import BaseModel, ConfigDict, TypeAdapter

MODERN = "2026-07-28"
CAPABILITY_OF = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
}
SERVER_REQUEST: TypeAdapter[types.ServerRequest] = TypeAdapter(types.ServerRequest)
Json = dict[str, Any]


class Answer(BaseModel):
    """Whatever the client answered."""

    model_config = ConfigDict(extra="allow")


class InputNeeded(Exception):
    """The call ends here; its `result` tells the client what to bring next time."""

    def __init__(self, requests: dict[str, Json], state: str | None) -> None:
        super().__init__(", ".join(requests))
        self.result: Json = {"resultType": "input_required", "inputRequests": requests}
        if state is not None:
            self.result["requestState"] = state


class Asking:
    """One call, its client, and what the client has said so far."""

    def __init__(self, ctx: ServerRequestContext[Any, Any]) -> None:
        self.ctx = ctx
        params = ctx.params or {}
        self._state: str | None = params.get("requestState")
        told: Json = json.loads(self._state) if self._state else {}
        self._known = told | (params.get("inputResponses") or {})

    @property
    def is_modern(self) -> bool:
        return self.ctx.protocol_version == MODERN

    @property
    def declared(self) -> Json:
        """The capabilities that the client says it has."""
        capabilities = self.ctx.session.client_capabilities
        return capabilities.model_dump(by_alias=True, exclude_none=True) if capabilities else {}

    def require(self, *names: str) -> None:
        """Raises: MissingRequiredClientCapability for those that the client did not declare."""
        missing: Json = {name: {} for name in names if name not in self.declared}
        if missing and self.is_modern:
            data = {"requiredCapabilities": missing}
            raise MCPError(
                types.MISSING_REQUIRED_CLIENT_CAPABILITY, "The client lacks a capability.", data=data
            )
        if missing:
            raise MCPError(types.INVALID_PARAMS, f"The client does not support {', '.join(missing)}.")

    async def ask(self, requests: dict[str, Json], with_state: bool = False) -> list[Json]:
        """The answers, in order. `with_state`: only a client that brings back our state is believed."""
        self.require(*(CAPABILITY_OF[request["method"]] for request in requests.values()))
        if not self.is_modern:
            return [await self._send(request) for request in requests.values()]
        missing = {key: request for key, request in requests.items() if key not in self._known}
        if missing or (with_state and self._state is None):
            kept = {key: answer for key, answer in self._known.items() if key not in requests}
            raise InputNeeded(missing or requests, json.dumps(kept) if with_state else None)
        return [self._known[key] for key in requests]

    async def _send(self, request: Json) -> Json:
        """On the stream of the call that asks."""
        related = ServerMessageMetadata(related_request_id=self.ctx.request_id)
        answer = await self.ctx.session.send_request(
            SERVER_REQUEST.validate_python(request), Answer, metadata=related
        )
        return answer.model_dump()


def elicitation(message: str, **properties: Json) -> Json:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema}}


def sampling(text: str, max_tokens: int = 100) -> Json:
    messages = [{"role": "user", "content": {"type": "text", "text": text}}]
    return {"method": "sampling/createMessage", "params": {"messages": messages, "maxTokens": max_tokens}}


ROOTS: Json = {"method": "roots/list", "params": {}}
