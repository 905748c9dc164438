"""The AI clients we know: where each keeps its MCP servers, and in which form. Pure: paths only.

Claude Desktop has no Linux build of its own; the path there is the one its community builds use.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ClientFile:
    """One file in which a client lists MCP servers."""

    client: str
    """The client's name, for people."""
    path: Path
    project: Path | None = None
    """The folder whose servers these are; they run there. None: a person's servers, for every folder."""


def client_files(home: Path, cwd: Path, platform: str) -> Iterator[ClientFile]:
    """Every place to look, whether or not it exists: a person's own files first, then those of the project."""
    settings = user_settings(home, platform)
    yield ClientFile("Claude Desktop", settings / "Claude" / "claude_desktop_config.json")
    yield ClientFile("Claude Code", home / ".claude.json")
    yield ClientFile("Cursor", home / ".cursor" / "mcp.json")
    yield ClientFile("VS Code", settings / "Code" / "User" / "mcp.json")
    yield ClientFile("Windsurf", home / ".codeium" / "windsurf" / "mcp_config.json")
    yield ClientFile("Claude Code", cwd / ".mcp.json", cwd)
    if cwd != home:
        yield ClientFile("Cursor", cwd / ".cursor" / "mcp.json", cwd)
    yield ClientFile("VS Code", cwd / ".vscode" / "mcp.json", cwd)


def user_settings(home: Path, platform: str) -> Path:
    """Where programs of the desktop keep a person's settings. `platform` is as in sys.platform."""
    return home / "Library" / "Application Support" if platform == "darwin" else home / ".config"
