"""How an AI client is pointed at this gateway: the snippet for its file, and that file with the snippet in it.

Pure but for `our_program`, which looks where we are, and `write_connection`, which keeps a copy of the client's
file before it changes anything.
"""

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from proxy_core.config.clients import user_settings
from proxy_core.config.document import read_text
from proxy_core.config.edit import EditRefused, write_atomically

ENTRY: Final = "only1mcp"
"""What the gateway is called in the clients' files."""
CLIENTS: Final = ("claude", "claude-code", "cursor", "vscode", "codex")


@dataclass(frozen=True, slots=True)
class Connection:
    """What one client needs to reach us."""

    path: Path
    """The person's own file of that client."""
    snippet: str
    entry: dict[str, Any] | None
    """Our entry where the file is JSON; None for Codex's TOML."""
    list_key: str = "mcpServers"
    note: str = ""


def connection(
    client: str, url: str, home: Path, platform: str, program: Sequence[str] = ("only1mcp",)
) -> Connection:
    """`client` is one of CLIENTS; `platform` as in sys.platform; `program` is how a client starts us."""
    settings = user_settings(home, platform)
    match client:
        case "claude":
            # Claude Desktop's file knows commands alone.
            command, *arguments = program
            entry: dict[str, Any] = {"command": command, "args": [*arguments, "stdio", "--to", url]}
            path, key = settings / "Claude" / "claude_desktop_config.json", "mcpServers"
            note = (
                "Claude Desktop starts commands only; this one leads it to the gateway. Restart it afterwards."
            )
        case "claude-code":
            entry, path, key = {"type": "http", "url": url}, home / ".claude.json", "mcpServers"
            note = f"Or: claude mcp add --transport http --scope user {ENTRY} {url}"
        case "cursor":
            entry, path, key, note = {"url": url}, home / ".cursor" / "mcp.json", "mcpServers", ""
        case "vscode":
            entry, path, key = {"type": "http", "url": url}, settings / "Code" / "User" / "mcp.json", "servers"
            note = ""
        case _:
            snippet = f"[mcp_servers.{ENTRY}]\nurl = {json.dumps(url)}\n"
            return Connection(home / ".codex" / "config.toml", snippet, None)
    return Connection(path, _json({key: {ENTRY: entry}}), entry, key, note)


def our_program() -> tuple[str, ...]:
    """How another program starts us: by a full path, since what desktops start has hardly a PATH."""
    script = Path(sys.executable).with_name("only1mcp")
    return (str(script),) if script.exists() else (sys.executable, "-m", "only1mcp_tui")


def token_note(client: str) -> str:
    """How this client is made to send a token; the token itself is for its owner to put there."""
    wanted = "The gateway wants a token (only1mcp token new makes one): "
    if client == "codex":
        return (
            wanted + f'add bearer_token_env_var = "VARIABLE" to [mcp_servers.{ENTRY}], and set that variable.'
        )
    if client == "claude":
        return wanted + 'add "env": {"ONLY1MCP_TOKEN": "TOKEN"} beside the args.'
    return wanted + 'add "headers": {"Authorization": "Bearer TOKEN"} to the entry.'


def write_connection(connection: Connection, now: datetime) -> Path | None:
    """Put our entry into the client's file; the copy that was made of it, or None if there was no file.

    Raises: EditRefused, ConfigError.
    """
    path = connection.path
    if not path.exists():
        write_atomically(path, connection.snippet)
        return None
    text = read_text(path)
    edited = _with_table(connection, text) if connection.entry is None else _with_entry(connection, text)
    backup = path.with_name(f"{path.name}.{now:%Y%m%dT%H%M%S}.bak")
    try:
        shutil.copy2(path, backup)
    except OSError as error:
        raise EditRefused(f"{backup} cannot be written: {error.strerror or error}") from error
    write_atomically(path, edited)
    return backup


def _with_entry(connection: Connection, text: str) -> str:
    try:
        data = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise EditRefused(
            f"{connection.path} is not plain JSON (comments would be lost); add the snippet by hand."
        ) from error
    servers = data.setdefault(connection.list_key, {}) if isinstance(data, dict) else None
    if not isinstance(servers, dict):
        raise EditRefused(f"{connection.path} has no object {connection.list_key!r}; add the snippet by hand.")
    servers[ENTRY] = connection.entry
    return _json(data)


def _with_table(connection: Connection, text: str) -> str:
    if f"mcp_servers.{ENTRY}" in text:
        raise EditRefused(f"{connection.path} already has [mcp_servers.{ENTRY}]; change it by hand.")
    return f"{text.rstrip()}\n\n{connection.snippet}".lstrip()


def _json(data: Any) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
