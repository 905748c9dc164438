"""What the lists cost, asked of a gateway that runs, and where none runs."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.only1mcp_tui.test_cli_asking import Person
from tests.support.gateway_process import GatewayProcess, serving, stdio, write_config
from tests.support.processes import demo_command, eventually, free_port, quiet_env

SERVERS = (stdio("clock", demo_command("clock")), stdio("notes", demo_command("notes")))


@pytest.fixture(scope="module", autouse=True)
def tokenizer() -> None:
    """The real one."""


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    with serving(tmp_path, SERVERS) as gateway:
        yield gateway


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person(tmp_path, "--config", str(tmp_path / "only1mcp.yaml"))


def has_sound_figures(bill: dict[str, Any]) -> bool:
    assert (bill["encoding"], bill["is_complete"]) == ("o200k_base", True)
    assert [(row["id"], row["tools"]) for row in bill["servers"]] == [("clock", 3), ("notes", 4)]
    tokens = sum(row["tokens"] for row in bill["servers"])
    assert bill["modes"]["full"] == pytest.approx(tokens, abs=len(bill["tools"]) + 2)
    assert 0 < bill["modes"]["compact"] < bill["modes"]["full"]
    assert 0 < bill["visible"]["compact"] <= bill["visible"]["full"] < bill["modes"]["full"]
    return True


def test_a_running_gateway_says_what_its_lists_cost(gateway: GatewayProcess, person: Person):
    assert person.run("wait", "--healthy").returncode == 0
    bill = person.json("context")
    assert has_sound_figures(bill)
    row = next(row for row in person.json("status")["servers"] if row["id"] == "clock")
    assert row["tokens"]["wire"] == bill["servers"][0]["tokens"]
    totals = person.json("status")["context"]
    assert (totals["encoding"], totals["in_force"]["wire"]) == ("o200k_base", bill["modes"]["full"])
    told = person.run("context", "--server", "clock").stdout
    assert "o200k_base; approximate" in told and "clock__now" in told and "notes__add" not in told

    assert person.run("drain", "notes").returncode == 0
    assert [each["id"] for each in person.json("context")["servers"]] == ["clock"]


def test_where_none_runs_the_servers_are_started_for_the_command(tmp_path: Path, person: Person):
    write_config(tmp_path, SERVERS, proxy={"port": free_port()})
    done = person.run("context")
    assert (done.returncode, "for this command alone" in done.stderr) == (0, True)
    assert "7 tools of 2 servers" in done.stdout
    assert has_sound_figures(person.json("context", "--top", "100"))


def test_the_counts_outlive_the_gateway(tmp_path: Path, person: Person):
    with serving(tmp_path, SERVERS):
        assert person.run("wait", "--healthy").returncode == 0
        before = person.json("context")
    # Nothing can be counted any more, but it was counted before.
    with serving(tmp_path, SERVERS, env=_without_tokenizer(tmp_path)):
        assert person.run("wait", "--healthy").returncode == 0
        assert person.json("context") == before


def test_a_gateway_that_cannot_count_says_so_once_and_serves_all_the_same(tmp_path: Path, person: Person):
    with serving(tmp_path, SERVERS, env=_without_tokenizer(tmp_path)) as gateway:
        assert person.run("wait", "--healthy").returncode == 0
        told = eventually(
            lambda: [line for line in gateway.lines if "could not be counted" in line["message"]], "it says so"
        )
        assert len(told) == 1 and "no tokenizer here" in told[0]["message"]
        assert person.json("status")["context"] is None
        assert person.run("probe", "clock").returncode == 0


def _without_tokenizer(folder: Path) -> dict[str, str]:
    """An environment in which another module comes first that is called so."""
    modules = folder / "modules"
    modules.mkdir(exist_ok=True)
    (modules / "toktok.py").write_text("raise ImportError('no tokenizer here')\n")
    return {"PYTHONPATH": f"{modules}:{quiet_env(folder)['PYTHONPATH']}"}


LOOKING = """
import atexit, sys
atexit.register(lambda: print("toktok" in sys.modules))
sys.argv = ["only1mcp", *sys.argv[1:]]
from only1mcp_tui.__main__ import main
main()
"""


def test_the_gateway_itself_never_loads_the_vocabulary(tmp_path: Path, person: Person):
    config = write_config(tmp_path, SERVERS)
    process = subprocess.Popen(
        [sys.executable, "-c", LOOKING, "--headless", "--config", str(config), "--port", "0"],
        cwd=tmp_path,
        env=quiet_env(tmp_path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "serving http" in line:
            break
    assert person.run("wait", "--healthy").returncode == 0
    assert has_sound_figures(person.json("context"))
    process.send_signal(signal.SIGTERM)
    out, rest = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "False\n"), rest
