"""A configuration that is rewritten all the time, while three servers that it never touches serve calls."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from proxy_core.config.watcher import digest_of
from proxy_core.remote_control import RemoteControl
from tests.support.faults import journal, stdio_server
from tests.support.faults.load import Load, many_calls
from tests.support.faults.plain import on_each_transport
from tests.support.faults.rewrites import Rewrites, Version
from tests.support.gateway_process import GatewayProcess
from tests.support.http_client import Client
from tests.support.wire import comes_true, tool_names

IN_FORCE_S = 5.0
"""From the last write of a good version until it is in force, its new server started and listed."""
PER_S = 7.0
"""Calls to each of the three."""
UNWATCHED = 4
"""Every so many rewrites, the next one follows at once."""
FDS, RSS_BYTES = 8, 32 * 1024 * 1024
"""How much more of it there may be afterwards."""
SETTLED, WARM_UP = 8, 5


@dataclass(frozen=True)
class Means:
    """What a process has."""

    fds: int
    rss_bytes: int

    @classmethod
    def of(cls, gateway: GatewayProcess) -> "Means":
        process = psutil.Process(gateway.pid)
        return cls(process.num_fds(), process.memory_info().rss)


@pytest.fixture
def socket() -> Iterator[Path]:
    """In a folder of its own with a short name: a socket's path has a hundred characters at most."""
    with tempfile.TemporaryDirectory(prefix="o1-") as folder:
        yield Path(folder) / "admin.sock"


@pytest.mark.parametrize(
    "rewrites",
    [
        25,
        pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(600)]),
    ],
)
async def test_a_storm_of_rewrites_costs_no_call_and_leaves_nothing_behind(
    tmp_path: Path, socket: Path, rewrites: int
) -> None:
    folder = tmp_path / "configuration"
    folder.mkdir()
    path = folder / "only1mcp.yaml"
    sections = {
        "logging": {"format": "json"},
        "admin": {"socket": str(socket)},
        "health": {"probe_interval": 1},
    }
    async with AsyncExitStack() as stack:
        servers = stack.enter_context(on_each_transport(tmp_path))
        storm = Rewrites(tmp_path, path, servers, sections, seed=rewrites)
        storm.restore()
        gateway = GatewayProcess(tmp_path, ["--config", str(path), "--port", "0", "--headless"])
        stack.callback(gateway.close)
        client = await stack.enter_async_context(many_calls(gateway.url))
        control = await stack.enter_async_context(RemoteControl(socket))
        loads = [Load(client, server["id"], PER_S) for server in servers]
        for load in loads:
            await comes_true(load.answers, "it has started")
            load.start()
            stack.push_async_callback(load.stop)
        await comes_true(lambda: all(load.has_settled_since(0, SETTLED) for load in loads), "all serve")
        # The first reloads load what every later one needs.
        watching = Watching(client, control, path)
        for _ in range(WARM_UP):
            await watching.comes_into_force(storm.next())
        await watching.comes_into_force(storm.restore())
        pid = stdio_server.pid_of(tmp_path, "stdio-1")
        sessions = journal.sessions_opened(tmp_path, "sse-1")
        before = await _settled(gateway, storm)

        took_s = []
        for number in range(rewrites):
            version = storm.next()
            if number % UNWATCHED != UNWATCHED - 1:
                took_s.append(await watching.comes_into_force(version))
            else:
                watching.passes_by(version)
        await watching.comes_into_force(storm.restore())

        after = await _settled(gateway, storm)
        for load in loads:
            await load.stop()
        print(
            f"{before}, then {after}; in force after {sorted(took_s)[len(took_s) // 2]:.2f} s in the middle, "
            f"{max(took_s):.2f} s at most; {sum(len(load.asked) for load in loads)} calls"
        )
        assert gateway.exit_code is None, gateway.log

    _all_were_served(tmp_path, loads)
    assert stdio_server.pid_of(tmp_path, "stdio-1") == pid
    assert journal.sessions_opened(tmp_path, "sse-1") == sessions
    assert after.fds <= before.fds + FDS
    assert after.rss_bytes <= before.rss_bytes + RSS_BYTES


class Watching:
    """Somebody who writes a version and looks what comes of it, as a client and by the admin socket."""

    def __init__(self, client: Client, control: RemoteControl, path: Path) -> None:
        self._client = client
        self._control = control
        self._path = path
        self._last = Version("", True, frozenset())
        self._errors = 0
        """Refused files so far."""
        self._lists = {frozenset[str]()}
        """What clients may see: one list, but for versions that nobody waited for."""

    def passes_by(self, version: Version) -> None:
        """The next one follows so soon that this one may never be noticed."""
        if version.is_good:
            self._lists.add(version.tools)

    async def comes_into_force(self, version: Version) -> float:
        """Wait for what it leads to, good or bad; the seconds it took."""
        written_at = time.monotonic()
        digest = digest_of(self._path) or ""

        async def is_told() -> bool:
            config = (await self._control.refresh()).config
            if version.is_good:
                return bool(config.digest) and digest.startswith(config.digest) and config.error is None
            is_new = config.errors > self._errors or version == self._last
            return is_new and config.error is not None

        async def is_listed() -> bool:
            names = await tool_names(self._client)
            return frozenset(name for name in names if name.startswith("extra-")) in self._lists

        if version.is_good:
            self._lists = {version.tools}
        await comes_true(is_told, f"it is said of {version}", IN_FORCE_S)
        await comes_true(is_listed, f"clients see what {version} offers", IN_FORCE_S)
        self._last, self._errors = version, self._control.snapshot().config.errors
        took_s = time.monotonic() - written_at
        assert took_s < IN_FORCE_S
        return took_s


async def _settled(gateway: GatewayProcess, storm: Rewrites) -> Means:
    """What the gateway has once the servers that left are gone: but for the guard, one child or two."""
    children = 3 if storm.good.tools else 2
    await comes_true(lambda: len(gateway.children()) == children, f"{children} children are left", IN_FORCE_S)
    return Means.of(gateway)


def _all_were_served(folder: Path, loads: list[Load]) -> None:
    for load in loads:
        assert {asked.outcome for asked in load.asked} == {"answered"}
        assert all(load.is_right(asked) for asked in load.asked)
    ran = [journal.executed(folder, name) for name in ("stdio-1", "http-1", "sse-1")]
    assert all(max(keys.values()) == 1 for keys in ran)
