"""Editing the file: what was not meant to change does not."""

import json
import re
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_core.config.edit import EditRefused, add_servers, add_token, plain_settings, remove_server
from proxy_core.config.load import load
from proxy_core.config.models import (
    HealthOverrides,
    HttpTransport,
    ReplicaConfig,
    ServerConfig,
    StdioTransport,
    TokenConfig,
    ToolRules,
    ToolTimeouts,
)
from proxy_core.errors import ConfigError, UnknownServer

FILES = ServerConfig(
    id="files",
    transport=StdioTransport(command="npx", args=("-y", "a b: c", "#x", "on", "1"), env={"A": "two\nlines\n"}),
    tools=ToolRules(deny=("x",)),
)
GITHUB = ServerConfig(
    id="github",
    name="GitHub é",
    transport=HttpTransport(url="https://h/?a=b#c", headers={"Authorization": "Bearer ${T:-x}"}),
)

SEARCH = ServerConfig(
    id="search",
    replicas=(
        ReplicaConfig(id="a", weight=2, transport=StdioTransport(command="x")),
        ReplicaConfig(id="b", transport=HttpTransport(url="http://h/")),
    ),
    balance="random",
    health=HealthOverrides(timeout=1),
    tools=ToolRules(timeouts={"t*": ToolTimeouts(call_s=2)}),
)

COMMENTED = """\
# top
version: 1
servers:   # the list
# first
- id: aa  # one
  transport: {type: stdio, command: 'x'}

# about bb
- id: bb
  transport:
    type: stdio
    command: "y"
    env:
      A: |
        foo

# about nothing
proxy: {port: 0x1F90}  # kept
"""


def servers_of(path: Path) -> list[ServerConfig]:
    return list(load(path, {}).config.servers)


@pytest.mark.parametrize("name", ["x.yaml", "x.json"])
def test_a_new_file_is_for_its_owner_only_and_reads_back(tmp_path: Path, name: str):
    path = tmp_path / "new" / name
    add_servers(path, (FILES, GITHUB))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first, second = servers_of(path)
    assert first == FILES
    assert (second.id, second.name) == ("github", "GitHub é")
    remove_server(path, "files")
    remove_server(path, "github")
    assert servers_of(path) == []
    add_servers(path, (FILES,))
    assert servers_of(path) == [FILES]


@pytest.mark.parametrize("name", ["x.yaml", "x.json"])
def test_a_server_with_replicas_reads_back_as_it_was(tmp_path: Path, name: str):
    path = tmp_path / name
    add_servers(path, (SEARCH,))
    assert servers_of(path) == [SEARCH]


@pytest.mark.parametrize("text", ["", "  \n", "# nothing yet\n"])
def test_a_server_can_be_added_to_a_file_that_says_nothing(tmp_path: Path, text: str):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    add_servers(path, (FILES,))
    assert servers_of(path) == [FILES]
    assert text.strip() in path.read_text()


def test_comments_and_everything_else_stay(tmp_path: Path):
    path = tmp_path / "x.yaml"
    path.write_text(COMMENTED)
    path.chmod(0o640)
    remove_server(path, "bb")
    add_servers(path, (FILES,))
    text = path.read_text()
    before, after = (
        COMMENTED.split("# about bb")[0].rstrip("\n"),
        COMMENTED[COMMENTED.index("\n# about nothing") :],
    )
    assert text.startswith(before + "\n- id: files\n") or text.startswith(before + "\n\n- id: files\n")
    assert text.endswith(after)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [server.id for server in servers_of(path)] == ["aa", "files"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "version: 1",
        "servers: []",
        "servers: []  # none\nproxy: {port: 1}\n",
        "servers:\nproxy: {port: 1}\n",
        "servers: null\n",
        "servers:\n  # later\n",
        "servers:\n    - id: aa\n      transport: {type: stdio, command: x}",
        "servers:\n-\n  id: aa\n  transport: {type: stdio, command: x}\nproxy: {port: 1}\n",
        "version: 1\r\nservers:\r\n- id: aa\r\n  transport: {type: stdio, command: x}\r\n",
    ],
)
def test_a_server_can_be_added_and_removed_in_every_plain_style(tmp_path: Path, text: str):
    path = tmp_path / "x.yaml"
    path.write_text(text, newline="")
    before = servers_of(path) if text else []
    add_servers(path, (FILES,))
    assert servers_of(path) == [*before, FILES]
    remove_server(path, "files")
    assert servers_of(path) == before
    assert all(
        one.replace("[]", "").split("#")[0].strip() in path.read_text()
        for one in text.splitlines()
        if one != "servers: null"
    )


def test_the_comment_right_above_an_item_goes_with_it_but_not_that_of_the_first(tmp_path: Path):
    path = tmp_path / "x.yaml"
    path.write_text(COMMENTED)
    remove_server(path, "aa")
    assert "# first" in path.read_text()
    add_servers(path, (FILES,))
    remove_server(path, "bb")
    assert "# about nothing" in path.read_text()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("x.toml", "version = 1", "TOML"),
        ("x.json", '{"servers": [] /* none */}', "comments"),
        ("x.json", '{"mcpServers": {}}', "another program's form"),
        ("x.yaml", "servers: [{id: aa, transport: {type: stdio, command: x}}]", "cannot be edited safely"),
        ("x.yaml", "{version: 1}", "cannot be edited safely"),
        ("x.yaml", "servers:\n- id: files\n  transport: {type: stdio, command: x}", "already has a server"),
    ],
)
def test_what_cannot_be_edited_is_left_alone_with_the_reason(tmp_path: Path, name: str, text: str, words: str):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(EditRefused, match=words):
        add_servers(path, (FILES,))
    assert path.read_text() == text


def test_a_bad_file_is_left_alone(tmp_path: Path):
    path = tmp_path / "x.yaml"
    path.write_text("prxy: 1\n")
    with pytest.raises(ConfigError, match="prxy"):
        add_servers(path, (FILES,))
    assert path.read_text() == "prxy: 1\n"


def test_an_edit_that_would_make_the_file_bad_is_not_written(tmp_path: Path):
    path = tmp_path / "x.yaml"
    text = "routing: {prefix: none}\nservers:\n- id: aa\n  transport: {type: stdio, command: x}\n"
    path.write_text(text)
    with pytest.raises(ConfigError, match="at most one"):
        add_servers(path, (FILES,))
    assert path.read_text() == text


def test_an_unknown_server_cannot_be_removed(tmp_path: Path):
    path = tmp_path / "x.yaml"
    path.write_text("version: 1\n")
    with pytest.raises(UnknownServer):
        remove_server(path, "aa")


def test_a_link_stays_a_link(tmp_path: Path):
    real, link = tmp_path / "real.yaml", tmp_path / "link.yaml"
    real.write_text("version: 1\n")
    link.symlink_to(real)
    add_servers(link, (FILES,))
    assert link.is_symlink()
    assert servers_of(real) == [FILES]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EditRefused, match="cannot be written"):
        add_servers(tmp_path / "file" / "x.yaml", (FILES,))


def test_variables_of_the_file_are_filled_in_to_check_it_but_not_written(tmp_path: Path):
    path = tmp_path / "x.yaml"
    path.write_text("proxy: {port: '${PORT}'}\n")
    add_servers(path, (GITHUB,), {"PORT": "9"})
    assert "${PORT}" in path.read_text()
    assert "${T:-x}" in path.read_text()


def test_defaults_are_not_written():
    assert plain_settings(ServerConfig(id="aa", transport=StdioTransport(command="x"))) == {
        "id": "aa",
        "transport": {"type": "stdio", "command": "x"},
    }
    assert json.dumps(plain_settings(GITHUB)).startswith('{"id": "github", "name": "GitHub')


@given(texts=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00")), min_size=3, max_size=3))
@settings(deadline=None, max_examples=150)
def test_any_text_survives_being_written(tmp_path_factory: pytest.TempPathFactory, texts: list[str]):
    name, arg, value = (text.replace("$", "S") for text in texts)
    transport = StdioTransport(command="x", args=(arg,), env={"A": value})
    server = ServerConfig(id="aa", name=name[:80] or None, transport=transport)
    path = tmp_path_factory.mktemp("edit") / "x.yaml"
    path.write_text(COMMENTED.replace("id: aa", "id: first"))
    try:
        add_servers(path, (server,))
    except EditRefused:
        # YAML has no way to write some characters at all; refusing is right, writing something else is not.
        assert path.read_text() == COMMENTED.replace("id: aa", "id: first")
    else:
        assert servers_of(path)[-1] == server


# --- tokens -------------------------------------------------------------------------------------------------

CI = TokenConfig(name="ci", sha256="ab" * 32)
ME = TokenConfig(name="me", sha256="cd" * 32)


@pytest.mark.parametrize("name", ["x.yaml", "x.json"])
def test_a_token_makes_the_file_or_joins_the_others(tmp_path: Path, name: str):
    path = tmp_path / name
    add_token(path, CI)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    add_servers(path, (FILES,))
    add_token(path, ME)
    config = load(path, {}).config
    assert (config.auth.tokens, config.servers) == ((CI, ME), (FILES,))


def test_a_token_is_added_to_a_commented_file_and_nothing_else_changes(tmp_path: Path):
    path = tmp_path / "x.yaml"
    path.write_text(COMMENTED)
    path.chmod(0o640)
    add_token(path, CI)
    assert path.read_text() == f"{COMMENTED}auth:\n  tokens:\n    - name: ci\n      sha256: {CI.sha256}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("auth:\n", "auth:\n  tokens:\n    - NEW\n"),
        ("auth: {}  # who\nproxy: {}\n", "auth:  # who\n  tokens:\n    - NEW\nproxy: {}\n"),
        ("auth:\n  tokens: []\nproxy: {}", "auth:\n  tokens:\n    - NEW\nproxy: {}"),
        ("auth:   # none yet\nproxy: {}", "auth:   # none yet\n  tokens:\n    - NEW\nproxy: {}"),
        (
            f"auth:\n tokens:\n # mine\n - {{name: me, sha256: {ME.sha256}}} # x\n\n# y\nproxy: {{}}\n",
            f"auth:\n tokens:\n # mine\n - {{name: me, sha256: {ME.sha256}}} # x\n - NEW\n\n# y\nproxy: {{}}\n",
        ),
    ],
)
def test_a_token_finds_its_place_in_every_plain_style(tmp_path: Path, before: str, after: str):
    path = tmp_path / "x.yaml"
    path.write_text(before)
    add_token(path, CI)
    written = re.sub(r"- name: ci\n +sha256: (ab)+", "- NEW", path.read_text())
    assert written == after
    assert load(path, {}).config.auth.tokens[-1] == CI


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("x.yaml", f"auth: {{tokens: [{{name: me, sha256: {ME.sha256}}}]}}\n", "Write `auth.tokens` as a list"),
        ("x.yaml", f"auth:\n  tokens:\n  - name: ci\n    sha256: {ME.sha256}\n", "already has a token"),
        ("x.toml", "version = 1", "TOML"),
        ("x.json", '{"mcpServers": {}}', "another program's form"),
    ],
)
def test_a_file_that_can_take_no_token_is_left_alone(tmp_path: Path, name: str, text: str, words: str):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(EditRefused, match=words):
        add_token(path, CI)
    assert path.read_text() == text
