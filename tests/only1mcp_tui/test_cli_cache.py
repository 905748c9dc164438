"""`only1mcp cache`: what was saved, as a table and as JSON, and dropping what is kept."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from only1mcp_tui.cli import only1mcp, reach
from proxy_core.errors import UnknownServer
from proxy_core.telemetry.savings import CacheRow, JoinRow, Savings, WireRow
from tests.support.fake_control import row_of
from tests.support.fake_remote import FakeRemote

SAVINGS = Savings(
    (
        CacheRow("tools/list", "files", 90, 10, 0, 1, 12_345, 61.5, 599, (("cleared", 2), ("list_changed", 3))),
        CacheRow("resources/read", "files", 0, 4, 2),
    ),
    (JoinRow("tools/list", "files", 1000, 1, 999, 1, 1, 0.025),),
    (WireRow("files", 4, 31),),
)


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeRemote:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    remote = FakeRemote()
    remote.use(row_of("files"), savings=SAVINGS)
    monkeypatch.setattr(reach, "RemoteControl", remote.reached)
    return remote


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(only1mcp, ("cache", *arguments), prog_name="only1mcp")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_stats_tell_hits_misses_and_what_was_joined(gateway: FakeRemote):
    lines = [line.split() for line in run("stats").output.splitlines()]
    assert "hits: 90 of 104 (86.5 %)".split() in lines
    assert "answered without a call of their own: 99.9 % of 1090".split() in lines
    row = next(line for line in lines if line[:2] == ["files", "tools/list"] and "90" in line)
    assert row == "files tools/list 90 10 90.0 % 1 12 kB 1m01s, at most 9m59s 2 cleared, 3 list changed".split()
    stale = next(line for line in lines if line[:2] == ["files", "resources/read"])
    assert stale == "files resources/read 0 +2 stale 4 0 % 0 0 kB - -".split()
    assert "calls saved by joining: 99.9 % of 1000".split() in lines
    assert "files: 31 requests in 4 JSON-RPC batches".split() in lines
    assert "files tools/list 1000 1 99.9 % 1 (1 full) 25 ms".split() in lines


def test_stats_of_a_gateway_that_was_asked_nothing(gateway: FakeRemote):
    gateway.use(row_of("files"), savings=Savings())
    output = run("stats").output
    assert output == "Nothing is kept yet, and nothing was looked up.\n"
    gateway.use(row_of("files"), savings=Savings(SAVINGS.caches))
    assert "No request was left to ask" in run("stats").output


def test_stats_as_json_are_the_picture(gateway: FakeRemote):
    told = json.loads(run("stats", "--json").output)
    assert told["caches"][0]["evictions"] == [["cleared", 2], ["list_changed", 3]]
    assert told["joins"][0]["saved"] == 999


def test_clearing_everything_or_single_servers(gateway: FakeRemote):
    assert "3 kept answers dropped" in run("clear").output
    assert json.loads(run("clear", "files", "files", "--json").output) == {"ok": True, "answers": 6}
    assert gateway.asked == [("clear_cache", "*"), ("clear_cache", "files"), ("clear_cache", "files")]


def test_a_server_that_is_not_there_is_refused(gateway: FakeRemote):
    gateway.refusal = UnknownServer("nope")
    result = run("clear", "nope")
    assert result.exit_code != 0
    assert "nope" in result.output
