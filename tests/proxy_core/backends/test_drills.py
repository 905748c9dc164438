"""Fault drills of a whole gateway, with real children: begun, told, felt, and over by themselves."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config
from proxy_core.errors import BackendUnavailable, InvalidParams, NotAllowed, UnknownReplica, UnknownServer
from proxy_core.facts import VerbUsed
from proxy_core.proxy import Proxy
from proxy_core.telemetry.snapshot import BreakerState, ReplicaRow, ServerRow, ServerState
from tests.support.scripted_channel import until

CHILD = {"type": "stdio", "command": sys.executable, "args": ["-m", "proxy_core.demo.flaky"]}
SOON_S = 30.0


def loaded(*replicas: str, allowed: bool = True, **sections: Any) -> LoadedConfig:
    server: dict[str, Any] = {"id": "box", "tools": {"retry": ["*"]}}
    if replicas:
        server["replicas"] = [{"id": replica, "transport": CHILD} for replica in replicas]
    else:
        server["transport"] = CHILD
    whole = {"proxy": {"port": 0}, "tui": {"fault_drills": allowed}, "servers": [server]} | sections
    return LoadedConfig(Config.model_validate(whole), None, {})


@asynccontextmanager
async def serving(
    config: LoadedConfig, reload: Callable[[], LoadedConfig] | None = None
) -> AsyncIterator[Proxy]:
    proxy = Proxy(config, reload, listen=False)
    async with proxy.started():
        assert await proxy.wait_ready(SOON_S)
        off = ServerState.DISABLED
        await until(lambda: all(r.state in (ServerState.HEALTHY, off) for r in row(proxy).replicas), SOON_S)
        yield proxy


def row(proxy: Proxy) -> ServerRow:
    return proxy.snapshot().servers[0]


def replica(proxy: Proxy, id: str) -> ReplicaRow:
    return next(each for each in row(proxy).replicas if each.id == id)


def told(proxy: Proxy) -> list[str]:
    facts = proxy.events_after(0)[1]
    return [fact.outcome for fact in facts if isinstance(fact, VerbUsed) and fact.verb == "drill"]


async def call(proxy: Proxy) -> None:
    await proxy.call("box__echo", {"text": "hello"})


async def test_errors_on_purpose_open_the_breaker_and_calls_go_to_the_other_replica():
    async with serving(loaded("a", "b", circuit_breaker={"failure_threshold": 3})) as proxy:
        await proxy.drill("box/a", "error", for_s=60)
        for _ in range(12):
            await call(proxy)
        assert replica(proxy, "a").breaker is BreakerState.OPEN
        assert replica(proxy, "b").failures == 0
        assert replica(proxy, "a").drill.startswith("error, ")
        assert row(proxy).drill.startswith("a: error, ")
        [notice, *_] = proxy.snapshot().notices
        assert (notice.level, "FAULT DRILL at box/a (error)" in notice.text) == ("warning", True)
        await proxy.end_drill("box/a")
        assert row(proxy).drill == ""
        assert told(proxy) == ["error for 60 s, begun by screen", "ended by screen"]


async def test_a_kill_is_a_crash_and_the_child_comes_back():
    async with serving(loaded()) as proxy:
        before = row(proxy).pid
        await proxy.drill("box", "kill", by="ada")
        await until(lambda: row(proxy).restarts == 1, SOON_S)
        await until(lambda: row(proxy).state is ServerState.HEALTHY, SOON_S)
        assert row(proxy).pid not in (None, before)
        await call(proxy)
        assert told(proxy) == ["killed by ada"]


async def test_a_delay_is_in_the_latency():
    async with serving(loaded()) as proxy:
        await proxy.drill("box", "delay", delay_ms=120)
        await call(proxy)
        assert (row(proxy).latency.p50_ms or 0) >= 100
        assert row(proxy).drill.startswith("delay 120 ms, ")


async def test_it_ends_by_itself():
    async with serving(loaded()) as proxy:
        await proxy.drill("box", "error", for_s=0.05)
        with pytest.raises(BackendUnavailable):
            await call(proxy)
        await until(lambda: row(proxy).drill == "")
        assert told(proxy)[-1] == "ended: its time was over"
        assert not any("DRILL" in notice.text for notice in proxy.snapshot().notices)
        await call(proxy)


async def test_a_second_one_takes_the_place_of_the_first():
    async with serving(loaded("a", "b")) as proxy:
        await proxy.drill("box", "delay", delay_ms=5, for_s=60)
        await proxy.drill("box/a", "error", share=0.5, for_s=30)
        assert replica(proxy, "a").drill.startswith("error 50 %, ")
        assert replica(proxy, "b").drill.startswith("delay 5 ms, ")
        await proxy.end_drill("box")
        assert row(proxy).drill == ""
        await proxy.end_drill("box")
        assert told(proxy)[-1] == "ended by screen"
        assert told(proxy).count("ended by screen") == 1


@pytest.mark.parametrize(
    ("target", "kind", "more", "error"),
    [
        ("nobody", "kill", {}, UnknownServer),
        ("box/z", "kill", {}, UnknownReplica),
        ("box", "explode", {}, InvalidParams),
        ("box", "delay", {}, InvalidParams),
        ("box", "delay", {"delay_ms": float("nan")}, InvalidParams),
        ("box", "error", {"share": 1.5}, InvalidParams),
        ("box", "error", {"for_s": 3601}, InvalidParams),
        ("box", "error", {"for_s": 0}, InvalidParams),
    ],
)
async def test_what_cannot_be_is_refused(target: str, kind: str, more: Any, error: type[Exception]):
    config = loaded()
    disabled = config.config.model_copy(
        update={"servers": (config.config.servers[0].model_copy(update={"enabled": False}),)}
    )
    async with serving(LoadedConfig(disabled, None, {})) as proxy:
        with pytest.raises(error):
            await proxy.drill(target, kind, **more)
        assert told(proxy) == []


async def test_without_leave_every_drill_is_refused_in_a_sentence():
    async with serving(loaded(allowed=False)) as proxy:
        with pytest.raises(NotAllowed, match=r"tui\.fault_drills: true"):
            await proxy.drill("box", "kill")
        assert (proxy.snapshot().drills_allowed, row(proxy).drill) == (False, "")


async def test_a_reload_that_takes_the_leave_back_ends_every_drill():
    now = [loaded("a", "b")]
    async with serving(now[0], lambda: now[0]) as proxy:
        await proxy.drill("box", "error")
        now[0] = loaded("a", "b", allowed=False)
        await proxy.apply_reload()
        assert (row(proxy).drill, proxy.snapshot().drills_allowed) == ("", False)
        assert told(proxy)[-1] == "ended: the configuration does not allow it any more"
        await call(proxy)


async def test_a_replica_that_leaves_takes_its_drill_with_it():
    now = [loaded("a", "b")]
    async with serving(now[0], lambda: now[0]) as proxy:
        await proxy.drill("box/b", "error")
        now[0] = loaded("a")
        await proxy.apply_reload()
        await asyncio.sleep(0)
        assert told(proxy)[-1] == "ended: it is no longer configured"
        assert not any("DRILL" in notice.text for notice in proxy.snapshot().notices)
