"""A gateway that runs headless is steered from the command line, and watched from a terminal."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.only1mcp_tui.test_cli_asking import Person
from tests.support.gateway_process import COMMAND, GatewayProcess, serving, stdio
from tests.support.processes import demo_command, eventually, quiet_env
from tests.support.terminal import Terminal
from tests.support.wire import connected, open_call

SERVERS = (
    stdio("clock", demo_command("clock")),
    stdio("flaky", demo_command("flaky")),
    stdio("off", ("/no/such/program",), enabled=False),
)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    with serving(tmp_path, SERVERS) as gateway:
        yield gateway


@pytest.fixture
def person(gateway: GatewayProcess, tmp_path: Path) -> Person:
    """Has the same configuration, which does not tell the port that the gateway was given."""
    person = Person(tmp_path, "--config", str(tmp_path / "only1mcp.yaml"))
    waited = person.run("wait", "--healthy")
    assert waited.returncode == 0, waited.stderr
    return person


@contextmanager
def terminal(folder: Path, *arguments: str) -> Iterator[Terminal]:
    opened = Terminal([*COMMAND, *arguments], folder, quiet_env(folder))
    try:
        yield opened
    finally:
        opened.close()


def states(person: Person) -> dict[str, str]:
    return {row["id"]: row["state"] for row in person.json("status")["servers"]}


def test_a_server_is_taken_out_and_put_back(person: Person):
    assert states(person) == {"clock": "healthy", "flaky": "healthy", "off": "disabled"}
    assert person.run("drain", "clock").stdout == "clock: drained\n"
    assert states(person)["clock"] == "drained"
    assert person.run("wait", "--healthy", "--timeout", "0").returncode == 1
    assert person.run("undrain", "clock").returncode == 0
    assert person.run("wait", "--healthy").returncode == 0
    assert person.run("probe", "clock", "flaky").returncode == 0
    done = person.run("probe", "nope")
    assert (done.returncode, done.stderr) == (4, "only1mcp: There is no server with the id 'nope'.\n")


async def test_a_drain_that_waits_no_longer_lists_what_it_abandoned(gateway: GatewayProcess, person: Person):
    async with connected(gateway.url) as client, open_call(client, "flaky__delay", {"seconds": 60}) as answer:
        await answer.next()
        (told,) = person.json("drain", "flaky", "--grace", "0")
        assert (told["ok"], told["abandoned"]) == (True, 1)
        assert [(one["method"], one["target"]) for one in told["calls"]] == [("tools/call", "delay")]


def test_a_reload_is_shown_first_then_done_then_undone(gateway: GatewayProcess, person: Person, tmp_path: Path):
    path = tmp_path / "only1mcp.yaml"
    before = path.read_text()
    config: dict[str, Any] = json.loads(before)
    config["servers"].pop(1)
    config["reload"] = {"watch": False}
    path.write_text(json.dumps(config))
    # Whether it was noticed already or not.
    assert person.run("reload").returncode == 0
    assert set(states(person)) >= {"clock", "off"}
    config["servers"].append(stdio("more", demo_command("clock")))
    path.write_text(json.dumps(config))
    plan = person.json("reload", "--plan")
    assert [(one["id"], one["action"]) for one in plan["servers"]] == [
        ("clock", "keep"),
        ("off", "keep"),
        ("more", "add"),
    ]
    assert "more" not in states(person)
    assert person.run("reload").returncode == 0
    assert "more" in states(person)
    assert person.run("rollback").returncode == 0
    eventually(lambda: "more" not in states(person), "it has gone again")
    path.write_text('{"version": 1, "serverz": []}')
    bad = person.run("reload")
    assert (bad.returncode, "serverz" in bad.stderr) == (2, True)
    assert states(person)["clock"] == "healthy"


def test_the_doctor_knows_the_gateway_that_runs(gateway: GatewayProcess, person: Person):
    """Though it was given another port than the file says."""
    findings = person.json("doctor")["findings"]
    told = {finding["subject"]: finding for finding in findings}
    assert f"/{urlsplit(gateway.url).port}.sock" in told["socket"]["text"]
    assert [told[subject]["level"] for subject in ("socket", "port", "names")] == ["ok", "ok", "ok"]


def test_the_log_is_read_from_afar(person: Person):
    told = [json.loads(line) for line in person.run("logs", "--json", "--source", "clock").stdout.splitlines()]
    assert told and {line["source"] for line in told} == {"clock"}
    assert person.run("logs", "-n", "1").stdout.count("\n") == 1


def test_the_screen_over_a_gateway_elsewhere_leaves_it_alone(
    gateway: GatewayProcess, person: Person, tmp_path: Path
):
    with terminal(tmp_path, "monitor", "--config", str(tmp_path / "only1mcp.yaml")) as screen:
        screen.shows("only1mcp", gateway.url)
        screen.press("2")
        screen.shows("address", "clock")
        screen.press("1")
        screen.shows("TRAFFIC", without="address")
        screen.press("q")
        assert screen.ends() == 0
        assert all(screen.is_restored().values())
        assert "The gateway runs on." in screen.after_the_screen()
    assert gateway.exit_code is None
    assert states(person)["clock"] == "healthy"


@pytest.mark.parametrize("answer", ["\r", "n\r"])
def test_where_one_serves_already_that_one_may_be_watched(
    gateway: GatewayProcess, person: Person, tmp_path: Path, answer: str
):
    port = str(urlsplit(gateway.url).port)
    with terminal(tmp_path, "--config", str(tmp_path / "only1mcp.yaml"), "--port", port) as screen:
        screen.shows("Watch that one instead?")
        screen.press(answer)
        if answer == "\r":
            screen.shows("clock", "healthy")
            screen.signal(signal.SIGTERM)
        assert screen.ends() == (0 if answer == "\r" else 3)
        assert all(screen.is_restored().values())
    assert gateway.exit_code is None


def test_without_a_terminal_the_port_is_in_use_and_the_way_in_is_told(
    gateway: GatewayProcess, person: Person, tmp_path: Path
):
    port = str(urlsplit(gateway.url).port)
    (tmp_path / "second").mkdir()
    config = str(tmp_path / "only1mcp.yaml")
    second = GatewayProcess(tmp_path / "second", ["--config", config, "--port", port])
    assert second.wait() == 3
    assert "only1mcp monitor" in second.log and "only1mcp status" in second.log
    assert gateway.exit_code is None
