"""Limits as clients meet them: in both eras, on both HTTP paths and on a pipe."""

import asyncio
import hashlib
import random
from typing import Any

import aiohttp
import pytest

from tests.support.http_client import Client
from tests.support.limited_house import WAYS, LimitedHouse, Way, limited_house, refused
from tests.support.wire import comes_true

ways = pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(way))
http_ways = pytest.mark.parametrize("way", [way for way in WAYS if way.front != "pipe"], ids="-".join)
SLOW = {"calls_per_s": 0.01, "burst": 3}
"""In a test's time nothing is filled again."""
RATES = {
    "principal": {"limits": SLOW},
    "server": {"box": {"limits": SLOW}},
    "tool": {"box": {"tools": {"limits": {"r*": SLOW}}}},
}


async def let_in(house: LimitedHouse, most: int = 10, **how: Any) -> int:
    for count in range(most):
        if refused(await house.call(**how)) is not None:
            return count
    return most


def token(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "sha256": hashlib.sha256(name.encode()).hexdigest(), **more}


# --- rates ----------------------------------------------------------------------------------------------------


@pytest.mark.requirement("A11")
@pytest.mark.parametrize("limit", RATES)
@ways
async def test_a_rate_refuses_what_is_too_much_and_lets_on_when_it_says(way: Way, limit: str):
    async with limited_house(way, **RATES[limit]) as house:
        assert await let_in(house) == 3
        said = refused(await house.call())
        assert said is not None and 90_000 < said["retryAfterMs"] <= 100_000
        assert house.refusals == [(limit, "rate")]
        if house.replies:
            last = house.replies[-1]
            assert (last.status, last.headers["Retry-After"]) == (200, "100")
        house.clock.ahead_s += said["retryAfterMs"] / 1000
        assert await let_in(house) == 1
        await house.nothing_is_held()
        # Others are not touched: another tool, and whoever asks whether we are there.
        assert (refused(await house.call(tool="walk")) is None) is (limit == "tool")
        if way.era == "legacy":
            for _ in range(5):
                assert "result" in await house.ask("ping")


@ways
async def test_lists_count_for_who_asks_and_not_for_a_server(way: Way):
    async with limited_house(way, **RATES["server"]) as house:
        for _ in range(6):
            assert "result" in await house.ask("tools/list")
        assert await let_in(house) == 3
    async with limited_house(way, **RATES["principal"]) as house:
        lists = [refused(await house.ask("tools/list")) is None for _ in range(5)]
        assert lists == [True, True, True, False, False]
        assert await let_in(house) == 0


@http_ways
async def test_a_profile_has_a_share_of_its_own_that_its_clients_divide(way: Way):
    sections: Any = {
        "auth": {"tokens": [token("ann"), token("bob"), token("eve", profile="review")]},
        "profiles": {"review": {"limits": SLOW}},
    }
    async with limited_house(way, ("ann", "bob"), ("", "/review"), **sections) as house:
        assert await let_in(house, token="ann", path="/review") == 3
        assert await let_in(house, token="bob", path="/review") == 0
        assert house.refusals == [("profile", "rate")]
        assert await let_in(house, token="ann") == await let_in(house, token="bob") == 10


@http_ways
async def test_each_token_has_its_own_limits_or_those_of_all(way: Way):
    sections: Any = {
        "auth": {"tokens": [token("ann", limits={"calls_per_s": 0.01}), token("bob")]},
        "limits": {"calls_per_s": 0.01, "burst": 4},
    }
    async with limited_house(way, ("ann", "bob"), **sections) as house:
        assert await let_in(house, token="ann") == 1
        assert await let_in(house, token="bob") == 4


# --- in flight ------------------------------------------------------------------------------------------------


@pytest.mark.requirement("A11")
@pytest.mark.parametrize("limit", ["server", "tool"])
@ways
async def test_as_many_are_in_flight_as_may_be(way: Way, limit: str):
    two = {"concurrent": 2}
    box = {"limits": two} if limit == "server" else {"tools": {"limits": {"run": two}}}
    async with limited_house(way, box=box) as house:
        running = [house.begin() for _ in range(2)]
        await house.all_wait(2)
        said = refused(await house.call())
        assert said is not None and "retryAfterMs" not in said
        assert (refused(await house.call(tool="walk")) is None) is (limit == "tool")
        assert house.refusals == [(limit, "concurrent")]
        house.moody.released.set()
        assert all("result" in answer for answer in await asyncio.gather(*running))
        await house.nothing_is_held()
        assert refused(await house.call()) is None


@http_ways
async def test_a_token_may_have_more_or_less_in_flight_than_all_others(way: Way):
    sections: Any = {
        "auth": {"tokens": [token("ann", limits={"concurrent": 3}), token("bob")]},
        "limits": {"calls": 1},
    }
    async with limited_house(way, ("ann", "bob"), **sections) as house:
        running = [house.begin(token="ann") for _ in range(3)] + [house.begin(token="bob")]
        await house.all_wait(4)
        for name in ("ann", "bob"):
            assert refused(await house.call(token=name)) is not None
        assert house.refusals == [("principal", "concurrent")] * 2
        house.moody.released.set()
        await asyncio.gather(*running)
        assert refused(await house.call(token="bob")) is None


@pytest.mark.parametrize("end", ["cancel", "time out", "drop", "refuse", "fail", "stream"])
@ways
async def test_a_place_is_free_again_however_a_call_ends(way: Way, end: str):
    box: Any = {"limits": {"concurrent": 1}}
    if end == "time out":
        box |= {"timeouts": {"call_idle_s": 0.3}}
    async with limited_house(way, box=box) as house:
        # The first call may open a connection, which takes a task.
        await house.call()
        running = house.begin("wait" if end in ("cancel", "time out") else end)
        if end in ("cancel", "time out", "stream"):
            await house.all_wait(1)
            assert refused(await house.call()) is not None
        if end == "cancel":
            running.cancel()
            await asyncio.wait((running,))
        elif end == "stream":
            house.moody.released.set()
        if end != "cancel":
            answer = await running
            assert ("result" in answer) is (end == "stream")
        await house.nothing_is_held()
        assert refused(await house.call()) is None


# --- tokens of lists ------------------------------------------------------------------------------------------


@ways
async def test_tokens_of_lists_have_a_limit_for_a_day(way: Way):
    async with limited_house(way, limits={"tokens_per_day": 1}) as house:
        assert "result" in await house.ask("tools/list")
        said = refused(await house.ask("tools/list"))
        assert said is not None and said["retryAfterMs"] > 23 * 3600 * 1000
        assert house.refusals == [("principal", "tokens")]
        assert refused(await house.call()) is None
        house.clock.ahead_s += said["retryAfterMs"] / 1000
        assert "result" in await house.ask("tools/list")


# --- a reload -------------------------------------------------------------------------------------------------


@ways
async def test_limits_come_change_and_go_while_it_runs(way: Way):
    async with limited_house(way) as house:
        assert await let_in(house) == 10
        await house.reload(box={"limits": SLOW})
        assert await let_in(house) == 3
        # What stays as it is begins no new day.
        await house.reload(box={"limits": SLOW}, limits={"calls_per_s": 1000})
        assert await let_in(house) == 0
        await house.reload(box={"limits": SLOW | {"burst": 5}})
        assert await let_in(house) == 5
        await house.reload()
        assert await let_in(house) == 10


@ways
async def test_what_is_in_flight_still_counts_after_a_reload(way: Way):
    one: Any = {"box": {"limits": {"concurrent": 1}}}
    async with limited_house(way, **one) as house:
        running = house.begin()
        await house.all_wait(1)
        await house.reload(**one, limits={"calls_per_s": 1000})
        assert refused(await house.call()) is not None
        await house.reload()
        assert refused(await house.call()) is None
        await house.reload(**one)
        assert refused(await house.call()) is not None
        house.moody.released.set()
        await running
        await house.nothing_is_held()
        assert refused(await house.call()) is None


# --- what is told ---------------------------------------------------------------------------------------------


async def test_refusals_are_counted_by_limit_and_kind():
    async with limited_house(WAYS[0], **RATES["server"]) as house, aiohttp.ClientSession() as http:
        assert await let_in(house) == 3
        for _ in range(4):
            await house.call()
        numbers = (await Client(http, house.url.replace("/mcp", "/metrics")).send("GET")).body.decode()
        assert 'only1mcp_limit_refusals_total{limit="server",kind="rate"} 5' in numbers
        assert 'only1mcp_limit_refusals_total{limit="tool",kind="rate"} 0' in numbers
        assert len(house.refusals) == 1, "as an event once a minute"


# --- chaos ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [150, pytest.param(5000, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
@ways
async def test_after_chaos_nothing_is_in_flight_and_everything_goes_on(way: Way, count: int):
    """Calls that are answered, refused, dropped, streamed and cancelled at any moment, and reloads between."""
    dice = random.Random(count)
    sections: Any = {
        "limits": {"calls_per_s": 100_000, "calls": 0},
        "box": {
            "limits": {"concurrent": 12, "calls_per_s": 2000, "burst": 30},
            "tools": {"limits": {"walk": {"concurrent": 4}}},
            "timeouts": {"call_idle_s": 5},
        },
    }
    async with limited_house(way, **sections) as house:
        house.moody.released.set()

        async def one(number: int) -> bool:
            do = dice.choice(["answer", "answer", "wait", "stream", "refuse", "fail", "drop"])
            call = house.begin(do, tool=dice.choice(["run", "walk"]))
            if dice.random() < 0.4:
                await asyncio.sleep(dice.random() * 0.01)
                call.cancel()
            await asyncio.wait((call,))
            # A client that hangs up as it is answered may see its connection go instead.
            return not call.cancelled() and call.exception() is None and "result" in call.result()

        answered = 0
        for start in range(0, count, 25):
            answered += sum(await asyncio.gather(*(one(start + number) for number in range(25))))
            if start % 50 == 0:
                await house.reload(**sections, retry={"attempts": start % 3})
        assert answered > count / 10
        await house.nothing_is_held()
        await comes_true(lambda: house.proxy.snapshot().totals.in_flight == 0, "nothing is served")
        running = [house.begin() for _ in range(12)]
        assert all("result" in answer for answer in await asyncio.gather(*running))
