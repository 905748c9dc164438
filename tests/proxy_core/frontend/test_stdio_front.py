"""Both eras on one pipe: who is served how, what may be said when, and how it ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from proxy_core.clock import SystemClock
from proxy_core.config.models import Config, LimitsConfig, ProfileConfig, ProxyConfig
from proxy_core.errors import BackendError, ClientError, ClientSilent
from proxy_core.facts import Fact, SessionsChanged
from proxy_core.frontend import pipe as pipes
from proxy_core.frontend.pipe import ClientDoesNotRead, Pipe
from proxy_core.frontend.stdio_front import StdioFront
from proxy_core.protocol import jsonrpc
from tests.support.http_client import LATEST_LEGACY, MODERN, SOON_S, request
from tests.support.pipe_client import (
    PipeClient,
    cancelled,
    initialize,
    modern,
    notification,
    piped,
)
from tests.support.scripted_gateway import MODERN_RESULT, ScriptedGateway
from tests.support.wire import comes_true

SUBSCRIPTION_ID = "io.modelcontextprotocol/subscriptionId"
TOOLS_CHANGED = "notifications/tools/list_changed"


@dataclass
class Stage:
    """A front with its client, and what it told."""

    client: PipeClient
    front: StdioFront
    gateway: ScriptedGateway
    pipe: Pipe
    facts: list[Fact] = field(default_factory=list)
    ends: list[bool] = field(default_factory=list)

    async def ended(self) -> bool:
        """Waits for its end; whether nobody was left to wait for."""
        await comes_true(lambda: self.ends, "the front has ended")
        return self.ends[-1]


@asynccontextmanager
async def staged(profile: str = "", **settings: Any) -> AsyncIterator[Stage]:
    gateway = ScriptedGateway()
    config = Config(proxy=ProxyConfig(**settings), limits=LimitsConfig(calls=1, listens=1, sessions=1))
    async with piped() as (client, pipe):
        facts: list[Fact] = []
        ends: list[bool] = []
        front = StdioFront(config, gateway, SystemClock(), facts.append, pipe, ends.append, profile)
        await front.start()
        try:
            yield Stage(client, front, gateway, pipe, facts, ends)
        finally:
            client.end()
            await front.aclose()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with staged() as stage:
        yield stage


async def test_both_eras_of_a_pipe_are_served_under_its_profile():
    async with staged("review") as stage:
        await stage.client.ask_modern("tools/list", id="a")
        await stage.client.initialize()
        await stage.client.ask("tools/list", id="b")
        assert [each.caller.profile for each in stage.gateway.exchanges] == ["review", "review"]
        assert stage.gateway.hub.profiles == {"review"}


async def test_a_pipe_says_that_its_profile_is_gone(caplog: pytest.LogCaptureFixture):
    async with staged("review") as stage:
        stage.front.use(Config(profiles={"review": ProfileConfig()}))
        assert not caplog.messages
        stage.front.use(Config())
        assert caplog.messages == ["there is no profile review any more: the client sees nothing"]


# --- the two eras


async def test_modern_requests_need_no_handshake(stage: Stage):
    answer = await stage.client.ask_modern("tools/list", id="a")
    assert answer["result"]["resultType"] == "complete"
    caller = stage.gateway.exchanges[0].caller
    assert (caller.revision, caller.principal, caller.session) == (MODERN, "anon", None)
    assert stage.gateway.exchanges[0].param_headers is None


@pytest.mark.requirement("L18")
async def test_discover_then_initialize_then_discover_are_all_served(stage: Stage):
    stage.gateway.scripts["server/discover"] = MODERN_RESULT
    assert "result" in await stage.client.ask_modern("server/discover")
    assert (await stage.client.initialize())["result"]["protocolVersion"] == LATEST_LEGACY
    assert (await stage.client.ask("tools/list", id=2))["result"] == {"content": []}
    assert (await stage.client.ask_modern("tools/list", id=3))["result"]["resultType"] == "complete"
    assert [exchange.caller.era for exchange in stage.gateway.exchanges] == ["modern", "legacy", "modern"]


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
async def test_a_handshake_is_answered_with_the_revision_that_was_asked_for(stage: Stage, version: str):
    answer = await stage.client.initialize(version, {"roots": {"listChanged": True}, "sampling": {}})
    assert answer["result"]["protocolVersion"] == version
    await stage.client.ask("tools/list")
    caller = stage.gateway.exchanges[0].caller
    assert (caller.revision, caller.client) == (version, "test")
    assert {"roots", "sampling"} <= caller.capabilities.features


async def test_before_the_handshake_only_ping_is_answered(stage: Stage):
    assert (await stage.client.ask("ping"))["result"] == {}
    answer = await stage.client.ask("tools/list", id="early")
    assert answer["error"]["code"] == -32600
    assert "initialize" in answer["error"]["message"]
    assert not stage.gateway.exchanges


async def test_a_second_handshake_begins_another_session(stage: Stage):
    stage.gateway.held = {"tools/call"}
    await stage.client.initialize("2025-06-18")
    stage.client.send(request("tools/call", id="old"))
    call = await stage.gateway.next_call()
    first = call.exchange.caller
    assert (await stage.client.initialize("2025-11-25"))["result"]["protocolVersion"] == "2025-11-25"
    await asyncio.wait_for(call.cancelled.wait(), SOON_S)
    assert stage.gateway.ended == [first]
    await stage.client.ask("tools/list", id="new")
    second = stage.gateway.exchanges[-1].caller
    assert (second.session != first.session, second.revision) == (True, "2025-11-25")
    assert not [message for message in stage.client.heard if message.get("id") == "old"]
    assert stage.gateway.hub is not None
    assert len(stage.gateway.hub) == 1


async def test_sessions_and_listens_are_told(stage: Stage):
    await stage.client.initialize()
    stage.client.send(modern("subscriptions/listen", {"notifications": {}}, "s"))
    await stage.client.next()
    stage.client.send(cancelled("s"))
    await comes_true(lambda: len(stage.facts) == 3, "three changes are told")
    counts = [(fact.sessions, fact.streams) for fact in stage.facts if isinstance(fact, SessionsChanged)]
    assert counts == [(1, 0), (1, 1), (1, 0)]


# --- requests


async def test_requests_run_side_by_side_without_a_quota_and_answers_come_as_they_are_ready(stage: Stage):
    stage.gateway.held = {"tools/call"}
    await stage.client.initialize()
    stage.client.send(*(modern("tools/call", {"name": "t"}, id=f"m{n}") for n in range(3)))
    stage.client.send(*(request("tools/call", {"name": "t"}, id=n) for n in range(3)))
    calls = [await stage.gateway.next_call() for _ in range(6)]
    for call in reversed(calls):
        call.answer(MODERN_RESULT)
        await stage.client.next()
    assert [message["id"] for message in stage.client.heard[1:]] == [2, 1, 0, "m2", "m1", "m0"]


@pytest.mark.parametrize("id", ["1", 1, "ü", -7, 2**60])
async def test_an_id_is_echoed_as_it_came(stage: Stage, id: Any):
    assert (await stage.client.ask_modern("tools/list", id=id))["id"] == id


async def test_an_id_that_is_in_flight_is_refused_in_either_era_and_free_again_afterwards(stage: Stage):
    stage.gateway.held = {"tools/call"}
    await stage.client.initialize()
    stage.client.send(modern("tools/call", {"name": "t"}, id=5))
    call = await stage.gateway.next_call()
    assert (await stage.client.ask("tools/list", id=5))["error"]["code"] == -32600
    assert "result" in await stage.client.ask("tools/list", id="5")
    call.answer(MODERN_RESULT)
    assert "result" in await stage.client.answer(5)
    assert "result" in await stage.client.ask("tools/list", id=5)


async def test_an_error_keeps_its_code_and_data(stage: Stage):
    stage.gateway.scripts["tools/call"] = BackendError("b", -32050, "no", b'{"why":\n"so"}')
    answer = await stage.client.ask_modern("tools/call", {"name": "t"})
    assert answer["error"] == {"code": -32050, "message": "no", "data": {"why": "so"}}


@pytest.mark.requirement("L17")
async def test_what_a_server_wrote_on_several_lines_comes_as_one(stage: Stage):
    stage.gateway.scripts["tools/call"] = b'{\n  "content": [\n\r\n]}'
    await stage.client.initialize()
    assert (await stage.client.ask("tools/call"))["result"] == {"content": []}


async def test_an_answer_that_cannot_be_one_line_is_an_error_with_its_id(stage: Stage):
    stage.gateway.scripts["tools/call"] = b'{"text": "a\nb"}'
    await stage.client.initialize()
    assert (await stage.client.ask("tools/call", id=9))["error"]["code"] == -32603


async def test_a_failure_nobody_foresaw_is_answered_without_internals(
    stage: Stage, caplog: pytest.LogCaptureFixture
):
    stage.gateway.scripts["tools/call"] = RuntimeError("secret")
    answer = await stage.client.ask_modern("tools/call", {"name": "t"})
    assert answer["error"] == {"code": -32603, "message": "Internal error"}
    assert "secret" in caplog.text


async def test_methods_of_the_other_era_do_not_exist(stage: Stage):
    await stage.client.initialize()
    for method in ("initialize", "ping", "logging/setLevel", "unknown/method"):
        assert (await stage.client.ask_modern(method))["error"]["code"] == -32601, method
    assert (await stage.client.ask("unknown/method"))["error"]["code"] == -32601


async def test_progress_and_logs_come_before_the_result(stage: Stage):
    stage.gateway.held = {"tools/call"}
    stage.client.send(modern("tools/call", {"name": "t"}, id=1))
    call = await stage.gateway.next_call()
    for number in range(100):
        call.notify(jsonrpc.notification("notifications/progress", b'{"progress":%d}' % number))
    call.answer(MODERN_RESULT)
    assert "result" in await stage.client.answer(1)
    *progress, answer = stage.client.heard
    assert [message["params"]["progress"] for message in progress] == list(range(100))
    assert answer["id"] == 1
    call.notify(jsonrpc.notification("notifications/progress", b'{"progress":100}'))
    await stage.client.ask_modern("tools/list", id=2)
    assert stage.client.heard[-1]["id"] == 2


# --- cancelling


@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_a_cancelled_request_is_stopped_and_never_answered(stage: Stage, era: str):
    stage.gateway.held = {"tools/call"}
    await stage.client.initialize()
    made = modern if era == "modern" else request
    stage.client.send(made("tools/call", {"name": "t"}, id=1))
    call = await stage.gateway.next_call()
    stage.client.send(cancelled(1))
    await asyncio.wait_for(call.cancelled.wait(), SOON_S)
    call.notify(jsonrpc.notification("notifications/progress"))
    await stage.client.ask("ping", id=2)
    assert [message.get("id") for message in stage.client.heard] == ["init", 2]


async def test_a_modern_cancellation_may_carry_the_envelope(stage: Stage):
    stage.gateway.held = {"tools/call"}
    stage.client.send(modern("tools/call", {"name": "t"}, id=1))
    call = await stage.gateway.next_call()
    message = modern("notifications/cancelled", {"requestId": 1})
    del message["id"]
    stage.client.send(message)
    await asyncio.wait_for(call.cancelled.wait(), SOON_S)


async def test_what_a_cancellation_cannot_name_is_ignored(stage: Stage):
    params: list[Any] = [{"requestId": 77}, {"requestId": True}, {"requestId": [1]}, {}, {"requestId": None}]
    stage.client.send(*(notification("notifications/cancelled", each) for each in params))
    assert "result" in await stage.client.ask("ping")


# --- what goes the other way


async def test_lists_that_change_are_told_to_a_legacy_client_unasked(stage: Stage):
    stage.gateway.hub.changed("tools")
    await stage.client.initialize()
    stage.gateway.hub.changed("tools")
    assert (await stage.client.next())["method"] == TOOLS_CHANGED


async def test_updates_of_resources_go_to_the_sessions_stream(stage: Stage):
    await stage.client.initialize()
    await stage.client.ask("resources/subscribe", {"uri": "a:b"})
    stream = stage.gateway.exchanges[0].caller.stream
    assert stream is not None
    stream.notify(jsonrpc.notification("notifications/resources/updated", b'{"uri":"a:b"}'))
    assert (await stage.client.next())["params"] == {"uri": "a:b"}


async def test_notifications_of_a_legacy_client_reach_the_gateway(stage: Stage):
    stage.client.send(notification("notifications/roots/list_changed"))
    await stage.client.initialize()
    stage.client.send(notification("notifications/roots/list_changed"))
    await stage.client.ask("ping")
    told = [(caller.session, method) for caller, method, _ in stage.gateway.notifications]
    assert told == [("stdio-1", "notifications/initialized"), ("stdio-1", "notifications/roots/list_changed")]


async def _asking(stage: Stage, **how: Any) -> tuple[Any, "asyncio.Future[Any]"]:
    """A legacy call in flight, and a question that a server puts to its client."""
    stage.gateway.held = {"tools/call"}
    await stage.client.initialize(capabilities={"sampling": {}})
    stage.client.send(request("tools/call", {"name": "t"}, id=1))
    call = await stage.gateway.next_call()
    outlet = call.exchange.outlet
    asked = outlet.request("sampling/createMessage", b'{"maxTokens":1}', timeout_s=how.get("timeout_s", SOON_S))
    return call, asyncio.ensure_future(asked)


async def test_a_legacy_client_is_asked_on_its_stdin_and_its_answer_comes_back(stage: Stage):
    _, asked = await _asking(stage)
    question = await stage.client.next()
    assert (question["method"], question["params"]) == ("sampling/createMessage", {"maxTokens": 1})
    stage.client.send({"jsonrpc": "2.0", "id": question["id"], "result": {"role": "assistant"}})
    assert jsonrpc.decode(await asked) == {"role": "assistant"}


async def test_a_clients_own_error_reaches_who_asked(stage: Stage):
    _, asked = await _asking(stage)
    question = await stage.client.next()
    error = {"code": -1, "message": "rejected"}
    stage.client.send({"jsonrpc": "2.0", "id": question["id"], "error": error})
    with pytest.raises(ClientError, match="rejected") as raised:
        await asked
    assert raised.value.code == -1


async def test_a_call_that_is_cancelled_withdraws_its_questions(stage: Stage):
    call, asked = await _asking(stage)
    question = await stage.client.next()
    stage.client.send(cancelled(1))
    await asyncio.wait_for(call.cancelled.wait(), SOON_S)
    asked.cancel()
    assert await stage.client.next() == cancelled(question["id"])


async def test_a_client_that_has_ended_answers_nothing_any_more(stage: Stage):
    call, asked = await _asking(stage)
    await stage.client.next()
    stage.client.end()
    with pytest.raises(ClientSilent):
        await asked
    call.answer(b"{}")
    assert "result" in await stage.client.answer(1)


async def test_a_modern_client_is_never_asked(stage: Stage):
    stage.gateway.held = {"tools/call"}
    stage.client.send(modern("tools/call", {"name": "t"}))
    call = await stage.gateway.next_call()
    with pytest.raises(ClientSilent):
        await call.exchange.outlet.request("roots/list", b"{}", timeout_s=SOON_S)


async def test_stray_answers_are_ignored(stage: Stage):
    stage.client.send({"jsonrpc": "2.0", "id": "s-x", "result": {}})
    await stage.client.initialize()
    stage.client.send({"jsonrpc": "2.0", "id": "s-x", "result": {}})
    assert "result" in await stage.client.ask("ping")


# --- listens


@pytest.mark.requirement("C08")
@pytest.mark.parametrize("id", ["s", 4])
async def test_a_listen_is_acknowledged_tagged_and_ended_by_a_cancellation(stage: Stage, id: Any):
    wanted = {"toolsListChanged": True, "promptsListChanged": False}
    stage.client.send(modern("subscriptions/listen", {"notifications": wanted}, id))
    acknowledged = await stage.client.next()
    assert acknowledged["method"] == "notifications/subscriptions/acknowledged"
    tag = {SUBSCRIPTION_ID: id}
    assert acknowledged["params"] == {"_meta": tag, "notifications": {"toolsListChanged": True}}
    stage.gateway.hub.changed("prompts")
    stage.gateway.hub.changed("tools")
    changed = await stage.client.next()
    assert (changed["method"], changed["params"]["_meta"]) == (TOOLS_CHANGED, tag)
    stage.client.send(cancelled(id))
    await stage.client.ask_modern("tools/list", id="after")
    assert len(stage.gateway.hub) == 0
    assert [message.get("id") for message in stage.client.heard] == [None, None, "after"]


@pytest.mark.requirement("C15")
async def test_a_graceful_end_sends_the_result_first_and_then_the_cancellation(stage: Stage):
    stage.client.send(modern("subscriptions/listen", {"notifications": {}}, 4))
    stage.client.send(modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, "five"))
    await stage.client.next()
    await stage.client.next()
    await stage.front.stop_listening()
    await stage.front.end_streams()
    ends = [await stage.client.next() for _ in range(4)]
    for id in (4, "five"):
        result, told = [m for m in ends if m.get("id", m.get("params", {}).get("requestId")) == id]
        assert (result["result"]["resultType"], result["result"]["_meta"][SUBSCRIPTION_ID]) == ("complete", id)
        assert told == cancelled(id)
    assert len(stage.gateway.hub) == 0


async def test_a_listen_with_a_bad_filter_is_refused_and_nothing_more(stage: Stage):
    answer = await stage.client.ask_modern("subscriptions/listen", {"notifications": 3})
    assert answer["error"]["code"] == -32602
    await stage.client.ask_modern("tools/list", id=2)
    assert len(stage.client.heard) == 2


# --- what is no message


async def test_what_cannot_be_read_is_answered_and_the_next_line_served(stage: Stage):
    stage.client.send(b"{nonsense\n", b'{"jsonrpc":"2.0","id":[1],"method":"ping"}\n', b"[]\n", b'"\xff"\n')
    answers = [await stage.client.next() for _ in range(4)]
    assert [answer["error"]["code"] for answer in answers] == [-32700, -32600, -32600, -32700]
    assert all(answer["id"] is None for answer in answers)
    assert "result" in await stage.client.ask("ping")


@pytest.mark.parametrize(
    ("begin", "has_id"),
    [
        (initialize("2025-11-25"), False),
        (initialize("2025-06-18"), True),
        (modern("tools/list", id="init"), False),
    ],
)
async def test_an_id_that_could_not_be_read_is_null_or_left_out_as_the_revision_says(
    stage: Stage, begin: Any, has_id: bool
):
    stage.client.send(begin)
    await stage.client.answer("init")
    stage.client.send(b"nonsense\n")
    assert ("id" in await stage.client.next()) == has_id


async def test_a_line_that_is_too_long_is_refused_and_the_next_served():
    async with staged(max_body_bytes=1024) as stage:
        stage.client.send(request("ping", {"x": "y" * 2000}))
        answer = await stage.client.next()
        assert (answer["error"]["code"], answer["id"]) == (-32600, None)
        assert "1024 bytes" in answer["error"]["message"]
        assert "result" in await stage.client.ask("ping", id=2)


# --- batches


async def test_a_batch_is_answered_as_one_where_the_revision_has_them(stage: Stage):
    await stage.client.initialize("2025-03-26")
    batch = [
        request("tools/list", id=1),
        notification("notifications/roots/list_changed"),
        request("unknown/method", id="two"),
        {"jsonrpc": "2.0", "id": 3},
        initialize(id=4),
        modern("tools/list", id=5),
        [],
    ]
    stage.client.send(batch)
    answers = await stage.client.next()
    by_id = {answer["id"]: answer.get("error", {}).get("code") for answer in answers}
    assert by_id == {1: None, "two": -32601, 3: -32600, 4: -32600, 5: -32600, None: -32600}
    assert [method for _, method, _ in stage.gateway.notifications][-1] == "notifications/roots/list_changed"


async def test_a_batch_without_requests_has_no_answer(stage: Stage):
    await stage.client.initialize("2025-03-26")
    stage.client.send([notification("notifications/roots/list_changed")], [])
    assert (await stage.client.next())["error"]["code"] == -32600
    assert "result" in await stage.client.ask("ping")


async def test_a_request_of_a_batch_can_be_cancelled_alone(stage: Stage):
    stage.gateway.held = {"tools/call"}
    await stage.client.initialize("2025-03-26")
    stage.client.send([request("tools/call", id=1), request("tools/list", id=2)])
    await stage.gateway.next_call()
    stage.client.send(cancelled(1))
    assert [answer["id"] for answer in await stage.client.next()] == [2]


@pytest.mark.parametrize("version", ["2024-11-05", "2025-06-18", "2025-11-25"])
async def test_a_batch_is_refused_where_the_revision_has_none(stage: Stage, version: str):
    await stage.client.initialize(version)
    stage.client.send([request("tools/list")])
    assert (await stage.client.next())["error"]["code"] == -32600
    assert not stage.gateway.exchanges


# --- the end


async def test_at_the_end_of_its_input_what_is_in_flight_is_still_answered(stage: Stage):
    stage.gateway.held = {"tools/call"}
    stage.client.send(modern("tools/call", {"name": "t"}))
    call = await stage.gateway.next_call()
    stage.client.end()
    await comes_true(lambda: stage.pipe.has_ended, "the end is seen")
    assert not stage.ends
    call.answer(MODERN_RESULT)
    assert "result" in await stage.client.answer(1)
    assert await stage.ended() is False


async def test_a_request_without_a_line_end_before_the_end_is_answered(stage: Stage):
    stage.client.send(b'{"jsonrpc":"2.0","id":1,"method":"ping"}')
    stage.client.end()
    assert "result" in await stage.client.answer(1)


async def test_a_call_that_does_not_end_is_cancelled_after_the_grace():
    async with staged(grace_s=0.1) as stage:
        stage.gateway.held = {"tools/call"}
        stage.client.send(modern("tools/call", {"name": "t"}))
        call = await stage.gateway.next_call()
        stage.client.end()
        assert await stage.ended() is False
        await asyncio.wait_for(call.cancelled.wait(), SOON_S)


async def test_a_listen_does_not_keep_us_once_the_client_has_ended(stage: Stage):
    stage.client.send(modern("subscriptions/listen", {"notifications": {}}, 1))
    await stage.client.next()
    stage.client.end()
    assert await stage.ended() is False


async def test_a_stop_refuses_new_requests_and_finishes_those_in_flight(stage: Stage):
    stage.gateway.held = {"tools/call"}
    await stage.client.initialize()
    stage.client.send(request("tools/call", {"name": "t"}))
    call = await stage.gateway.next_call()
    await stage.front.stop_listening()
    for refused in (
        await stage.client.ask("tools/list", id=2),
        await stage.client.ask_modern("tools/list", id=3),
    ):
        assert refused["error"]["code"] == -32603
        assert "stopping" in refused["error"]["message"]
    call.answer(b"{}")
    assert "result" in await stage.client.answer(1)


async def test_a_close_sends_what_is_ready_and_cancels_the_rest(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("proxy_core.frontend.stdio_front.SHUTDOWN_S", 0.2)
    stage.gateway.held = {"tools/call"}
    await stage.client.initialize()
    stage.client.send(request("tools/call", id=1), modern("tools/call", {"name": "t"}, id=2))
    calls = [await stage.gateway.next_call() for _ in range(2)]
    calls[0].answer(b"{}")
    await asyncio.wait_for(stage.front.aclose(), SOON_S)
    assert "result" in await stage.client.answer(1)
    assert calls[1].cancelled.is_set()
    assert len(stage.gateway.ended) == 1
    await stage.front.aclose()


async def test_a_client_that_hangs_up_ends_everything_at_once(stage: Stage):
    stage.gateway.held = {"tools/call"}
    stage.client.send(modern("tools/call", {"name": "t"}, id=1), modern("tools/call", {"name": "t"}, id=2))
    calls = [await stage.gateway.next_call() for _ in range(2)]
    stage.client.hang_up()
    calls[0].answer(MODERN_RESULT)
    assert await stage.ended() is True
    await asyncio.wait_for(calls[1].cancelled.wait(), SOON_S)
    assert (stage.pipe.has_ended, stage.pipe.failure) == (True, None)


async def test_a_client_that_was_killed_is_not_waited_for(stage: Stage):
    stage.gateway.held = {"tools/call"}
    stage.client.send(modern("tools/call", {"name": "t"}))
    call = await stage.gateway.next_call()
    stage.client.end()
    stage.client.hang_up()
    assert await stage.ended() is True
    await asyncio.wait_for(call.cancelled.wait(), SOON_S)


async def test_a_client_that_reads_nothing_is_given_up(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pipes, "MAX_QUEUED_BYTES", 4 << 20)
    stage.client.stop_reading()
    stage.gateway.held = {"tools/call"}
    stage.client.send(modern("tools/call", {"name": "t"}))
    call = await stage.gateway.next_call()
    flood = jsonrpc.notification("notifications/message", b'{"data":"%s"}' % (b"x" * 500_000))
    for _ in range(20):
        call.notify(flood)
    assert await stage.ended() is True
    assert isinstance(stage.pipe.failure, ClientDoesNotRead)


async def test_a_client_that_reads_slowly_is_waited_for_however_much_it_asks_at_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pipes, "HIGH_WATER_BYTES", 100_000)
    monkeypatch.setattr(pipes, "MAX_QUEUED_BYTES", 1_500_000)
    stage.client.stop_reading()
    stage.gateway.scripts["tools/list"] = b'{"tools":["%s"]}' % (b"x" * 500_000)
    count = 20
    stage.client.send(*(modern("tools/list", id=number) for number in range(count)))
    await comes_true(lambda: len(stage.gateway.exchanges) == count, "all of it was asked for")
    stage.client.go_on_reading()
    for number in range(count):
        await stage.client.answer(number)
    assert stage.pipe.failure is None
