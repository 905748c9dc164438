"""The front door from another process, against a real admin API over a `FakeControl`."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from msgspec.structs import replace

from proxy_core import admin_client, remote_control
from proxy_core.admin_wire import encoded
from proxy_core.config.models import AdminConfig
from proxy_core.config.tokens import new_token
from proxy_core.control import Action, DrainOutcome, PlannedServer, ReloadPlan
from proxy_core.control_client import GatewayUnreachable, RemoteControl, TokenRefused
from proxy_core.errors import (
    BackendError,
    BackendTimeout,
    ConfigError,
    ConfigProblem,
    InvalidParams,
    NotAllowed,
    NothingToRollBack,
    NotReplayable,
    Only1Error,
    Overloaded,
    UnknownChange,
    UnknownExchange,
    UnknownQuestion,
    UnknownReplica,
    UnknownServer,
)
from proxy_core.facts import CatalogChanged, VerbUsed
from proxy_core.telemetry.context_bill import (
    ContextBill,
    ContextTotals,
    Cost,
    DescriptionCost,
    ModeCosts,
    ProfileCost,
    SearchEstimate,
    ServerCost,
    ToolCost,
)
from proxy_core.telemetry.exchanges import ExchangeDetail, ExchangeStatus
from proxy_core.telemetry.snapshot import (
    ConfigStatus,
    LogLine,
    NamedItem,
    OrphanRow,
    Probe,
    ServerDetail,
    ServerState,
)
from proxy_core.telemetry.tool_changes import ToolChange, ToolDiff, ToolText
from proxy_core.telemetry.tool_detail import ToolDetail
from tests.support.admin_house import API, House, config_of, house
from tests.support.clock import FakeClock
from tests.support.fake_control import NOW, FakeControl, exchange_row, row_of, snapshot_of

ITEM = NamedItem("tool", "search__find", "find", "search", arguments=(("q", True),))
COSTS = ModeCosts(Cost(9, 8), Cost(7, 6), Cost(5, 4))
BILL = ContextBill(
    "o200k_base",
    True,
    "compact",
    COSTS,
    SearchEstimate(3, 5, 1.2, 4),
    (ServerCost("search", 1, Cost(9, 8), Cost(7, 6)),),
    (ToolCost("search", "search__find", Cost(9, 8), Cost(7, 6)),),
    (DescriptionCost("search", "search__find", 3, 1 / 3),),
    (ProfileCost("", "compact", 1, COSTS), ProfileCost("lean", "full", 0, ModeCosts())),
)
EXCHANGE = exchange_row(1, status=ExchangeStatus.OPEN, duration_ms=None, server_ms=None)
PLAN = ReloadPlan((PlannedServer("search", Action.REPLACE, ("transport.url",)),))


def fact(number: int) -> VerbUsed:
    return VerbUsed(float(number), "search", "drain", f"outcome {number}")


def line(number: int) -> LogLine:
    return LogLine(float(number), "info", "search", f"line {number}")


async def until(look: Callable[[], Any]) -> Any:
    async with asyncio.timeout(20):
        while not (found := look()):
            await asyncio.sleep(0.01)
    return found


@pytest.fixture
def control() -> FakeControl:
    return FakeControl(snapshot_of([row_of("search"), row_of("notes")]))


@pytest.fixture
async def served(control: FakeControl) -> AsyncIterator[House]:
    async with house(control) as served:
        yield served


@pytest.fixture
async def remote(served: House) -> AsyncIterator[RemoteControl]:
    async with RemoteControl(served.socket) as remote:
        yield remote


# --- what is seen ---------------------------------------------------------------------------------------------


async def test_entering_it_fetches_the_picture_and_a_refresh_a_newer_one(
    remote: RemoteControl, control: FakeControl
):
    first = remote.snapshot()
    assert replace(first, seq=0) == replace(control.current, seq=0)
    assert remote.snapshot() is first
    totals = ContextTotals("o200k_base", True, "full", Cost(9, 8), Cost(9, 8), Cost(7, 6), None)
    control.use(row_of("other", tokens=Cost(9, 8)), at=NOW + 1, context=totals)
    assert remote.snapshot() is first
    renewed = await remote.refresh()
    assert renewed is remote.snapshot()
    assert (renewed.context, renewed.servers[0].tokens) == (totals, Cost(9, 8))
    assert ([row.id for row in renewed.servers], renewed.seq > first.seq) == (["other"], True)


async def test_followed_it_holds_what_happens_with_numbers_of_its_own(
    remote: RemoteControl, control: FakeControl
):
    control.tell(fact(1), fact(2))
    control.log(line(1))
    remote.follow()
    remote.follow()
    await until(lambda: remote.events_after(0)[0] == 2)
    assert remote.events_after(0) == (2, (fact(1), fact(2)))
    assert remote.events_after(1) == (2, (fact(2),))
    await until(lambda: remote.logs_after(0) == (1, (line(1),)))
    control.use(row_of("other"))
    control.tell(fact(3))
    control.log(line(2))
    await until(lambda: remote.events_after(2) == (3, (fact(3),)))
    await until(lambda: remote.logs_after(1) == (2, (line(2),)))
    await until(lambda: [row.id for row in remote.snapshot().servers] == ["other"])
    assert remote.is_connected


async def test_followed_it_holds_exchanges_each_as_it_is_now(
    soon: None, control: FakeControl, own_runtime_folder: Path
):
    config = config_of(admin=AdminConfig(socket=str(own_runtime_folder / "mine.sock")))
    control.see(EXCHANGE, replace(EXCHANGE, id=2))
    async with house(control, config) as served:
        remote = RemoteControl(served.socket)
        await remote.__aenter__()
        remote.follow()
        await until(lambda: len(remote.exchanges_after(0)[1]) == 2)
        seq, rows = remote.exchanges_after(0)
        assert rows == (EXCHANGE, replace(EXCHANGE, id=2))
        control.see(replace(EXCHANGE, status=ExchangeStatus.OK))
        await until(lambda: remote.exchanges_after(seq)[1])
        assert remote.exchanges_after(seq)[1] == (replace(EXCHANGE, status=ExchangeStatus.OK),)
        assert [row.id for row in remote.exchanges_after(0)[1]] == [2, 1]
        seq, _ = remote.exchanges_after(0)
    try:
        # Another run: its ids begin anew, and those of the old one say nothing any more.
        again = FakeControl(snapshot_of([row_of("new")], started_at=5.0, at=6.0, seq=1))
        again.see(EXCHANGE)
        async with house(again, config):
            await until(lambda: remote.exchanges_after(seq)[1])
            assert remote.exchanges_after(0)[1] == (EXCHANGE,)
    finally:
        await remote.__aexit__(None, None, None)


async def test_an_exchange_is_fetched_and_made_again_there(remote: RemoteControl, control: FakeControl):
    control.exchanges = {1: ExchangeDetail(EXCHANGE, why_not_replayable="It held secrets.")}
    assert await remote.exchange(1) == control.exchanges[1]
    assert await remote.replay(1, "search/a") == control.exchanges[1]
    assert control.replayed == [(1, "search/a")]
    with pytest.raises(UnknownExchange, match="exchange 2 is not kept"):
        await remote.exchange(2)
    control.refusal = NotReplayable("It held secrets.")
    with pytest.raises(NotReplayable, match="It held secrets"):
        await remote.replay(1)


async def test_it_keeps_no_more_than_a_near_one_would(
    remote: RemoteControl, control: FakeControl, monkeypatch: pytest.MonkeyPatch
):
    control.tell(*map(fact, range(1, remote_control.FACTS + 11)))
    remote.follow()
    await until(lambda: remote.events_after(0)[0] == remote_control.FACTS + 10)
    assert remote.events_after(0)[1][0] == fact(11)


async def test_a_detail_is_the_row_alone_until_it_is_there(remote: RemoteControl, control: FakeControl):
    control.details["search"] = ServerDetail(row_of("search"), (ITEM,), stderr=("one",))
    assert remote.detail("search") == ServerDetail(row_of("search"))
    await until(lambda: remote.detail("search").items == (ITEM,))
    with pytest.raises(UnknownServer):
        remote.detail("nothing")


async def test_a_detail_is_fetched_once_at_a_time_and_not_more_often_than_it_is_worth(
    served: House, control: FakeControl
):
    class Counted(FakeControl):
        details_asked = 0

        def detail(self, server: str) -> ServerDetail:
            self.details_asked += 1
            return ServerDetail(row_of(server), stderr=(str(self.details_asked),))

    counted, clock = Counted(control.current), FakeClock()
    async with house(counted) as other, RemoteControl(other.socket, clock=clock) as remote:
        for _ in range(5):
            remote.detail("search")
        await until(lambda: remote.detail("search").stderr == ("1",))
        await until(lambda: not remote._fetching)
        for _ in range(5):
            remote.detail("search")
        assert (counted.details_asked, len(remote._fetching)) == (1, 0)
        clock.advance(remote_control.DETAIL_S)
        await until(lambda: remote.detail("search").stderr == ("2",))
        assert (await remote.fetch_detail("notes")).stderr == ("3",)


async def test_of_a_detail_only_what_is_newer_is_fetched(remote: RemoteControl, control: FakeControl):
    """A thousand tools and the lines that are known do not travel every second."""
    first = ServerDetail(row_of("search"), (ITEM,), stderr=("one",), stderr_seq=1, version=7)
    control.details["search"] = first
    known = await remote.fetch_detail("search")
    control.details["search"] = replace(first, stderr=("one", "two"), stderr_seq=2)
    asked = await remote._client.get("servers/search", ServerDetail, {"version": "7", "stderr_after": "1"})
    assert (asked.items, asked.stderr) == ((), ("two",))
    again = await remote.fetch_detail("search")
    assert again.items is known.items
    assert again.stderr == ("one", "two")
    control.details["search"] = replace(first, items=(), stderr=("other life",), stderr_seq=1, version=8)
    assert (await remote.fetch_detail("search")).stderr == ("other life",)
    assert (await remote.fetch_detail("search")).items == ()


async def test_a_tool_and_orphans_are_asked_for(remote: RemoteControl, control: FakeControl):
    name = "s__a/b?c=d&e #ü"
    control.tools[name] = ToolDetail(name, "a/b", "search", input_schema="{}", read_only=True)
    control.left = (OrphanRow(7, "node", 60.0, 1000),)
    assert await remote.tool(name) == control.tools[name]
    assert await remote.orphans() == control.left
    for nothing in ("nope", "", "x" * 1025):
        with pytest.raises(InvalidParams):
            await remote.tool(nothing)


async def test_names_are_fetched_and_again_when_a_list_has_changed(remote: RemoteControl, control: FakeControl):
    control.items = (ITEM,)
    assert remote.names() == ()
    await until(lambda: remote.names() == (ITEM,))
    control.items = ()
    remote.follow()
    assert remote.names() == (ITEM,)
    control.tell(CatalogChanged(1.0, "tools", 0))
    await until(lambda: remote.names() == ())
    control.items = (ITEM,)
    assert await remote.fetch_names() == (ITEM,)


async def test_log_lines_can_be_fetched_without_following(remote: RemoteControl, control: FakeControl):
    control.log(line(1), line(2), line(3))
    page = await remote.fetch_logs(after=1, limit=1)
    assert (page.seq, page.lines) == (3, (line(3),))


# --- the verbs ------------------------------------------------------------------------------------------------


async def test_verbs_reach_the_gateway_and_bring_back_what_they_say(
    remote: RemoteControl, control: FakeControl
):
    control.plan = PLAN
    assert await remote.drain("search", 2.5) == DrainOutcome(2, 0)
    assert await remote.drain("search/a") == DrainOutcome(2, 0)
    await remote.undrain("search")
    await remote.enable("search/a")
    assert await remote.disable("search") == DrainOutcome(0, 0)
    await remote.restart("notes")
    assert await remote.probe("notes") == Probe(NOW, 12.0, None)
    assert await remote.call("search__find", {"q": [1, None]}) == {"content": [], "isError": False}
    assert await remote.reload_plan() == PLAN
    assert await remote.apply_reload() == PLAN
    assert await remote.rollback() == PLAN
    control.bills = [BILL]
    assert await remote.context_bill() == BILL
    await remote.set_log_level("debug")
    await remote.answer("ab12", "accept", {"name": "Ann"})
    await remote.drill("search/a", "delay", delay_ms=250, for_s=30)
    await remote.end_drill("search")
    assert control.answers == [("ab12", "accept", {"name": "Ann"})]
    assert control.drills == [("search/a", "delay", 250.0, 1.0, 30.0)]
    assert control.asked == [
        ("drain", "search"),
        ("drain", "search/a"),
        ("undrain", "search"),
        ("enable", "search/a"),
        ("disable", "search"),
        ("restart", "notes"),
        ("probe", "notes"),
        ("call", "search__find"),
        ("answer", "ab12"),
        ("drill", "search/a"),
        ("end_drill", "search"),
    ]
    assert (control.graces_s, control.level, control.plans) == ([2.5, None], "debug", 1)
    assert (control.reloads, control.rollbacks) == (1, 1)


async def test_changes_of_tools_are_fetched_and_approved(remote: RemoteControl, control: FakeControl):
    change = ToolChange("search", "a/b ü", "new", "a" * 32, (), True, 5.5, ("token:ci",))
    control.diffs = [ToolDiff(change, ToolText("t", "d", "{}"))]
    assert await remote.tool_changes() == await remote.tool_changes("search") == (change,)
    assert await remote.tool_changes("notes") == ()
    assert await remote.tool_diff("search", "a/b ü", "a" * 32) == control.diffs[0]
    with pytest.raises(UnknownChange, match="waits"):
        await remote.tool_diff("search", "other")
    assert await remote.approve("search", "a/b ü", "a" * 32) == ("a/b ü",)
    assert control.approved == [("search", "a/b ü", "a" * 32)]
    with pytest.raises(UnknownChange):
        await remote.approve("search")


async def test_all_servers_are_asked_at_once(remote: RemoteControl, control: FakeControl):
    assert await remote.drain_all(1) == {"search": DrainOutcome(2, 0), "notes": DrainOutcome(2, 0)}
    assert await remote.undrain_all() == {"search": None, "notes": None}
    assert (await remote.probe_all())["notes"] == Probe(NOW, 12.0, None)
    control.refusal = BackendTimeout("search", "too slow")
    for failed in (await remote.drain_all(), await remote.undrain_all(), await remote.probe_all()):
        assert {type(error) for error in failed.values()} == {BackendTimeout}


@pytest.mark.parametrize(
    "error",
    [
        UnknownServer("search"),
        UnknownReplica("search", "z", ("a",)),
        NothingToRollBack(),
        BackendTimeout("search", "too slow"),
        BackendError("search", -32001, "no", b'{"x":1}'),
        Overloaded("busy"),
        InvalidParams("no"),
        UnknownQuestion("It was answered."),
        UnknownChange("It says something else by now."),
        NotAllowed("The configuration must say so."),
        Only1Error("other"),
    ],
)
async def test_a_verb_raises_here_what_it_raised_there(
    remote: RemoteControl, control: FakeControl, error: Only1Error
):
    control.refusal = error
    with pytest.raises(type(error)) as raised:
        await remote.restart("search")
    assert raised.value.message == error.message


async def test_what_is_no_id_of_a_question_is_asked_of_nobody(remote: RemoteControl, control: FakeControl):
    with pytest.raises(UnknownQuestion):
        await remote.answer("../drain", "accept")
    assert control.asked == []


async def test_a_bad_configuration_comes_with_its_faults(remote: RemoteControl, control: FakeControl):
    control.fault = ConfigError("/etc/only1mcp.yaml", (ConfigProblem("proxy.port", "not a number", 3),))
    for ask in (remote.reload_plan, remote.apply_reload):
        with pytest.raises(ConfigError) as raised:
            await ask()
        assert (raised.value.path, raised.value.problems) == (control.fault.path, control.fault.problems)
        assert "/etc/only1mcp.yaml:3: proxy.port" in raised.value.message


@pytest.mark.parametrize(
    "target", ["", "/", "a/b/c", "../snapshot", "SEARCH", "a b", "search?x", "search/", "é"]
)
async def test_what_is_no_target_goes_nowhere(remote: RemoteControl, control: FakeControl, target: str):
    with pytest.raises(UnknownServer):
        await remote.drain(target)
    assert control.asked == []


# --- a gateway that is not there, or not ours -----------------------------------------------------------------


async def test_no_socket_and_a_dead_one_are_no_gateway(own_runtime_folder: Path):
    path = own_runtime_folder / "1.sock"
    with pytest.raises(GatewayUnreachable, match="there is no such socket"):
        async with RemoteControl(path):
            pass
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(GatewayUnreachable, match=r"No gateway at .*1\.sock: nothing answers there"):
        async with RemoteControl(path):
            pass
    for url in ("http://127.0.0.1:1", "http://"):
        with pytest.raises(GatewayUnreachable):
            async with RemoteControl(url):
                pass


async def test_a_socket_of_another_user_is_not_asked(served: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(admin_client, "owner_fault", lambda path: "the socket belongs to another user")
    with pytest.raises(GatewayUnreachable, match="another user"):
        async with RemoteControl(served.socket):
            pass


async def test_on_the_port_it_says_who_it_is_and_a_refusal_says_what_to_do(control: FakeControl):
    token, entry = new_token("ci", admin="steer")
    async with house(control, config_of(tokens=(entry,), admin=AdminConfig(on_port=True))) as served:
        async with RemoteControl(served.origin + "/", token) as remote:
            await remote.drain("search")
            remote.follow()
            control.tell(fact(1))
            await until(lambda: remote.events_after(0)[0] == 1)
        for wrong, words in ((None, "wants a token"), ("o1_canary", "does not know the token")):
            with pytest.raises(TokenRefused, match="ONLY1MCP_TOKEN") as refused:
                async with RemoteControl(served.origin, wrong):
                    pass
            assert words in refused.value.message
            assert "canary" not in refused.value.message


async def test_a_port_without_the_admin_api_is_an_error_with_its_words(served: House):
    with pytest.raises(GatewayUnreachable):
        async with RemoteControl(served.origin):
            pass


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>"),
        (200, b"{}"),
        (200, b"\xff"),
        (200, b""),
        (200, b"[" * 100_000),
        (500, b"<html>"),
        (404, b'{"error": 7}'),
        (302, b""),
        (200, b" " * 3000),
    ],
)
async def test_whatever_else_answers_there_is_no_gateway(
    own_runtime_folder: Path, status: int, body: bytes, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(admin_client, "MAX_ANSWER_BYTES", 200_000 if len(body) == 100_000 else 2000)

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers={"Location": "http://127.0.0.1:1/"})

    path = own_runtime_folder / "odd.sock"
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    try:
        await web.UnixSite(runner, str(path)).start()
        with pytest.raises(GatewayUnreachable):
            async with RemoteControl(path):
                pass
    finally:
        await runner.cleanup()


async def test_a_gateway_that_says_nothing_is_given_up(
    own_runtime_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(admin_client, "ASK_S", 0.05)
    path = own_runtime_folder / "silent.sock"
    held = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await held.wait()
        writer.close()

    server = await asyncio.start_unix_server(silent, str(path))
    with pytest.raises(GatewayUnreachable, match="does not answer in time"):
        async with RemoteControl(path):
            pass
    held.set()
    server.close()
    await server.wait_closed()


# --- a gateway that goes and comes back -----------------------------------------------------------------------


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_control, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(remote_control, "LONGEST_WAIT_S", 0.02)


async def test_while_it_is_gone_the_picture_stays_and_says_so_and_another_run_is_followed_on(
    soon: None, control: FakeControl, own_runtime_folder: Path
):
    config = config_of(admin=AdminConfig(socket=str(own_runtime_folder / "mine.sock")))
    control.tell(*map(fact, range(1, 6)))
    async with house(control, config) as first:
        remote = RemoteControl(first.socket)
        await remote.__aenter__()
        remote.follow()
        await until(lambda: remote.events_after(0)[0] == 5)
    try:
        await until(lambda: not remote.is_connected)
        gone = await until(lambda: remote.snapshot().notices and remote.snapshot())
        assert [row.id for row in gone.servers] == ["search", "notes"]
        assert (gone.notices[0].level, "Trying again" in gone.notices[0].text) == ("error", True)
        assert gone.stale_since is not None and gone.stale_since >= NOW
        with pytest.raises(GatewayUnreachable):
            await remote.drain("search")
        # Another run: it counts from 1, and its clock stands elsewhere.
        again = FakeControl(snapshot_of([row_of("new")], started_at=5.0, at=6.0, seq=1))
        again.tell(*map(fact, range(101, 104)))
        async with house(again, config):
            await until(lambda: remote.is_connected and remote.events_after(0)[0] == 8)
            assert remote.events_after(5)[1] == (fact(101), fact(102), fact(103))
            fresh = remote.snapshot()
            assert ([row.id for row in fresh.servers], fresh.notices) == (["new"], ())
            assert fresh.stale_since is None
            assert fresh.seq > gone.seq
    finally:
        await remote.__aexit__(None, None, None)


async def test_a_lost_gateway_is_stale_since_it_was_lost_by_its_own_clock(
    soon: None, control: FakeControl, own_runtime_folder: Path
):
    """Ours stands elsewhere, and another reason that is told later does not make it younger."""
    clock = FakeClock()
    config = config_of(admin=AdminConfig(socket=str(own_runtime_folder / "mine.sock")))
    async with AsyncExitStack() as stack:
        async with house(control, config) as served:
            remote = await stack.enter_async_context(RemoteControl(served.socket, clock=clock))
            remote.follow()
            await until(lambda: remote._line_seq == 0 and served.frontend._steering._api._events._readers)  # type: ignore[union-attr]
            clock.advance(30)
        lost = await until(lambda: remote.snapshot().stale_since and remote.snapshot())
        assert (lost.at, lost.stale_since) == (NOW + 30, NOW + 30)
        assert lost.wall - lost.at == control.current.wall - control.current.at
        clock.advance(100)
        remote._lost("Something else.")
        later = remote.snapshot()
        assert (later.at, later.stale_since) == (NOW + 130, NOW + 30)
        assert later.notices[0].text.startswith("Something else.")


async def test_a_gateway_that_restarts_between_two_questions_loses_nobody_a_fact(own_runtime_folder: Path):
    """It is asked for what is newer than 500 of the run before, and has only 3 of its own."""
    old, new = (json.loads(encoded(snapshot_of([row_of("search")], started_at=at))) for at in (1.0, 2.0))
    asked: list[str] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.path.endswith("snapshot"):
            return web.json_response(old)
        asked.append(request.query["after"])
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)

        async def tell(kind: str, data: object) -> None:
            await response.write(f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode())

        await tell("snapshot", new)
        after = int(request.query["after"])
        for number in range(after + 1, 4):
            await tell("fact", {"seq": number, "fact": json.loads(encoded(fact(number)))})
        await until(lambda: request.transport is None or request.transport.is_closing())
        return response

    path = own_runtime_folder / "again.sock"
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    try:
        await web.UnixSite(runner, str(path)).start()
        async with RemoteControl(path) as remote:
            remote._fact_seq = 500
            remote.follow()
            await until(lambda: remote.events_after(0)[0] == 3)
            assert remote.events_after(0)[1] == (fact(1), fact(2), fact(3))
            assert remote.snapshot().stale_since is None
        assert asked == ["500", "0"]
    finally:
        await runner.cleanup()


async def test_what_may_be_done_is_known_and_told_again_when_it_changes(control: FakeControl):
    token, entry = new_token("ci")
    on_port = AdminConfig(on_port=True)
    async with (
        house(control, config_of(tokens=(entry,), admin=on_port)) as served,
        RemoteControl(served.origin, token) as remote,
    ):
        assert (await remote.fetch_session()).principal == "token:ci"
        assert remote.is_readonly
        with pytest.raises(Only1Error, match="may look and not steer"):
            await remote.drain("search")
        remote.follow()
        await until(lambda: served.frontend._steering._api._events._readers)  # type: ignore[union-attr]
        steerer = entry.model_copy(update={"admin": "steer"})
        served.frontend.use(config_of(tokens=(steerer,), admin=on_port))
        await until(lambda: not remote.is_readonly)
        assert remote.snapshot().stale_since is None
        await remote.drain("search")
        served.frontend.use(config_of(tokens=(entry,), admin=on_port))
        await until(lambda: remote.is_readonly)
    assert control.asked == [("drain", "search")]


async def test_a_detail_that_is_looked_at_is_fetched_again_only_when_it_has_changed(
    served: House, control: FakeControl
):
    asked: list[str] = []
    detail = control.detail
    control.detail = lambda server: asked.append(server) or detail(server)  # type: ignore[func-returns-value,method-assign]
    clock = FakeClock()
    async with RemoteControl(served.socket, clock=clock) as remote:
        remote.follow()

        async def looked_at(seconds: int = 10) -> int:
            for _ in range(seconds):
                clock.advance(remote_control.DETAIL_S)
                remote.detail("search")
                await until(lambda: not remote._fetching)
            return len(asked)

        assert await looked_at() == 1
        control.use(row_of("search", calls=7, in_flight=2), row_of("notes"), at=NOW + 1)
        await until(lambda: remote.snapshot().servers[0].calls == 7)
        assert await looked_at() == 1
        for number, row in enumerate((row_of("search", stderr_lines=1), row_of("search", tools=3)), start=2):
            control.use(row, row_of("notes"), at=NOW + number)
            await until(lambda row=row: remote.snapshot().servers[0] == row)
            assert await looked_at() == number
        control.tell(CatalogChanged(1.0, "tools", 0))
        await until(lambda: remote.events_after(0)[0] == 1)
        assert await looked_at() == 4
        control.use(config=ConfigStatus(2))
        await until(lambda: remote.snapshot().config.version == 2)
        assert await looked_at() == 5


async def test_three_monitors_see_within_a_second_what_one_of_them_does(served: House, control: FakeControl):
    async with AsyncExitStack() as stack:
        remotes = [await stack.enter_async_context(RemoteControl(served.socket)) for _ in range(3)]
        for remote in remotes:
            remote.follow()
        await remotes[0].drain("search")
        control.use(row_of("search", ServerState.DRAINED), row_of("notes"), at=NOW + 1)
        control.tell(fact(1))
        async with asyncio.timeout(1):
            for remote in remotes:
                while remote.snapshot().servers[0].state is not ServerState.DRAINED:
                    await asyncio.sleep(0.01)
                while remote.events_after(0) != (1, (fact(1),)):
                    await asyncio.sleep(0.01)
        assert all(remote.is_connected for remote in remotes)


async def test_a_monitor_that_does_not_read_holds_up_no_other(
    served: House, remote: RemoteControl, control: FakeControl
):
    """More is told than all buffers on the way to the slow one hold."""
    async with served.raw() as (_, writer):
        writer.write(f"GET {API}/events?logs=1 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await writer.drain()
        writer.transport.pause_reading()
        events = served.frontend._steering._api._events  # type: ignore[union-attr]
        (slow,) = await until(lambda: events._readers)
        remote.follow()
        for number in range(1, 41):
            control.log(*(LogLine(1.0, "info", "search", "x" * 10_000) for _ in range(25)))
            control.tell(fact(number))
            async with asyncio.timeout(5):
                while remote.events_after(0)[0] < number:
                    await asyncio.sleep(0.01)
            if slow.stream.is_behind:
                break
        assert slow.stream.is_behind
        assert remote.events_after(0)[1][-1] == fact(number)


async def test_the_same_run_is_gone_on_from_where_it_was_left(soon: None, served: House, control: FakeControl):
    control.tell(fact(1), fact(2))
    async with RemoteControl(served.socket) as remote:
        remote.follow()
        await until(lambda: remote.events_after(0)[0] == 2)
        events = served.frontend._steering._api._events  # type: ignore[union-attr]
        before = set(events._readers)
        events._end_all()
        await until(lambda: events._readers - before)
        control.tell(fact(3))
        await until(lambda: remote.events_after(0)[0] >= 3)
        assert remote.events_after(0) == (3, (fact(1), fact(2), fact(3)))
        assert remote.is_connected


async def test_a_token_that_is_taken_back_is_said_where_it_is_seen(soon: None, control: FakeControl):
    token, entry = new_token("ci")
    (_, other), on_port = new_token("other"), AdminConfig(on_port=True)
    async with (
        house(control, config_of(tokens=(entry,), admin=on_port)) as served,
        RemoteControl(served.origin, token) as remote,
    ):
        remote.follow()
        await until(lambda: served.frontend._steering._api._events._readers)  # type: ignore[union-attr]
        served.frontend.use(config_of(tokens=(other,), admin=on_port))
        await until(lambda: any("ONLY1MCP_TOKEN" in one.text for one in remote.snapshot().notices))


async def test_events_of_a_newer_gateway_are_passed_over_and_those_that_are_known_are_not(
    own_runtime_folder: Path,
):
    picture = json.loads(encoded(snapshot_of([row_of("search")])))
    events = (
        ("future", {}),
        ("fact", {"seq": 1, "fact": {"type": "FutureFact", "at": 1.0}}),
        ("log", "no line"),
        ("snapshot", picture | {"servers": 7}),
        ("fact", {"seq": 2, "fact": json.loads(encoded(fact(2)))}),
        ("snapshot", picture | {"version": "9", "future": True}),
    )

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.path.endswith("snapshot"):
            return web.json_response(picture)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for kind, data in events:
            await response.write(f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode())
        await until(lambda: request.transport is None or request.transport.is_closing())
        return response

    path = own_runtime_folder / "odd.sock"
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    try:
        await web.UnixSite(runner, str(path)).start()
        async with RemoteControl(path) as remote:
            remote.follow()
            await until(lambda: remote.snapshot().version == "9")
            assert remote.events_after(0) == (1, (fact(2),))
            assert remote.is_connected
    finally:
        await runner.cleanup()


async def test_leaving_it_ends_what_it_had_begun(served: House):
    async with RemoteControl(served.socket) as remote:
        remote.follow()
        remote.detail("search")
    assert len(remote._tasks) == 0
    await until(lambda: served.is_idle)
