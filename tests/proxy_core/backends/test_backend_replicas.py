"""One server in several places: who is asked, what is asked again, what stays while replicas come and go."""

import asyncio
from typing import Any

import pytest
from msgspec import Raw

from proxy_core.backends import backend as backend_module
from proxy_core.backends import repeating
from proxy_core.backends.call import Call
from proxy_core.backends.isolation import EVERYTHING
from proxy_core.backends.retry_budget import RESERVE
from proxy_core.config.models import (
    CircuitBreakerConfig,
    RetryConfig,
    RoutingConfig,
    ServerConfig,
    StdioTransport,
)
from proxy_core.control import AbandonedCall
from proxy_core.errors import (
    BackendAuthRequired,
    BackendError,
    BackendExited,
    BackendFailing,
    BackendFault,
    BackendHttpError,
    BackendProtocolError,
    BackendStreamLost,
    BackendTimeout,
    BackendUnavailable,
    CircuitOpen,
    Overloaded,
    UnknownReplica,
)
from proxy_core.protocol.revisions import Era
from proxy_core.telemetry.snapshot import BreakerState as B
from proxy_core.telemetry.snapshot import ServerState as S
from tests.support.scripted_backend import ADD
from tests.support.scripted_channel import (
    Sink,
    discovered,
    exits,
    initialized,
    raises,
    refuses,
    result,
    silence,
    tools,
    until,
)
from tests.support.scripted_replicas import Replicas, place, pongs, remote

GONE = BackendUnavailable("box", "The server cannot be reached.", "could not connect")
AUTH = BackendAuthRequired("box", "The server wants to know who we are.")
LOST = BackendStreamLost("box", "The server broke off its answer.")
FAILING = BackendFailing("box", "The server is failing.", "it answered with HTTP status 500", 500)
SAFE = {"retry": ("add",)}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeating, "FIRST_PAUSE_S", 0.0)


@pytest.fixture
async def two(replicas: Any) -> Replicas:
    """a and b, which are asked in turn, a first."""
    made: Replicas = await replicas("a", "b").in_service()
    return made


async def service(replicas: Any, *places: Any, **more: Any) -> Replicas:
    made: Replicas = await replicas(*places, **more).in_service()
    return made


def fails(made: Replicas, fault: BackendFault, *where: str) -> None:
    for each in where:
        made.replies(each, "tools/call", raises(fault))


# --- in turn ------------------------------------------------------------------------------------------------


async def test_calls_are_balanced_and_say_who_answered(replicas: Any) -> None:
    made = (await service(replicas, "a", "b", "c")).answers("a", "b", "c")
    assert [await made.answered_by() for _ in range(6)] == list("abcabc")


async def test_a_server_takes_calls_as_soon_as_one_replica_does(replicas: Any) -> None:
    made = replicas("a", "b", scripts={"a": pongs(initialize=silence)}).answers("b")
    made.backend.start()
    await made.reach(S.HEALTHY, "b")
    assert [await made.answered_by() for _ in range(3)] == list("bbb")
    assert (made.backend.state, made.tools) == (S.HEALTHY, ["add"])
    assert made.backend.reason == "a starting, the others serve"


async def test_the_states_of_a_replica_are_told_with_its_id(two: Replicas) -> None:
    two.at("b").line.ends()
    await two.reach(S.RESTARTING, "b")
    assert two.states_of("b") == [S.HEALTHY, S.RESTARTING]
    assert two.states_of("a") == [S.HEALTHY]
    assert two.backend.state is S.DEGRADED
    assert two.backend.reason.startswith("1 of 2 replicas are well; b: ")
    assert "code 3" in two.backend.reason


async def test_who_waits_for_the_server_hears_of_the_first_replica_that_settles(replicas: Any) -> None:
    made = replicas("a", "b", scripts={"a": pongs(initialize=silence)})
    made.at("b").script.pop("initialize")
    made.backend.start()
    settled = made.begin(made.backend.settled())
    handshake = await made.at("b").next("initialize")
    await made.rest()
    assert not settled.done() and made.backend.is_settling
    initialized()(handshake)
    await settled
    assert not made.backend.is_settling


async def test_a_legacy_replica_speaks_for_all(replicas: Any) -> None:
    """More may have to be done for it."""
    modern = {"server/discover": discovered(), "tools/list": tools("add")}
    legacy = pongs(server_discover=refuses(-32601))
    made = replicas("a", "b", scripts={"a": modern, "b": legacy}, era="auto")
    await made.in_service()
    assert [made[each].peer.era for each in "ab"] == [Era.MODERN, Era.LEGACY]
    assert made.backend.peer.era is Era.LEGACY


async def test_all_replicas_are_told_the_log_level_and_those_that_come_later_too(two: Replicas) -> None:
    two.backend.want_log_level("debug")
    two.backend.use(two.settings("a", "b", "c"), None, 0)
    await two.reach(S.HEALTHY)
    await until(lambda: [two.at(each).count("logging/setLevel") for each in "abc"] == [1, 1, 1])


# --- what was surely not sent -------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [GONE, AUTH])
async def test_what_was_not_sent_goes_to_another_whatever_it_is_and_free_of_charge(
    replicas: Any, fault: BackendFault
) -> None:
    made = (await service(replicas, "a", "b", "c")).answers("c")
    made.retry = RetryConfig(attempts=0, budget_ratio=0)
    fails(made, fault, "a", "b")
    assert [await made.answered_by() for _ in range(4)] == list("cccc")
    assert set(made.retried) == set("ab")
    assert sum(made.calls_at("a", "b")) == len(made.retried) == made.backend.repeating.count


async def test_what_nobody_takes_fails_once_each_was_asked(replicas: Any) -> None:
    made = await service(replicas, "a", "b", "c", tools=SAFE)
    fails(made, GONE, "a", "b", "c")
    with pytest.raises(BackendUnavailable, match="cannot be reached"):
        await made.call()
    assert made.calls_at("a", "b", "c") == (1, 1, 1)


async def test_the_calls_of_all_replicas_share_the_places_of_their_server(replicas: Any) -> None:
    made = replicas("a", "b", concurrency=2)
    made.server_queue = 1
    await made.in_service()
    held = [await made.held("a"), await made.held("b")]
    waiting = made.call()
    await made.rest()
    assert (made.backend.in_flight, made.backend.queued) == (2, 1)
    with pytest.raises(Overloaded):
        await made.call()
    made.answers("a", "b")
    held[1][1].answer({})
    await asyncio.gather(held[1][0], waiting)
    held[0][1].answer({})
    await held[0][0]
    assert (made.backend.in_flight, made.backend.queued) == (0, 0)


async def test_a_call_that_waits_for_a_place_is_turned_away_in_time_and_when_its_server_goes(
    replicas: Any,
) -> None:
    made = await replicas("a", concurrency=1, timeouts={"call_idle_s": 5}).in_service()
    await made.held("a", name="slow")
    late, lost = made.call(), None
    await made.rest()
    made.clock.advance(5)
    made.backend.sweep(made.clock.monotonic())
    with pytest.raises(Overloaded):
        await late
    lost = made.call()
    await made.rest()
    await made.backend.aclose()
    with pytest.raises(BackendFault):
        await lost


async def test_a_call_that_is_parked_gives_its_place_to_another(replicas: Any) -> None:
    made = await replicas("a", concurrency=1).in_service()
    call = Call("tools/call", ADD, name="slow")
    slow = made.begin(made.backend.call(call))
    asked = await made.at("a").next("tools/call")
    made.answers("a")
    waiting = made.call()
    await made.rest()
    assert made.backend.queued == 1
    call.park()
    await waiting
    asked.answer({})
    await slow
    await asyncio.gather(made.call(), made.call())
    assert made.backend.queued == 0, "its place was given back once, and no more"


async def test_a_call_that_is_bound_to_one_goes_to_no_other(two: Replicas) -> None:
    two.answers("b")
    fails(two, GONE, "a")
    with pytest.raises(BackendUnavailable):
        await two.call(replica="a")
    assert two.calls_at("a", "b") == (1, 0)


async def test_a_replica_that_goes_takes_no_call_with_it_that_was_not_at_it(two: Replicas) -> None:
    two.answers("b")
    _, _ = await two.held("a")
    two.at("a").start_fault = GONE
    two.at("a").line.ends()
    assert [await two.answered_by() for _ in range(10)] == ["b"] * 10


# --- what may have been done --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", [LOST, FAILING, BackendProtocolError("box", "nonsense"), BackendExited("box", "exited")]
)
async def test_a_tool_that_is_not_safe_is_never_called_twice(two: Replicas, fault: BackendFault) -> None:
    two.answers("b")
    fails(two, fault, "a")
    with pytest.raises(type(fault)):
        await two.call()
    assert (two.calls_at("a", "b"), two.retried) == ((1, 0), [])


@pytest.mark.parametrize(
    "fault", [LOST, FAILING, BackendProtocolError("box", "nonsense"), BackendExited("box", "exited")]
)
async def test_a_tool_that_the_configuration_calls_safe_is_called_at_another(
    replicas: Any, fault: BackendFault
) -> None:
    made = (await service(replicas, "a", "b", tools=SAFE)).answers("b")
    fails(made, fault, "a")
    assert await made.answered_by() == "b"
    assert (made.calls_at("a", "b"), made.retried) == ((1, 1), ["a"])


@pytest.mark.parametrize(
    ("method", "name"),
    [("resources/read", "file:///a"), ("prompts/get", "hello"), ("completion/complete", None)],
)
async def test_reads_are_safe(two: Replicas, method: str, name: str | None) -> None:
    two.replies("a", method, raises(LOST))
    two.replies("b", method, result({}))
    assert (await two.backend.call(Call(method, Raw(b"{}"), name=name))).replica == "b"


@pytest.mark.parametrize(
    ("attempts", "calls"), [(0, [0, 0, 1]), (1, [0, 1, 1]), (2, [1, 1, 1]), (3, [1, 1, 2])]
)
async def test_so_many_further_tries_on_others_first(replicas: Any, attempts: int, calls: list[int]) -> None:
    made = await service(replicas, "a", "b", "c", tools=SAFE)
    made.retry = RetryConfig(attempts=attempts)
    fails(made, LOST, "a", "b", "c")
    with pytest.raises(BackendStreamLost):
        await made.call()
    assert sorted(made.calls_at("a", "b", "c")) == calls
    assert len(made.retried) == attempts


async def test_one_without_another_is_asked_again_itself(replicas: Any) -> None:
    made = await service(replicas, "a", tools=SAFE)
    made.replies("a", "tools/call", raises(LOST), raises(LOST), result({}))
    assert await made.answered_by() == "a"
    assert made.retried == ["a", "a"]


async def test_what_ended_a_process_is_tried_once_more_and_not_on_all(replicas: Any) -> None:
    made = await service(replicas, "a", "b", "c", tools=SAFE, script=pongs(tools_call=exits))
    made.retry = RetryConfig(attempts=10)
    with pytest.raises(BackendExited):
        await made.call()
    assert sorted(made.calls_at("a", "b", "c")) == [0, 1, 1]


async def test_an_answer_is_final_whatever_it_says(replicas: Any) -> None:
    made = await service(replicas, "a", "b", tools=SAFE)
    for code in (-32602, -32603):
        for each in "ab":
            made.replies(each, "tools/call", refuses(code))
        with pytest.raises(BackendError):
            await made.call()
    for each in "ab":
        made.replies(each, "tools/call", result({"isError": True, "content": []}))
    await made.call()
    assert sum(made.calls_at("a", "b")) == 3


async def test_a_status_that_blames_the_request_is_final(replicas: Any) -> None:
    made = await service(replicas, "a", "b", tools=SAFE)
    fails(made, BackendHttpError("box", 413), "a", "b")
    for number in range(12):
        with pytest.raises(BackendHttpError):
            await made.call()
        assert sum(made.calls_at("a", "b")) == number + 1
    assert [made[each].breaker.state for each in "ab"] == [B.CLOSED] * 2


async def test_a_call_that_has_asked_its_client_is_not_made_again(replicas: Any) -> None:
    made = (await service(replicas, "a", "b", tools=SAFE)).answers("b")
    sink = Sink(answers={"elicitation/create": b'{"action":"accept"}'})
    call = made.call(sink=sink)
    asked = await made.at("a").next("tools/call")
    asked.channel.says({"jsonrpc": "2.0", "id": 1, "method": "elicitation/create", "params": {}})
    await made.at("a").next("")
    asked.fail(LOST)
    with pytest.raises(BackendStreamLost):
        await call
    assert made.calls_at("a", "b") == (1, 0)


async def test_repeats_end_with_what_calls_have_paid_for(replicas: Any) -> None:
    made = (await service(replicas, "a", "b", tools=SAFE)).answers("b")
    made.retry = RetryConfig(attempts=1, budget_ratio=0.01)
    made.breaker = CircuitBreakerConfig(failure_threshold=1000)
    fails(made, LOST, "a")
    outcomes = await asyncio.gather(*(made.call() for _ in range(60)), return_exceptions=True)
    failed = [each for each in outcomes if isinstance(each, BackendStreamLost)]
    assert (len(made.retried), len(failed)) == (RESERVE, 60 // 2 - RESERVE)


async def test_each_call_pays_for_its_part_of_a_repeat(replicas: Any) -> None:
    made = (await service(replicas, "a", "b", tools=SAFE)).answers("b")
    made.retry = RetryConfig(attempts=1, budget_ratio=1)
    made.breaker = CircuitBreakerConfig(failure_threshold=1000)
    fails(made, LOST, "a")
    assert {await made.answered_by() for _ in range(int(4 * RESERVE))} == {"b"}
    assert len(made.retried) == 2 * RESERVE


async def test_a_call_that_is_made_again_has_what_is_left_of_its_time(replicas: Any) -> None:
    made = await service(replicas, "a", "b", tools=SAFE, timeouts={"call_s": 10, "call_idle_s": 60})
    call = made.call()
    first = await made.at("a").next("tools/call")
    await made.wait(6)
    first.fail(LOST)
    await made.at("b").next("tools/call")
    await made.wait(3.9)
    assert not call.done()
    await made.wait(0.1)
    with pytest.raises(BackendTimeout):
        await call
    assert made.calls_at("a", "b") == (1, 1)


async def test_a_tool_with_a_wait_of_its_own_has_what_is_left_of_that(replicas: Any) -> None:
    rules = SAFE | {"timeouts": {"add": {"call_s": 5}}}
    made = await service(replicas, "a", "b", tools=rules)
    call = made.call()
    first = await made.at("a").next("tools/call")
    await made.wait(4)
    first.fail(LOST)
    await made.at("b").next("tools/call")
    await made.wait(1)
    with pytest.raises(BackendTimeout):
        await call


async def test_who_has_no_time_left_is_not_asked_again(replicas: Any) -> None:
    made = await service(replicas, "a", "b", tools=SAFE, timeouts={"call_s": 10, "call_idle_s": 60})
    call = made.call()
    await made.at("a").next("tools/call")
    await made.wait(10)
    with pytest.raises(BackendTimeout):
        await call
    assert made.calls_at("a", "b") == (1, 0)


async def test_a_silence_is_waited_out_once_at_each(replicas: Any) -> None:
    made = await service(replicas, "a", "b", tools=SAFE, timeouts={"call_s": 100, "call_idle_s": 3})
    made.retry = RetryConfig(attempts=9)
    call = made.call()
    for each in "ab":
        await made.at(each).next("tools/call")
        await made.wait(3)
    with pytest.raises(BackendTimeout):
        await call
    assert made.calls_at("a", "b") == (1, 1)


# --- health and breakers ------------------------------------------------------------------------------------


async def test_an_ailing_replica_gets_no_calls_while_a_better_one_has_a_connection(two: Replicas) -> None:
    two.answers("a", "b").replies("a", "ping", refuses(-32603))
    await two.backend.probe("a")
    assert [await two.answered_by() for _ in range(4)] == list("bbbb")
    two.at("b").start_fault = GONE
    two.at("b").line.ends()
    await two.reach(S.RESTARTING, "b")
    assert await two.answered_by() == "a"
    await two.call()
    assert two["a"].state is S.HEALTHY, "two calls say as much as two probes"


async def test_an_unhealthy_one_is_asked_where_there_is_no_other(two: Replicas) -> None:
    two.answers("a").replies("a", "ping", refuses(-32603))
    for _ in range(3):
        await two.backend.probe("a")
    two.at("b").start_fault = GONE
    two.at("b").line.ends()
    await two.reach(S.RESTARTING, "b")
    assert (two["a"].state, await two.answered_by()) == (S.UNHEALTHY, "a")


async def test_an_open_breaker_is_avoided_and_with_all_open_the_call_says_so(two: Replicas) -> None:
    two.breaker = CircuitBreakerConfig(failure_threshold=1, open_s=30)
    two.answers("b")
    fails(two, FAILING, "a")
    with pytest.raises(BackendFailing):
        await two.call()
    assert [await two.answered_by() for _ in range(4)] == list("bbbb")
    two.clock.advance(10)
    fails(two, FAILING, "b")
    with pytest.raises(BackendFailing):
        await two.call()
    before = two.calls_at("a", "b")
    with pytest.raises(CircuitOpen, match="tried again in 20 seconds") as refused:
        await two.call()
    assert refused.value.retryable
    assert two.calls_at("a", "b") == before


# --- what not all have --------------------------------------------------------------------------------------


@pytest.fixture
async def unlike(replicas: Any) -> Replicas:
    """b has a tool of its own."""
    made = replicas("a", "b", "c", scripts={"b": pongs(tools_list=tools("add", "rare"))})
    await made.in_service()
    return made.answers("a", "b", "c")


async def test_a_tool_is_called_where_it_is(unlike: Replicas) -> None:
    assert unlike.tools == ["add", "rare"]
    assert [await unlike.answered_by("rare") for _ in range(4)] == ["b"] * 4
    assert {await unlike.answered_by("add") for _ in range(6)} == set("abc")


async def test_a_person_is_told_that_replicas_differ_once(unlike: Replicas) -> None:
    await unlike.backend.refresh()
    told = [text for server, level, text in unlike.sayings if level == "warning"]
    assert told[-1] == "its replicas differ: tool `rare` only at b"
    assert told.count(told[-1]) == 1
    assert unlike.backend.differences == ("tool `rare` only at b",)


async def test_a_tool_that_fails_where_it_is_is_not_called_where_it_is_not(unlike: Replicas) -> None:
    fails(unlike, GONE, "b")
    with pytest.raises(BackendUnavailable):
        await unlike.call("rare")
    assert unlike.calls_at("a", "b", "c") == (0, 1, 0)


async def test_with_a_drained_replica_only_what_no_other_has_leaves_the_lists(unlike: Replicas) -> None:
    unlike.gateway.changes.clear()
    await unlike.backend.drain(0, replica="b")
    assert (unlike.tools, unlike.backend.is_listed) == (["add"], True)
    assert unlike.gateway.changes, "clients are told"
    await unlike.backend.resume("b")
    await unlike.reach(S.HEALTHY)
    assert unlike.tools == ["add", "rare"]


async def test_one_that_is_down_for_a_moment_keeps_its_tools_and_their_calls_wait(unlike: Replicas) -> None:
    unlike.at("b").line.ends()
    await unlike.reach(S.RESTARTING, "b")
    assert unlike.tools == ["add", "rare"]
    assert await unlike.answered_by("rare") == "b"


async def test_a_list_that_changes_at_one_is_the_servers(unlike: Replicas) -> None:
    unlike.has("c", "add", "rare")
    unlike.at("c").line.notifies("notifications/tools/list_changed")
    await until(lambda: unlike.backend.differences == ("tool `rare` only at b, c",))
    assert {await unlike.answered_by("rare") for _ in range(4)} == set("bc")


# --- what the protocol binds --------------------------------------------------------------------------------


async def test_a_call_about_what_one_has_goes_there(two: Replicas) -> None:
    two.answers("a", "b")
    assert [await two.answered_by(replica="b") for _ in range(3)] == list("bbb")


async def test_a_legacy_session_stays_at_one_replica_and_moves_when_that_goes(replicas: Any) -> None:
    made = (await service(replicas, remote("a"), remote("b"))).answers("a", "b")
    sessions: dict[str, Any] = {each: {"session": each, "capabilities": EVERYTHING} for each in ("s", "t")}
    assert [await made.answered_by(**sessions["s"]) for _ in range(3)] == list("aaa")
    assert [await made.answered_by(**sessions["t"]) for _ in range(3)] == list("bbb")
    made.at("a").start_fault = GONE
    made.at("a").line.ends()
    await made.reach(S.RESTARTING, "a")
    assert [await made.answered_by(**sessions["s"]) for _ in range(3)] == list("bbb")


async def test_a_session_that_ended_is_placed_anew(replicas: Any) -> None:
    made = (await service(replicas, remote("a"), remote("b"))).answers("a", "b")
    session: dict[str, Any] = {"session": "s", "capabilities": EVERYTHING}
    assert await made.answered_by(**session) == "a"
    made.backend.session_ended("s")
    assert await made.answered_by(**session) == "b"


async def test_calls_with_one_key_go_to_one_replica(replicas: Any) -> None:
    made = replicas("a", "b", "c").answers("a", "b", "c")
    made.routing = RoutingConfig(balance="consistent_hash", hash_key="client")
    made.backend.use(made.backend.settings, None, 0)
    await made.in_service()
    homes = {name: {await made.answered_by(client=name) for _ in range(4)} for name in ("x", "y", "z", "w")}
    assert {len(home) for home in homes.values()} == {1}
    assert len(set.union(*homes.values())) > 1


# --- verbs --------------------------------------------------------------------------------------------------


async def test_one_replica_is_drained_while_the_others_serve(two: Replicas) -> None:
    two.answers("b")
    call, asked = await two.held("a")
    drain = two.begin(two.backend.drain(30, replica="a"))
    await two.reach(S.DRAINING, "a")
    assert [await two.answered_by() for _ in range(4)] == list("bbbb")
    asked.answer({})
    await call
    outcome = await drain
    assert (outcome.finished, outcome.abandoned) == (1, 0)
    assert (two["a"].state, two["b"].state, two.backend.state) == (S.DRAINED, S.HEALTHY, S.HEALTHY)
    two.answers("a")
    await two.backend.resume("a")
    await two.reach(S.HEALTHY)
    assert {await two.answered_by() for _ in range(4)} == set("ab")


async def test_a_drain_of_all_says_what_became_of_the_calls_of_each(two: Replicas) -> None:
    _, at_a = await two.held("a", name="one")
    _, at_b = await two.held("b", name="two")
    done, asked = await two.held("b", name="three")
    drain = two.begin(two.backend.drain(0.05))
    await two.reach(S.DRAINING)
    assert two.backend.state is S.DRAINING
    asked.answer({})
    await done
    outcome = await drain
    assert (outcome.finished, outcome.abandoned) == (1, 2)
    assert outcome.calls == (
        AbandonedCall(str(at_a.id), "tools/call", "one"),
        AbandonedCall(str(at_b.id), "tools/call", "two"),
    )
    assert two.backend.state is S.DRAINED
    with pytest.raises(BackendUnavailable, match="drained"):
        await two.call()


async def test_one_replica_is_restarted(two: Replicas) -> None:
    await two.backend.restart(0, "b")
    await two.reach(S.HEALTHY)
    assert (two.at("a").starts, two.at("b").starts) == (1, 2)


async def test_one_replica_is_probed(two: Replicas) -> None:
    two.replies("b", "ping", refuses(-32603))
    assert (await two.backend.probe("b")).error == "no"
    assert (two.at("a").count("ping"), two["a"].state, two["b"].state) == (0, S.HEALTHY, S.DEGRADED)


async def test_a_probe_of_all_brings_the_worst(two: Replicas) -> None:
    two.at("b").script.pop("ping")
    probe = two.begin(two.backend.probe())
    asked = await two.at("b").next("ping")
    await two.rest()
    two.clock.advance(0.5)
    asked.answer({})
    assert ((await probe).latency_ms, two.at("a").count("ping")) == (500, 1)
    two.replies("a", "ping", refuses(-32603))
    two.replies("b", "ping", result({}))
    assert (await two.backend.probe()).error == "no"
    two.replies("a", "ping", result({}))
    two.replies("b", "ping", refuses(-32603))
    assert (await two.backend.probe()).error == "no"


@pytest.mark.parametrize("verb", ["drain", "resume", "restart", "probe"])
async def test_a_replica_that_is_not_there_is_said_to_be_unknown(two: Replicas, verb: str) -> None:
    verbs: dict[str, Any] = {
        "drain": lambda: two.backend.drain(0, replica="z"),
        "resume": lambda: two.backend.resume("z"),
        "restart": lambda: two.backend.restart(0, "z"),
        "probe": lambda: two.backend.probe("z"),
    }
    with pytest.raises(UnknownReplica, match="has no replica 'z'; it has a, b"):
        await verbs[verb]()
    assert [member.state for member in two.backend.members] == [S.HEALTHY] * 2


async def test_a_restart_of_all_takes_one_after_the_other(two: Replicas) -> None:
    two.answers("a", "b")
    two.at("a").script.pop("initialize")
    restart = two.begin(two.backend.restart(30))
    handshake = await two.at("a").next("initialize")
    await two.rest()
    assert (two["a"].state, two["b"].state, two.at("b").starts) == (S.STARTING, S.HEALTHY, 1)
    assert [await two.answered_by() for _ in range(3)] == list("bbb")
    assert two.backend.is_listed
    initialized()(handshake)
    await restart
    await two.reach(S.HEALTHY)
    assert (two.at("a").starts, two.at("b").starts) == (2, 2)
    assert S.STARTING not in two.states and S.DRAINING not in two.states, "the server was there all along"


async def test_a_rolling_restart_goes_on_without_one_that_does_not_start(two: Replicas) -> None:
    two.at("a").start_fault = GONE
    await two.backend.restart(0)
    await two.reach(S.HEALTHY, "b")
    assert (two["a"].state, two.at("b").starts) == (S.UNHEALTHY, 2)


async def test_a_rolling_restart_does_not_wait_for_ever(two: Replicas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_module, "ROLLING_S", 0.01)
    two.replies("a", "initialize", silence)
    await two.backend.restart(0)
    await two.reach(S.HEALTHY, "b")
    assert two.at("b").starts == 2
    assert ("box", "warning", "its replica a takes long to start; going on with the next") in two.sayings


async def test_a_rolling_restart_goes_on_when_nobody_waits_for_it(two: Replicas) -> None:
    two.at("a").script.pop("initialize")
    restart = two.begin(two.backend.restart(0))
    handshake = await two.at("a").next("initialize")
    restart.cancel()
    initialized()(handshake)
    await until(lambda: two.at("b").starts == 2)


# --- another configuration ----------------------------------------------------------------------------------


class Watched:
    """What clients could see and reach at each moment at which the gateway was told of a change."""

    def __init__(self, made: Replicas) -> None:
        self.tools: list[tuple[bool, tuple[str, ...]]] = []
        tell = made.gateway.lists_changed

        def watch(backend: str) -> None:
            self.tools.append((made.backend.is_listed, tuple(made.tools)))
            tell(backend)

        made.gateway.lists_changed = watch  # type: ignore[method-assign]


async def test_a_replaced_replica_serves_until_the_new_one_does(two: Replicas) -> None:
    two.at("new").script.pop("initialize")
    old, watched, states = two["a"], Watched(two), len(two.states)
    two.answers("a", "new", "b")
    two.backend.use(two.settings(place("a", "new"), "b"), None, 30)
    handshake = await two.at("new").next("initialize")
    await two.rest()
    new = two["a"]
    assert (new is old, new.state, old.state) == (False, S.STARTING, S.HEALTHY)
    assert two.backend.leaving == (old,) and old.is_leaving
    assert {await two.answered_by() for _ in range(4)} == set("ab")
    assert two.calls_at("new") == (0,)
    call, asked = await two.held("a")
    initialized()(handshake)
    await until(lambda: old.state is S.DRAINING)
    assert new.state is S.HEALTHY, "the new one first"
    two.answers("a")
    before = two.calls_at("a")
    assert {await two.answered_by() for _ in range(4)} == set("ab")
    assert two.calls_at("a") == before, "the old one gets no more"
    assert two.backend.in_flight == 1
    asked.answer({"old": True})
    assert bytes((await call).result) == b'{"old": true}'
    await until(lambda: not two.backend.leaving)
    assert (old.state, two.at("a").transcript[-1]) == (S.DRAINED, "close")
    assert set(watched.tools) == {(True, ("add",))}, "there was no gap"
    assert two.states[states:] == []


async def test_the_only_replica_is_replaced_without_a_gap(replicas: Any) -> None:
    made = await service(replicas, "a")
    made.at("new").script.pop("initialize")
    made.has("new", "add", "more")
    watched = Watched(made)
    made.answers("a", "new")
    states = len(made.states)
    made.backend.use(made.settings(place("a", "new")), None, 30)
    handshake = await made.at("new").next("initialize")
    assert (made.backend.state, made.tools) == (S.HEALTHY, ["add"])
    assert made.backend.reason == "a new one is being started in place of the old one, which serves on"
    await made.call()
    assert made.calls_at("a", "new") == (1, 0)
    initialized()(handshake)
    await until(lambda: not made.backend.leaving)
    await made.call()
    assert made.calls_at("a", "new") == (1, 1)
    assert (made.backend.reason, made.states[states:]) == ("", [])
    assert [seen for seen, _ in watched.tools] == [True] * len(watched.tools)
    assert {names for _, names in watched.tools} == {("add",), ("add", "more")}


async def test_the_old_one_serves_on_as_long_as_the_new_one_does_not(replicas: Any) -> None:
    made = await service(replicas, "a")
    old = made["a"]
    made.at("new").start_fault = GONE
    made.answers("a")
    made.backend.use(made.settings(place("a", "new")), None, 0)
    await made.reach(S.UNHEALTHY, "a")
    await made.rest()
    assert (old.state, made.backend.state) == (S.HEALTHY, S.DEGRADED)
    assert made.backend.reason.startswith("the old one serves on, as the new one does not: could not connect")
    await made.call()
    made.at("new").start_fault = None
    await made["a"].restart(0)
    await until(lambda: old.state is S.DRAINED)


async def test_an_old_one_that_goes_by_itself_is_not_waited_for(replicas: Any) -> None:
    made = await service(replicas, "a")
    made.replies("new", "initialize", silence)
    old = made["a"]
    made.backend.use(made.settings(place("a", "new")), None, 0)
    await made.rest()
    starts = made.at("a").starts
    made.at("a").line.ends()
    await until(lambda: not made.backend.leaving)
    assert (old.state, made.at("a").starts) == (S.DRAINED, starts)


async def test_one_that_is_replaced_twice_in_a_row_serves_until_the_last_one_does(replicas: Any) -> None:
    made = await service(replicas, "a")
    old = made["a"]
    for each in ("second", "third"):
        made.at(each).script.pop("initialize")
    made.answers("a", "third")
    made.backend.use(made.settings(place("a", "second")), None, 0)
    await made.at("second").next("initialize")
    second = made["a"]
    made.backend.use(made.settings(place("a", "third")), None, 0)
    handshake = await made.at("third").next("initialize")
    await until(lambda: second not in made.backend.leaving)
    await made.rest()
    assert (old.state, made.backend.is_listed) == (S.HEALTHY, True)
    await made.call()
    initialized()(handshake)
    await until(lambda: not made.backend.leaving)
    await made.call()
    assert made.calls_at("a", "third") == (1, 1)


async def test_a_replica_that_is_added_gets_calls_once_it_serves(two: Replicas) -> None:
    two.answers("a", "b", "c").at("c").script.pop("initialize")
    kept = {each: (two[each], two[each].connection) for each in "ab"}
    two.backend.use(two.settings("a", "b", "c"), None, 0)
    handshake = await two.at("c").next("initialize")
    assert {await two.answered_by() for _ in range(6)} == set("ab")
    initialized()(handshake)
    await two.reach(S.HEALTHY)
    assert {await two.answered_by() for _ in range(6)} == set("abc")
    assert {each: (two[each], two[each].connection) for each in "ab"} == kept
    assert two.at("a").starts == 1


async def test_a_replica_that_is_removed_ends_its_calls_and_gets_no_more(two: Replicas) -> None:
    two.answers("b")
    old = two["a"]
    call, asked = await two.held("a")
    two.backend.use(two.settings("b"), None, 30)
    await until(lambda: old.state is S.DRAINING)
    assert [await two.answered_by() for _ in range(3)] == list("bbb")
    assert two.backend.leaving == (old,)
    asked.answer({})
    await call
    await until(lambda: not two.backend.leaving)
    assert (old.state, two.backend.state) == (S.DRAINED, S.HEALTHY)


async def test_a_replica_that_is_removed_waits_for_no_new_one_while_others_serve(two: Replicas) -> None:
    two.replies("c", "initialize", silence)
    old = two["a"]
    two.backend.use(two.settings("b", "c"), None, 0)
    await until(lambda: not two.backend.leaving)
    assert (old.state, two["c"].state) == (S.DRAINED, S.STARTING)


async def test_what_only_a_replaced_replica_has_stays_until_the_new_one_serves(replicas: Any) -> None:
    made = await service(replicas, "a", "b", scripts={"a": pongs(tools_list=tools("add", "rare"))})
    made.answers("a").at("new").script.pop("initialize")
    made.backend.use(made.settings(place("a", "new"), "b"), None, 0)
    handshake = await made.at("new").next("initialize")
    assert sorted(made.tools) == ["add", "rare"]
    assert [await made.answered_by("rare") for _ in range(3)] == list("aaa")
    assert made.calls_at("a", "b") == (3, 0)
    initialized()(handshake)
    await until(lambda: not made.backend.leaving)
    assert made.tools == ["add"]


async def test_what_outlasts_the_grace_is_cut_off_at_one_that_leaves(two: Replicas) -> None:
    call, _ = await two.held("a")
    two.backend.use(two.settings("b"), None, 0.01)
    with pytest.raises(BackendFault):
        await call
    await until(lambda: not two.backend.leaving)


async def test_other_places_altogether_are_no_gap(replicas: Any) -> None:
    """From one transport to replicas, or to replicas of other names."""
    made = await service(replicas, "a", "b")
    made.at("x").script.pop("initialize")
    made.replies("y", "initialize", silence)
    made.answers("a", "b", "x")
    watched = Watched(made)
    made.backend.use(made.settings("x", "y"), None, 0)
    handshake = await made.at("x").next("initialize")
    await made.rest()
    assert {await made.answered_by() for _ in range(4)} <= set("ab")
    initialized()(handshake)
    await until(lambda: not made.backend.leaving)
    assert await made.answered_by() == "x"
    assert {seen for seen, _ in watched.tools} == {True}


async def test_from_one_transport_to_replicas_is_no_gap(replicas: Any) -> None:
    made = replicas("a")
    single = ServerConfig(id="box", era="legacy", transport=StdioTransport(command="alone"))
    made.answers("alone", "a").backend.use(single, None, 0)
    await made.in_service()
    await until(lambda: not made.backend.leaving)
    assert await made.answered_by() == "main"
    made.at("a").script.pop("initialize")
    made.backend.use(made.settings("a"), None, 0)
    handshake = await made.at("a").next("initialize")
    await made.rest()
    assert (made.backend.is_listed, await made.answered_by()) == (True, "main")
    initialized()(handshake)
    await until(lambda: not made.backend.leaving)
    assert await made.answered_by() == "a"


async def test_another_weight_keeps_the_connection_and_counts_at_once(replicas: Any) -> None:
    made = (await service(replicas, "a", "b", balance="weighted_random")).answers("a", "b")
    kept = made["a"], made["a"].connection
    made.backend.use(made.settings(place("a", weight=1000), "b"), None, 0)
    assert (made["a"], made["a"].connection) == kept
    answered = [await made.answered_by() for _ in range(100)]
    assert answered.count("a") > 85


async def test_another_era_takes_another_connection(two: Replicas) -> None:
    old = two["a"]
    two.at("a").script["server/discover"] = [silence]
    two.backend.use(two.settings("a", "b", era="modern"), None, 0)
    assert two["a"] is not old
    assert two["a"].settings.era == "modern"


async def test_the_same_configuration_touches_nothing(two: Replicas) -> None:
    kept = [(member, member.connection) for member in two.backend.members]
    states = len(two.states)
    two.backend.use(two.settings("a", "b"), None, 0)
    await two.rest()
    assert [(member, member.connection) for member in two.backend.members] == kept
    assert (two.backend.leaving, two.states[states:]) == ((), [])


async def test_replicas_in_another_order_are_the_same(two: Replicas) -> None:
    kept = {member.connection for member in two.backend.members}
    two.backend.use(two.settings("b", "a"), None, 0)
    assert [member.id for member in two.backend.members] == ["b", "a"]
    assert {member.connection for member in two.backend.members} == kept


async def test_all_replicas_are_switched_off_and_on_where_they_are(two: Replicas) -> None:
    two.backend.use(two.settings("a", "b", enabled=False), None, 0)
    await two.reach(S.DISABLED)
    assert not two.backend.is_listed
    two.backend.use(two.settings("a", "b", "c", enabled=False), None, 0)
    await two.rest()
    assert two.at("c").starts == 0
    two.backend.use(two.settings("a", "b", "c"), None, 0)
    await two.reach(S.HEALTHY)


async def test_a_server_that_cannot_run_is_not_started_by_switching_it_on(two: Replicas) -> None:
    two.backend.use(two.settings("a", "b", enabled=False), None, 0)
    await two.reach(S.DISABLED)
    starts = two.at("a").starts
    two.backend.use(two.settings("a", "b"), "the variable TOKEN is not set", 0)
    await two.rest()
    assert (two.at("a").starts, two.backend.state) == (starts, S.DISABLED)
    assert two["a"].reason == "the variable TOKEN is not set"
    two.backend.use(two.settings("a", "b"), None, 0)
    await two.reach(S.HEALTHY)


async def test_a_replica_that_is_added_to_a_server_that_cannot_run_is_not_started(two: Replicas) -> None:
    two.backend.use(two.settings("a", "b", "c"), "the variable TOKEN is not set", 0)
    await two.rest()
    assert (two.at("c").starts, two["c"].state) == (0, S.DISABLED)


async def test_a_drain_of_all_waits_for_those_that_leave(two: Replicas) -> None:
    await two.held("a")
    old = two["a"]
    two.backend.use(two.settings("b"), None, 0.05)
    await until(lambda: old.state is S.DRAINING)
    assert (await two.backend.drain(30)).abandoned == 1
    assert (old.state, two["b"].state) == (S.DRAINED, S.DRAINED)


async def test_a_stop_ends_those_that_leave_too(two: Replicas) -> None:
    await two.held("a")
    old = two["a"]
    two.backend.use(two.settings("b"), None, 30)
    await until(lambda: old.state is S.DRAINING)
    await two.backend.aclose()
    assert two.at("a").transcript[-1] == "close"


# --- what clients want to hear ------------------------------------------------------------------------------

LOG = "file:///log"


def subscribable() -> dict[str, Any]:
    offered = {"resources": {"subscribe": True}}
    return pongs(
        initialize=initialized(capabilities=offered),
        resources_list=result({"resources": [{"uri": LOG, "name": "log"}]}),
        resources_templates_list=result({"resourceTemplates": []}),
        resources_subscribe=result({}),
        resources_unsubscribe=result({}),
    )


@pytest.fixture
async def heard(replicas: Any) -> Replicas:
    """Somebody wants to hear of the log, which a tells of."""
    made = await service(replicas, "a", "b", script=subscribable())
    assert await made.backend.subscribe(LOG)
    assert subscriptions(made, "a", "b") == (1, 0)
    return made


def subscriptions(made: Replicas, *where: str) -> tuple[int, ...]:
    return tuple(made.at(each).count("resources/subscribe") for each in where)


def updates_log(made: Replicas, where: str) -> None:
    made.at(where).line.notifies("notifications/resources/updated", uri=LOG)


async def test_one_replica_tells_for_all(heard: Replicas) -> None:
    assert await heard.backend.subscribe(LOG)
    assert subscriptions(heard, "a", "b") == (1, 0)
    updates_log(heard, "a")
    assert heard.gateway.updates == [("box", LOG)]


async def test_a_subscription_moves_when_its_replica_is_lost_and_counts_as_updated(heard: Replicas) -> None:
    heard.at("a").start_fault = GONE
    heard.at("a").line.ends()
    await until(lambda: heard.gateway.updates == [("box", LOG)])
    assert subscriptions(heard, "a", "b") == (1, 1)
    updates_log(heard, "b")
    assert len(heard.gateway.updates) == 2
    heard.backend.unsubscribe(LOG)
    await until(lambda: heard.at("b").count("resources/unsubscribe") == 1)


async def test_a_subscription_moves_off_a_replica_that_drains(heard: Replicas) -> None:
    await heard.backend.drain(0, replica="a")
    await until(lambda: heard.gateway.updates == [("box", LOG)])
    await heard.backend.resume("a")
    await heard.reach(S.HEALTHY)
    await heard.rest()
    assert subscriptions(heard, "a", "b") == (1, 1), "it stays where it is"


async def test_a_subscription_moves_to_the_one_in_its_place(replicas: Any) -> None:
    made = await service(replicas, "a", script=subscribable())
    assert await made.backend.subscribe(LOG)
    made.backend.use(made.settings(place("a", "new")), None, 0)
    await until(lambda: made.gateway.updates == [("box", LOG)])
    await until(lambda: not made.backend.leaving)
    assert subscriptions(made, "a", "new") == (1, 1)
    updates_log(made, "new")
    assert len(made.gateway.updates) == 2


async def test_a_subscription_without_another_replica_is_taken_up_again(replicas: Any) -> None:
    made = await service(replicas, "a", script=subscribable())
    assert await made.backend.subscribe(LOG)
    made.at("a").line.ends()
    await made.reach(S.RESTARTING)
    made["a"].replica.start()
    await until(lambda: made.gateway.updates == [("box", LOG)])
    assert subscriptions(made, "a") == (2,)


async def test_who_subscribes_before_any_serves_waits_for_one(replicas: Any) -> None:
    made = replicas("a", "b", script=subscribable())
    made.backend.start()
    assert await made.backend.subscribe(LOG)
    assert sum(subscriptions(made, "a", "b")) == 1


async def test_a_subscription_does_not_move_to_one_that_is_ill(heard: Replicas) -> None:
    heard.replies("b", "ping", refuses(-32603))
    for _ in range(3):
        await heard.backend.probe("b")
    heard.at("a").start_fault = GONE
    heard.at("a").line.ends()
    await heard.reach(S.RESTARTING, "a")
    await heard.rest()
    assert subscriptions(heard, "a", "b") == (1, 0)
    heard.replies("b", "ping", result({}))
    await heard.backend.probe("b")
    await until(lambda: subscriptions(heard, "a", "b") == (1, 1))


async def test_who_subscribes_where_none_can_be_reached_is_told(replicas: Any) -> None:
    made = replicas("a", "b")
    for each in "ab":
        made.at(each).start_fault = GONE
    made.backend.start()
    await made.reach(S.UNHEALTHY)
    with pytest.raises(BackendUnavailable):
        await made.backend.subscribe(LOG)
