"""The commands that steer a running gateway: what they ask of it, what they print, and their exit codes."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from only1mcp_tui.cli import monitor, only1mcp, reach, steer
from proxy_core.control import AbandonedCall, Action, DrainOutcome, PlannedReplica, PlannedServer, ReloadPlan
from proxy_core.errors import ConfigError, ConfigProblem, NothingToRollBack, Only1Error
from proxy_core.telemetry.context_bill import ContextTotals, Cost
from proxy_core.telemetry.savings import CacheRow, Savings
from proxy_core.telemetry.snapshot import (
    BreakerState,
    ChildRow,
    ConfigStatus,
    LogLine,
    Notice,
    Probe,
    ServerState,
)
from tests.support.fake_control import NOW, WALL, FakeControl, replica_of, row_of, snapshot_of
from tests.support.fake_remote import FakeRemote
from tests.support.screens import CLIENTS, busy_control, mixed_rows, replicated_control


def many_clients() -> FakeControl:
    """More than are told, all with names as long as they may be."""
    long = replace(CLIENTS[0], name="n" * 200, principal="p" * 200, requests=10**9)
    return FakeControl(snapshot_of(mixed_rows(), clients=(long,) * 20))


ESCAPE = "\x1b]0;owned\x07"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's own folder with no configuration, and a runtime folder of their own."""
    monkeypatch.chdir(tmp_path)
    for name, folder in (("HOME", ""), ("XDG_CONFIG_HOME", "config"), ("XDG_RUNTIME_DIR", "run")):
        monkeypatch.setenv(name, str(tmp_path / folder))
    (tmp_path / "run").mkdir(mode=0o700)
    for name in ("ONLY1MCP_CONFIG", "ONLY1MCP_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def gateway(home: Path, monkeypatch: pytest.MonkeyPatch) -> FakeRemote:
    """Two servers, the second in two places."""
    remote = FakeRemote()
    remote.use(row_of("files"), row_of("search", replicas=(replica_of("a"), replica_of("b"))))
    monkeypatch.setattr(reach, "RemoteControl", remote.reached)
    return remote


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(only1mcp, arguments, prog_name="only1mcp")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def as_json(*arguments: str, code: int = 0) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


# --- the way there --------------------------------------------------------------------------------------------


def test_the_socket_is_that_of_the_configured_port(gateway: FakeRemote, home: Path):
    (home / "only1mcp.yaml").write_text("proxy: {port: 1234}\n")
    run("status")
    assert gateway.asked_at[-1] == (home / "run" / "only1mcp" / "1234.sock", None)


def test_a_socket_or_a_url_that_is_named_is_the_way(
    gateway: FakeRemote, home: Path, monkeypatch: pytest.MonkeyPatch
):
    (home / "only1mcp.yaml").write_text("admin: {socket: named.sock}\n")
    monkeypatch.setenv("ONLY1MCP_TOKEN", "o1_secret")
    for arguments in ((), ("--socket", "other.sock"), ("--url", "https://example.com:1/mcp")):
        run("status", *arguments)
    assert gateway.asked_at == [
        (home / "named.sock", None),
        (home / "other.sock", None),
        ("https://example.com:1", "o1_secret"),
    ]


@pytest.mark.parametrize("arguments", [("--socket", "a", "--url", "http://b"), ("--url", "ftp://b")])
def test_ways_that_are_none_are_wrong_usage(gateway: FakeRemote, arguments: tuple[str, ...]):
    assert run("status", *arguments).exit_code == 2
    assert gateway.asked_at == []


def test_a_configuration_without_a_socket_says_what_else_there_is(gateway: FakeRemote, home: Path):
    (home / "only1mcp.yaml").write_text("admin: {socket: null}\n")
    result = run("status")
    assert result.exit_code == 2
    assert "admin.socket" in result.stderr and "--url" in result.stderr


def test_a_gateway_is_reached_though_its_file_is_broken_or_it_has_another_port(gateway: FakeRemote, home: Path):
    """It goes on with the last good one, and that is when one wants to ask it."""
    (home / "run" / "only1mcp").mkdir(mode=0o700)
    (home / "run" / "only1mcp" / "5678.sock").write_text("")
    gateway.use(config_path=str(home / "only1mcp.yaml"))
    for text in ("proxy: {port: 1234}\n", "proxy: {port: \n"):
        (home / "only1mcp.yaml").write_text(text)
        assert run("status").exit_code == 0
        assert gateway.asked_at[-1] == (home / "run" / "only1mcp" / "5678.sock", None)


def test_a_broken_file_of_no_running_gateway_is_told_fault_by_fault(gateway: FakeRemote, home: Path):
    (home / "run" / "only1mcp").mkdir(mode=0o700)
    (home / "run" / "only1mcp" / "5678.sock").write_text("")
    (home / "only1mcp.yaml").write_text("proxy: {prot: 1}\n")
    result = run("drain", "files")
    assert (result.exit_code, gateway.asked) == (2, [])
    assert "proxy.prot" in result.stderr


@pytest.mark.parametrize("command", ["status", "drain files", "reload", "rollback", "logs"])
def test_no_gateway_is_a_sentence_and_exit_code_1(gateway: FakeRemote, command: str):
    gateway.is_up = False
    result = run(*command.split())
    assert result.exit_code == 1
    assert result.stderr.startswith("only1mcp: No gateway at ")


# --- verbs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["drain", "undrain", "probe", "restart", "enable", "disable"])
def test_a_verb_is_asked_for_each_target_once(gateway: FakeRemote, verb: str):
    told = as_json(verb, "files", "search/b", "files")
    assert gateway.asked == [(verb, "files"), (verb, "search/b")]
    assert [(one["target"], one["ok"]) for one in told] == [("files", True), ("search/b", True)]


@pytest.mark.parametrize("target", ["nope", "search/z", "files/"])
def test_a_typing_error_does_nothing_by_halves(gateway: FakeRemote, target: str):
    result = run("drain", "files", target)
    assert (result.exit_code, gateway.asked) == (4, [])


def test_all_means_those_that_it_makes_sense_for(gateway: FakeRemote):
    off = row_of("off", ServerState.DISABLED)
    half = row_of("half", replicas=(replica_of("a", ServerState.DRAINED), replica_of("b")))
    gateway.use(row_of("files"), off, half, row_of("out", ServerState.DRAINED))
    for verb in ("drain", "probe", "undrain"):
        as_json(verb, "--all", code=1 if verb == "undrain" else 0)
    asked = [
        [target for word, target in gateway.asked if word == verb] for verb in ("drain", "probe", "undrain")
    ]
    assert asked == [["files", "half"], ["files", "half"], ["half", "out"]]


@pytest.mark.parametrize("arguments", [("drain",), ("drain", "--all", "files"), ("restart",), ("probe",)])
def test_it_must_be_said_which(gateway: FakeRemote, arguments: tuple[str, ...]):
    assert run(*arguments).exit_code == 2
    assert gateway.asked == []


def test_a_drain_takes_its_grace_and_lists_what_it_abandoned(gateway: FakeRemote):
    gateway.outcome = DrainOutcome(2, 3, (AbandonedCall("17", "tools/call", f"find{ESCAPE}"),))
    result = run("drain", "files", "--grace", "1.5")
    assert (result.exit_code, gateway.graces_s) == (0, [1.5])
    assert result.stdout == "files: drained; 2 calls finished; 3 calls cut off\n"
    assert "17  tools/call  find" in result.stderr and "and 2 more" in result.stderr
    assert "\x1b" not in result.output
    (told,) = as_json("drain", "files")
    assert told["calls"] == [{"id": "17", "method": "tools/call", "target": f"find{ESCAPE}"}]
    assert gateway.graces_s[-1] is None


def test_on_a_terminal_the_calls_in_flight_are_counted_down(
    gateway: FakeRemote, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(steer, "LOOK_S", 0.001)
    monkeypatch.setattr(steer, "_is_watched", lambda: True)
    gateway.held = held = asyncio.Event()
    counts = [3, 2, 0]

    def next_picture() -> None:
        left = counts.pop(0) if counts else 0
        gateway.use(row_of("files", ServerState.DRAINING, in_flight=left, drain_until=NOW + 27))
        if not counts:
            held.set()

    gateway.on_refresh = next_picture
    result = run("drain", "files")
    assert result.exit_code == 0
    lines = result.stderr.split("\r\x1b[K")
    assert lines[1:4] == [f"files: {left} calls in flight, 27 s left" for left in (3, 2, 0)]
    # The line goes when it is over.
    assert lines[-1] == ""


def test_a_verb_that_fails_for_one_is_done_for_the_others(gateway: FakeRemote):
    gateway.refusal = Only1Error("It does not want to.")
    result = run("restart", "files", "search")
    assert result.exit_code == 1
    assert len(gateway.asked) == 2
    assert result.stderr.count("It does not want to.") == 2


def test_a_probe_tells_code_latency_and_error_and_fails_with_it(gateway: FakeRemote):
    assert run("probe", "files").stdout == "files: answered in 12ms\n"
    gateway.probed = Probe(NOW, 390.0, f"it answered HTTP 500{ESCAPE}", 500)
    result = run("probe", "files")
    assert result.exit_code == 1
    assert result.stdout.startswith("files: failed in 390ms (500): it answered HTTP 500")
    assert "\x1b" not in result.output


def test_a_server_that_stays_off_whoever_wants_it_is_a_failure(gateway: FakeRemote):
    gateway.use(row_of("files", ServerState.DISABLED, reason="environment variable X is not set"))
    result = run("enable", "files")
    assert result.exit_code == 1
    assert result.stdout == "files: ○ disabled: environment variable X is not set\n"


# --- status ---------------------------------------------------------------------------------------------------


def test_status_tells_what_the_overview_shows(gateway: FakeRemote):
    probe = Probe(NOW - 3, 390.0, "HTTP 500", 500)
    child = ChildRow(7, "b", "", NOW - 9, rss_bytes=42_000_000)
    a = replica_of(
        "a", breaker=BreakerState.OPEN, breaker_retry_at=NOW + 12, probe=probe, failures=5, reason="HTTP 500"
    )
    search = row_of(
        "search", ServerState.DEGRADED, reason=f"a: HTTP 500{ESCAPE}", replicas=(a, replica_of("b")),
        processes=(child,), calls=12_345, in_flight=2, restarts=4,
    )  # fmt: skip
    status = ConfigStatus(version=3, errors=2, error="only1mcp.yaml:4: no")
    context = ContextTotals("o200k_base", False, "compact", Cost(1234, 567), Cost(), Cost(), None)
    savings = Savings((CacheRow("tools/list", "files", 3, 1, entries=2, bytes=9000),), ())
    more: Any = {"notices": (Notice("warning", "Mind the gap."),), "context": context, "savings": savings}
    gateway.use(row_of("files", drill="delay 500 ms"), search, config=status, clients=CLIENTS[:1], **more)
    result = run("status")
    assert result.exit_code == 0
    head, *rest = result.stdout.splitlines()
    assert head == "only1mcp 0.1.0 on http://127.0.0.1:8080/mcp, up 2h14m"
    said = " ".join(" ".join(rest).split())
    for words in (
        "version 3, 2 reloads refused, ▲ the file is not in force: only1mcp.yaml:4: no",
        "totals: 0 calls, 0 failed, 0.0/s, - % of them failed, 0 in flight, p50 -, p95 -, p99 -, 0 sessions, "
        "0 streams, loop lag 0.0ms",
        "kept: 2 answers, 9 kB, 3 calls saved, 100 % of answers needed no call",
        "lists of tools: 1,234 tokens, 567 of them shown",
        "(compact, o200k_base, being counted anew)",
        "clients: 1 claude-code (anon), ◆ 2026-07-28, 812 requests, 2s ago",
        "SERVER STATE INFL CALLS RPS ERR % P95 MEMORY",
        "search ▲ degraded 2 12.3k 0.0 - - 42 MB ▸ a: HTTP 500",
        "4 restarts",
        "├ a ⊘ breaker open 0 0 - - - - ▸ breaker open, tried again in 12s: HTTP 500",
        "probe 3s HTTP 500 390ms, 5 failed",
        "└ b ● healthy 0 0 - - - 42 MB",
        "▸ DRILL delay 500 ms",
    ):
        assert words in said, words
    assert "Mind the gap." in result.stderr
    assert "\x1b" not in result.output


@pytest.mark.parametrize("control", [busy_control, replicated_control, many_clients])
def test_status_fits_80_columns(gateway: FakeRemote, control: Callable[[], FakeControl]):
    gateway.current = control().current
    lines = run("status").stdout.splitlines()
    assert max(map(len, lines)) <= 80


def test_status_as_json_is_the_picture(gateway: FakeRemote):
    told = as_json("status")
    assert [row["id"] for row in told["servers"]] == ["files", "search"]
    assert told["servers"][0]["state"] == "healthy"
    assert told["servers"][1]["replicas"][1]["id"] == "b"


# --- reload ---------------------------------------------------------------------------------------------------

PLAN = ReloadPlan(
    (
        PlannedServer("files", Action.KEEP),
        PlannedServer("new", Action.ADD),
        PlannedServer(
            "search",
            Action.REPLACE,
            ("replicas",),
            (PlannedReplica("a", Action.KEEP), PlannedReplica("b", Action.DRAIN, 2, 1)),
            2,
            1,
        ),
    ),
    ("limits.calls",),
    ("proxy.port",),
)


@pytest.mark.parametrize(("arguments", "done"), [(("--plan",), 0), ((), 1)])
def test_a_plan_is_shown_before_it_is_done_or_after(gateway: FakeRemote, arguments: tuple[str, ...], done: int):
    gateway.plan = PLAN
    result = run("reload", *arguments)
    assert (result.exit_code, gateway.reloads) == (0, done)
    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows[1:6] == [
        ["keep", "files", "0", "0"],
        ["add", "new"],
        ["replace", "search", "2", "1", "replicas"],
        ["keep", "├", "a", "0", "0"],
        ["drain", "└", "b", "2", "1"],
    ]
    assert "other keys: limits.calls" in result.stdout
    assert "restart of the gateway only: proxy.port" in result.stderr
    assert ("is in force" in result.stderr) == bool(done)


def test_a_plan_that_changes_nothing_says_so(gateway: FakeRemote):
    assert run("reload", "--plan").stdout == "Nothing would change.\n"
    told = as_json("reload", "--plan")
    assert (told["ok"], told["changes"]) == (True, False)


def test_a_file_that_cannot_be_used_is_exit_code_2_with_every_fault(gateway: FakeRemote):
    gateway.fault = ConfigError("a.yaml", (ConfigProblem("x", "one", 1), ConfigProblem("y", "two", 2)))
    for arguments in ((), ("--plan",)):
        result = run("reload", *arguments)
        assert result.exit_code == 2
        assert "a.yaml:1: x: one" in result.stderr and "a.yaml:2: y: two" in result.stderr
    told = as_json("reload", code=2)
    assert [problem["key"] for problem in told["problems"]] == ["x", "y"]


def test_rollback_goes_back_and_says_when_there_is_nothing_to_go_back_to(gateway: FakeRemote):
    gateway.plan = PLAN
    assert run("rollback").exit_code == 0
    assert gateway.rollbacks == 1
    gateway.refusal = NothingToRollBack()
    result = run("rollback")
    assert (result.exit_code, "no earlier configuration" in result.stderr) == (1, True)


# --- logs -----------------------------------------------------------------------------------------------------


def lines() -> list[LogLine]:
    return [
        LogLine(WALL, "info", "files", "one"),
        LogLine(WALL + 1, "warning", "files", f"two{ESCAPE}\nthree", (("code", "7"),)),
        LogLine(WALL + 2, "error", "proxy", "four"),
    ]


def test_logs_shows_the_last_ones_that_are_wanted(gateway: FakeRemote):
    gateway.log(*lines())
    assert [line.split()[-1] for line in run("logs", "-n", "1").stdout.splitlines()] == ["four"]
    assert len(run("logs").stdout.splitlines()) == 3
    assert [line.split()[1:3] for line in run("logs", "--level", "warning").stdout.splitlines()] == [
        ["warning", "files"],
        ["error", "proxy"],
    ]
    assert run("logs", "--source", "proxy").stdout.count("\n") == 1
    assert run("logs", "-n", "0").stdout == ""


def test_a_log_line_stays_one_line_and_steers_no_terminal(gateway: FakeRemote):
    gateway.log(lines()[1])
    shown = run("logs").stdout
    assert shown.count("\n") == 1 and "\x1b" not in shown and "code=7" in shown


def test_logs_as_json_is_one_object_a_line(gateway: FakeRemote):
    gateway.log(*lines())
    told = [json.loads(line) for line in run("logs", "--json").stdout.splitlines()]
    assert [line["text"] for line in told] == ["one", f"two{ESCAPE}\nthree", "four"]
    assert told[1]["fields"] == {"code": "7"}


def test_following_tells_each_new_line_once_until_ctrl_c(gateway: FakeRemote, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("only1mcp_tui.cli.logs.PAUSE_S", 0)
    waiting = lines()

    def say_one_more() -> None:
        if not waiting:
            raise KeyboardInterrupt
        gateway.log(waiting.pop(0))

    gateway.on_refresh = say_one_more
    result = run("logs", "-f", "--json")
    assert result.exit_code == 0
    assert [json.loads(line)["text"] for line in result.stdout.splitlines()][::2] == ["one", "four"]


# --- wait -----------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("only1mcp_tui.cli.wait.PAUSE_S", 0)


@pytest.mark.usefixtures("quick")
def test_wait_ends_when_all_that_are_enabled_are_in_service(gateway: FakeRemote):
    off = row_of("off", ServerState.DISABLED)
    later = [ServerState.STARTING, ServerState.UNHEALTHY, ServerState.DEGRADED]
    gateway.use(row_of("files", ServerState.STARTING), off)
    gateway.on_refresh = lambda: gateway.use(row_of("files", later.pop(0)), off)
    assert run("wait", "--healthy").exit_code == 0
    assert later == []


@pytest.mark.usefixtures("quick")
def test_wait_says_who_is_missing_and_why(gateway: FakeRemote):
    bad = row_of("search", ServerState.FAILED, reason="it crashed 5 times", retry_at=NOW + 30)
    gateway.use(row_of("files"), bad)
    result = run("wait", "--healthy", "--timeout", "0")
    assert result.exit_code == 1
    assert result.stderr == "only1mcp: search is failed: it crashed 5 times; started again in 30 s\n"
    assert run("wait", "--healthy", "files", "--timeout", "0").exit_code == 0
    told = as_json("wait", "--healthy", "--timeout", "0", "search", "nope", code=1)
    assert [(one["target"], one["state"]) for one in told["missing"]] == [
        ("search", "failed"),
        ("nope", "unknown"),
    ]


@pytest.mark.usefixtures("quick")
def test_wait_waits_for_the_gateway_itself_too(gateway: FakeRemote):
    gateway.is_up = False
    tries = 0

    def come_up_at_the_third() -> None:
        nonlocal tries
        tries += 1
        gateway.is_up = tries == 3

    gateway.on_refresh = come_up_at_the_third
    assert run("wait").exit_code == 0
    gateway.is_up, gateway.on_refresh = False, lambda: None
    result = run("wait", "--timeout", "0")
    assert (result.exit_code, "the gateway is not there" in result.stderr) == (1, True)


@pytest.mark.usefixtures("quick")
def test_a_gateway_that_knows_no_server_yet_is_asked_again(gateway: FakeRemote):
    """Its port is open before its servers are known."""
    gateway.use(servers=())
    gateway.on_refresh = lambda: gateway.use(row_of("files", ServerState.STARTING))
    assert run("wait", "--healthy", "--timeout", "0.05").exit_code == 1


def test_servers_are_waited_for_only_if_that_is_said(gateway: FakeRemote):
    assert run("wait", "files").exit_code == 2


# --- monitor --------------------------------------------------------------------------------------------------


def test_monitor_without_a_terminal_says_what_else_there_is(gateway: FakeRemote):
    result = run("monitor")
    assert result.exit_code == 1
    assert "only1mcp status" in result.stderr


@pytest.fixture
def watched(gateway: FakeRemote, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Where each screen was opened."""
    opened: list[Any] = []
    monkeypatch.setattr(monitor, "_can_draw", lambda: True)
    monkeypatch.setattr(monitor, "watch", lambda address, **how: opened.append(address) or 0)
    return opened


def test_monitor_takes_a_target_of_any_kind_or_none(watched: list[Any], home: Path):
    (home / "only1mcp.yaml").write_text("admin: {socket: named.sock}\n")
    for arguments in (
        (),
        ("some.sock",),
        ("https://example.com:1/mcp",),
        ("ssh://ada@build:22/run/x.sock",),
        ("--socket", "other.sock"),
        ("--url", "http://b/mcp"),
    ):
        assert run("monitor", *arguments).exit_code == 0
    assert watched == [
        home / "named.sock",
        home / "some.sock",
        "https://example.com:1",
        "ssh://ada@build:22/run/x.sock",
        home / "other.sock",
        "http://b",
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("a.sock", "--socket", "b.sock"),
        ("a.sock", "--url", "http://b"),
        ("ftp://b",),
        ("ssh://-oProxyCommand=x",),
        ("--port", "80"),
        ("--host", "127.0.0.2"),
    ],
)
def test_monitor_refuses_targets_that_are_none(watched: list[Any], arguments: tuple[str, ...]):
    assert run("monitor", *arguments).exit_code == 2
    assert watched == []


def test_no_command_of_these_loads_a_screen():
    script = (
        "import sys\nfrom importlib import import_module\nfrom only1mcp_tui.cli import SUBCOMMANDS\n"
        "for module, _ in SUBCOMMANDS.values():\n    import_module(f'only1mcp_tui.cli.{module}')\n"
        "sys.exit(' '.join({'textual', 'plotext'} & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
