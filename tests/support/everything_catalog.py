"""What the everything server lists and reads: names, schemas and contents as the suite wants them."""

import json
import re
from typing import Any

Json = dict[str, Any]

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
COMPLETIONS = ("paris", "park", "party")
LEGACY_NOT_FOUND = -32002
"""Of a resource, up to 2025-11-25; 2026-07-28 says invalid params."""


def _tool(name: str, description: str, **properties: Json) -> Json:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"name": name, "description": description, "inputSchema": schema}


def _prompt(name: str, description: str, **arguments: str) -> Json:
    listed = [{"name": each, "description": text, "required": True} for each, text in arguments.items()]
    return {"name": name, "description": description, "arguments": listed}


_TEXT: Json = {"type": "string"}
_SCHEMA_2020_12: Json = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": _TEXT, "city": _TEXT},
        }
    },
    "properties": {
        "name": _TEXT,
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": _TEXT,
        "email": _TEXT,
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}

# The suite calls the first one without arguments.
TOOLS: list[Json] = [
    _tool("test_simple_text", "Answers with text."),
    _tool("test_image_content", "Answers with an image."),
    _tool("test_audio_content", "Answers with a sound."),
    _tool("test_embedded_resource", "Answers with an embedded resource."),
    _tool("test_multiple_content_types", "Answers with text, an image and a resource."),
    _tool("test_error_handling", "Always fails."),
    _tool("test_tool_with_logging", "Logs three times while it runs."),
    _tool("test_tool_with_progress", "Reports its progress three times."),
    _tool("test_reconnection", "Ends its stream in the middle of the call; the answer is found on resuming."),
    _tool("test_sampling", "Asks the client's model.", prompt={"type": "string", "description": "What to ask"}),
    _tool("test_elicitation", "Asks the user.", message={"type": "string", "description": "What to say"}),
    _tool("test_elicitation_sep1034_defaults", "Asks the user with a default for every primitive type."),
    _tool("test_elicitation_sep1330_enums", "Asks the user with every kind of enumeration."),
    {"name": "json_schema_2020_12_tool", "description": "Has a rich schema.", "inputSchema": _SCHEMA_2020_12},
    _tool("test_mcp_param", "Wants its argument in a header too.", region=_TEXT | {"x-mcp-header": "Region"}),
    _tool("test_missing_capability", "Needs a client that can sample."),
    _tool("test_streaming_elicitation", "Asks the user in the middle of a stream."),
    _tool("test_logging_tool", "Logs once while it runs."),
    _tool("test_trigger_tool_change", "Changes the list of tools."),
    _tool("test_trigger_prompt_change", "Changes the list of prompts."),
    _tool("test_input_required_result_elicitation", "Asks for a name."),
    _tool("test_input_required_result_sampling", "Asks the client's model."),
    _tool("test_input_required_result_list_roots", "Asks for the client's roots."),
    _tool("test_input_required_result_request_state", "Asks, and wants its state back."),
    _tool("test_input_required_result_multiple_inputs", "Asks for three things at once."),
    _tool("test_input_required_result_multi_round", "Asks twice."),
    _tool("test_input_required_result_tampered_state", "Asks, and refuses a state that was tampered with."),
    _tool("test_input_required_result_capabilities", "Asks only for what the client can give."),
]
EXTRA_TOOL = _tool("test_extra_tool", "Comes and goes with test_trigger_tool_change.")

PROMPTS: list[Json] = [
    _prompt("test_simple_prompt", "Has no arguments."),
    _prompt("test_prompt_with_arguments", "Has two arguments.", arg1="The first", arg2="The second"),
    _prompt("test_prompt_with_embedded_resource", "Embeds a resource.", resourceUri="What to embed"),
    _prompt("test_prompt_with_image", "Has an image."),
    _prompt("test_input_required_result_prompt", "Asks the user first."),
]
EXTRA_PROMPT = _prompt("test_extra_prompt", "Comes and goes with test_trigger_prompt_change.")

_CONTENTS: dict[str, Json] = {
    "test://static-text": {
        "mimeType": "text/plain",
        "text": "This is the content of the static text resource.",
    },
    "test://static-binary": {"mimeType": "image/png", "blob": PNG},
    "test://watched-resource": {"mimeType": "text/plain", "text": "Watched resource content."},
}
RESOURCES: list[Json] = [
    {
        "uri": uri,
        "name": uri.removeprefix("test://"),
        "description": f"The resource {uri}.",
        "mimeType": contents["mimeType"],
    }
    for uri, contents in _CONTENTS.items()
]
TEMPLATES: list[Json] = [
    {
        "uriTemplate": "test://template/{id}/data",
        "name": "template",
        "description": "A resource for every id.",
        "mimeType": "application/json",
    }
]


def contents_of(uri: str) -> Json | None:
    """What reading the resource gives; None if there is none."""
    if uri in _CONTENTS:
        return {"uri": uri, **_CONTENTS[uri]}
    if found := re.fullmatch(r"test://template/([^/]+)/data", uri):
        text = json.dumps({"id": found[1], "templateTest": True, "data": f"Data for ID: {found[1]}"})
        return {"uri": uri, "mimeType": "application/json", "text": text}
    return None
