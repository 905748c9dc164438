"""A user, a model and a workspace that answer whatever a server asks, always the same."""

from typing import Any

import mcp_types as types

Json = dict[str, Any]
EXAMPLES: Json = {"string": "text", "integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}


async def elicited(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
    """Accepts: a form with its defaults, and an example where there is none."""
    if isinstance(params, types.ElicitRequestURLParams):
        return types.ElicitResult(action="accept")
    return types.ElicitResult(action="accept", content=filled(dict(params.requested_schema)))


async def sampled(context: object, params: types.CreateMessageRequestParams) -> types.CreateMessageResult:
    text = types.TextContent(type="text", text="Paris")
    return types.CreateMessageResult(role="assistant", content=text, model="test-model")


async def rooted(context: object) -> types.ListRootsResult:
    return types.ListRootsResult(roots=[types.Root(uri="file:///home/test", name="home")])


CALLBACKS: Json = {
    "elicitation_callback": elicited,
    "sampling_callback": sampled,
    "list_roots_callback": rooted,
}
"""For `recorded.talking`: a client that can answer everything, and says so."""


def filled(schema: Json) -> Json:
    """Values for every property of a flat schema: its default, its first choice or an example."""
    return {name: _value(each) for name, each in schema.get("properties", {}).items()}


def _value(schema: Json) -> Any:
    if "default" in schema:
        return schema["default"]
    choices = schema.get("enum") or [each.get("const") for each in schema.get("oneOf", ())]
    return choices[0] if choices else EXAMPLES.get(schema.get("type", ""))
