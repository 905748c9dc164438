"""The taps change nothing that passes them and miss nothing."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.http_client import Client
from tests.support.http_tap import tapped as tapped_url
from tests.support.processes import MODULE_ENV, sdk_command, sdk_server
from tests.support.recorded import talking
from tests.support.stdio_tap import tapped as tapped_command
from tests.support.wire import call, comes_true, connected, open_call
from tests.support.wire_check import CLIENT, SERVER
from tests.support.wire_tape import Recorder, all_problems, read

modes = pytest.mark.parametrize(("mode", "revision"), [("legacy", "2025-11-25"), ("auto", "2026-07-28")])


@modes
async def test_an_http_tap_sees_both_directions_of_a_talk(mode: str, revision: str, tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    with sdk_server("http", tmp_path / "server.log") as server, tapped_url(server, tape) as url:
        async with talking(url, mode) as talk:
            tools = (await talk.ask("tools/list"))["result"]["tools"]
            await talk.ask("tools/call", "steps", {"text": "ünïcödé", "count": 2}, progress_callback=_heard)
    seen = read(tape)
    listed = next(each for each in seen if each.kind == "answer to tools/list")
    assert listed.message["result"]["tools"] == tools
    assert (listed.sender, listed.revision) == (SERVER, revision)
    assert [each.revision for each in seen if each.kind == "notifications/progress"] == [revision] * 2
    assert list(all_problems(seen)) == []


@modes
async def test_a_stdio_tap_sees_both_directions_of_a_talk(mode: str, revision: str, tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    async with talking(tapped_command(sdk_command(), tape), mode) as talk:
        tools = (await talk.ask("tools/list"))["result"]["tools"]
    seen = read(tape)
    [listed] = [each for each in seen if each.kind == "answer to tools/list"]
    assert (listed.message["result"]["tools"], listed.revision) == (tools, revision)
    assert list(all_problems(seen)) == []


async def test_a_hang_up_is_felt_behind_an_http_tap(tmp_path: Path) -> None:
    with (
        sdk_server("http", tmp_path / "server.log") as server,
        tapped_url(server, tmp_path / "tape.jsonl") as url,
    ):
        async with connected(url) as client:
            async with open_call(client, "wait", {"mark": "a", "seconds": 300}) as stream:
                await stream.next()
            await comes_true(lambda: _was_cancelled(client), "the server is told")


async def _was_cancelled(client: Client) -> bool:
    answer = await call(client, "history")
    return answer["result"]["structuredContent"]["result"] == ["cancelled a"]


def test_a_stdio_tap_ends_as_its_command_does(tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    command = tapped_command(("sh", "-c", "cat; exit 7"), tape)
    done = subprocess.run(command, input=b"one\ntwo\n", capture_output=True, env=MODULE_ENV, timeout=60)
    assert (done.returncode, done.stdout) == (7, b"one\ntwo\n")
    assert sorted((each.sender, each.text) for each in read(tape)) == [
        (CLIENT, "one"),
        (CLIENT, "two"),
        (SERVER, "one"),
        (SERVER, "two"),
    ]


def test_a_line_that_is_no_json_is_a_problem(tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    with Recorder(tape) as recorder:
        recorder.write(SERVER, b"Listening on port 80")
    assert list(all_problems(read(tape))) == ["server: no JSON: 'Listening on port 80'"]


def test_an_answer_on_another_stream_of_its_session_is_known(tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    call = {"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "add"}}
    with Recorder(tape) as recorder:
        recorder.write(CLIENT, json.dumps(call).encode(), 1, "s", "2025-11-25")
        recorder.write(SERVER, b'{"jsonrpc":"2.0","id":5,"result":{}}', 2, "s")
        recorder.write(SERVER, b'{"jsonrpc":"2.0","id":5,"result":{}}', 3, "other")
    _, resumed, foreign = read(tape)
    assert (resumed.kind, resumed.revision) == ("answer to tools/call", "2025-11-25")
    assert resumed.problems == ["server, 2025-11-25, answer to tools/call: content: Field required"]
    assert foreign.problems == [
        "server, 2026-07-28, answer to nothing known: is for a request that nobody made"
    ]


async def _heard(progress: float, total: float | None, message: str | None) -> None:
    """Progress is asked for by listening to it."""
