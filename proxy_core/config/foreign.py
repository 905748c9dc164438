"""The server lists of other programs, translated to ours. Pure.

`mcpServers` is how Claude Desktop, Claude Code, Cursor and Windsurf write them; VS Code says `servers`, an
object too. Keys that only steer those programs (`alwaysAllow`, `dev`, ...) are left aside.
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from proxy_core.config.document import KeyPath, printable
from proxy_core.config.slugs import unique_slug

OWN_SECTION: Final = "only1mcp"
"""Where our settings stand in a file that is not ours."""
_LISTS: Final = ("mcpServers", "servers")
_TYPES: Final = {"streamable-http": "http", "streamableHttp": "http", "streamable_http": "http"}
_URL_KEYS: Final = ("url", "serverUrl")
"""Windsurf says serverUrl."""


class ForeignFile(Struct, frozen=True):
    list_key: str
    """mcpServers or servers"""
    entries: Mapping[str, Any]
    settings: Any
    """Our section, or an empty object."""


class Translated(Struct, frozen=True):
    """One server: `settings` are those of a `ServerConfig`, not yet checked."""

    settings: dict[str, Any]
    obstacle: str = ""
    """Why it cannot run under us, though its settings can be read."""
    fault: str = ""
    """Why it cannot be read."""


def recognise(data: Any) -> ForeignFile | None:
    """The file as another program's, or None if it is ours."""
    if not isinstance(data, dict):
        return None
    for key in _LISTS:
        if isinstance(data.get(key), dict):
            return ForeignFile(key, data[key], data.get(OWN_SECTION, {}))
    return None


def native_path(path: KeyPath, file: ForeignFile) -> KeyPath:
    """Where a key of the translated data stands in the file itself."""
    if path[:1] != ("servers",):
        return (OWN_SECTION, *path)
    if len(path) < 2 or not isinstance(path[1], int):
        return (file.list_key,)
    rest = path[3:] if path[2:3] == ("transport",) else path[2:]
    return (file.list_key, list(file.entries)[path[1]], *rest)


def translate_all(entries: Mapping[str, Any]) -> list[Translated]:
    taken: set[str] = set()
    result = []
    for name, entry in entries.items():
        server = translate(name, entry, unique_slug(name, taken))
        taken.add(server.settings["id"])
        result.append(server)
    return result


def translate(name: str, entry: Any, server_id: str) -> Translated:
    """One entry of `mcpServers` or of VS Code's `servers` as settings of ours."""
    settings: dict[str, Any] = {"id": server_id}
    if name != server_id:
        settings["name"] = printable(name, 80)
    if not isinstance(entry, dict):
        return Translated(settings, fault="must be an object with `command` or `url`")
    transport = _transport(entry)
    if transport is None:
        return Translated(settings, fault="has neither `command` nor `url`")
    settings["transport"] = transport
    if entry.get("disabled") is True or entry.get("enabled") is False:
        settings["enabled"] = False
    if isinstance(denied := entry.get("disabledTools"), list) and denied:
        settings["tools"] = {"deny": denied}
    obstacle = "envFile is not read; put its variables into env" if "envFile" in entry else ""
    return Translated(settings, obstacle)


def _transport(entry: dict[str, Any]) -> dict[str, Any] | None:
    if "command" in entry:
        return {"type": "stdio", **_present(entry, ("command", "args", "env", "cwd"))}
    url_key = next((key for key in _URL_KEYS if key in entry), None)
    if url_key is None:
        return None
    named = entry.get("type", entry.get("transport"))
    kind = _TYPES.get(named, named) if isinstance(named, str) else "http"
    return {"type": kind, "url": entry[url_key], **_present(entry, ("headers",))}


def _present(entry: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: entry[key] for key in keys if entry.get(key) is not None}
