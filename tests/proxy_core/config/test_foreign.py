"""Other programs' files as configurations of ours."""

import json
from pathlib import Path
from typing import Any

import pytest

from proxy_core.config.load import LoadedConfig, from_text
from proxy_core.config.models import HttpTransport, SseTransport, StdioTransport, ToolRules
from proxy_core.errors import ConfigError

PATH = Path("/home/me/mcp.json")


def read(data: Any, **environ: str) -> LoadedConfig:
    return from_text(json.dumps(data), PATH, environ)


def test_claude_desktops_file_is_a_configuration_as_it_is():
    entry = {"command": "npx", "args": ["-y", "x"], "env": {"A": "b"}, "alwaysAllow": ["t"]}
    loaded = read({"mcpServers": {"Sequential_Thinking 2": entry}, "globalShortcut": "x"})
    (server,) = loaded.config.servers
    assert (server.id, server.name) == ("sequential-thinking-2", "Sequential_Thinking 2")
    assert server.transport == StdioTransport(command="npx", args=("-y", "x"), env={"A": "b"})


@pytest.mark.parametrize(
    ("entry", "transport"),
    [
        ({"url": "http://x/"}, HttpTransport(url="http://x/")),
        ({"serverUrl": "http://x/"}, HttpTransport(url="http://x/")),
        (
            {"type": "http", "url": "http://x/", "headers": {"A": "b"}},
            HttpTransport(url="http://x/", headers={"A": "b"}),
        ),
        ({"type": "streamable-http", "url": "http://x/"}, HttpTransport(url="http://x/")),
        ({"type": "sse", "url": "http://x/"}, SseTransport(url="http://x/")),
        ({"type": "stdio", "command": "x"}, StdioTransport(command="x")),
    ],
)
def test_the_ways_to_write_a_transport(entry: dict[str, Any], transport: object):
    assert read({"mcpServers": {"aa": entry}}).config.servers[0].transport == transport


def test_what_switches_things_off_there_does_so_here():
    data = {"mcpServers": {"aa": {"command": "x", "disabled": True, "disabledTools": ["t"]}}}
    (server,) = read(data).config.servers
    assert not server.enabled
    assert server.tools == ToolRules(deny=("t",))


def test_our_settings_may_stand_beside_the_servers():
    data = {"mcpServers": {}, "only1mcp": {"proxy": {"port": 9}}}
    assert read(data).config.proxy.port == 9


def test_names_that_make_the_same_id_are_numbered():
    data = {"mcpServers": {name: {"command": "x"} for name in ("Git Hub", "git-hub", "git_hub")}}
    assert [server.id for server in read(data).config.servers] == ["git-hub", "git-hub-2", "git-hub-3"]


def test_vs_codes_inputs_switch_off_their_server_alone():
    data = {
        "inputs": [{"id": "t", "type": "promptString"}],
        "servers": {
            "aa": {"type": "http", "url": "http://x/", "headers": {"A": "${input:t}"}},
            "bb": {"command": "x", "env": {"A": "${env:B}"}},
            "cc": {"command": "x", "envFile": "${workspaceFolder}/.env"},
        },
    }
    loaded = read(data, B="c")
    assert [server.enabled for server in loaded.config.servers] == [False, True, False]
    assert loaded.unset["aa"].startswith("${input:t} can be filled in only by")
    assert "envFile" in loaded.unset["cc"]
    assert loaded.config.servers[1].transport == StdioTransport(command="x", env={"A": "c"})


def test_faults_name_the_place_in_the_file_itself():
    text = '{"mcpServers": {\n "aa": {"command": 5},\n "bb": {},\n "cc": 7},\n "only1mcp": {"prxy": 1}}'
    with pytest.raises(ConfigError) as caught:
        from_text(text, PATH, {})
    assert str(caught.value).splitlines() == [
        f"{PATH}:2: mcpServers.aa.command: found 5; text is wanted here (put it in quotes).",
        f"{PATH}:3: mcpServers.bb: has neither `command` nor `url`.",
        f"{PATH}:4: mcpServers.cc: must be an object with `command` or `url`.",
        f"{PATH}:5: only1mcp.prxy: unknown key. Did you mean 'proxy'? "
        "Allowed: version, proxy, auth, servers, routing, limits, health, circuit_breaker, retry, "
        "cache, batching, context, profiles, elicitation, admin, reload, logging, inspect, audit, tui.",
    ]


def test_our_settings_beside_foreign_servers_must_stand_in_our_section():
    with pytest.raises(ConfigError, match="under 'only1mcp'"):
        read({"mcpServers": {}, "proxy": {"port": 1}})


@pytest.mark.parametrize("section", [7, {"servers": []}])
def test_a_wrong_section_of_ours_is_a_fault(section: object):
    with pytest.raises(ConfigError, match="only1mcp"):
        read({"mcpServers": {}, "only1mcp": section})
