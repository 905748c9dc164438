"""Finding the servers of AI clients: every place, every form, and their files untouched."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from proxy_core.config.importers import FoundServer, discover_servers, known_servers, write_import
from proxy_core.config.load import load
from proxy_core.config.models import HttpTransport, ReplicaConfig, ServerConfig, StdioTransport

OWN_URL = "http://127.0.0.1:8080/mcp"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    path.mkdir()
    return path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = tmp_path / "project"
    path.mkdir()
    return path


def put(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def one(home: Path, entry: Any, name: str = "aa", cwd: Path | None = None) -> FoundServer:
    put(home / ".cursor" / "mcp.json", {"mcpServers": {name: entry}})
    (found,) = discover_servers(home, cwd or home, "linux", OWN_URL)
    return found


def test_nothing_is_found_where_nothing_is(home: Path, project: Path):
    assert discover_servers(home, project, "linux") == ()


@pytest.mark.parametrize(
    ("platform", "settings"), [("linux", Path(".config")), ("darwin", Path("Library/Application Support"))]
)
def test_every_client_is_looked_at_in_its_own_place(home: Path, project: Path, platform: str, settings: Path):
    def servers(name: str, key: str = "mcpServers") -> dict[str, Any]:
        return {key: {name: {"command": name}}}

    put(home / settings / "Claude" / "claude_desktop_config.json", servers("desktop"))
    put(home / ".claude.json", servers("code") | {"projects": {"/p": servers("in-project"), "/q": {"x": 1}}})
    put(home / ".cursor" / "mcp.json", servers("cursor"))
    put(home / settings / "Code" / "User" / "mcp.json", servers("code-user", "servers"))
    put(home / ".codeium" / "windsurf" / "mcp_config.json", servers("windsurf"))
    put(project / ".mcp.json", servers("shared"))
    put(project / ".cursor" / "mcp.json", servers("cursor-project"))
    put(project / ".vscode" / "mcp.json", servers("vscode-project", "servers"))
    found = discover_servers(home, project, platform)
    assert [(each.client, each.name) for each in found] == [
        ("Claude Desktop", "desktop"),
        ("Claude Code", "code"),
        ("Claude Code", "in-project"),
        ("Cursor", "cursor"),
        ("VS Code", "code-user"),
        ("Windsurf", "windsurf"),
        ("Claude Code", "shared"),
        ("Cursor", "cursor-project"),
        ("VS Code", "vscode-project"),
    ]
    folders = [
        each.server.transport.cwd for each in found if each.server and each.server.transport.type == "stdio"
    ]
    assert folders == [None, None, "/p", None, None, None, *[str(project)] * 3]


def test_comments_and_trailing_commas_of_vs_code_are_read(home: Path, project: Path):
    put(
        project / ".vscode" / "mcp.json",
        '{ // mine\n"servers": {"aa": {"type": "http", "url": "http://x/"},},}',
    )
    (found,) = discover_servers(home, project, "linux")
    assert found.server is not None
    assert found.server.transport == HttpTransport(url="http://x/")


def test_references_become_ours(home: Path):
    env = {"A": "${env:TOKEN}", "B": "${input:api-key}", "C": "${D:-e}"}
    server = one(home, {"command": "x", "env": env}).server
    assert server is not None
    assert server.transport == StdioTransport(
        command="x", env={"A": "${TOKEN}", "B": "${API_KEY}", "C": "${D:-e}"}
    )


def test_literal_secrets_are_taken_over_but_shown_masked(home: Path):
    found = one(home, {"command": "npx", "args": ["--token", "hunter2"]})
    assert "hunter2" not in found.address
    assert found.server is not None
    assert found.server.transport == StdioTransport(command="npx", args=("--token", "hunter2"))


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({}, "neither `command` nor `url`"),
        (7, "must be an object"),
        ({"command": "x", "envFile": ".env"}, "envFile"),
        ({"command": "${workspaceFolder}/x"}, "only Cursor can fill in"),
        ({"command": "x", "args": [1]}, "transport.args[0]: found a value that is no text"),
        ({"type": "ws", "url": "http://x"}, "allowed: stdio, http, sse"),
    ],
)
def test_an_entry_of_no_use_says_why(home: Path, entry: Any, problem: str):
    found = one(home, entry)
    assert found.server is None
    assert problem in found.problem
    assert not found.is_preselected


@pytest.mark.parametrize(
    "entry",
    [
        {"url": OWN_URL},
        {"url": "http://localhost:8080/mcp/"},
        {"command": "npx", "args": ["-y", "mcp-remote", OWN_URL]},
        {"command": "/usr/bin/only1mcp", "args": ["stdio"]},
        {"command": "python", "args": ["-m", "only1mcp_tui"]},
    ],
)
def test_an_entry_that_leads_to_ourselves_is_marked(home: Path, entry: Any):
    found = one(home, entry)
    assert found.is_ourselves
    assert not found.is_preselected


def test_our_own_entry_is_known_by_its_name_on_any_port(home: Path):
    """`connect` wrote it; the gateway may have moved to another port since."""
    put(home / ".cursor" / "mcp.json", {"mcpServers": {"only1mcp": {"url": "http://127.0.0.1:9999/mcp"}}})
    (found,) = discover_servers(home, home, "linux", own_url="http://127.0.0.1:8080/mcp")
    assert found.is_ourselves and not found.is_preselected


def test_the_same_server_in_two_clients_is_preselected_once(home: Path):
    put(home / ".claude.json", {"mcpServers": {"aa": {"command": "x"}}})
    put(home / ".cursor" / "mcp.json", {"mcpServers": {"aa": {"command": "x"}, "bb": {"command": "y"}}})
    found = discover_servers(home, home, "linux")
    assert [(each.server.id if each.server else "", each.is_preselected) for each in found] == [
        ("aa", True),
        ("aa-2", False),
        ("bb", True),
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [('{"mcpServers": {\n', "not valid JSON"), ("[]", None), ("{}", None), ('{"mcpServers": []}', None)],
)
def test_a_file_that_cannot_be_read_is_one_entry_with_the_problem(
    home: Path, content: str, problem: str | None
):
    put(home / ".cursor" / "mcp.json", content)
    found = discover_servers(home, home, "linux")
    assert [problem in each.problem for each in found if problem] == ([True] if problem else [])
    assert all(each.server is None for each in found)


def test_what_is_chosen_is_written_to_our_file_and_the_clients_stay_as_they_are(home: Path, tmp_path: Path):
    theirs = put(
        home / ".cursor" / "mcp.json", {"mcpServers": {"My Files": {"command": "x", "env": {"A": "b"}}}}
    )
    before = theirs.read_bytes()
    (found,) = discover_servers(home, home, "linux")
    assert found.server is not None
    ours = tmp_path / "only1mcp" / "only1mcp.yaml"
    write_import(ours, [found.server])
    assert stat.S_IMODE(ours.stat().st_mode) == 0o600
    (server,) = load(ours, {}).config.servers
    assert (server.id, server.name) == ("my-files", "My Files")
    assert theirs.read_bytes() == before
    (again,) = discover_servers(home, home, "linux", known=known_servers(ours))
    assert again.is_duplicate
    assert again.server is not None
    assert again.server.id == "my-files-2"


def test_a_replica_of_ours_is_known_too(home: Path):
    put(home / ".cursor" / "mcp.json", {"mcpServers": {"aa": {"url": "http://x/"}}})
    replicas = (
        ReplicaConfig(id="a", transport=StdioTransport(command="x")),
        ReplicaConfig(id="b", transport=HttpTransport(url="http://x/")),
    )
    (found,) = discover_servers(home, home, "linux", known=(ServerConfig(id="bb", replicas=replicas),))
    assert found.is_duplicate


def test_what_we_have_is_compared_with_its_references_as_written(tmp_path: Path):
    path = tmp_path / "x.yaml"
    path.write_text("servers:\n- {id: aa, transport: {type: http, url: '${URL:-http://x/}'}}\n- {id: bad}\n")
    assert known_servers(path) == ()
    path.write_text("servers: [{id: aa, transport: {type: http, url: 'http://x/${A}'}}]")
    assert [server.transport for server in known_servers(path)] == [HttpTransport(url="http://x/${A}")]
