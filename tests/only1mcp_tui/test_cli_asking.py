"""servers, tools and call: against a running gateway, and with servers of their own where none runs."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway_process import COMMAND, GatewayProcess, serving, stdio, write_config
from tests.support.processes import free_port, quiet_env

SERVERS = (
    stdio("clock", (sys.executable, "-m", "proxy_core.demo.clock")),
    stdio("flaky", (sys.executable, "-m", "proxy_core.demo.flaky"), env={"API_KEY": "hunter2"}),
    stdio("dead", ("/no/such/program",)),
    stdio("off", ("/no/such/program",), enabled=False),
)


class Person:
    """Types commands and reads what comes."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder, self._options = folder, options

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command, *rest = arguments
        return subprocess.run(
            [*COMMAND, command, *rest, *self._options],
            cwd=self._folder,
            env=quiet_env(self._folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert done.stdout, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with serving(tmp_path_factory.mktemp("gateway"), SERVERS) as gateway:
        yield gateway


@pytest.fixture
def near(gateway: GatewayProcess, tmp_path: Path) -> Person:
    """Asks the gateway that runs."""
    return Person(tmp_path, "--url", gateway.url)


@pytest.fixture
def alone(tmp_path: Path) -> Person:
    """Has the same configuration, and no gateway runs."""
    config = write_config(tmp_path, SERVERS, proxy={"port": free_port()})
    return Person(tmp_path, "--config", str(config))


@pytest.fixture(params=["near", "alone"])
def person(request: pytest.FixtureRequest) -> Person:
    found: Person = request.getfixturevalue(request.param)
    return found


def test_tools_are_listed_by_the_names_that_clients_use(person: Person):
    tools = {tool["name"]: tool for tool in person.json("tools")}
    assert tools["flaky__echo"] == {
        "name": "flaky__echo",
        "server": "flaky",
        "origin": "echo",
        "title": tools["flaky__echo"]["title"],
        "description": tools["flaky__echo"]["description"],
        "arguments": [{"name": "text", "required": True}],
    }
    assert "clock__now" in tools
    done = person.run("tools")
    assert done.stdout.startswith("NAME ")
    assert "dead is " in done.stderr


def test_a_call_prints_its_text(person: Person):
    done = person.run("call", "flaky__echo", "text=hello there")
    assert (done.returncode, done.stdout) == (0, "hello there\n")
    assert person.json("call", "flaky__echo", "text=x")["content"] == [{"type": "text", "text": "x"}]


@pytest.mark.parametrize(
    "arguments",
    [
        ("flaky__fail", "message=on purpose"),
        ("flaky__error", "code=-32001"),
        ("flaky__nope",),
        ("nope",),
        ("dead__tool",),
        ("off__tool",),
    ],
)
def test_a_call_that_fails_is_exit_code_4_with_a_reason(person: Person, arguments: tuple[str, ...]):
    done = person.run("call", *arguments)
    assert done.returncode == 4, done.stderr
    assert (done.stdout + done.stderr).strip()
    assert "Traceback" not in done.stderr


def test_alone_servers_are_told_with_state_address_and_what_they_offer(alone: Person):
    done = alone.run("servers", "--json")
    assert "Starting the servers for this command alone" in done.stderr
    rows = {row["id"]: row for row in json.loads(done.stdout)}
    assert [(row["id"], row["state"] == "healthy") for row in rows.values()] == [
        ("clock", True),
        ("flaky", True),
        ("dead", False),
        ("off", False),
    ]
    assert rows["dead"]["reason"]
    assert rows["off"]["state"] == "disabled"
    assert rows["clock"]["tools"] > 0
    assert rows["clock"]["address"].endswith("-m proxy_core.demo.clock")


def test_a_running_gateway_is_asked_and_nothing_is_started(gateway: GatewayProcess, near: Person):
    before = {child.pid for child in gateway.children()}
    done = near.run("servers")
    assert done.returncode == 0
    assert "Starting" not in done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["ID", "clock", "flaky"]
    assert before <= {child.pid for child in gateway.children()}


def test_with_a_url_nothing_is_started_where_nothing_answers(tmp_path: Path):
    url = f"http://127.0.0.1:{free_port()}/mcp"
    done = Person(tmp_path, "--url", url).run("tools")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"only1mcp: No gateway at {url}: nothing answers there.\n"


def test_a_call_alone_starts_only_the_server_it_needs(tmp_path: Path):
    marker = tmp_path / "started"
    servers = (SERVERS[0], stdio("other", ("/bin/sh", "-c", f"touch {marker}; exit 1")))
    config = write_config(tmp_path, servers, proxy={"port": free_port()})
    done = Person(tmp_path, "--config", str(config)).run("call", "clock__now")
    assert done.returncode == 0, done.stderr
    assert not marker.exists()
