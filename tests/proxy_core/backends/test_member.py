"""A replica as one of its server's: probes and what they make of it, drains, restarts, what it remembers."""

import asyncio
from typing import Any

import pytest

from proxy_core.backends.lifecycle import Event
from proxy_core.backends.lists import Listing, Lists
from proxy_core.backends.member import STALE_S
from proxy_core.backends.replica import CRASHES
from proxy_core.config.models import (
    CircuitBreakerConfig,
    HealthConfig,
    HealthEndpoint,
    HealthOverrides,
    HttpTransport,
    ReplicaConfig,
)
from proxy_core.control import AbandonedCall, DrainOutcome
from proxy_core.errors import BackendFailing, BackendFault, BackendTimeout, BackendUnavailable, CircuitOpen
from proxy_core.facts import BreakerTurned, ProbeFinished
from proxy_core.telemetry.snapshot import BreakerState as B
from proxy_core.telemetry.snapshot import Probe
from proxy_core.telemetry.snapshot import ServerState as S
from tests.support.backend_server import refuses as refuses_http
from tests.support.backend_server import serving
from tests.support.scripted_backend import child
from tests.support.scripted_channel import (
    discovered,
    initialized,
    raises,
    refuses,
    result,
    silence,
    tools,
    until,
)
from tests.support.scripted_replicas import Replicas, place, pongs

SOON_S = 0.001
"""From one scheduled probe to the next."""
FAILING = raises(BackendFailing("box", "The server is failing.", "it answered with HTTP status 500", 500))


class Probed:
    """The replica a of a server, probed again and again; the test answers each probe."""

    def __init__(self, replicas: Replicas) -> None:
        self.all = replicas
        self.server = replicas.at("a")
        self.member = replicas["a"]

    async def seen(self, before: Probe | None) -> S:
        await until(lambda: self.member.last_probe is not before)
        return self.member.state

    async def fails(self) -> S:
        """The next probe is refused; the state after it."""
        before = self.member.last_probe
        (await self.server.next("ping")).refuse(-32603)
        return await self.seen(before)

    async def answers(self) -> S:
        before = self.member.last_probe
        (await self.server.next("ping")).answer({})
        return await self.seen(before)


@pytest.fixture
async def probed(replicas: Any) -> Probed:
    made = replicas("a", script=child())
    made.health = HealthConfig(probe_interval=SOON_S)
    return Probed(await made.in_service())


# --- what scheduled probes make of it -----------------------------------------------------------------------


async def test_failed_probes_make_it_degraded_then_unhealthy_and_answered_ones_well_again(
    probed: Probed,
) -> None:
    """One, then three in a row; then two in a row."""
    assert [await probed.fails() for _ in range(4)] == [S.DEGRADED, S.DEGRADED, S.UNHEALTHY, S.UNHEALTHY]
    assert [await probed.answers() for _ in range(3)] == [S.UNHEALTHY, S.HEALTHY, S.HEALTHY]
    assert probed.all.states_of("a") == [S.HEALTHY, S.DEGRADED, S.UNHEALTHY, S.HEALTHY]
    assert probed.server.starts == 1, "it is connected all along"


async def test_answers_must_come_in_a_row(probed: Probed) -> None:
    await probed.fails()
    await probed.answers()
    assert [await probed.fails(), await probed.answers()] == [S.DEGRADED] * 2
    assert await probed.answers() is S.HEALTHY


async def test_failures_must_come_in_a_row(probed: Probed) -> None:
    for _ in range(3):
        assert [await probed.fails(), await probed.fails(), await probed.answers()] == [S.DEGRADED] * 3


async def test_while_it_is_well_an_answer_undoes_a_failure_of_long_ago(probed: Probed) -> None:
    for _ in range(3):
        await probed.fails()
        await probed.answers()
        assert await probed.answers() is S.HEALTHY
    assert S.UNHEALTHY not in probed.all.states_of("a")


async def test_the_row_says_why_with_code_and_latency_of_the_last_probe(probed: Probed) -> None:
    asked = await probed.server.next("ping")
    probed.all.clock.advance(0.25)
    asked.refuse(-32603)
    assert await probed.seen(None) is S.DEGRADED
    now = probed.all.clock.monotonic()
    assert probed.member.last_probe == Probe(now, 250.0, "no", -32603)
    assert probed.member.reason == "the last probe failed: no"
    await probed.fails()
    assert probed.member.reason == "the last 2 probes failed: no"
    await probed.fails()
    assert probed.member.reason == "the last 3 probes failed: no"
    await probed.answers()
    assert probed.member.last_probe == Probe(now, 0.0, None)
    await probed.answers()
    assert probed.member.reason == ""
    facts = [fact for fact in probed.all.facts if isinstance(fact, ProbeFinished)]
    assert facts[0] == ProbeFinished(now, "box", "a", 250.0, "no")
    assert [fact.error for fact in facts] == ["no", "no", "no", None, None]


async def test_a_probe_that_is_not_answered_in_time_has_failed(probed: Probed) -> None:
    await probed.server.next("ping")
    await probed.all.wait(4.9)
    assert probed.member.last_probe is None
    await probed.all.wait(0.2)
    assert await probed.seen(None) is S.DEGRADED
    assert probed.member.last_probe is not None
    assert (probed.member.last_probe.latency_ms, probed.member.last_probe.code) == (pytest.approx(5100), None)


async def test_one_that_knows_no_ping_is_alive(probed: Probed) -> None:
    for _ in range(3):
        before = probed.member.last_probe
        (await probed.server.next("ping")).refuse(-32601)
        assert await probed.seen(before) is S.HEALTHY
        assert probed.member.last_probe is not None and probed.member.last_probe.error is None


async def test_a_modern_one_is_asked_to_introduce_itself(replicas: Any) -> None:
    made = replicas("a", script={"server/discover": discovered(), "tools/list": tools("add")}, era="modern")
    await made.in_service()
    assert (await made["a"].checks.probe()).error is None
    assert [asked.sent.method for asked in made.at("a").asked].count("server/discover") == 2
    assert made.at("a").count("tools/list") == 1, "lists are not read for a probe"


async def test_a_server_may_have_thresholds_of_its_own(replicas: Any) -> None:
    own = HealthOverrides(probe_interval=SOON_S, failure_threshold=1, success_threshold=1)
    made = Probed(await replicas("a", script=child(), health=own).in_service())
    assert [await made.fails(), await made.answers()] == [S.UNHEALTHY, S.HEALTHY]


async def test_another_interval_holds_at_once(replicas: Any) -> None:
    made = await replicas("a").in_service()
    assert made.at("a").count("ping") == 0
    own = made.settings("a", health=HealthOverrides(probe_interval=SOON_S))
    made.backend.use(own, None, 0)
    await until(lambda: made.at("a").count("ping") > 2)


async def test_calls_that_are_answered_say_as_much_as_probes(replicas: Any) -> None:
    made = (await replicas("a").in_service()).answers("a")
    made.replies("a", "ping", refuses(-32603))
    for _ in range(3):
        await made["a"].checks.probe()
    assert made["a"].state is S.UNHEALTHY
    await made.call()
    assert made["a"].state is S.UNHEALTHY
    await made.call()
    assert made["a"].state is S.HEALTHY


async def test_another_connection_is_judged_by_itself(probed: Probed) -> None:
    await probed.fails()
    await probed.fails()
    probed.server.line.ends()
    await probed.all.reach(S.RESTARTING)
    probed.member.replica.start()
    await probed.all.reach(S.HEALTHY)
    assert [await probed.fails(), await probed.fails(), await probed.fails()] == [
        S.DEGRADED,
        S.DEGRADED,
        S.UNHEALTHY,
    ]


async def test_a_probe_whose_connection_ended_is_none_of_the_next(probed: Probed) -> None:
    await probed.server.next("ping")
    probed.server.line.ends()
    await probed.all.reach(S.RESTARTING)
    await probed.all.rest()
    assert (probed.member.last_probe, probed.all.states_of("a")) == (None, [S.HEALTHY, S.RESTARTING])


# --- what a probe does not do -------------------------------------------------------------------------------


async def test_a_probe_never_opens_a_session(replicas: Any) -> None:
    made = replicas("a", isolation="session")
    made.health = HealthConfig(probe_interval=SOON_S)
    await made.in_service()
    await until(lambda: made.at("a").count("ping") >= 10)
    assert (len(made.at("a").channels), made.at("a").count("initialize")) == (1, 1)


async def test_a_scheduled_probe_starts_nothing(replicas: Any) -> None:
    made = replicas("a")
    made.at("a").start_fault = BackendUnavailable("box", "no")
    made.health = HealthConfig(probe_interval=SOON_S)
    made.backend.start()
    await made.reach(S.UNHEALTHY)
    made["a"].replica._wake.clear()
    starts = made.at("a").starts
    await made.probes_due()
    assert (made.at("a").starts, made["a"].last_probe) == (starts, None)


async def test_one_that_drains_is_probed_no_more(probed: Probed) -> None:
    ping = await probed.server.next("ping")
    call, asked = await probed.all.held("a")
    probed.all.begin(probed.member.drain(30))
    await probed.all.reach(S.DRAINING)
    ping.answer({})
    pings = probed.server.count("ping")
    await probed.all.probes_due()
    assert probed.server.count("ping") == pings
    asked.answer({})
    await call
    await probed.all.reach(S.DRAINED)
    looks = probed.all.looks
    await probed.all.rest()
    assert probed.all.looks == looks, "nor looked after"
    await probed.member.resume()
    await probed.all.reach(S.HEALTHY)
    await probed.answers()


@pytest.mark.parametrize("outcome", ["answers", "fails"])
async def test_what_a_probe_says_does_not_touch_one_that_drains(probed: Probed, outcome: str) -> None:
    probed.all.health = HealthConfig(probe_interval=SOON_S, failure_threshold=1, success_threshold=1)
    asked = await probed.server.next("ping")
    await probed.all.held("a")
    probed.all.begin(probed.member.drain(30))
    await probed.all.reach(S.DRAINING)
    before = probed.member.last_probe
    if outcome == "answers":
        asked.answer({})
    else:
        asked.refuse(-32603)
    await probed.seen(before)
    assert (probed.member.state, probed.member.reason) == (S.DRAINING, "1 call in flight")


async def test_calls_that_end_during_a_drain_leave_the_row_as_it_is(replicas: Any) -> None:
    made = await replicas("a").in_service()
    calls = [await made.held("a") for _ in range(3)]
    made.begin(made["a"].drain(30))
    await made.reach(S.DRAINING)
    for call, asked in calls[:2]:
        asked.answer({})
        await call
    assert (made["a"].state, made["a"].reason) == (S.DRAINING, "3 calls in flight")


# --- HTTP probes --------------------------------------------------------------------------------------------


async def test_an_http_probe_asks_the_endpoints_and_nothing_of_mcp(replicas: Any) -> None:
    async with serving({"GET": [refuses_http(503), refuses_http(204)]}) as web:
        where = ReplicaConfig(id="a", transport=HttpTransport(url=web.url, headers={"X-Key": "k"}))
        made = replicas(where)
        endpoint = HealthEndpoint(path="/ready", expected_status=204)
        made.health = HealthConfig(probe_interval=3600, probe="http", endpoints=(endpoint,))
        await made.in_service()
        probe = await made["a"].checks.probe()
        assert (probe.code, probe.error) == (503, "GET /ready answered 503, not 204")
        assert made["a"].state is S.DEGRADED
        assert made["a"].reason == "the last probe failed: GET /ready answered 503, not 204"
        assert (await made["a"].checks.probe()).error is None
        assert made["a"].state is S.HEALTHY
        (server,) = made.servers.values()
        assert (server.count("ping"), len(server.channels)) == (0, 1)
        assert [(seen.request.path, seen.headers["X-Key"]) for seen in web.seen] == [("/ready", "k")] * 2


async def test_a_child_is_probed_by_mcp_all_the_same(replicas: Any) -> None:
    made = replicas("a")
    made.health = HealthConfig(probe_interval=3600, probe="http")
    await made.in_service()
    assert (await made["a"].checks.probe()).error is None
    assert made.at("a").count("ping") == 1


# --- the breaker --------------------------------------------------------------------------------------------


def turns(replicas: Replicas) -> list[B]:
    return [fact.state for fact in replicas.facts if isinstance(fact, BreakerTurned)]


@pytest.fixture
async def broken(replicas: Any) -> Replicas:
    """The breaker of a is open; its scheduled probes are answered."""
    made: Replicas = replicas("a")
    made.breaker = CircuitBreakerConfig(failure_threshold=2, open_s=30, success_threshold=2)
    await made.in_service()
    made.replies("a", "tools/call", FAILING)
    for _ in range(2):
        with pytest.raises(BackendFailing):
            await made.call()
    assert turns(made) == [B.OPEN]
    made.health = HealthConfig(probe_interval=SOON_S)
    made["a"].use(made["a"].settings, 1)
    return made


async def test_scheduled_probes_do_not_close_an_open_breaker_before_its_time(broken: Replicas) -> None:
    await until(lambda: broken.at("a").count("ping") >= 5)
    broken.clock.advance(29.9)
    await until(lambda: broken.at("a").count("ping") >= 10)
    assert turns(broken) == [B.OPEN]
    with pytest.raises(CircuitOpen, match="in 1 second"):
        await broken.call()
    assert broken["a"].last_probe is not None and broken["a"].last_probe.error is None, "they tell how it is"


async def test_after_its_time_they_are_the_trials_and_close_it(broken: Replicas) -> None:
    await until(lambda: broken.at("a").count("ping") >= 5)
    broken.answers("a").clock.advance(30)
    await until(lambda: broken["a"].breaker.state is B.CLOSED)
    assert turns(broken) == [B.OPEN, B.HALF_OPEN, B.CLOSED]
    await broken.call()
    assert broken.calls_at("a") == (3,), "no call of a client was needed to find out"


async def test_it_takes_as_many_answered_probes_as_trials_are_wanted(broken: Replicas) -> None:
    broken.at("a").script.pop("ping")
    probed = Probed(broken)
    broken.clock.advance(30)
    await probed.answers()
    assert broken["a"].breaker.state is B.HALF_OPEN, "none of before counts"
    await probed.answers()
    assert broken["a"].breaker.state is B.CLOSED


async def test_a_probe_that_fails_as_a_trial_opens_it_anew(broken: Replicas) -> None:
    broken.replies("a", "ping", FAILING)
    broken.clock.advance(30)
    await until(lambda: turns(broken) == [B.OPEN, B.HALF_OPEN, B.OPEN])
    assert broken["a"].breaker.retry_at == broken.clock.monotonic() + 30


async def test_probes_that_fail_while_it_is_open_make_the_replica_unhealthy(broken: Replicas) -> None:
    broken.replies("a", "ping", FAILING)
    await broken.reach(S.UNHEALTHY)
    assert turns(broken) == [B.OPEN]
    assert broken["a"].last_probe is not None and broken["a"].last_probe.code == 500


async def test_no_probe_is_sent_beside_the_trials_that_are_under_way(broken: Replicas) -> None:
    broken.breaker = broken.breaker.model_copy(update={"success_threshold": 1})
    broken.at("a").script.pop("ping")
    before = await broken.at("a").next("ping")
    broken.clock.advance(30)
    call, asked = await broken.held("a")
    before.answer({})
    looks, pings = broken.looks, broken.at("a").count("ping")
    await until(lambda: broken.looks >= looks + 3)
    assert broken.at("a").count("ping") == pings
    assert broken["a"].breaker.state is B.HALF_OPEN
    asked.answer({})
    await call
    assert broken["a"].breaker.state is B.CLOSED


async def test_scheduled_probes_that_fail_open_it(replicas: Any) -> None:
    made = await replicas("a", script=child(ping=FAILING)).in_service()
    made.health = HealthConfig(probe_interval=SOON_S)
    made["a"].use(made["a"].settings, 1)
    await until(lambda: made["a"].breaker.state is B.OPEN)
    assert made.at("a").count("ping") >= made.breaker.failure_threshold
    with pytest.raises(CircuitOpen):
        await made.call()


async def test_scheduled_probes_that_are_refused_in_words_leave_it_closed(probed: Probed) -> None:
    for _ in range(2 * probed.all.breaker.failure_threshold):
        await probed.fails()
    assert (probed.member.state, probed.member.breaker.state) == (S.UNHEALTHY, B.CLOSED)


# --- a probe that somebody asks for -------------------------------------------------------------------------


async def test_one_answer_to_a_person_is_enough(replicas: Any) -> None:
    made = await replicas("a").in_service()
    made.replies("a", "ping", *[refuses(-32603)] * 3, result({}))
    for _ in range(3):
        await made["a"].checks.probe()
    assert made["a"].state is S.UNHEALTHY
    assert (await made["a"].checks.probe()).error is None
    assert (made["a"].state, made["a"].reason) == (S.HEALTHY, "")


async def test_one_that_waits_for_its_next_start_makes_it_now(replicas: Any) -> None:
    made = replicas("a", script=pongs(initialize=[refuses(-1), initialized()]))
    made.backend.start()
    await until(lambda: made["a"].replica.retry_at)
    probe = await made["a"].checks.probe()
    assert (probe.error, made["a"].state, made.at("a").starts) == (None, S.HEALTHY, 2)


async def test_one_that_cannot_be_reached_says_why(replicas: Any) -> None:
    made = replicas("a")
    made.at("a").start_fault = BackendUnavailable("box", "no", "no route to it")
    made.backend.start()
    await until(lambda: made["a"].replica.retry_at)
    probe = await made["a"].checks.probe()
    assert (probe.latency_ms, probe.error) == (None, "unhealthy: no route to it")
    assert made["a"].last_probe is probe


# --- drain --------------------------------------------------------------------------------------------------


async def test_the_end_of_a_drain_is_known_while_it_lasts(replicas: Any) -> None:
    made = await replicas("a").in_service()
    call, asked = await made.held("a")
    assert made["a"].drain_until is None
    drain = made.begin(made["a"].drain(30))
    await made.reach(S.DRAINING)
    assert made["a"].drain_until == made.clock.monotonic() + 30
    assert made["a"].reason == "1 call in flight"
    asked.answer({})
    await asyncio.gather(call, drain)
    assert (made["a"].drain_until, made["a"].reason) == (None, "")


async def test_a_drain_says_which_calls_it_did_not_wait_for(replicas: Any) -> None:
    made = await replicas("a", concurrency=2).in_service()
    done = await made.held("a")
    slow = await made.held("a", name="slow")
    waiting = made.call("waiting")
    await made.rest()
    assert (made["a"].in_flight, made.backend.queued) == (2, 1)
    drain = made.begin(made["a"].drain(0.05))
    await made.reach(S.DRAINING)
    done[1].answer({})
    await done[0]
    outcome = await drain
    listed = {(call.method, call.target) for call in outcome.calls}
    assert (outcome.finished, outcome.abandoned) == (1, 1), "what waits is not in flight"
    assert ("tools/call", "slow") in listed
    assert AbandonedCall(str(slow[1].id), "tools/call", "slow") in outcome.calls
    assert made["a"].reason == "1 call in flight cut off"
    for call in (slow[0], waiting):
        with pytest.raises(BackendFault):
            await call


async def test_one_that_is_off_already_is_drained_at_once(replicas: Any) -> None:
    made = await replicas("a").in_service()
    await made["a"].drain(0)
    assert await made["a"].drain(30) == DrainOutcome(0, 0)
    assert made["a"].state is S.DRAINED


async def test_a_drained_one_can_be_disabled_and_a_disabled_one_stays_so(replicas: Any) -> None:
    made = await replicas("a").in_service()
    await made["a"].drain(0)
    await made["a"].drain(0, Event.DISABLED)
    assert made["a"].state is S.DISABLED
    await made["a"].drain(0)
    assert made["a"].state is S.DISABLED


async def test_a_disable_that_joins_a_drain_has_the_last_word(replicas: Any) -> None:
    made = await replicas("a").in_service()
    _, asked = await made.held("a")
    drains = [made.begin(made["a"].drain(30)), made.begin(made["a"].drain(30, Event.DISABLED))]
    await made.reach(S.DRAINING)
    asked.answer({})
    await asyncio.gather(*drains)
    assert made["a"].state is S.DISABLED


# --- restart ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("final", [Event.DRAINED, Event.DISABLED])
async def test_a_restart_starts_what_was_switched_off(replicas: Any, final: Event) -> None:
    made = (await replicas("a").in_service()).answers("a")
    await made["a"].drain(0, final)
    await made["a"].restart(0)
    await made.reach(S.HEALTHY)
    await made.call()
    assert made.at("a").starts == 2


async def test_a_restart_during_a_drain_waits_for_it(replicas: Any) -> None:
    made = await replicas("a").in_service()
    call, asked = await made.held("a")
    made.begin(made["a"].drain(30))
    await made.reach(S.DRAINING)
    restart = made.begin(made["a"].restart(0))
    await made.rest()
    assert made["a"].state is S.DRAINING
    asked.answer({})
    await asyncio.gather(call, restart)
    await made.reach(S.HEALTHY)


async def test_a_restart_during_a_drain_before_the_first_answer_waits_for_it(replicas: Any) -> None:
    made = replicas("a").answers("a")
    made.at("a").script.pop("initialize")
    made.backend.start()
    call = made.call()
    handshake = await made.at("a").next("initialize")
    made.begin(made["a"].drain(30))
    await made.reach(S.DRAINING)
    restart = made.begin(made["a"].restart(0))
    await made.rest()
    assert made["a"].state is S.DRAINING
    made.replies("a", "initialize", initialized())
    initialized()(handshake)
    await asyncio.gather(call, restart)
    await made.reach(S.HEALTHY)
    assert made.at("a").starts == 2


async def test_a_restart_ends_an_attempt_that_gets_no_answer(replicas: Any) -> None:
    made = replicas("a", script=pongs(initialize=[silence, initialized()]))
    made.backend.start()
    await until(lambda: made.at("a").count("initialize"))
    await made["a"].restart(0)
    await made.reach(S.HEALTHY)
    assert made.at("a").starts == 2


async def test_a_restart_ends_a_crash_loop(replicas: Any) -> None:
    made = await replicas("a").in_service()
    for _ in range(CRASHES - 1):
        made.at("a").line.ends()
        await until(lambda: made["a"].replica.retry_at)
        made["a"].replica.start()
        await until(lambda: made["a"].connection)
    made.at("a").line.ends()
    await until(lambda: made["a"].connection is None)
    await made.rest()
    assert made["a"].state is S.FAILED
    await made["a"].restart(0)
    await made.reach(S.HEALTHY)


async def test_a_restart_goes_on_when_nobody_waits_for_it(replicas: Any) -> None:
    made = await replicas("a").in_service()
    call, asked = await made.held("a")
    restart = made.begin(made["a"].restart(30))
    await made.reach(S.DRAINING)
    restart.cancel()
    asked.answer({})
    await call
    await made.reach(S.HEALTHY)
    assert made.at("a").starts == 2


async def test_probes_go_on_after_a_restart(replicas: Any) -> None:
    made = replicas("a")
    made.health = HealthConfig(probe_interval=SOON_S)
    await made.in_service()
    await made["a"].restart(0)
    await made.reach(S.HEALTHY)
    pings = made.at("a").count("ping")
    await until(lambda: made.at("a").count("ping") > pings)


# --- lists of an earlier run --------------------------------------------------------------------------------


def earlier(*names: str) -> Lists:
    return Lists({"tools/list": Listing(tuple({"name": name} for name in names))})


async def test_lists_of_an_earlier_run_are_shown_for_a_while(replicas: Any) -> None:
    made = replicas("a", script=pongs(initialize=silence))
    member = made["a"]
    assert not member.is_listed
    member.remember(earlier("old"))
    assert member.is_listed and member.is_remembered
    made.clock.advance(STALE_S)
    assert not member.is_listed


async def test_lists_of_an_earlier_run_are_replaced_by_what_it_says(replicas: Any) -> None:
    made = replicas("a")
    made["a"].remember(earlier("old"))
    await made.in_service()
    assert (made.tools, made["a"].is_remembered) == (["add"], False)


async def test_one_that_is_switched_off_shows_nothing_of_an_earlier_run(replicas: Any) -> None:
    made = replicas("a", enabled=False)
    made["a"].remember(earlier("old"))
    assert not made["a"].is_listed


async def test_a_call_that_came_before_the_first_answer_waits_for_it(replicas: Any) -> None:
    made = replicas("a").answers("a")
    made["a"].remember(earlier("add"))
    made.backend.start()
    assert await made.answered_by() == "a"


# --- settings -----------------------------------------------------------------------------------------------


async def test_other_settings_keep_the_connection(replicas: Any) -> None:
    made = await replicas("a").in_service()
    member, connection = made["a"], made["a"].connection
    made.backend.use(made.settings(place("a", weight=7), timeouts={"call_idle_s": 7}), None, 0)
    assert (made["a"], member.connection, member.weight) == (member, connection, 7)
    call, _ = await made.held("a")
    await made.wait(7)
    with pytest.raises(BackendTimeout):
        await call
