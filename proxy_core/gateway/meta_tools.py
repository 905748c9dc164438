"""The three tools of search mode: what is listed, what may be asked of them, and what they say. Pure.

Every word of a definition is read by a model before each task, so there are few.
Spec: 2025-11-25 server/tools, "Tool", "Tool Annotations", "Error Handling" (execution errors).
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from msgspec import Raw, Struct

from proxy_core.catalog.merge import Entry, Item
from proxy_core.errors import Only1Error, ParseError
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.text import clean_text

SEARCH: Final = "search_tools"
DESCRIBE: Final = "describe_tools"
CALL: Final = "call_tool"
NAMES: Final = frozenset({SEARCH, DESCRIBE, CALL})

OURSELVES: Final = ""
"""The server of these tools: no server's id is empty."""
MAX_QUERIES: Final = 3
MAX_QUERY_CHARS: Final = 400
DEFAULT_LIMIT: Final = 5
MAX_LIMIT: Final = 20
MAX_NAMES: Final = 20
MAX_NAME_CHARS: Final = 256
MAX_RESULT_CHARS: Final = 40_000
"""Of what one search answers; from there on without schemas, which may be had one by one."""
MAX_SERVERS_CHARS: Final = 1_000
"""Of the servers' ids in a definition; what is more is only counted."""


class BadArguments(Only1Error):
    """Arguments that a tool of ours cannot use: told to the model, which can do better."""


class Search(Struct, frozen=True):
    queries: tuple[str, ...]
    server: str | None
    limit: int


class Called(Struct, frozen=True):
    """The call that a `call_tool` stands for."""

    name: str
    arguments: Raw | None
    """JSON of an object; None: there are none."""


# --- definitions ----------------------------------------------------------------------------------------------


def definitions(servers: Sequence[str]) -> tuple[Entry, ...]:
    """As entries of a list. `servers`: those that have tools, in list order."""
    return tuple(Entry(OURSELVES, item["name"], item["name"], item) for item in _items(servers))


def _items(servers: Sequence[str]) -> tuple[Item, ...]:
    strings = {"type": "array", "items": {"type": "string"}, "minItems": 1}
    return (
        {
            "name": SEARCH,
            "description": "Find tools of these servers: "
            + _listed(servers)
            + ". Ask in keywords, verb + object "
            "+ product, as 'create issue github'. Answers with their schemas, best first.",
            "inputSchema": {
                "type": "object",
                "properties": {
                    "queries": {**strings, "maxItems": MAX_QUERIES, "description": "Phrasings of one need"},
                    "server": {"type": "string", "description": "Only this one's"},
                    "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
                },
                "required": ["queries"],
            },
            "annotations": {"readOnlyHint": True},
        },
        {
            "name": DESCRIBE,
            "description": "Whole definitions of tools, where a schema found is not enough.",
            "inputSchema": {
                "type": "object",
                "properties": {"names": {**strings, "maxItems": MAX_NAMES}},
                "required": ["names"],
            },
            "annotations": {"readOnlyHint": True},
        },
        {
            "name": CALL,
            "description": "Call a tool that was found, with arguments as its schema wants them.",
            "inputSchema": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "arguments": {"type": "object"}},
                "required": ["name"],
            },
        },
    )


def _listed(servers: Sequence[str]) -> str:
    kept: list[str] = []
    chars = 0
    for server in servers:
        chars += len(server) + 2
        if chars > MAX_SERVERS_CHARS:
            kept.append(f"and {len(servers) - len(kept)} more")
            break
        kept.append(server)
    return ", ".join(kept) or "none"


# --- arguments ------------------------------------------------------------------------------------------------


def search_of(params: Raw) -> Search:
    """What a call of `search_tools` asks for. Raises: BadArguments."""
    arguments = _arguments(params)
    server = jsonrpc.decode(arguments.get("server", jsonrpc.NO_JSON))
    if not isinstance(server, str | None):
        raise BadArguments('"server" must be the id of one server.')
    limit = jsonrpc.decode(arguments.get("limit", jsonrpc.NO_JSON))
    if limit is None:
        limit = DEFAULT_LIMIT
    if not isinstance(limit, int) or isinstance(limit, bool):
        raise BadArguments('"limit" must be a whole number.')
    queries = _strings(arguments, "queries", MAX_QUERIES)
    cut = tuple(query[:MAX_QUERY_CHARS] for query in queries)
    return Search(cut, server or None, min(max(limit, 1), MAX_LIMIT))


def names_of(params: Raw) -> tuple[str, ...]:
    """The names that a call of `describe_tools` asks for, each once. Raises: BadArguments."""
    return tuple(dict.fromkeys(_strings(_arguments(params), "names", MAX_NAMES)))


def called(params: Raw) -> Called:
    """Raises: BadArguments."""
    arguments = _arguments(params)
    name = jsonrpc.decode(arguments.get("name", jsonrpc.NO_JSON))
    if not isinstance(name, str) or not name:
        raise BadArguments('"name" must be the name of a tool, as search_tools tells it.')
    own = arguments.get("arguments", jsonrpc.NO_JSON)
    if _is_nothing(own):
        return Called(name, None)
    try:
        jsonrpc.members(own)
    except ParseError:
        raise BadArguments('"arguments" must be an object, as the schema of the tool says.') from None
    return Called(name, own)


def rewritten(params: Raw, call: Called) -> Raw:
    """The params of the call that is meant: all else, as the progress token or what a retry brings, stays."""
    members: dict[str, Any] = {**jsonrpc.members(params), "name": call.name}
    members.pop("arguments", None)
    if call.arguments is not None:
        members["arguments"] = call.arguments
    return Raw(jsonrpc.encode(members))


def _arguments(params: Raw) -> dict[str, Raw]:
    try:
        own = jsonrpc.members(params).get("arguments", jsonrpc.NO_JSON)
        return {} if _is_nothing(own) else jsonrpc.members(own)
    except ParseError:
        raise BadArguments("The arguments must be an object.") from None


def _is_nothing(raw: Raw) -> bool:
    return memoryview(raw).nbytes <= len(b"null") and jsonrpc.decode(raw) is None


def _strings(arguments: dict[str, Raw], key: str, most: int) -> list[str]:
    """One to `most` of them; a model that gives one alone need not put it into an array."""
    value = jsonrpc.decode(arguments.get(key, jsonrpc.NO_JSON))
    found = [value] if isinstance(value, str) else value
    is_right = isinstance(found, list) and all(isinstance(each, str) and each.strip() for each in found)
    if not is_right or not 0 < len(found) <= most:
        raise BadArguments(f'"{key}" must be an array of 1 to {most} texts.')
    return list(found)


# --- answers --------------------------------------------------------------------------------------------------


def text_result(lines: Iterable[str], *, is_error: bool = False) -> Raw:
    """The result of a tools/call, before it is made right for a revision."""
    result: dict[str, Any] = {"content": [{"type": "text", "text": "\n".join(lines)}]}
    return Raw(jsonrpc.encode(result | ({"isError": True} if is_error else {})))


def unknown_tool(name: str, nearest: Sequence[str], *, can_search: bool = True) -> str:
    """`nearest`: exposed names that the viewer may see."""
    shown = clean_text(name[:MAX_NAME_CHARS], MAX_NAME_CHARS * 4)
    if nearest:
        return f"Unknown tool: {shown}. Did you mean {', '.join(nearest)}?"
    return f"Unknown tool: {shown}." + (f" Find one with {SEARCH}." if can_search else "")


def unknown_server(server: str, servers: Sequence[str]) -> str:
    shown = clean_text(server[:MAX_NAME_CHARS], MAX_NAME_CHARS * 4)
    return f"No server is called {shown}. The servers are: {_listed(servers)}."


NOTHING_FOUND: Final = "No tool fits. Try other keywords: verb + object + product."
NOT_READY: Final = "The tools are still being read; search again in a moment."
