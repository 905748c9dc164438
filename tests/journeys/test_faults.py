"""Servers that break under load, in every way that we know of: what each call comes to, and how they come back.

One gateway for each transport and number of replicas; behind it a server for each fault, all broken at once.
"""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config
from proxy_core.proxy import Proxy
from proxy_core.telemetry.snapshot import BreakerState, ReplicaRow, ServerState
from tests.support.faults import journal, stdio_server, verdict
from tests.support.faults.breakables import Breakable
from tests.support.faults.houses import STDIO, House
from tests.support.faults.http_server import MODERN, SSE, HttpHost
from tests.support.faults.load import Load, many_calls
from tests.support.faults.plain import at, entry, on_each_transport, on_stdio
from tests.support.faults.tcp_proxy import FaultProxy, Mode, proxied
from tests.support.gateway_process import serving
from tests.support.http_client import Client
from tests.support.processes import SOON_S
from tests.support.wire import comes_true

CONNECT_S, CALL_IDLE_S = 2.0, 1.5
PROBE_INTERVAL_S, PROBES, OPEN_S = 0.5, 2, 1.0
ATTEMPTS = 1
"""Repeats of a call that is safe to repeat."""
SLACK_S = 5.0
"""What a busy machine may add to a bound."""
SETTLED = 12
"""Calls in a row that succeed before something is broken, and once it is mended."""
SECTIONS = {
    "health": {
        "probe_interval": PROBE_INTERVAL_S,
        "timeout": 1,
        "failure_threshold": 2,
        "success_threshold": PROBES,
    },
    "circuit_breaker": {"failure_threshold": 3, "open_s": OPEN_S, "success_threshold": PROBES},
    # The budget has tests of its own; here it would decide which of many calls may fail.
    "retry": {"attempts": ATTEMPTS, "budget_ratio": 1},
    "logging": {"format": "json"},
}
TIMEOUTS = {"connect_s": CONNECT_S, "call_idle_s": CALL_IDLE_S}
HOUSES = [(kind, replicas) for kind in (STDIO, "http", "sse") for replicas in (1, 3)]


CRASHES, CRASHES_S = (stdio_server.Mode.EXITS, stdio_server.Mode.CLOSES), 2.0
"""Five exits are a crash loop, from which nothing comes back by itself; these are for fewer."""


@dataclass(frozen=True)
class Dose:
    """How much of it."""

    fault_s: float
    stop_s: float
    """For SIGSTOP."""
    per_s: float
    """Calls to each server."""

    def of(self, fault: str) -> float:
        if fault in CRASHES:
            return CRASHES_S
        return {"kill": 0.5, "stop": self.stop_s}.get(fault, self.fault_s)


SHORT = Dose(fault_s=2.5, stop_s=3, per_s=20)
LONG = Dose(fault_s=10, stop_s=20, per_s=40)


def _kind(transport: str, replicas: int) -> str:
    """Of an http server's era: one alone has sessions to lose, three have none."""
    return ("legacy" if replicas == 1 else "modern") if transport == "http" else transport


def _bounds(transport: str, fault: str, dose: Dose) -> verdict.Bounds:
    once_s = CONNECT_S + CALL_IDLE_S
    backs_off_s = 0.0
    if transport == STDIO:
        # 1, 2, 4 ... seconds: at most once more as long as what it has waited already, or for the first time.
        backs_off_s = CONNECT_S + 2 * dose.of(fault) + 1
    recovery_s = OPEN_S + PROBES * PROBE_INTERVAL_S + backs_off_s
    # A probe or an attempt that met the fault may still be waiting when that ends.
    recovery_s += CONNECT_S
    return verdict.Bounds(once_s + SLACK_S, (ATTEMPTS + 1) * once_s + SLACK_S, recovery_s + SLACK_S)


@pytest.mark.parametrize(("transport", "replicas"), HOUSES)
async def test_what_breaks_under_load_is_survived(tmp_path: Path, transport: str, replicas: int) -> None:
    await _survives(tmp_path, transport, replicas, SHORT)


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize(("transport", "replicas"), HOUSES)
async def test_what_breaks_for_long_under_more_load_is_survived(
    tmp_path: Path, transport: str, replicas: int
) -> None:
    await _survives(tmp_path, transport, replicas, LONG)


async def _survives(folder: Path, transport: str, replicas: int, dose: Dose) -> None:
    house = House(folder, _kind(transport, replicas), replicas)
    servers = [server | {"timeouts": TIMEOUTS} for server in house.servers]
    async with house.open():
        with serving(folder, servers, env=house.env, **SECTIONS) as gateway:
            async with many_calls(gateway.url) as client:
                found = await asyncio.gather(
                    *(
                        _one_case(folder, client, breakable, dose, _bounds(transport, breakable.server, dose))
                        for breakable in house.breakables
                    )
                )
    wrong = {breakable.server: one for breakable, one in zip(house.breakables, found, strict=True) if one}
    assert not wrong, "\n".join(f"{fault}: {line}" for fault, lines in wrong.items() for line in lines)


async def _one_case(
    folder: Path, client: Client, breakable: Breakable, dose: Dose, bounds: verdict.Bounds
) -> list[str]:
    """Break one server under load, mend it, and see what became of every call."""
    load = Load(client, breakable.server, dose.per_s)
    await _serves(load)
    load.start()
    try:
        await comes_true(lambda: _has_settled(load), f"{breakable.server} serves at first", SOON_S / 2)
        broken_at = time.monotonic()
        await breakable.break_it()
        await asyncio.sleep(dose.of(breakable.server))
        await breakable.mend()
        mended_at = time.monotonic()

        def case() -> verdict.Case:
            return verdict.Case(
                load.asked,
                load.is_right,
                breakable.broken,
                {name: journal.executed(folder, name) for name in breakable.instances},
                breakable.seen,
                broken_at,
                mended_at,
                has_others=len(breakable.instances) > 1,
            )

        deadline_at = mended_at + bounds.recovery_s + 1
        while time.monotonic() < deadline_at and not _is_over(load, case()):
            await asyncio.sleep(0.1)
    finally:
        await load.stop()
    print(f"{breakable.server}: {verdict.summary(case())}")
    return verdict.problems(case(), bounds)


async def _serves(load: Load) -> None:
    """Until it answers at all: what is refused while it starts is no part of the case."""
    await comes_true(load.answers, "it has started", SOON_S / 2)


def _is_over(load: Load, case: verdict.Case) -> bool:
    """Whether all is as before, also for the instance that was broken."""
    is_used = not case.has_others or verdict.used_again_after_s(case) is not None
    return is_used and load.has_settled_since(case.mended_at, SETTLED)


def _has_settled(load: Load) -> bool:
    return load.has_settled_since(0, SETTLED)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full: only Linux has it")
async def test_a_log_file_that_cannot_be_written_is_said_once_and_costs_no_call(tmp_path: Path) -> None:
    """The disk is full from the first line on."""
    (tmp_path / "full.log").symlink_to("/dev/full")
    logging = {"format": "json", "file": "full.log", "level": "debug"}
    with (
        on_each_transport(tmp_path, (1, 3)) as servers,
        serving(tmp_path, servers, logging=logging) as gateway,
    ):
        async with many_calls(gateway.url) as client:
            loads = [Load(client, server["id"], SHORT.per_s) for server in servers]
            for load in loads:
                await _serves(load)
                load.start()
            await comes_true(lambda: all(len(load.asked) > 2 * SETTLED for load in loads), "all were called")
            for load in loads:
                await load.stop()
        said = gateway.log
    assert {asked.outcome for load in loads for asked in load.asked} == {"answered"}
    assert all(load.is_right(asked) for load in loads for asked in load.asked)
    assert "Traceback" not in said
    assert said.count("No space left on device") == 1


@pytest.mark.long
async def test_a_replica_in_a_crash_loop_is_left_alone_until_somebody_asks(tmp_path: Path) -> None:
    """Five exits and it is not started again; the other one serves all along, and a restart ends it."""
    config = Config.model_validate({"proxy": {"port": 0}, "servers": [on_stdio(tmp_path, "box", 2)]})
    proxy = Proxy(LoadedConfig(config))

    def broken() -> ReplicaRow:
        return next(row for row in proxy.snapshot().servers[0].replicas if row.id == "b")

    async with proxy.started(), many_calls(proxy.snapshot().url) as client:
        load = Load(client, "box", SHORT.per_s)
        await _serves(load)
        await comes_true(lambda: broken().state is ServerState.HEALTHY, "both run")
        load.start()
        stdio_server.tell(tmp_path, "box-b", stdio_server.Mode.EXITS)
        told_at = time.monotonic()
        await comes_true(lambda: broken().state is ServerState.FAILED, "it is given up", SOON_S)
        pid = stdio_server.pid_of(tmp_path, "box-b")
        stdio_server.tell(tmp_path, "box-b", stdio_server.Mode.PASS)
        failed_at = time.monotonic()
        await comes_true(lambda: load.has_settled_since(failed_at, 5 * SETTLED), "the other one serves")
        assert broken().state is ServerState.FAILED and stdio_server.pid_of(tmp_path, "box-b") == pid
        assert "crash" in broken().reason
        await proxy.restart("box/b")
        await comes_true(lambda: broken().state is ServerState.HEALTHY, "it runs again")
        await load.stop()
    lost = [asked for asked in load.asked if not asked.is_answered]
    reached = journal.received(tmp_path, "box-b")
    assert [asked for asked in lost if asked.key not in reached or asked.began_at > told_at + 1] == []


@pytest.mark.parametrize("mode", [Mode.ERROR_500, Mode.REFUSE])
@pytest.mark.parametrize("kind", [MODERN, SSE])
async def test_whoever_asks_finds_it_back_before_its_time(tmp_path: Path, kind: str, mode: Mode) -> None:
    """An open breaker would wait for ten minutes: a person's probe does not, nor a call where none is open."""
    host = HttpHost(tmp_path, "well")
    fault = FaultProxy(host.add(kind, "box", "box"))
    waits = {"open_s": 600, "failure_threshold": 2}
    sections = {"proxy": {"port": 0}, "circuit_breaker": waits, "health": {"probe_interval": 600}}
    server = entry("box", [at(kind, fault.port)]) | {"timeouts": TIMEOUTS}
    proxy = Proxy(LoadedConfig(Config.model_validate({**sections, "servers": [server]})))

    def breaker() -> BreakerState:
        return proxy.snapshot().servers[0].breaker

    host.start()
    try:
        host.ready()
        async with proxied([fault]), proxy.started(), many_calls(proxy.snapshot().url) as client:
            load = Load(client, "box", SHORT.per_s)
            await _serves(load)
            await fault.switch(mode)
            for _ in range(waits["failure_threshold"] + 1):
                assert not await load.answers()
            assert breaker() is (BreakerState.OPEN if mode is Mode.ERROR_500 else BreakerState.CLOSED)
            await fault.switch(Mode.PASS)
            if breaker() is BreakerState.OPEN:
                assert not await load.answers()
                assert (await proxy.probe("box")).error is None
                assert await load.answers()
            else:
                await comes_true(load.answers, "a call finds it back", SLACK_S)
    finally:
        host.close()


async def test_an_sse_server_that_forgets_its_session_is_connected_to_anew(tmp_path: Path) -> None:
    """A 404 to a message says that it was not taken: the session is lost, though its stream is still open."""
    host = HttpHost(tmp_path, "well")
    port = host.add(SSE, "box", "box")
    server = entry("box", [at(SSE, port)]) | {"timeouts": TIMEOUTS}
    host.start()
    try:
        host.ready()
        with serving(tmp_path, [server], health={"probe_interval": 600}) as gateway:
            async with many_calls(gateway.url) as client:
                load = Load(client, "box", SHORT.per_s)
                await _serves(load)
                opened = journal.sessions_opened(tmp_path, "box")
                await client.send("POST", url=f"http://127.0.0.1:{port}/forget")
                await comes_true(load.answers, "it is asked again in a new session", SLACK_S)
    finally:
        host.close()
    assert journal.sessions_opened(tmp_path, "box") > opened
