"""The whole gateway with real children: the demo servers, started as anyone's would be."""

import asyncio
import json
import logging
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config
from proxy_core.control import Action, DrainOutcome
from proxy_core.errors import (
    BackendUnavailable,
    ConfigError,
    ConfigProblem,
    InvalidParams,
    PortInUse,
    UnknownServer,
)
from proxy_core.facts import ConfigApplied, ConfigRejected, RequestFinished, StateChanged, VerbUsed
from proxy_core.proxy import DEMO_NOTICE, Proxy
from proxy_core.telemetry.snapshot import ServerState
from tests.support.scripted_channel import until

SOON_S = 60
PATH = Path("/etc/only1mcp.yaml")
DEMO = {"type": "stdio", "command": sys.executable, "args": ["-m", "proxy_core.demo.flaky"]}
MISSING = {"type": "stdio", "command": "/nonexistent/server"}


def loaded(
    *servers: str, unset: Mapping[str, str] | None = None, path: Path | None = PATH, **sections: Any
) -> LoadedConfig:
    """`servers`: ids, each a flaky demo server, but for those that begin with `bad`."""
    listed = [{"id": server, "transport": MISSING if server.startswith("bad") else DEMO} for server in servers]
    sections["proxy"] = {"port": 0} | sections.get("proxy", {})
    return LoadedConfig(Config.model_validate({"servers": listed} | sections), path, unset or {})


class Configs:
    """What the file says now, or the fault of it."""

    def __init__(self, first: LoadedConfig) -> None:
        self.now: LoadedConfig | ConfigError = first

    def __call__(self) -> LoadedConfig:
        if isinstance(self.now, ConfigError):
            raise self.now
        return self.now


@asynccontextmanager
async def serving(config: LoadedConfig, **more: Any) -> AsyncIterator[Proxy]:
    proxy = Proxy(config, **{"listen": False} | more)
    async with proxy.started():
        assert await proxy.wait_ready(SOON_S)
        yield proxy


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


async def told(proxy: Proxy, name: str, **arguments: Any) -> str:
    return str((await proxy.call(name, arguments))["content"][0]["text"])


def state_of(proxy: Proxy, server: str) -> ServerState:
    return next(row.state for row in proxy.snapshot().servers if row.id == server)


async def busy(proxy: Proxy, seconds: float, server: str = "box") -> "asyncio.Task[str]":
    """A call that takes so long, once it has reached its server."""
    before = proxy.snapshot().totals.in_flight
    call = asyncio.ensure_future(told(proxy, f"{server}__delay", seconds=seconds))
    await until(lambda: proxy.snapshot().totals.in_flight > before)
    return call


async def posted(url: str, method: str, **params: Any) -> Any:
    version, meta = "2026-07-28", "io.modelcontextprotocol/"
    envelope = {meta + "protocolVersion": version, meta + "clientCapabilities": {}}
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params | {"_meta": envelope}}
    headers = {
        "MCP-Protocol-Version": version,
        "Mcp-Method": method,
        "Accept": "application/json, text/event-stream",
    }
    if "name" in params:
        headers["Mcp-Name"] = params["name"]
    async with aiohttp.ClientSession() as http, http.post(url, json=body, headers=headers) as reply:
        return json.loads(await reply.read())


# --- what is seen -------------------------------------------------------------------------------------------


async def test_a_running_gateway_shows_its_servers_and_serves_their_tools():
    async with serving(loaded("box", "bad-one")) as proxy:
        picture = proxy.snapshot()
        good, bad = picture.servers
        assert (good.state, good.tools, good.era, good.pid in children()) == (
            ServerState.HEALTHY,
            9,
            "modern",
            True,
        )
        assert bad.state is ServerState.UNHEALTHY
        assert "/nonexistent/server" in bad.reason
        assert (picture.config_path, picture.demo, picture.notices) == (str(PATH), False, ())
        assert await told(proxy, "box__echo", text="hi") == "hi"
        assert proxy.snapshot().servers[0].calls == proxy.snapshot().totals.calls == 1
        assert [item.name for item in proxy.names()][:2] == ["box__big", "box__crash"]
    assert children() == set()


async def test_a_moment_after_a_list_changed_the_picture_says_what_it_costs():
    async with serving(loaded("box", "other")) as proxy:
        await until(lambda: (known := proxy.snapshot().context) and known.is_complete and known.full.wire)
        bill, picture = await proxy.context_bill(), proxy.snapshot()
        assert [(row.id, row.tools) for row in bill.servers] == [("box", 9), ("other", 9)]
        assert [row.tokens for row in picture.servers] == [row.full for row in bill.servers]
        assert picture.context is proxy.snapshot().context
        assert picture.context is not None
        assert picture.context.in_force == bill.modes.full
        assert picture.context.full.wire > picture.context.full.visible > 0
        await proxy.drain("other")
        await until(lambda: (known := proxy.snapshot().context) and known.is_complete)
        assert [row.id for row in (await proxy.context_bill()).servers] == ["box"]
        assert proxy.snapshot().servers[1].tokens is None


async def test_a_new_configuration_has_the_bill_made_anew():
    configs = Configs(loaded("box"))
    async with serving(configs(), reload=configs) as proxy:
        await until(lambda: (known := proxy.snapshot().context) and known.is_complete and known.full.wire)
        await proxy.apply_reload()
        assert not (await proxy.context_bill()).is_complete


async def test_without_a_file_a_notice_says_what_runs():
    proxy = Proxy(loaded(path=None), listen=False)
    assert [notice.text for notice in proxy.snapshot().notices] == [DEMO_NOTICE]
    assert proxy.snapshot().demo


async def test_a_picture_is_the_same_object_until_something_changes():
    async with serving(loaded("box")) as proxy:
        await until(lambda: proxy.snapshot() is proxy.snapshot())
        before = proxy.snapshot()
        await told(proxy, "box__echo", text="hi")
        after = proxy.snapshot()
        assert after.seq > before.seq
        assert before.totals.calls == 0


async def test_the_detail_of_a_server_has_what_the_row_has_not():
    async with serving(loaded("box")) as proxy:
        await told(proxy, "box__stderr", text="a line")
        await until(lambda: "a line" in proxy.detail("box").stderr)
        detail = proxy.detail("box")
        assert (detail.row.id, len(detail.items)) == ("box", 9)
        assert detail.instructions.startswith("Delays, fails")
        assert all(item.server == "box" for item in detail.items)


async def test_what_happened_and_what_was_said_can_be_read_by_number(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "proxy_core")
    async with serving(loaded("box")) as proxy:
        await told(proxy, "box__log", level="warning", text="careful")
        seq, events = proxy.events_after(0)
        states = [(event.before, event.after) for event in events if isinstance(event, StateChanged)]
        assert states == [("starting", "healthy")]
        assert not any(isinstance(event, RequestFinished) for event in events)
        assert proxy.events_after(seq) == (seq, ())
        seq, lines = proxy.logs_after(0)
        assert ("info", "box", "healthy") in [(line.level, line.source, line.text) for line in lines]
        assert proxy.logs_after(seq) == (seq, ())


@pytest.mark.requirement("A12")
async def test_what_clients_send_and_servers_answer_is_not_logged(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "proxy_core")
    async with serving(loaded("box")) as proxy:
        await told(proxy, "box__echo", text="s3cret")
        with pytest.raises(InvalidParams):
            await told(proxy, "box__s3cret", token="s3cret")
        lines = proxy.logs_after(0)[1]
        assert lines
        assert not any("s3cret" in line.text for line in lines)


async def test_the_log_level_can_be_set_while_it_runs():
    logger = logging.getLogger("proxy_core")
    before = logger.level
    try:
        await Proxy(loaded(), listen=False).set_log_level("debug")
        assert logger.level == logging.DEBUG
    finally:
        logger.setLevel(before)


# --- verbs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["drain", "undrain", "enable", "disable", "restart", "probe"])
async def test_a_verb_for_a_server_that_is_not_configured_is_refused(verb: str):
    proxy = Proxy(loaded(), listen=False)
    with pytest.raises(UnknownServer):
        await getattr(proxy, verb)("nobody")
    with pytest.raises(UnknownServer):
        proxy.detail("nobody")


async def test_a_drain_lets_the_call_in_flight_finish_and_takes_no_other():
    async with serving(loaded("box")) as proxy:
        call = await busy(proxy, 0.6)
        drain = asyncio.ensure_future(proxy.drain("box"))
        await until(lambda: state_of(proxy, "box") is ServerState.DRAINING)
        await until(lambda: proxy.names() == ())
        with pytest.raises(BackendUnavailable):
            await told(proxy, "box__echo", text="late")
        assert await drain == DrainOutcome(finished=1, abandoned=0)
        assert await call == "Waited 0.6 s."
        assert state_of(proxy, "box") is ServerState.DRAINED
        await proxy.undrain("box")
        assert await told(proxy, "box__echo", text="again") == "again"
        verbs = [(each.verb, each.outcome) for each in proxy.events_after(0)[1] if isinstance(each, VerbUsed)]
        assert verbs == [("drain", "1 call finished"), ("undrain", "takes calls again")]


async def test_a_drain_cuts_off_what_outlives_the_grace():
    async with serving(loaded("box", proxy={"grace_s": 0.1})) as proxy:
        call = await busy(proxy, 60)
        outcome = await proxy.drain("box")
        assert (outcome.finished, outcome.abandoned) == (0, 1)
        assert [(call.method, call.target) for call in outcome.calls] == [("tools/call", "delay")]
        with pytest.raises(BackendUnavailable):
            await call
        assert proxy.snapshot().servers[0].reason == "1 call in flight cut off"


async def test_a_disabled_server_stays_off_until_enabled():
    async with serving(loaded("box")) as proxy:
        assert await proxy.disable("box") == DrainOutcome(0, 0)
        assert state_of(proxy, "box") is ServerState.DISABLED
        assert await proxy.disable("box") == DrainOutcome(0, 0)
        await proxy.enable("box")
        assert await told(proxy, "box__echo", text="on") == "on"


async def test_disabling_joins_a_drain_and_the_server_ends_disabled():
    async with serving(loaded("box")) as proxy:
        call = await busy(proxy, 0.5)
        drain = asyncio.ensure_future(proxy.drain("box"))
        await until(lambda: state_of(proxy, "box") is ServerState.DRAINING)
        assert await proxy.disable("box") == await drain == DrainOutcome(1, 0)
        assert state_of(proxy, "box") is ServerState.DISABLED
        await call


@pytest.mark.parametrize("verb", ["enable", "undrain", "restart"])
async def test_a_server_whose_variable_is_not_set_stays_off_whatever_is_asked(verb: str):
    why = "environment variable TOKEN is not set"
    async with serving(loaded("box", unset={"box": why})) as proxy:
        row = proxy.snapshot().servers[0]
        assert (row.state, row.reason) == (ServerState.DISABLED, why)
        await getattr(proxy, verb)("box")
        assert state_of(proxy, "box") is ServerState.DISABLED
        [used] = [each for each in proxy.events_after(0)[1] if isinstance(each, VerbUsed)]
        assert (used.verb, used.outcome) == (verb, f"stays off: {why}")


async def test_a_restart_gives_a_new_child():
    async with serving(loaded("box")) as proxy:
        before = proxy.snapshot().servers[0].pid
        await proxy.restart("box")
        assert await told(proxy, "box__echo", text="new") == "new"
        assert proxy.snapshot().servers[0].pid not in (None, before)


async def test_a_probe_tells_how_long_a_server_took_or_why_it_did_not_answer():
    async with serving(loaded("box", "bad-one")) as proxy:
        good, bad = await proxy.probe("box"), await proxy.probe("bad-one")
        assert good.error is None
        assert good.latency_ms is not None and good.latency_ms > 0
        assert bad.latency_ms is None
        assert bad.error
        assert [row.probe for row in proxy.snapshot().servers] == [good, bad]


# --- a new configuration ------------------------------------------------------------------------------------


async def test_a_reload_starts_and_ends_servers_and_leaves_the_others_alone():
    configs = Configs(loaded("kept", "gone"))
    async with serving(loaded("kept", "gone"), reload=configs) as proxy:
        pids = {row.id: row.pid for row in proxy.snapshot().servers}
        call = await busy(proxy, 0.5, "gone")
        configs.now = loaded("new", "kept")
        plan = await proxy.reload_plan()
        assert [(each.id, each.action) for each in plan.servers] == [
            ("new", Action.ADD),
            ("kept", Action.KEEP),
            ("gone", Action.DRAIN),
        ]
        assert (plan.servers[2].in_flight, plan.servers[1].in_flight) == (1, 0)
        assert [row.id for row in proxy.snapshot().servers] == ["kept", "gone"], "a plan changes nothing"
        await proxy.apply_reload()
        assert [row.id for row in proxy.snapshot().servers] == ["new", "kept"]
        assert await proxy.wait_ready(SOON_S)
        assert await told(proxy, "new__echo", text="hi") == "hi"
        assert proxy.snapshot().servers[1].pid == pids["kept"]
        assert await call == "Waited 0.5 s."
        await until(lambda: not psutil.pid_exists(pids["gone"] or 0))
        [applied] = [each for each in proxy.events_after(0)[1] if isinstance(each, ConfigApplied)]
        assert (applied.path, applied.added, applied.removed) == (str(PATH), ("new",), ("gone",))


async def test_a_bad_file_changes_nothing_and_says_so_until_it_is_mended():
    good = loaded("box")
    configs = Configs(good)
    async with serving(good, reload=configs) as proxy:
        configs.now = ConfigError("/c.yaml", (ConfigProblem("servers", "no", 2),))
        with pytest.raises(ConfigError):
            await proxy.apply_reload()
        [notice] = proxy.snapshot().notices
        assert (notice.level, "/c.yaml:2: servers: no" in notice.text) == ("error", True)
        assert isinstance(proxy.events_after(0)[1][-1], ConfigRejected)
        assert await told(proxy, "box__echo", text="still") == "still"
        configs.now = good
        assert (await proxy.apply_reload()).is_empty
        assert proxy.snapshot().notices == ()
        assert (proxy.snapshot().config.version, proxy.snapshot().config.errors) == (1, 1)


async def test_a_new_port_waits_for_a_restart_and_the_notice_lasts_as_long():
    configs = Configs(loaded())
    async with serving(loaded(), reload=configs) as proxy:
        configs.now = loaded(proxy={"port": 9})
        for _ in range(2):
            await proxy.apply_reload()
            assert [notice.text for notice in proxy.snapshot().notices] == [
                "A restart of the gateway is needed for: proxy.port."
            ]
        configs.now = loaded(proxy={"grace_s": 1}, limits={"sessions": 5})
        await proxy.apply_reload()
        assert proxy.snapshot().notices == ()


async def test_new_guards_apply_at_once():
    configs = Configs(loaded())
    async with serving(loaded(), reload=configs, listen=True) as proxy:
        url = proxy.snapshot().url
        async with aiohttp.ClientSession(headers={"Host": "gateway.example"}) as http:
            async with http.post(url, json={}) as reply:
                before = await reply.text()
            configs.now = loaded(proxy={"allowed_hosts": ["gateway.example"]})
            await proxy.apply_reload()
            async with http.post(url, json={}) as reply:
                after = await reply.text()
        assert ("Host" in before, "Host" in after) == (True, False)


async def test_a_new_log_level_applies_at_once():
    """Unless it is the same as before: a level that was set by hand stays."""
    logger = logging.getLogger("proxy_core")
    before, configs = logger.level, Configs(loaded())
    try:
        async with serving(loaded(), reload=configs) as proxy:
            await proxy.set_log_level("error")
            await proxy.apply_reload()
            assert logger.level == logging.ERROR
            configs.now = loaded(logging={"level": "debug"})
            await proxy.apply_reload()
            assert logger.level == logging.DEBUG
    finally:
        logger.setLevel(before)


# --- start and stop -----------------------------------------------------------------------------------------


async def test_a_call_in_flight_at_a_stop_is_answered_and_then_the_child_is_gone():
    proxy = Proxy(loaded("box"))
    running = asyncio.ensure_future(proxy.run())
    await until(lambda: proxy.snapshot().url, SOON_S)
    assert await proxy.wait_ready(SOON_S)
    url, pid = proxy.snapshot().url, proxy.snapshot().servers[0].pid
    call = asyncio.ensure_future(posted(url, "tools/call", name="box__delay", arguments={"seconds": 0.6}))
    await until(lambda: proxy.snapshot().totals.in_flight)
    proxy.request_stop()
    answer = await call
    await running
    assert answer["result"]["content"][0]["text"] == "Waited 0.6 s."
    assert proxy.cut_off == ()
    assert pid is not None and not psutil.pid_exists(pid)
    assert children() == set()
    assert proxy.snapshot().url == ""
    with pytest.raises(aiohttp.ClientConnectionError):
        await posted(url, "tools/list")


async def test_a_second_wish_to_stop_does_not_wait_for_calls():
    proxy = Proxy(loaded("box", proxy={"grace_s": 600}), listen=False)
    running = asyncio.ensure_future(proxy.run())
    await until(lambda: proxy.snapshot().servers[:1] and state_of(proxy, "box") is ServerState.HEALTHY, SOON_S)
    call = await busy(proxy, 500)
    proxy.request_stop()
    await until(lambda: state_of(proxy, "box") is ServerState.DRAINING)
    assert not running.done()
    proxy.request_stop(force=True)
    await running
    assert [call.target for call in proxy.cut_off] == ["delay"]
    with pytest.raises(BackendUnavailable):
        await call
    assert children() == set()


async def test_a_gateway_that_has_ended_may_run_again():
    proxy = Proxy(loaded("box"))
    for _ in range(2):
        running = asyncio.ensure_future(proxy.run())
        await until(lambda: proxy.snapshot().url, SOON_S)
        assert await proxy.wait_ready(SOON_S)
        assert (await posted(proxy.snapshot().url, "tools/call", name="box__echo", arguments={"text": "hi"}))[
            "result"
        ]["content"][0]["text"] == "hi"
        proxy.request_stop()
        await running
    assert children() == set()


async def test_a_stop_that_was_asked_for_before_the_start_is_heeded():
    proxy = Proxy(loaded(), listen=False)
    proxy.request_stop()
    async with asyncio.timeout(SOON_S):
        await proxy.run()


async def test_a_port_in_use_starts_nothing():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        proxy = Proxy(loaded("box", proxy={"port": taken.getsockname()[1]}))
        with pytest.raises(PortInUse):
            await proxy.run()
    assert children() == set()
    assert not any(type(each).__name__ == "RingHandler" for each in logging.getLogger("proxy_core").handlers)


async def test_one_command_starts_only_the_servers_that_it_needs():
    async with serving(loaded("box", "bad-one"), only=frozenset({"box"})) as proxy:
        assert [row.id for row in proxy.snapshot().servers] == ["box"]
        assert proxy.snapshot().url == ""


async def test_waiting_for_servers_ends_in_time():
    proxy = Proxy(loaded("box"), listen=False)
    async with proxy.started():
        assert not await proxy.wait_ready(0)
