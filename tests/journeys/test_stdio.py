"""`only1mcp stdio`, alone and as a bridge to a running gateway, driven by raw lines and the official client."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support import plans
from tests.support.gateway_process import GatewayProcess, serving, stdio, write_config
from tests.support.pipe_client import PipeClient, cancelled, connected, initialize, modern, notification
from tests.support.processes import bad_command, demo_command, eventually, is_alive, quiet_env, sdk_command
from tests.support.recorded import talking
from tests.support.survey import survey

Json = dict[str, Any]
LISTED_TOOL = "sdk__steps"
SERVERS = (stdio("sdk", sdk_command()), stdio("clock", demo_command("clock")))
ways = pytest.mark.parametrize("way", ["alone", "bridge"])
eras = pytest.mark.parametrize("era", ["legacy", "modern"])


@dataclass(frozen=True)
class House:
    """A gateway that runs, and the configuration that it runs with."""

    folder: Path
    gateway: GatewayProcess
    config: Path

    def arguments(self, way: str) -> tuple[str, ...]:
        if way == "alone":
            return ("stdio", "--config", str(self.config))
        return ("stdio", "--to", self.gateway.url)

    def command(self, way: str) -> tuple[str, ...]:
        return (sys.executable, "-m", "only1mcp_tui", *self.arguments(way))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    with serving(folder, SERVERS) as gateway:
        yield House(folder, gateway, folder / "only1mcp.yaml")


@dataclass
class Stage:
    client: PipeClient
    process: GatewayProcess

    async def ends(self) -> int:
        """Waits for its end; the exit code. Nothing of it may be left."""
        code = self.process.wait()
        eventually(lambda: not self.process.leftovers(), f"nothing is left: {self.process.leftovers()}")
        return code


@asynccontextmanager
async def started(folder: Path, arguments: Sequence[str], **env: str) -> AsyncIterator[Stage]:
    """The command with a raw client at its pipe; afterwards it must have ended by itself."""
    (its_in, our_out), (our_in, its_out) = os.pipe(), os.pipe()
    process = GatewayProcess(folder, arguments, env, stdin=its_in, stdout=its_out)
    os.close(its_in)
    os.close(its_out)
    client = await connected(our_in, our_out)
    try:
        yield Stage(client, process)
    finally:
        client.end()
        process.close()
        client.hang_up()


async def _open(stage: Stage, era: str, tool: str = LISTED_TOOL) -> None:
    """A session where there are any; then wait until the tool is there."""
    if era == "legacy":
        await stage.client.initialize()
    while tool not in await _tools(stage, era):
        stage.client.heard.clear()


async def _tools(stage: Stage, era: str) -> set[str]:
    answer = await _ask(stage, era, "tools/list", id="tools")
    return {tool["name"] for tool in answer["result"]["tools"]}


async def _ask(stage: Stage, era: str, method: str, params: Json | None = None, id: Any = 1) -> Json:
    ask = stage.client.ask if era == "legacy" else stage.client.ask_modern
    return await ask(method, params, id=id)


def _called(era: str, name: str, arguments: Json, id: Any) -> Json:
    params = {"name": name, "arguments": arguments}
    if era == "modern":
        return modern("tools/call", params, id, {"progressToken": "tok"})
    meta = {"_meta": {"progressToken": "tok"}}
    return {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params | meta}


# --- what a client gets


@ways
@pytest.mark.parametrize("mode", ["legacy", "auto", "2026-07-28"])
async def test_the_official_client_gets_exactly_what_the_server_answers(house: House, way: str, mode: str):
    async with talking(house.command(way), mode) as talk:
        through = await survey(talk, plans.SDK, "sdk")
    async with talking(sdk_command(), "legacy" if mode == "legacy" else "auto") as talk:
        assert through == await survey(talk, plans.SDK)


@ways
@eras
async def test_progress_comes_before_the_result_and_a_cancel_reaches_the_server(
    tmp_path: Path, house: House, way: str, era: str
):
    async with started(tmp_path, house.arguments(way)) as stage:
        await _open(stage, era)
        stage.client.heard.clear()
        stage.client.send(_called(era, "sdk__steps", {"text": "go", "count": 3}, "a"))
        await stage.client.answer("a")
        told = [message for message in stage.client.heard if message.get("method") == "notifications/progress"]
        assert [message["params"]["message"] for message in told] == ["go 0", "go 1", "go 2"]
        assert {message["params"]["progressToken"] for message in told} == {"tok"}

        mark = f"{way}-{era}"
        stage.client.send(_called(era, "sdk__wait", {"mark": mark, "seconds": 300}, 7))
        await stage.client.until(lambda m: m.get("params", {}).get("message") == f"began {mark}")
        stage.client.send(cancelled(7))
        while f"cancelled {mark}" not in await _history(stage, era):
            pass
        assert not [message for message in stage.client.heard if message.get("id") == 7]


async def _history(stage: Stage, era: str) -> list[str]:
    answer = await _ask(stage, era, "tools/call", {"name": "sdk__history", "arguments": {}}, id="h")
    return list(answer["result"]["structuredContent"]["result"])


@ways
@pytest.mark.requirement("L18")
async def test_discover_and_initialize_on_one_pipe_are_both_served(tmp_path: Path, house: House, way: str):
    async with started(tmp_path, house.arguments(way)) as stage:
        discovered = await stage.client.ask_modern("server/discover", id="d")
        assert "2026-07-28" in discovered["result"]["supportedVersions"]
        assert (await stage.client.initialize("2025-06-18"))["result"]["protocolVersion"] == "2025-06-18"
        await _open(stage, "modern")
        legacy, modern_ = await _tools(stage, "legacy"), await _tools(stage, "modern")
        assert legacy == modern_


@ways
async def test_lists_that_change_reach_a_session_and_a_listen(tmp_path: Path, way: str):
    gate = tmp_path / "gate"
    wait = f"while [ ! -e {gate} ]; do sleep 0.02; done; exec "
    late = stdio("late", ("sh", "-c", wait + " ".join(demo_command("clock"))))
    config = write_config(tmp_path, [late])
    async with _either(way, tmp_path, config) as stage:
        await stage.client.initialize()
        stage.client.send(modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, "s"))
        await stage.client.until(lambda m: m.get("method", "").endswith("acknowledged"))
        gate.touch()
        tags = set()
        while tags != {None, "s"}:
            changed = await stage.client.until(lambda m: m.get("method", "").endswith("tools/list_changed"))
            meta = changed.get("params", {}).get("_meta", {})
            tags.add(meta.get("io.modelcontextprotocol/subscriptionId"))


@asynccontextmanager
async def _either(way: str, folder: Path, config: Path) -> AsyncIterator[Stage]:
    if way == "alone":
        async with started(folder, ("stdio", "--config", str(config))) as stage:
            yield stage
        return
    behind = GatewayProcess(_sub(folder, "behind"), ["--config", str(config), "--headless", "--port", "0"])
    try:
        async with started(folder, ("stdio", "--to", behind.url)) as stage:
            yield stage
    finally:
        behind.close()


def _sub(folder: Path, name: str) -> Path:
    sub = folder / name
    sub.mkdir()
    return sub


async def test_many_clients_share_one_gateway_and_its_servers(tmp_path: Path, house: House):
    async with started(tmp_path, house.arguments("bridge")) as first:
        await _open(first, "legacy")
        before = {process.pid for process in house.gateway.children()}
        async with started(_sub(tmp_path, "second"), house.arguments("bridge")) as second:
            await _open(second, "modern")
            assert {process.pid for process in house.gateway.children()} == before
            assert second.process.children() == []
            for stage, era in ((first, "legacy"), (second, "modern")):
                answer = await _ask(
                    stage, era, "tools/call", {"name": "clock__now", "arguments": {}}, id="same"
                )
                assert "result" in answer


# --- nothing but MCP on stdout


@pytest.mark.requirement("L17")
@pytest.mark.parametrize("level", ["debug", "error"])
async def test_stdout_holds_nothing_but_mcp_whatever_the_servers_do(tmp_path: Path, level: str):
    # None of them will ever be up: lists need not wait for them as long as for others.
    soon = {"connect_s": 1}
    faults = [
        stdio(fault, bad_command(fault), timeouts=soon) for fault in ("crash", "garbage", "flood", "nonsense")
    ]
    missing = stdio("missing", ("/no/such/program",))
    servers = [*faults, missing, stdio("sdk", sdk_command())]
    config = write_config(tmp_path, servers, logging={"level": level})
    async with started(tmp_path, ("stdio", "--config", str(config))) as stage:
        # PipeClient parses every line, and asserts that it is whole.
        await _open(stage, "legacy")
        await _open(stage, "modern")
        assert all(message["jsonrpc"] == "2.0" for message in stage.client.heard)
        stage.client.end()
        assert await stage.ends() == 0
        while await stage.client.next() is not None:
            pass
    assert ("nothing but" not in stage.process.log) and ("crash" in stage.process.log or level == "error")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--config", "missing.yaml"), "missing.yaml"),
        (("--to", "localhost:8080"), "--to wants"),
        (
            ("--to", "http://localhost:8080/mcp", "--profile", "review"),
            "the profile stands at the end of the URL",
        ),
        (("--demo", "--profile", "review"), "There is no profile 'review'; the configuration has none."),
        (("--nonsense",), "nonsense"),
    ],
)
def test_wrong_usage_says_so_on_stderr_alone(tmp_path: Path, arguments: tuple[str, ...], words: str):
    command = (sys.executable, "-m", "only1mcp_tui", "stdio", *arguments)
    done = subprocess.run(command, cwd=tmp_path, env=quiet_env(tmp_path), capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, b"")
    assert words in done.stderr.decode()


BRIDGE_SCRIPT = """
import atexit, sys
heavy = ("textual", "rich", "plotext", "pydantic", "uvloop", "proxy_core.proxy", "ruamel")
atexit.register(lambda: print("HEAVY", [name for name in heavy if name in sys.modules], file=sys.stderr))
from only1mcp_tui.__main__ import main
main()
"""


def test_the_bridge_loads_nothing_that_it_does_not_need(tmp_path: Path, house: House):
    command = (sys.executable, "-c", BRIDGE_SCRIPT, *house.arguments("bridge"))
    ask = json.dumps(modern("server/discover")).encode() + b"\n"
    done = subprocess.run(command, env=quiet_env(tmp_path), input=ask, capture_output=True, timeout=60)
    assert done.returncode == 0
    assert "result" in json.loads(done.stdout)
    assert b"HEAVY []" in done.stderr


UNREAD_SCRIPT = """
from proxy_core.frontend import pipe
pipe.MAX_QUEUED_BYTES = 100
from only1mcp_tui.__main__ import main
main()
"""


def test_a_client_that_does_not_read_is_given_up_with_an_error(tmp_path: Path, house: House):
    command = (sys.executable, "-c", UNREAD_SCRIPT, *house.arguments("bridge"))
    ask = json.dumps(modern("server/discover")).encode() + b"\n"
    done = subprocess.run(command, env=quiet_env(tmp_path), input=ask, capture_output=True, timeout=60)
    assert done.returncode == 1
    assert b"unread" in done.stderr


# --- how it ends


@ways
@pytest.mark.requirement("L17")
async def test_the_end_of_stdin_ends_it_and_all_its_children(tmp_path: Path, house: House, way: str):
    async with started(tmp_path, house.arguments(way)) as stage:
        await _open(stage, "legacy")
        assert bool(stage.process.children()) == (way == "alone")
        stage.client.end()
        assert await stage.ends() == 0
        while (message := await stage.client.next()) is not None:
            assert "method" in message


@pytest.mark.requirement("L17")
@ways
def test_what_is_piped_in_is_answered_before_it_ends(tmp_path: Path, house: House, way: str):
    lines = [initialize(), notification("notifications/initialized"), modern("tools/list", id=2)]
    given = tmp_path / "in.jsonl"
    given.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with given.open() as file:
        done = subprocess.run(
            house.command(way),
            stdin=file,
            cwd=tmp_path,
            env=quiet_env(tmp_path),
            capture_output=True,
            timeout=60,
        )
    said = [json.loads(line) for line in done.stdout.splitlines()]
    answers = {message["id"]: message for message in said if "id" in message}
    assert done.returncode == 0, done.stderr
    assert set(answers) == {"init", 2}
    assert "clock__now" in str(answers[2])


@ways
@pytest.mark.requirement("C15")
async def test_a_signal_ends_it_and_its_listens_with_their_results(tmp_path: Path, house: House, way: str):
    async with started(tmp_path, house.arguments(way)) as stage:
        await _open(stage, "modern")
        stage.client.send(modern("subscriptions/listen", {"notifications": {}}, 4))
        await stage.client.until(lambda m: m.get("method", "").endswith("acknowledged"))
        stage.client.heard.clear()
        stage.process.signal(signal.SIGTERM)
        assert await stage.ends() == 0
        while await stage.client.next() is not None:
            pass
        if way == "alone":
            result, told = stage.client.heard
            assert (result["id"], result["result"]["resultType"]) == (4, "complete")
            assert told == cancelled(4)


@ways
async def test_a_client_that_closes_stdin_and_sends_a_signal_is_not_kept_waiting(
    tmp_path: Path, house: House, way: str
):
    async with started(tmp_path, house.arguments(way)) as stage:
        await _open(stage, "legacy")
        stage.client.send(_called("legacy", "sdk__wait", {"mark": "rude", "seconds": 300}, 7))
        await stage.client.until(lambda m: m.get("params", {}).get("message") == "began rude")
        stage.client.end()
        stage.process.signal(signal.SIGTERM)
        assert stage.process.wait(15) == 0
        await stage.ends()


KILLED_CLIENT = """
import subprocess, sys, time
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
child.stdin.write(sys.stdin.buffer.readline())
child.stdin.flush()
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(600)
"""


@ways
def test_a_client_that_is_killed_takes_us_with_it(tmp_path: Path, house: House, way: str):
    client = subprocess.Popen(
        (sys.executable, "-c", KILLED_CLIENT, *house.command(way)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=quiet_env(tmp_path),
        start_new_session=True,
    )
    assert client.stdin is not None and client.stdout is not None
    # Something is in flight when it happens: the list waits for servers that start.
    client.stdin.write(json.dumps(initialize()).encode() + b"\n")
    client.stdin.close()
    ours = psutil.Process(int(client.stdout.readline()))
    family = [ours, *ours.children(recursive=True)]
    client.kill()
    client.wait()
    client.stdout.close()
    eventually(lambda: not any(map(is_alive, family)), f"we are gone: {family}")
