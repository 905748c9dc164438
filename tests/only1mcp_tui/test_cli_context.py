"""`only1mcp context`: what it prints of a bill, and how long it waits for one."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from only1mcp_tui.cli import context, only1mcp, reach
from proxy_core.telemetry.context_bill import (
    ContextBill,
    Cost,
    DescriptionCost,
    ModeCosts,
    ProfileCost,
    SearchEstimate,
    ServerCost,
    ToolCost,
)
from tests.support.fake_control import row_of
from tests.support.fake_remote import FakeRemote

ESCAPE = "\x1b]0;owned\x07"
SMALL = (Cost(1000, 800), Cost(500, 400))
LARGE = (Cost(9000, 7200), Cost(4500, 3600))
COSTS = ModeCosts(Cost(10_001, 8_001), Cost(5_001, 4_001), Cost(2_500, 2_400))
BILL = ContextBill(
    encoding="o200k_base",
    is_complete=True,
    mode="full",
    modes=COSTS,
    searches=SearchEstimate(3, 5, 1.2, 2_100),
    servers=(ServerCost("notes", 1, *SMALL), ServerCost("search", 2, *LARGE)),
    tools=(
        ToolCost("notes", "notes__add", *SMALL),
        ToolCost("search", "search__all", Cost(2000, 1600), Cost(1000, 800)),
        ToolCost("search", "search__find", Cost(7000, 5600), Cost(3500, 2800)),
    ),
    descriptions=(
        DescriptionCost("search", "search__find", 3500, 0.5),
        DescriptionCost("notes", "notes__add", 120, 0.12),
    ),
    profiles=(ProfileCost("", "full", 3, COSTS),),
)


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeRemote:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("ONLY1MCP_CONFIG", raising=False)
    remote = FakeRemote()
    remote.use(row_of("notes"), row_of("search"), row_of("idle"))
    remote.bills = [BILL]
    monkeypatch.setattr(reach, "RemoteControl", remote.reached)
    monkeypatch.setattr(context, "PAUSE_S", 0.0)
    return remote


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(only1mcp, ("context", *arguments), prog_name="only1mcp")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return result


def as_json(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


def test_the_bill_is_printed_by_mode_server_and_tool(gateway: FakeRemote):
    assert run().stdout.splitlines() == [
        "3 tools of 2 servers; mode in force: full",
        "encoding o200k_base; approximate for models of other encodings, and for what a host adds",
        "",
        "MODE     TOKENS  OF FULL  VISIBLE  OF FULL",
        "full     10,001  100.0%   8,001    100.0%",
        "compact  5,001   50.0%    4,001    50.0%",
        "search   2,500   25.0%    2,400    30.0%",
        "search: approximate; 2,100 of it are reckoned for 3 searches that find 5 tools each",
        "",
        "SERVER  TOOLS  TOKENS  VISIBLE  COMPACT  VISIBLE",
        "search  2      9,000   7,200    4,500    3,600",
        "notes   1      1,000   800      500      400",
        "",
        "BIGGEST TOOLS  TOKENS  VISIBLE  COMPACT  VISIBLE",
        "search__find   7,000   5,600    3,500    2,800",
        "search__all    2,000   1,600    1,000    800",
        "notes__add     1,000   800      500      400",
        "",
        "BIGGEST DESCRIPTIONS  TOKENS  OF ITS TOOL",
        "search__find          3,500   50%",
        "notes__add            120     12%",
    ]


def test_as_json_it_has_what_scripts_rest_on(gateway: FakeRemote):
    told = as_json()
    assert told["encoding"] == "o200k_base"
    assert told["modes"] == {"full": 10_001, "compact": 5_001, "search": 2_500}
    assert told["visible"] == {"full": 8_001, "compact": 4_001, "search": 2_400}
    assert [{key: row[key] for key in ("id", "tools", "tokens")} for row in told["servers"]] == [
        {"id": "notes", "tools": 1, "tokens": 1000},
        {"id": "search", "tools": 2, "tokens": 9000},
    ]
    assert "approximate" in told["approximate"]
    assert told["searches"]["tokens"] == 2_100
    assert (told["is_complete"], told["mode"]) == (True, "full")
    assert told["tools"][0] == {
        "server": "search",
        "name": "search__find",
        "tokens": 7000,
        "visible": 5600,
        "compact_tokens": 3500,
        "compact_visible": 2800,
    }
    assert told["profiles"][0]["compact"] == {"wire": 5_001, "visible": 4_001}


def test_one_server_alone(gateway: FakeRemote):
    told = as_json("--server", "notes")
    assert ([row["id"] for row in told["servers"]], [row["name"] for row in told["tools"]]) == (
        ["notes"],
        ["notes__add"],
    )
    assert told["modes"]["full"] == 10_001, "of the whole list all the same"
    assert "search__find" not in run("--server", "notes").stdout
    assert as_json("--server", "idle")["servers"] == []
    assert "no server with the id 'nope'" in run("--server", "nope", code=4).stderr


@pytest.mark.parametrize(("top", "tools", "descriptions"), [("0", 0, 0), ("1", 1, 1), ("99", 3, 2)])
def test_the_biggest_are_as_many_as_wanted(gateway: FakeRemote, top: str, tools: int, descriptions: int):
    told = as_json("--top", top)
    assert (len(told["tools"]), len(told["descriptions"])) == (tools, descriptions)
    assert ("BIGGEST" in run("--top", top).stdout) == (top != "0")


def test_what_is_not_known_is_no_number(gateway: FakeRemote):
    gateway.bills = [replace(BILL, modes=replace(COSTS, search=None))]
    assert as_json()["modes"]["search"] is None
    assert "search   -       -        -        -" in run().stdout
    assert "reckoned" not in run().stdout


def test_profiles_are_told_where_there_are_some(gateway: FakeRemote):
    lean = ProfileCost("lean", "compact", 2, COSTS)
    gateway.bills = [replace(BILL, profiles=(*BILL.profiles, lean))]
    assert run().stdout.splitlines()[-3:] == [
        "PROFILE  MODE     TOOLS  TOKENS  VISIBLE",
        "-        full     3      10,001  8,001",
        "lean     compact  2      5,001   4,001",
    ]


def test_it_waits_for_the_count(gateway: FakeRemote):
    counting = ContextBill("o200k_base")
    gateway.bills = [counting, counting, BILL]
    assert as_json()["modes"]["full"] == 10_001


def test_a_count_that_does_not_end_leaves_the_figures_of_before(
    gateway: FakeRemote, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(context, "COUNT_S", 0.0)
    gateway.bills = [replace(BILL, is_complete=False)]
    done = run("--json")
    assert json.loads(done.stdout)["is_complete"] is False
    assert "figures of before" in done.stderr


def test_no_count_at_all_is_a_failure(gateway: FakeRemote, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(context, "COUNT_S", 0.0)
    gateway.bills = [ContextBill("o200k_base")]
    done = run(code=1)
    assert (done.stdout, "could not be counted" in done.stderr) == ("", True)


def test_an_empty_catalog_has_no_shares(gateway: FakeRemote):
    empty = ProfileCost("", "full", 0, ModeCosts())
    gateway.bills = [ContextBill("o200k_base", is_complete=True, profiles=(empty,))]
    assert "full     0       -        0        -" in run().stdout


def test_a_gateway_that_is_named_and_not_there_is_not_replaced_by_one_of_our_own(gateway: FakeRemote):
    gateway.is_up = False
    assert "No gateway" in run("--socket", "elsewhere.sock", code=1).stderr
    assert "No gateway" in run("--url", "http://127.0.0.1:1", code=1).stderr


def test_what_a_server_is_called_steers_no_terminal(gateway: FakeRemote):
    evil = ToolCost("search", f"search__{ESCAPE}", *LARGE)
    gateway.bills = [replace(BILL, tools=(evil,))]
    assert ESCAPE not in run().stdout
    assert ESCAPE not in run("--json").stdout
