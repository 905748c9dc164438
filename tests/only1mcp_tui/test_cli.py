"""The command as a person types it: what it prints, what it writes, and its exit codes."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from only1mcp_tui.cli import SUBCOMMANDS, only1mcp
from only1mcp_tui.cli.ask import content_lines, read_arguments
from only1mcp_tui.cli.common import gateway_url
from only1mcp_tui.cli.exits import EXIT_CODES
from only1mcp_tui.cli.output import one_line, table, visible
from proxy_core.config.connect import CLIENTS
from proxy_core.config.load import load
from proxy_core.config.models import ProxyConfig

CURSOR = {"mcpServers": {"My Files": {"command": "npx", "args": ["--token", "hunter2"]}, "bad": {}}}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's own folder, where the command also runs; no configuration yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("ONLY1MCP_CONFIG", raising=False)
    return tmp_path


@pytest.fixture
def own(home: Path) -> Path:
    return home / "config" / "only1mcp" / "only1mcp.yaml"


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(only1mcp, arguments, prog_name="only1mcp")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def good(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def as_json(*arguments: str) -> Any:
    return json.loads(good(*arguments, "--json"))


# --- the command itself ---------------------------------------------------------------------------------------


def test_help_names_every_command_and_exit_code():
    text = good("--help")
    assert all(name in text for name in SUBCOMMANDS)
    assert all(f"  {code.value}  " in text for code in EXIT_CODES)


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_command_explains_itself(name: str):
    assert "Usage: only1mcp " + name in good(name, "--help")


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_what_a_command_has_below_it_is_told_by_whole_sentences(name: str):
    _, _, below = good(name, "--help").partition("\nCommands:\n")
    assert "..." not in below


@pytest.mark.parametrize("arguments", [("--help",), ("version",)])
def test_help_and_version_load_nothing_heavy(arguments: tuple[str, ...]):
    script = (
        "import sys\nfrom only1mcp_tui.__main__ import main\nsys.argv = ['only1mcp', *sys.argv[1:]]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'textual', 'rich', 'plotext', 'aiohttp', 'pydantic', 'ruamel', 'msgspec', 'asyncio'}\n"
        "sys.exit(' '.join(sorted(heavy & set(sys.modules))) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_version_is_told():
    assert good("version").startswith("only1mcp ")
    assert set(as_json("version")) == {"only1mcp", "python"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nonsense",), "No such command"),
        (("--port", "70000"), "70000"),
        (("--headless", "validate"), "not for commands"),
        (("--port", "1", "version"), "not for commands"),
        (("call", "x", "pair"), "is not KEY=VALUE"),
        (("connect", "emacs"), "is not one of"),
    ],
)
def test_wrong_usage_is_exit_code_2(home: Path, arguments: tuple[str, ...], words: str):
    result = run(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr


# --- running, as far as it must not ---------------------------------------------------------------------------


def test_a_bad_configuration_is_told_whole_and_nothing_is_started(home: Path):
    (home / "only1mcp.yaml").write_text("proxy:\n  prot: 1\n  port: x\n")
    result = run("--headless")
    assert result.exit_code == 2
    assert "only1mcp.yaml:2: proxy.prot: unknown key. Did you mean 'port'?" in result.stderr
    assert "only1mcp.yaml:3: proxy.port: found 'x'; a whole number is wanted." in result.stderr


def test_a_missing_file_that_was_named_is_exit_code_2(home: Path):
    assert run("--config", "nope.yaml", "--headless").exit_code == 2


@pytest.mark.requirement("A06")
@pytest.mark.parametrize(
    "arguments", [("--host", "0.0.0.0"), ("--host", "192.0.2.1"), ("--host", "example.org")]
)
def test_a_host_that_others_can_reach_needs_insecure(home: Path, arguments: tuple[str, ...]):
    result = run("--headless", *arguments)
    assert result.exit_code == 2
    assert "--insecure" in result.stderr
    assert "only1mcp token new" in result.stderr


def test_a_log_file_that_cannot_be_written_is_exit_code_2(home: Path):
    (home / "file").write_text("")
    (home / "only1mcp.yaml").write_text("logging: {file: file/x.log}\n")
    result = run("--headless")
    assert result.exit_code == 2
    assert "logging.file: cannot be written" in result.stderr


# --- the configuration ----------------------------------------------------------------------------------------


def test_init_writes_a_commented_file_for_its_owner_once(own: Path):
    assert str(own) in good("init")
    assert own.stat().st_mode & 0o777 == 0o600
    assert own.read_text().startswith("# Only1MCP")
    before = own.read_text()
    result = run("init")
    assert result.exit_code == 1
    assert "left as it is" in result.stderr
    assert own.read_text() == before


def test_validate_tells_good_from_bad_by_its_exit_code(home: Path):
    assert run("validate").exit_code == 2
    path = home / "only1mcp.yaml"
    path.write_text("servers: [{id: aa, transport: {type: http, url: 'http://x/${NOT_SET_ANYWHERE}'}}]")
    result = run("validate")
    assert (result.exit_code, result.stdout) == (0, f"{path}: good, 1 server.\n")
    assert "aa stays off: environment variable NOT_SET_ANYWHERE is not set" in result.stderr
    assert as_json("validate")["unset"] == {"aa": "environment variable NOT_SET_ANYWHERE is not set"}


def test_validate_tells_what_is_no_fault_and_not_what_one_would_think(home: Path):
    path = home / "only1mcp.yaml"
    path.write_text(
        "servers: [{id: aa, transport: {type: http, url: 'http://x/'}}]\n"
        "profiles: {review: {tools: {deny: ['aaa__*']}}}\n"
        "proxy: {tls: {certificate: none.pem, key: none.key}}\n"
    )
    result = run("validate")
    assert (result.exit_code, result.stdout) == (0, f"{path}: good, 1 server.\n")
    assert "profiles.review.tools.deny: 'aaa__*' fits no server's names" in result.stderr
    assert f"proxy.tls.certificate, {home / 'none.pem'}, cannot be used: No such file" in result.stderr
    path.write_text("prxy: 1")
    result = run("validate", "--json")
    assert result.exit_code == 2
    found = json.loads(result.stdout)
    assert (found["ok"], found["problems"][0]["line"], found["problems"][0]["key"]) == (False, 1, "prxy")


def test_the_configuration_is_shown_without_secrets(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TOKEN_FOR_TEST", "hunter2-hunter2")
    (home / "only1mcp.yaml").write_text(
        "servers: [{id: aa, transport: {type: http, url: 'http://x/', headers: {A: '${TOKEN_FOR_TEST}'}}}]"
    )
    assert "hunter2" not in good("config", "show")
    assert as_json("config", "show")["servers"][0]["transport"]["headers"] == {"A": "•••"}


def test_the_schema_is_json():
    assert json.loads(good("config", "schema"))["title"] == "Only1MCP configuration"


def test_servers_are_added_and_removed_with_the_comments_kept(own: Path):
    good("init")
    comment = "# One entry a server"
    good("add", "My Files", "--env", "A=b=c", "--", "npx", "-y", "server-files", ".")
    good("add", "github", "--header", "Authorization=Bearer ${NOT_SET_ANYWHERE}", "https://x/mcp")
    first, second = load(own, {}).config.servers
    assert (first.id, first.name) == ("my-files", "My Files")
    assert first.transport.model_dump()["args"] == ("-y", "server-files", ".")
    assert first.transport.model_dump()["env"] == {"A": "b=c"}
    assert second.transport.type == "http"
    assert as_json("remove", "my-files") == {"removed": "my-files", "path": str(own)}
    assert run("remove", "my-files").exit_code == 4
    assert comment in own.read_text()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("add", "aa"), 2),
        (("add", "aa", "--env", "A", "--", "x"), 2),
        (("add", "aa", "--env", "A=b", "http://x/"), 2),
        (("add", "aa", "--header", "A=b", "--", "x"), 2),
        (("add", "aa", "http://"), 2),
        (("remove", "aa"), 2),
    ],
)
def test_a_server_that_makes_no_sense_is_not_added(own: Path, arguments: tuple[str, ...], code: int):
    assert run(*arguments).exit_code == code
    assert not own.exists()


def test_a_server_is_not_added_twice(own: Path):
    good("add", "aa", "--", "x")
    before = own.read_text()
    assert run("add", "aa", "--", "y").exit_code == 1
    assert own.read_text() == before


# --- other programs -------------------------------------------------------------------------------------------


@pytest.fixture
def cursor(home: Path) -> Path:
    path = home / ".cursor" / "mcp.json"
    path.parent.mkdir()
    path.write_text(json.dumps(CURSOR))
    return path


def test_import_shows_masked_and_writes_nothing_by_itself(cursor: Path, own: Path):
    text = good("import")
    assert "my-files" in text
    assert "hunter2" not in text
    assert "not usable" in text
    assert not own.exists()


def test_import_takes_over_what_is_named_or_all(cursor: Path, own: Path):
    assert run("import", "nope").exit_code == 4
    assert run("import", "bad").exit_code == 1
    good("import", "--all", "--dry-run")
    assert not own.exists()
    found = as_json("import", "My Files")
    assert found["written"] is True
    assert "hunter2" not in json.dumps(found)
    assert own.stat().st_mode & 0o777 == 0o600
    assert [server.id for server in load(own, {}).config.servers] == ["my-files"]
    assert "hunter2" in own.read_text()
    good("import", "--all")
    assert [server.id for server in load(own, {}).config.servers] == ["my-files"]
    assert json.loads(cursor.read_text()) == CURSOR


def test_an_empty_file_is_a_fault_that_add_and_import_mend(cursor: Path, own: Path):
    own.parent.mkdir(parents=True)
    for command in (("add", "aa", "--", "x"), ("import", "My Files")):
        own.write_text("# to come\n")
        result = run("validate")
        assert result.exit_code == 2
        assert "the file is empty" in result.output
        assert run("init").exit_code == 1
        good(*command)
        good("validate")
        assert own.read_text().startswith("# to come\n")


REPLICAS = """
servers:
- id: search
  replicas:
  - {id: a, transport: {type: http, url: "http://u:hunter2@h/"}}
  - {id: b, transport: {type: stdio, command: x, args: [--token, hunter2]}}
"""


def test_a_server_with_replicas_is_shown_without_secrets(home: Path):
    (home / "only1mcp.yaml").write_text(REPLICAS)
    shown = as_json("config", "show")
    assert [replica["id"] for replica in shown["servers"][0]["replicas"]] == ["a", "b"]
    assert "hunter2" not in good("config", "show")
    good("validate")


def test_import_says_when_there_is_nothing(home: Path):
    assert "No servers were found" in good("import")


def test_connect_prints_the_snippet_and_writes_only_when_asked(cursor: Path, home: Path):
    (home / "only1mcp.yaml").write_text("proxy: {port: 9000}")
    result = run("connect", "cursor")
    assert json.loads(result.stdout) == {"mcpServers": {"only1mcp": {"url": "http://127.0.0.1:9000/mcp"}}}
    assert json.loads(cursor.read_text()) == CURSOR
    answer = as_json("connect", "cursor", "--write")
    assert json.loads(Path(answer["backup"]).read_text()) == CURSOR
    assert "only1mcp" in json.loads(cursor.read_text())["mcpServers"]


def test_connect_leads_to_one_profile(home: Path):
    (home / "only1mcp.yaml").write_text("profiles: {review: {servers: [docs]}}")
    told = json.loads(run("connect", "cursor", "--profile", "review").stdout)
    assert told["mcpServers"]["only1mcp"]["url"] == "http://127.0.0.1:8080/mcp/review"
    for arguments, words in (
        (("--profile", "nope"), "There is no profile 'nope'; the profiles are review."),
        (("--profile", "review", "--url", "http://x/mcp"), "stands at the end of the URL"),
    ):
        result = run("connect", "cursor", *arguments)
        assert (result.exit_code, words in result.stderr) == (2, True)


# --- tokens ---------------------------------------------------------------------------------------------------


def test_a_token_is_shown_once_and_only_its_digest_is_written(own: Path):
    good("init")
    result = run("token", "new", "ci", "--write")
    token = result.stdout.strip()
    assert re.fullmatch(r"o1_[A-Za-z0-9_-]{43,}", token)
    assert token not in result.stderr
    assert "takes it when it reads the file again" in result.stderr
    assert token not in own.read_text()
    (entry,) = load(own, {}).config.auth.tokens
    assert (entry.name, entry.sha256) == ("ci", hashlib.sha256(token.encode()).hexdigest())
    assert "# One entry a server" in own.read_text()
    assert entry.sha256 not in good("config", "show")
    assert run("token", "new", "ci", "--write").exit_code == 1
    assert run("token", "new", "no good", "--write").exit_code == 2


def test_a_token_is_bound_to_a_profile_that_there_is(own: Path):
    own.parent.mkdir(parents=True)
    own.write_text("version: 1\nprofiles: {review: {servers: ['*']}}\n")
    refused = run("token", "new", "ci", "--profile", "revue", "--write")
    assert refused.exit_code == 2
    assert "the profiles are review. Did you mean 'review'?" in refused.stderr
    good("token", "new", "ci", "--profile", "review", "--write")
    assert load(own, {}).config.auth.tokens[0].profile == "review"


def test_a_token_steers_only_if_that_is_said(own: Path):
    for name, options in (("looks", ()), ("steers", ("--admin", "steer")), ("neither", ("--admin", "none"))):
        good("token", "new", name, *options, "--write")
    told = as_json("config", "show")["auth"]["tokens"]
    assert {token["name"]: token["admin"] for token in told} == {
        "looks": "read",
        "steers": "steer",
        "neither": "none",
    }
    assert run("token", "new", "all", "--admin", "all").exit_code == 2


def test_a_token_without_a_place_makes_a_file_for_its_owner_only(own: Path):
    answer = as_json("token", "new", "ci", "--write")
    assert answer["path"] == str(own)
    assert own.stat().st_mode & 0o777 == 0o600
    assert load(own, {}).config.auth.tokens[0].sha256 == answer["sha256"]


@pytest.mark.parametrize("name", ["only1mcp.yaml", "only1mcp.json", "only1mcp.toml"])
def test_without_write_the_fragment_is_in_the_form_of_the_file_and_nothing_is_changed(home: Path, name: str):
    before = {"only1mcp.yaml": "version: 1\n", "only1mcp.json": "{}", "only1mcp.toml": "version = 1\n"}[name]
    (home / name).write_text(before)
    answer = as_json("token", "new", "ci")
    assert (home / name).read_text() == before
    assert answer["token"] not in answer["fragment"]
    (home / name).write_text(answer["fragment"])
    assert load(home / name, {}).config.auth.tokens[0].sha256 == answer["sha256"]
    told = run("token", "new", "ci")
    assert "sha256" in told.stderr
    assert told.stdout.count("\n") == 1


@pytest.mark.parametrize("client", CLIENTS)
def test_connect_says_how_the_client_sends_a_token_where_one_is_wanted(home: Path, client: str):
    assert "token" not in run("connect", client).stderr
    good("token", "new", "ci", "--write")
    result = run("connect", client)
    assert "The gateway wants a token" in result.stderr
    assert "o1_" not in result.output
    assert any("wants a token" in each for each in as_json("connect", client)["notes"])


def test_a_token_that_no_header_can_carry_is_wrong_usage(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ONLY1MCP_TOKEN", "can\nary")
    result = run("tools")
    assert result.exit_code == 2
    assert "ONLY1MCP_TOKEN is not a token" in result.stderr


# --- small things ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080/mcp"),
        ("0.0.0.0", "http://127.0.0.1:8080/mcp"),
        ("::", "http://[::1]:8080/mcp"),
        ("::1", "http://[::1]:8080/mcp"),
    ],
)
def test_the_url_is_one_that_works_on_this_machine(host: str, url: str):
    assert gateway_url(ProxyConfig(host=host)) == url


def test_arguments_are_json_where_they_parse_and_text_otherwise():
    pairs = ["a=1", "b=true", 'c={"x":[1]}', "d=text", 'e="1"', "f=", "g:=null", "h=a=b", "i=NaN", "j=1.5"]
    assert read_arguments(pairs) == {
        "a": 1,
        "b": True,
        "c": {"x": [1]},
        "d": "text",
        "e": "1",
        "f": "",
        "g": None,
        "h": "a=b",
        "i": "NaN",
        "j": 1.5,
    }


@pytest.mark.parametrize("pairs", [["a"], ["=1"], [":=1"], ["a:=text"], ["a=1", "a=2"]])
def test_arguments_that_are_none_are_refused(pairs: list[str]):
    with pytest.raises(click.UsageError):
        read_arguments(pairs)


def test_a_result_is_printed_as_text_or_a_word_for_what_is_none():
    content: list[Any] = [
        {"type": "text", "text": "hello"},
        {"type": "image", "data": "AAAA", "mimeType": "image/png"},
        {"type": "resource_link", "uri": "file:///a"},
        {"type": "resource", "resource": {"uri": "file:///b", "text": "inside"}},
        {"type": "resource", "resource": {"uri": "file:///c", "blob": "AA"}},
        {"type": "unheard-of"},
        7,
    ]
    assert content_lines({"content": content}) == [
        "hello",
        "[image image/png, 4 characters of base64]",
        "[resource file:///a]",
        "inside",
        "[resource file:///c]",
        "[unheard-of , 0 characters of base64]",
    ]
    assert content_lines({"structuredContent": {"a": 1}}) == ['{\n  "a": 1\n}']
    assert content_lines({"content": 7}) == []


def test_nothing_printed_can_steer_a_terminal():
    assert visible("a\x1b[2Jb\x9bc\u202ed\ne\tf") == "a�[2Jb�c�d\ne\tf"
    assert one_line("first\nsecond") == "first"
    assert len(one_line("x" * 500)) == 100
    assert "\x1b" not in table(("A",), [("\x1b]0;x\x07",)])
