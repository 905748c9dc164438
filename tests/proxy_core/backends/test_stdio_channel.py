"""Real children, on both loops: what a channel starts with, says, bounds and leaves behind."""

import asyncio
import gc
import json
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import uvloop

from proxy_core.backends.channel import Outgoing
from proxy_core.backends.child_process import StopWaits, exit_words
from proxy_core.backends.guard import Guard
from proxy_core.backends.stdio_channel import StdioChannel, use_pidfd_child_watcher
from proxy_core.config.models import StdioTransport
from proxy_core.errors import BackendExited, BackendFault, BackendProtocolError, BackendUnavailable, Only1Error

SOON = StopWaits(eof_s=0.2, term_s=0.2, kill_s=20)
PATIENT = StopWaits(eof_s=20, term_s=20, kill_s=20)

ECHO = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"
HELLO = b'{"jsonrpc":"2.0","id":1,"result":{}}'


def both_loops(test: Callable[[Path], Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on asyncio's own loop and on uvloop, whose subprocesses are another implementation."""

    @pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
    def run(loop: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path) -> None:
        async def watched() -> None:
            use_pidfd_child_watcher()
            await test(tmp_path)

        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(watched())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


class Heard:
    """What a channel told the connection above it."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.skips: list[bytes] = []
        self.faults: list[BackendFault] = []
        self.stderr: list[str] = []

    def message(self, data: bytes, origin: int | None) -> bool:
        self.messages.append(data)
        return False

    def request_failed(self, request_id: int, fault: BackendFault) -> None:
        raise AssertionError("a pipe has no request of its own that could fail")

    def waits_for(self, request_id: int) -> bool:
        return False

    def will_be_polled(self, request_id: int) -> None:
        raise AssertionError("a pipe is not polled")

    def closed(self, fault: BackendFault) -> None:
        self.faults.append(fault)

    def skipped(self, reason: str, sample: bytes) -> None:
        self.skips.append(sample)


async def until(condition: Callable[[], Any], within_s: float = 60) -> Any:
    async with asyncio.timeout(within_s):
        while not (value := condition()):
            await asyncio.sleep(0.005)
    return value


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def python(code: str, **more: Any) -> StdioTransport:
    return StdioTransport(command=sys.executable, args=("-c", code), **more)


def shell(code: str, **more: Any) -> StdioTransport:
    return StdioTransport(command="sh", args=("-c", code), **more)


@asynccontextmanager
async def running(
    transport: StdioTransport, waits: StopWaits = SOON
) -> AsyncIterator[tuple[StdioChannel, Heard]]:
    """An open channel under a guard of its own; both are closed at the end."""
    guard, heard = Guard(), Heard()
    await guard.start()
    channel = StdioChannel("demo", transport, heard, guard, heard.stderr.append, waits)
    try:
        await channel.open()
        yield channel, heard
    finally:
        await channel.aclose()
        await guard.aclose()


# --- what it starts with ------------------------------------------------------------------------------------


@pytest.mark.requirement("B09")
async def test_a_child_sees_only_the_variables_it_needs_and_those_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GATEWAY_SECRET", "hush")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    monkeypatch.setenv("MY_ONE", "1")
    monkeypatch.setenv("LANG", "C")
    transport = python(
        "import json, os; print(json.dumps(dict(os.environ)), flush=True)",
        env={"TOKEN": "a b'\"$`\n"},
        inherit_env=("HTTPS_PROXY", "MY_*"),
    )
    async with running(transport) as (_, heard):
        env = json.loads((await until(lambda: heard.messages))[0])
    # The shell that holds a child back adds what it keeps for itself.
    added = {"PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"}
    needed = {"HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "LANG", "TMPDIR"}
    marks = {"ONLY1MCP_RUN", "ONLY1MCP_CHILD", "ONLY1MCP_PARENT"}
    assert env.keys() - added <= needed | marks | {"HTTPS_PROXY", "MY_ONE", "TOKEN"}
    assert (env["TOKEN"], env["MY_ONE"], env["LANG"]) == ("a b'\"$`\n", "1", "C")
    assert "hush" not in str(env)


async def test_arguments_reach_the_child_as_they_are() -> None:
    args = ("$HOME", "; exit 1", "`id`", "a b", "", "-e", "*", "ü\n")
    transport = StdioTransport(
        command=sys.executable, args=("-c", "import json, sys; print(json.dumps(sys.argv[1:]))", *args)
    )
    async with running(transport) as (_, heard):
        assert tuple(json.loads((await until(lambda: heard.messages))[0])) == args


async def test_a_child_runs_in_its_folder_and_a_relative_command_is_found_there(tmp_path: Path) -> None:
    program = tmp_path / "server"
    program.write_text('#!/bin/sh\nprintf \'["%s"]\\n\' "$(pwd -P)"\n')
    program.chmod(0o755)
    async with running(StdioTransport(command="./server", cwd=str(tmp_path))) as (_, heard):
        assert json.loads((await until(lambda: heard.messages))[0]) == [str(tmp_path.resolve())]


@pytest.mark.parametrize(
    ("transport", "words"),
    [
        ({"command": "no-such-program-x"}, "command not found: no-such-program-x (looked in PATH "),
        ({"command": "/no/such/program"}, "command not found: /no/such/program"),
        ({"command": "sh", "cwd": "/no/such/folder"}, "cwd does not exist: /no/such/folder"),
        ({"command": "sh", "cwd": "/etc/passwd"}, "cwd is not a folder: /etc/passwd"),
        ({"command": "/etc/passwd"}, "command not executable: /etc/passwd"),
        ({"command": "sh", "env": {"a.b": "1"}}, "env: the name 'a.b' cannot be used"),
        ({"command": "sh", "args": ("a\0b",)}, "may not hold a NUL"),
        ({"command": "tool", "env": {"PATH": "/no/such/path"}}, "(looked in PATH /no/such/path)"),
    ],
)
async def test_what_cannot_start_is_said_in_words_and_kept_from_clients(
    transport: dict[str, Any], words: str
) -> None:
    with pytest.raises(BackendUnavailable) as caught:
        async with running(StdioTransport(**transport)):
            pass
    assert words in caught.value.detail
    assert caught.value.message == "The server's program could not be started."


async def test_a_file_that_is_not_executable_is_found_and_named(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("")
    with pytest.raises(BackendUnavailable) as caught:
        async with running(StdioTransport(command="tool", env={"PATH": str(tmp_path)})):
            pass
    assert caught.value.detail == f"command not executable: {tmp_path / 'tool'}"


# --- messages -----------------------------------------------------------------------------------------------


@both_loops
async def test_messages_go_out_and_come_back_in_order(_: Path) -> None:
    sent = [b'{"jsonrpc":"2.0","id":%d,"method":"ping"}' % number for number in range(500)]
    async with running(python(ECHO)) as (channel, heard):
        for data in sent:
            await channel.send(Outgoing(data))
        await until(lambda: len(heard.messages) == len(sent))
    assert heard.messages == sent
    assert heard.faults == []


@both_loops
async def test_a_message_larger_than_every_buffer_passes_both_ways(_: Path) -> None:
    big = b'{"jsonrpc":"2.0","id":1,"result":"' + b"x" * 8_000_000 + b'"}'
    async with running(python(ECHO)) as (channel, heard):
        await channel.send(Outgoing(big))
        await until(lambda: heard.messages)
    assert heard.messages == [big]


@pytest.mark.requirement("B10")
async def test_a_line_that_is_not_json_is_skipped_and_bounded() -> None:
    words = ("Server started", "x" * 9000, "", HELLO.decode())
    async with running(python(f"print(*{words}, sep='\\n', flush=True); input()")) as (_, heard):
        await until(lambda: heard.messages)
        assert heard.messages == [HELLO]
        assert heard.skips == [b"Server started", b"x" * 200]
        assert heard.faults == []


async def test_a_flood_of_garbage_is_reported_with_a_bound() -> None:
    code = f"print('garbage\\n' * 100_000); print({HELLO.decode()!r}, flush=True); input()"
    async with running(python(code)) as (_, heard):
        await until(lambda: heard.messages)
        assert 0 < len(heard.skips) < 10_000


@pytest.mark.requirement("B10")
@both_loops
async def test_a_line_of_20_mb_kills_that_child_only(_: Path) -> None:
    code = "import sys\nwhile True: sys.stdout.write('{' + 'x' * 20_000_000 + '\\n')"
    async with running(python(ECHO)) as (other, heard_other), running(python(code)) as (channel, heard):
        await until(lambda: heard.faults)
        await until(lambda: channel.exit_description)
        await other.send(Outgoing(HELLO))
        await until(lambda: heard_other.messages)
    assert [type(fault) for fault in heard.faults] == [BackendProtocolError]
    assert heard.faults[0].message == "The server wrote a line longer than 16 MiB."
    assert channel.exit_description == "was killed by SIGKILL"
    assert heard.messages == []
    assert heard_other.faults == []


@both_loops
async def test_a_child_that_does_not_read_is_given_up_once_16_mib_wait(_: Path) -> None:
    async with running(shell("sleep 1000")) as (channel, heard):
        with pytest.raises(BackendProtocolError, match="does not read"):
            for _number in range(100):
                await channel.send(Outgoing(b"{" + b"x" * 1_000_000 + b"}"))
                await asyncio.sleep(0)
        await until(lambda: channel.exit_description)
    assert [fault.message for fault in heard.faults] == ["The server does not read what it is sent."]


@both_loops
async def test_sending_to_a_dead_child_says_how_it_ended(_: Path) -> None:
    async with running(shell("exit 3")) as (channel, heard):
        await until(lambda: heard.faults)
        for _number in range(20):
            with pytest.raises(BackendExited, match="process exited with code 3"):
                await channel.send(Outgoing(HELLO))


@both_loops
async def test_sending_while_the_child_dies_raises_nothing_but_ours(_: Path) -> None:
    async with running(python("input()")) as (channel, heard):
        while not heard.faults:
            with suppress(Only1Error):
                await channel.send(Outgoing(HELLO))
            await asyncio.sleep(0)
    assert [type(fault) for fault in heard.faults] == [BackendExited]


# --- stderr and the end -------------------------------------------------------------------------------------


@both_loops
async def test_a_child_that_dies_at_once_leaves_its_last_words(_: Path) -> None:
    code = f"echo '{HELLO.decode()}'; echo 'Error: no API key' >&2; printf 'bye \\377' >&2; exit 1"
    async with running(shell(code)) as (channel, heard):
        await until(lambda: heard.faults)
        assert heard.messages == [HELLO]
        assert heard.stderr == ["Error: no API key", "bye \ufffd"]
        assert heard.faults[0].message == "The server's process exited with code 1."
        assert channel.exit_description == "exited with code 1"
    assert len(heard.faults) == 1


@both_loops
async def test_a_killed_child_names_its_signal(_: Path) -> None:
    async with running(shell("kill -9 $$")) as (_channel, heard):
        await until(lambda: heard.faults)
        assert heard.faults[0].message == "The server's process was killed by SIGKILL."


def test_every_exit_has_words() -> None:
    assert [exit_words(code) for code in (0, 127, -15, -63)] == [
        "exited with code 0",
        "exited with code 127",
        "was killed by SIGTERM",
        "was killed by signal 63",
    ]


async def test_a_child_that_closes_its_output_and_stays_is_ended() -> None:
    """Not on uvloop on Linux, whose children hold a second descriptor of each pipe."""
    async with running(shell("exec >&-; exec sleep 1000")) as (_channel, heard):
        await until(lambda: heard.faults)
        assert heard.faults[0].message == "The server's process closed its output and was killed."


async def test_a_flood_on_stderr_is_bounded_and_its_end_kept() -> None:
    code = "import sys; [print('line', n, file=sys.stderr) for n in range(200_000)]; sys.exit('x' * 9000)"
    async with running(python(code)) as (_, heard):
        await until(lambda: heard.faults)
    assert len(heard.stderr) < 20_000
    assert heard.stderr[0] == "line 0"
    assert heard.stderr[-2] == "line 199999"
    assert heard.stderr[-1] == "x" * 4096
    assert any("lines left out" in line for line in heard.stderr)


@pytest.mark.requirement("B09")
@both_loops
async def test_a_polite_child_ends_when_its_stdin_does(tmp_path: Path) -> None:
    note = tmp_path / "note"
    code = (
        f"import sys; sys.stdin.read(); open({str(note)!r}, 'w').write('bye'); print('gone', file=sys.stderr)"
    )
    async with running(python(code), PATIENT) as (channel, heard):
        await channel.send(Outgoing(HELLO))
    assert note.read_text() == "bye"
    assert channel.exit_description == "exited with code 0"
    assert heard.stderr == ["gone"]
    assert heard.faults == []


@pytest.mark.requirement("B09")
@both_loops
async def test_a_child_that_ignores_the_end_of_stdin_gets_sigterm(_: Path) -> None:
    waits = StopWaits(eof_s=0.1, term_s=60, kill_s=60)
    async with running(shell("trap 'exit 7' TERM; echo '{}'; while :; do sleep 0.05; done"), waits) as (
        channel,
        heard,
    ):
        await until(lambda: heard.messages)
    assert channel.exit_description == "exited with code 7"


@pytest.mark.requirement("B09")
@both_loops
async def test_a_child_that_ignores_stdin_and_sigterm_is_killed(_: Path) -> None:
    async with running(shell("trap '' TERM; echo '{}'; while :; do sleep 1; done")) as (channel, heard):
        await until(lambda: heard.messages)
        await channel.aclose()
        await channel.aclose()
        assert channel.exit_description == "was killed by SIGKILL"
        assert heard.faults == []


@pytest.mark.requirement("B09")
@pytest.mark.parametrize("leader", ["stays: wait", "leaves first: exec true", "dies: kill -9 $$"])
async def test_grandchildren_die_with_the_child(leader: str) -> None:
    """As `npx`, which starts `node` and may be gone before it."""
    code = f"trap '' TERM; sleep 1000 & echo [$!]; {leader.split(': ')[1]}"
    async with running(shell(code)) as (_, heard):
        [pid] = json.loads((await until(lambda: heard.messages))[0])
    await until(lambda: not is_running(pid))


async def test_closing_cut_short_leaves_nobody_either() -> None:
    async with running(shell("trap '' TERM; sleep 1000 & echo [$!]; wait"), PATIENT) as (channel, heard):
        [pid] = json.loads((await until(lambda: heard.messages))[0])
        closing = asyncio.create_task(channel.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await until(lambda: not is_running(pid))


@both_loops
async def test_an_opening_cut_short_at_any_point_leaves_nobody(_: Path) -> None:
    guard, heard = Guard(), Heard()
    await guard.start()
    for turns in range(12):
        channel = StdioChannel("demo", shell("sleep 1000 & wait"), heard, guard, heard.stderr.append, SOON)
        opening = asyncio.create_task(channel.open())
        for _turn in range(turns):
            await asyncio.sleep(0)
        opening.cancel()
        with suppress(asyncio.CancelledError):
            await opening
        await channel.aclose()
    await until(lambda: [child.pid for child in psutil.Process().children()] == [guard.pid])
    await guard.aclose()


async def test_closing_a_channel_that_never_opened_is_fine() -> None:
    heard = Heard()
    channel = StdioChannel("demo", shell("true"), heard, Guard(), heard.stderr.append)
    await channel.aclose()
    with pytest.raises(BackendExited):
        await channel.send(Outgoing(HELLO))
    assert (channel.pid, channel.exit_description) == (None, None)


@both_loops
async def test_twenty_lives_leave_no_zombie_no_descriptor_and_no_thread(_: Path) -> None:
    guard = Guard()
    await guard.start()

    async def live(transport: StdioTransport) -> None:
        heard = Heard()
        channel = StdioChannel("demo", transport, heard, guard, heard.stderr.append, SOON)
        await channel.open()
        await until(lambda: heard.messages)
        await channel.aclose()

    await live(shell("echo []; read line"))
    await asyncio.sleep(0)
    gc.collect()
    us = psutil.Process()
    descriptors, threads = us.num_fds(), threading.active_count()
    for number in range(20):
        # Some end by themselves, some have to be ended, some leave a detached process on our pipes.
        ends = ("exit 0", "read line", "trap '' TERM; sleep 1000 & wait", "setsid sleep 1000 & exit 0")
        await live(shell(f"echo []; {ends[number % len(ends)]}"))
    await until(lambda: us.num_fds() <= descriptors, within_s=10)
    assert threading.active_count() == threads
    assert [child.pid for child in us.children()] == [guard.pid]
    await guard.aclose()
    assert us.children() == []
