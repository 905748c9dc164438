"""`only1mcp bench` as a person types it: what it says before, what it shows after, and what it refuses."""

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from only1mcp_tui.cli import bench, only1mcp
from proxy_core.load.tally import FaultCount, LoadResult
from tests.support.backend_server import (
    DISCOVERED,
    INITIALIZED,
    BackendServer,
    accepts,
    answers,
    rpc_error,
    serving,
)

LOOK = {"name": "look", "annotations": {"readOnlyHint": True}, "inputSchema": {"type": "object"}}
CHANGE = {"name": "change", "inputSchema": {"type": "object"}}
QUICK = ("--connections", "2", "--duration", "0.5")


def table() -> dict[str, Any]:
    return {
        "server/discover": answers(DISCOVERED),
        "initialize": answers(INITIALIZED, Mcp_Session_Id="abc"),
        "notifications/initialized": accepts,
        "DELETE": accepts,
        "ping": answers({}),
        "tools/list": answers({"tools": [LOOK, CHANGE]}),
        "tools/call": answers({"content": [{"type": "text", "text": "done"}]}),
    }


@pytest.fixture
def server() -> Iterator[BackendServer]:
    """In a thread of its own, for the command has the loop of this one."""
    ready: list[BackendServer] = []
    is_ready, may_end = threading.Event(), threading.Event()

    async def serve() -> None:
        async with serving(table()) as server:
            ready.append(server)
            is_ready.set()
            while not may_end.is_set():
                await asyncio.sleep(0.01)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert is_ready.wait(10)
    yield ready[0]
    may_end.set()
    thread.join()


def run(*arguments: str, typed: str | None = None) -> Result:
    result = CliRunner().invoke(only1mcp, ("bench", *arguments), prog_name="only1mcp", input=typed)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_it_lists_tools_unless_told_otherwise_and_shows_how_it_went(server: BackendServer):
    result = run(server.url, *QUICK, "--yes")
    assert result.exit_code == 0, result.output
    assert (
        f"Asks {server.url} (2026-07-28) for tools/list, over and over: as fast as it answers" in result.stderr
    )
    assert "2 connections" in result.stderr
    words = [line.split() for line in result.stdout.splitlines()]
    assert words[0] == ["IN", "0.5", "s"]
    assert ["failed", "0"] in words
    assert all(any(line[:1] == [name] for line in words) for name in ("p50", "p90", "p99", "p99.9"))
    assert set(server.keys) == {"server/discover", "tools/list"}


def test_json_is_for_machines(server: BackendServer):
    result = run(server.url, *QUICK, "--yes", "--rate", "100", "--json")
    found = json.loads(result.stdout)
    assert (found["url"], found["method"], found["tool"]) == (server.url, "tools/list", None)
    assert (found["rate"], found["connections"], found["revision"]) == (100.0, 2, "2026-07-28")
    assert 49 <= found["requests"] == found["good"] <= 51
    assert set(found["latency_ms"]) == {"p50", "p90", "p99", "p99.9", "longest"}
    assert found["faults"] == []


def test_a_tool_is_called_only_if_it_is_named_and_what_it_may_do_is_said(server: BackendServer):
    result = run(server.url, *QUICK, "--yes", "--tool", "change", "--arguments", '{"to": 1}')
    assert result.exit_code == 0, result.output
    assert 'the tool change with {"to": 1}' in result.stderr
    assert "does not say that it only reads" in result.stderr
    call = server.of("tools/call")[0]
    assert call.message["params"]["name"] == "change" and call.message["params"]["arguments"] == {"to": 1}
    assert "only reads" not in run(server.url, *QUICK, "--yes", "--tool", "look").stderr


@pytest.mark.parametrize(("typed", "starts"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_it_asks_first(server: BackendServer, monkeypatch: pytest.MonkeyPatch, typed: str, starts: bool):
    monkeypatch.setattr(bench, "_has_terminal", lambda: True)
    result = run(server.url, *QUICK, "--tool", "change", typed=typed)
    assert "Start?" in result.stderr
    assert (len(server.of("tools/call")) > 0) is starts
    assert result.exit_code == (0 if starts else 1)


def test_where_nobody_can_be_asked_nothing_is_started(server: BackendServer):
    result = run(server.url, *QUICK)
    assert result.exit_code == 2 and "say --yes" in result.stderr
    assert server.seen == []


def test_the_era_can_be_chosen(server: BackendServer):
    result = run(server.url, *QUICK, "--yes", "--era", "legacy", "--method", "ping")
    assert result.exit_code == 0, result.output
    assert "(2025-06-18) for ping" in result.stderr
    assert server.keys[0] == "initialize" and server.keys[-1] == "DELETE"


def test_a_token_comes_from_the_environment(server: BackendServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BENCH_TOKEN", "hunter2")
    result = run(server.url, *QUICK, "--yes", "--token-env", "BENCH_TOKEN")
    assert {seen.headers["Authorization"] for seen in server.seen} == {"Bearer hunter2"}
    assert "hunter2" not in result.output


def test_failures_are_shown_and_end_with_an_exit_code_of_their_own(server: BackendServer):
    server.table["tools/list"] = [answers({"tools": []}), rpc_error(-32000)]
    result = run(server.url, *QUICK, "--yes")
    assert result.exit_code == 1
    assert "JSON-RPC error -32000" in result.stdout
    assert "failed." in result.stderr


def test_what_fails_at_once_is_not_loaded(server: BackendServer):
    server.table["tools/list"] = rpc_error(-32000)
    result = run(server.url, *QUICK, "--yes")
    assert result.exit_code == 1
    assert "Nothing was loaded, for the first request failed: JSON-RPC error -32000: no" in result.stderr
    assert len(server.of("tools/list")) == 1


def test_a_load_in_which_nothing_was_asked_is_no_success(server: BackendServer):
    """A rate so low that the second request would be due after the end, and the first is one of warming up."""
    result = run(server.url, *QUICK, "--yes", "--rate", "0.1")
    assert result.exit_code == 1
    assert "No request both began and ended in the time that counts" in result.stderr
    assert len(server.of("tools/list")) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--tool", "chnge"), 4, "no tool 'chnge'; did you mean change?"),
        (("--method", "ping"), 2, "2026-07-28 has no ping"),
        (("--method", "tools/call"), 2, "is not one of"),
        (("--method", "ping", "--tool", "look"), 2, "give one"),
        (("--arguments", "{}"), 2, "name it with --tool"),
        (("--tool", "look", "--arguments", "{"), 2, "--arguments is not JSON"),
        (("--tool", "look", "--arguments", "[]"), 2, "wants a JSON object"),
        (("--duration", "61"), 2, "is not in the range"),
        (("--connections", "513"), 2, "is not in the range"),
        (("--connections", "0"), 2, "is not in the range"),
        (("--rate", "50001"), 2, "is not in the range"),
        (("--rate", "nan"), 2, "--rate"),
        (("--duration", "nan"), 2, "--duration"),
        (("--token-env", "NO_SUCH_VARIABLE"), 2, "no environment variable NO_SUCH_VARIABLE"),
    ],
)
def test_bad_wishes_say_what_is_wrong(server: BackendServer, arguments: tuple[str, ...], code: int, words: str):
    result = run(server.url, "--yes", *arguments)
    assert result.exit_code == code
    assert words in result.stderr
    assert server.of("tools/call") == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("127.0.0.1:8080/mcp", "no http:// or https:// URL"),
        ("http://192.0.2.1/mcp", "leads to another machine (192.0.2.1)"),
        ("http://u:p@127.0.0.1/mcp", "--token-env"),
    ],
)
def test_bad_urls_say_what_is_wrong(url: str, words: str):
    result = run(url, "--yes")
    assert result.exit_code == 2
    assert words in result.stderr


def test_another_machine_is_loaded_only_by_whoever_says_that_it_is_his(monkeypatch: pytest.MonkeyPatch):
    """Nothing is sent here: the way there is cut at its first step."""

    def greeted(*given: Any) -> Any:
        raise RuntimeError("would be greeted")

    monkeypatch.setattr(bench, "greeted", greeted)
    result = CliRunner().invoke(only1mcp, ("bench", "http://192.0.2.1/mcp", "--yes", "--yes-it-is-mine"))
    assert str(result.exception) == "would be greeted"


def test_what_a_server_said_cannot_steer_a_terminal():
    fault = FaultCount("HTTP 500", 3, "\x1b]0;owned\x07" + "x" * 500)
    result = LoadResult(1.0, 3, 0, 0.0, {}, 0.0, 0.4, 10, 2, (fault,))
    text = "\n".join(bench.lines(result, is_paced=True))
    assert "\x1b" not in text and max(map(len, text.splitlines())) <= 100
    assert "connections replaced  2" in text and "0.40 ms late" in text
