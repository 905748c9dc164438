"""Faults on purpose, felt where real ones would be."""

import asyncio
from typing import Any

import pytest

from proxy_core.backends.drill import Drill, Drilling
from proxy_core.config.models import CircuitBreakerConfig
from proxy_core.errors import BackendTimeout, BackendUnavailable
from proxy_core.telemetry.snapshot import BreakerState
from tests.support.scripted_channel import result, until
from tests.support.scripted_replicas import Replicas, pongs

ADDED = pongs(tools_call=result({"content": []}))


async def outcome(call: Any) -> type[BaseException] | None:
    try:
        await call
    except Exception as error:
        return type(error)
    return None


@pytest.mark.parametrize(("share", "failed"), [(1.0, 10), (0.5, 5), (0.3, 3), (0.1, 1)])
async def test_as_many_requests_fail_as_were_asked_for(share: float, failed: int):
    drill = Drill(60, share=share)
    ends = [await outcome(drill.felt("box", 9)) for _ in range(10)]
    assert ends.count(BackendUnavailable) == failed


async def test_a_delay_beyond_all_patience_is_a_timeout():
    assert await outcome(Drill(60, delay_s=0.01).felt("box", 9)) is None
    assert await outcome(Drill(60, delay_s=9).felt("box", 0.01)) is BackendTimeout


async def test_without_a_drill_nothing_is_felt():
    assert (await outcome(Drilling().felt("box", 9)), Drilling().words(0)) == (None, "")


@pytest.mark.parametrize(
    ("drill", "words"),
    [
        (Drill(60, delay_s=0.5), "delay 500 ms, 42 s left"),
        (Drill(60, share=1), "error, 42 s left"),
        (Drill(60, share=0.25), "error 25 %, 42 s left"),
    ],
)
def test_the_words_say_what_and_how_long(drill: Drill, words: str):
    assert drill.words(18.4) == words
    assert drill.words(99).endswith("0 s left")


async def test_a_failure_on_purpose_opens_the_breaker_and_calls_go_elsewhere(replicas: Any):
    house: Replicas = await replicas("a", "b", script=ADDED).in_service()
    house.breaker = CircuitBreakerConfig(failure_threshold=2)
    house["a"].replica.drilling.drill = Drill(60, share=1)
    assert {await house.answered_by() for _ in range(8)} == {"b"}
    assert house["a"].breaker.state is BreakerState.OPEN
    assert "a fault drill" in house["a"].last_error
    assert house.at("a").count("tools/call") == 0


async def test_probes_feel_it_too(replicas: Any):
    house: Replicas = await replicas("a", script=ADDED).in_service()
    house["a"].replica.drilling.drill = Drill(60, share=1)
    probe = await house["a"].checks.probe()
    assert "a fault drill" in (probe.error or "")
    house["a"].replica.drilling.drill = None
    assert (await house["a"].checks.probe()).error is None


async def test_a_delay_is_waited_out_before_anything_is_sent(replicas: Any):
    house: Replicas = await replicas("a", script=ADDED).in_service()
    house["a"].replica.drilling.drill = Drill(60, delay_s=0.05)
    before = asyncio.get_running_loop().time()
    call = house.call()
    await house.rest()
    assert house.at("a").count("tools/call") == 0
    await call
    assert asyncio.get_running_loop().time() - before >= 0.05


async def test_a_call_that_is_given_up_while_it_is_delayed_gives_its_place_back(replicas: Any):
    house: Replicas = await replicas("a", script=ADDED, concurrency=1).in_service()
    house["a"].replica.drilling.drill = Drill(60, delay_s=60)
    call = house.call()
    await house.rest()
    call.cancel()
    await house.rest()
    house["a"].replica.drilling.drill = None
    assert await house.answered_by() == "a"


async def test_a_connection_that_is_cut_is_made_again(replicas: Any):
    house: Replicas = await replicas("a", script=ADDED).in_service()
    first = house["a"].connection
    house["a"].replica.kill()
    await until(lambda: house["a"].connection not in (None, first))
    assert await house.answered_by() == "a"
