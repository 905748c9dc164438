"""The command line as a person uses it: against a running gateway, without one, and on files of their own."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.gateway_process import COMMAND, GatewayProcess, serving, stdio, write_config
from tests.support.processes import demo_command, eventually, free_port, mark_of, quiet_env, sdk_command

CONFIG = """\
# My servers.
version: 1
proxy: {port: %d}  # not the usual one

servers:
  # Tells the time.
  - id: clock
    transport: {type: stdio, command: %s, args: [-m, proxy_core.demo.clock]}
"""


class Person:
    """Someone at a shell, in a folder and a home of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def runs(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=quiet_env(self.folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
        )

    def gets(self, *arguments: str) -> Any:
        """What a command that succeeds prints as JSON."""
        ended = self.runs(*arguments, "--json")
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person(tmp_path)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    servers = [stdio("clock", demo_command("clock")), stdio("sdk", sdk_command())]
    with serving(tmp_path_factory.mktemp("cli"), servers) as gateway:
        eventually(
            lambda: (
                {"clock", "sdk"} <= {line["source"] for line in gateway.lines if line["message"] == "healthy"}
            ),
            "both servers are healthy",
        )
        yield gateway


def test_servers_tools_and_calls_of_a_running_gateway(person: Person, gateway: GatewayProcess) -> None:
    """They are that gateway's own: nothing is started, and the answers are the servers'."""
    pids = {process.pid for process in gateway.children()}
    counted = {row["id"]: row["tools"] for row in person.gets("servers", "--url", gateway.url)}
    assert counted["clock"] == 3 and counted["sdk"] == 9
    names = {tool["name"] for tool in person.gets("tools", "--url", gateway.url)}
    assert {"clock__now", "sdk__add"} <= names
    told = person.gets("call", "sdk__add", "a=2", "b=40", "--url", gateway.url)
    assert told["structuredContent"] == {"a": 2, "b": 40, "total": 42}
    shown = person.runs("call", "sdk__steps", "text=7 wonders", "count=1", "--url", gateway.url)
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, "7 wonders\n", "")
    assert {process.pid for process in gateway.children()} == pids


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("call", "sdk__fail", "message=no"), "Error executing tool fail: no"),
        (("call", "sdk__refuse", "code=4713"), "Refused, as asked for."),
        (("call", "sdk__unheard_of"), "Unknown tool"),
    ],
)
def test_a_call_that_fails_says_so_and_exits_with_4(
    person: Person, gateway: GatewayProcess, arguments: tuple[str, ...], words: str
) -> None:
    ended = person.runs(*arguments, "--url", gateway.url)
    assert ended.returncode == 4
    assert words in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_a_gateway_a_command_starts_what_it_needs_and_says_so(person: Person, tmp_path: Path) -> None:
    """On stderr, so that stdout stays the answer's; only the server that is asked, and gone afterwards."""
    started = tmp_path / "started"
    servers = [stdio("clock", demo_command("clock")), stdio("touch", ("touch", str(started)))]
    write_config(tmp_path, servers, proxy={"port": free_port()})
    ended = person.runs(
        "call", "clock__convert", "time=2026-03-01T12:00:00", "from=UTC", "to=Asia/Tokyo", "--json"
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["structuredContent"]["difference_hours"] == 9
    assert "Starting the servers for this command alone." in ended.stderr
    assert not started.exists()
    assert _own_processes(tmp_path) == []


def _own_processes(folder: Path) -> list[psutil.Process]:
    """Servers of any gateway whose home is this folder."""
    ours = (process for process in psutil.process_iter() if mark_of(process) is not None)
    return [process for process in ours if process.environ().get("HOME") == str(folder)]


def test_a_url_where_nothing_answers_is_an_error(person: Person) -> None:
    """Whoever names a gateway means that one: nothing is started in its place."""
    ended = person.runs("tools", "--url", f"http://127.0.0.1:{free_port()}/mcp")
    assert ended.returncode == 1
    assert "nothing answers there" in ended.stderr
    assert ended.stdout == ""


def test_servers_are_added_used_and_removed_with_comments_kept(person: Person, tmp_path: Path) -> None:
    """add, validate, tools, remove: the file of before comes back to the letter."""
    file = tmp_path / "only1mcp.yaml"
    python, *arguments = sdk_command()
    file.write_text(CONFIG % (free_port(), python))
    before = file.read_text()
    added = person.runs("add", "My SDK", "--env", "MODE=fast", "--", python, *arguments)
    assert added.returncode == 0, added.stderr
    written = file.read_text()
    assert all(comment in written for comment in ("# My servers.", "# not the usual one", "# Tells the time."))
    assert person.runs("validate").returncode == 0
    assert {"clock__now", "my-sdk__add"} <= {tool["name"] for tool in person.gets("tools")}
    assert person.runs("remove", "my-sdk").returncode == 0
    assert file.read_text() == before


def test_validate_lists_every_fault(person: Person, tmp_path: Path) -> None:
    (tmp_path / "only1mcp.yaml").write_text("version: 1\nproxy: {port: none}\nservers:\n  - {id: x y}\n")
    ended = person.runs("validate")
    assert ended.returncode == 2
    assert ":2: proxy.port" in ended.stderr and ":4: servers[0]" in ended.stderr


def test_init_makes_a_file_that_validates(person: Person, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    assert person.runs("init", "--config", str(file)).returncode == 0
    assert person.runs("validate", "--config", str(file)).returncode == 0
    assert file.stat().st_mode & 0o077 == 0, "others may not read it: secrets may come to stand in it"
