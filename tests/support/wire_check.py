"""Is a JSON-RPC message what its revision of MCP says it is: judged by the official SDK's wire models.

Those know two schemas, 2025-11-25 for everything legacy and 2026-07-28. What an older revision lacks, and what
must not stray from one era into the other, is added here. Members that nobody knows are allowed, as the spec
has it. Pure: knows no transports.
"""

import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from mcp_types import methods
from pydantic import TypeAdapter, ValidationError

Json = dict[str, Any]
CLIENT, SERVER = "client", "server"
"""Who sent a message."""
MODERN = "2026-07-28"
BATCHES_IN = "2025-03-26"
REQUESTS = {CLIENT: methods.CLIENT_REQUESTS, SERVER: methods.SERVER_REQUESTS}
NOTIFICATIONS = {CLIENT: methods.CLIENT_NOTIFICATIONS, SERVER: methods.SERVER_NOTIFICATIONS}
RESULTS = {CLIENT: methods.CLIENT_RESULTS, SERVER: methods.SERVER_RESULTS}
KINDS = {CLIENT: "the client's", SERVER: "the server's"}
MODERN_KEYS = "io.modelcontextprotocol/"
KEYS_OF_BOTH_ERAS = (MODERN_KEYS + "related-task", MODERN_KEYS + "ui")
MODERN_MEMBERS = ("resultType", "ttlMs", "cacheScope")
FIRST_REVISION_OF_CONTENT = {"audio": "2025-03-26", "resource_link": "2025-06-18"}
RETIRED_CODES = (-32002, -32042)
"""Spoken by legacy servers alone (2026-07-28 basic, "Error Codes")."""
ERROR_DATA: dict[int, Callable[[Any], bool]] = {
    -32021: lambda data: _is_map_of_maps(_member(data, "requiredCapabilities")),
    -32022: lambda data: isinstance(_member(data, "supported"), list) and "requested" in data,
}


def problems(message: Any, revision: str, direction: str, request: Json | None = None) -> list[str]:
    """What is wrong with a message that the `direction` sent: CLIENT or SERVER. `request`: what it answers."""
    if isinstance(message, list) and revision == BATCHES_IN and message:
        return [fault for each in message for fault in problems(each, revision, direction, request)]
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        return ["is no JSON-RPC 2.0 message"]
    if "method" in message:
        return _asking(message, revision, direction)
    return _answering(message, revision, direction, request)


def _asking(message: Json, revision: str, direction: str) -> list[str]:
    table, kind = (REQUESTS, "requests") if "id" in message else (NOTIFICATIONS, "notifications")
    model = table[direction].get((message["method"], revision))
    if model is None:
        return [f"{message['method']!r} is none of {KINDS[direction]} {kind} in {revision}"]
    faults = _unlike(model, message)
    if "id" in message and not _is_id(message["id"]):
        faults.append("id: neither a string nor an integer")
    if direction == CLIENT and "id" in message:
        faults += _strays(message) if revision != MODERN else _other_version(message)
    return faults


def _answering(message: Json, revision: str, direction: str, request: Json | None) -> list[str]:
    if ("result" in message) is ("error" in message):
        return ["has not exactly one of result and error"]
    if "error" in message:
        return _failing(message, revision)
    faults = [] if _is_id(message.get("id")) else ["id: neither a string nor an integer"]
    if request is None:
        return faults
    if message.get("id") != request["id"]:
        faults.append("id: not that of the request")
    model = RESULTS[direction].get((request["method"], revision))
    if model is None:
        return [*faults, f"{request['method']!r} cannot be answered in {revision}"]
    faults += _unlike(model, message["result"])
    if revision != MODERN and isinstance(message["result"], dict):
        faults += _of_the_other_era(message["result"])
        faults += _too_new(message["result"], revision)
    return faults


def _failing(message: Json, revision: str) -> list[str]:
    error = message["error"]
    if not isinstance(error, dict) or type(error.get("code")) is not int:
        return ["error: without an integer code"]
    faults = [] if isinstance(error.get("message"), str) else ["error: without a message"]
    # The id of what could not be read is not known; whether it is null or absent depends on the revision.
    if message.get("id") is not None and not _is_id(message["id"]):
        faults.append("id: neither a string nor an integer")
    if revision == MODERN and error["code"] in RETIRED_CODES:
        faults.append(f"error: code {error['code']} is of the legacy era")
    has_right_data = ERROR_DATA.get(error["code"])
    if revision == MODERN and has_right_data is not None and not has_right_data(error.get("data")):
        faults.append(f"error: the data of code {error['code']} is not as it must be")
    return faults


def _unlike(model: Any, value: Any) -> list[str]:
    try:
        # As JSON, where strict means that no type stands in for another.
        _adapter(model).validate_json(json.dumps(value), strict=True, by_name=False)
    except ValidationError as error:
        return [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_url=False)]
    return []


@cache
def _adapter(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)


def _strays(message: Json) -> list[str]:
    """A legacy request is no place for the modern envelope."""
    names = _modern_keys(_member(message.get("params"), "_meta"))
    return [f"params._meta: {name} is of the modern era" for name in names]


def _other_version(message: Json) -> list[str]:
    told = _member(_member(message.get("params"), "_meta"), MODERN_KEYS + "protocolVersion")
    return [] if told == MODERN else [f"params._meta: the version is {told!r}"]


def _of_the_other_era(result: Json) -> Iterator[str]:
    for name in (*(name for name in MODERN_MEMBERS if name in result), *_modern_keys(result.get("_meta"))):
        yield f"result: {name} is of the modern era"


def _modern_keys(meta: Any) -> list[str]:
    names = meta if isinstance(meta, dict) else {}
    return [name for name in names if name.startswith(MODERN_KEYS) and not name.startswith(KEYS_OF_BOTH_ERAS)]


def _too_new(result: Json, revision: str) -> Iterator[str]:
    prompts = [_member(each, "content") for each in result.get("messages", ())]
    for block in (*result.get("content", ()), *prompts):
        kind = _member(block, "type")
        if revision < FIRST_REVISION_OF_CONTENT.get(kind, ""):
            yield f"content: {kind} is not known in {revision}"


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _is_id(value: Any) -> bool:
    return isinstance(value, str) or type(value) is int


def _is_map_of_maps(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(item, dict) for item in value.values())
