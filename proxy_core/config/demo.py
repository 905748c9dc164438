"""The bundled demo servers as a configuration: what runs when there is no file yet."""

import sys
from contextlib import suppress

from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config, ServerConfig, StdioTransport

NOTES_DB = "ONLY1MCP_NOTES_DB"
"""Tells the notes server where its SQLite file is."""


def demo_config() -> LoadedConfig:
    """Three real stdio servers: a clock, notes kept in SQLite, and one that delays and fails on request.

    Makes the folder of the notes.
    """
    # Not at the top, as this module is imported where there is a configuration too.
    import platformdirs

    state = platformdirs.user_state_path("only1mcp", appauthor=False)
    # Where it cannot be made, the notes server says so in its own row.
    with suppress(OSError):
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    notes_env = {NOTES_DB: str(state / "demo-notes.sqlite3")}
    servers = (
        _server("clock", "Clock (demo)"),
        _server("notes", "Notes (demo)", notes_env),
        _server("flaky", "Flaky (demo)"),
    )
    return LoadedConfig(config=Config(servers=servers))


def _server(module: str, name: str, env: dict[str, str] | None = None) -> ServerConfig:
    transport = StdioTransport(command=sys.executable, args=("-m", f"proxy_core.demo.{module}"), env=env or {})
    return ServerConfig(id=module, name=name, transport=transport)
