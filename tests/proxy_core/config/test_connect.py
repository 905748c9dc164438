import json
import tomllib
from datetime import datetime
from pathlib import Path

import pytest

from proxy_core.config.connect import CLIENTS, connection, token_note, write_connection
from proxy_core.config.edit import EditRefused

URL = "http://127.0.0.1:8080/mcp"
NOW = datetime(2026, 1, 2, 3, 4, 5)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_the_snippet_is_what_the_file_needs(tmp_path: Path, client: str, platform: str):
    wanted = connection(client, URL, tmp_path, platform)
    assert write_connection(wanted, NOW) is None
    assert wanted.path.read_text() == wanted.snippet
    read = tomllib.loads if wanted.path.suffix == ".toml" else json.loads
    assert URL in str(read(wanted.snippet))


@pytest.mark.parametrize("client", [client for client in CLIENTS if client != "codex"])
def test_what_else_a_json_file_holds_stays_and_a_copy_is_kept(tmp_path: Path, client: str):
    wanted = connection(client, URL, tmp_path, "linux")
    before = {"theme": "dark", wanted.list_key: {"other": {"command": "x"}, "only1mcp": {"url": "old"}}}
    wanted.path.parent.mkdir(parents=True, exist_ok=True)
    wanted.path.write_text(json.dumps(before))
    wanted.path.chmod(0o600)
    backup = write_connection(wanted, NOW)
    assert backup == wanted.path.with_name(f"{wanted.path.name}.20260102T030405.bak")
    assert json.loads(backup.read_text()) == before
    assert backup.stat().st_mode == wanted.path.stat().st_mode
    after = json.loads(wanted.path.read_text())
    assert after["theme"] == "dark"
    assert after[wanted.list_key] == {"other": {"command": "x"}, "only1mcp": wanted.entry}


def test_codexs_toml_is_appended_to_once(tmp_path: Path):
    wanted = connection("codex", URL, tmp_path, "linux")
    wanted.path.parent.mkdir()
    wanted.path.write_text('# mine\nmodel = "x"\n\n[mcp_servers.other]\ncommand = "y"\n')
    assert write_connection(wanted, NOW) is not None
    text = wanted.path.read_text()
    assert text.startswith("# mine\n")
    assert tomllib.loads(text)["mcp_servers"] == {"other": {"command": "y"}, "only1mcp": {"url": URL}}
    with pytest.raises(EditRefused, match="already has"):
        write_connection(wanted, NOW)


@pytest.mark.parametrize("text", ['{"mcpServers": {} /* mine */}', '{"mcpServers": []}', "[]"])
def test_a_file_that_cannot_be_changed_safely_is_left_alone(tmp_path: Path, text: str):
    wanted = connection("cursor", URL, tmp_path, "linux")
    wanted.path.parent.mkdir()
    wanted.path.write_text(text)
    with pytest.raises(EditRefused, match="by hand"):
        write_connection(wanted, NOW)
    assert [path.name for path in wanted.path.parent.iterdir()] == ["mcp.json"]
    assert wanted.path.read_text() == text


@pytest.mark.parametrize("program", [("/opt/bin/only1mcp",), ("/opt/bin/python", "-m", "only1mcp_tui")])
def test_a_client_that_only_starts_commands_gets_the_bridge(tmp_path: Path, program: tuple[str, ...]):
    wanted = connection("claude", URL, tmp_path, "linux", program)
    assert wanted.entry == {"command": program[0], "args": [*program[1:], "stdio", "--to", URL]}
    assert "ONLY1MCP_TOKEN" in token_note("claude")
