"""A session that its backend has ended, and the requests that lost it."""

import asyncio

import pytest

from proxy_core.errors import BackendHttpError, BackendSessionLost, BackendUnavailable
from tests.support.scripted_channel import Reply, initialized, raises, refuses, result, until
from tests.support.scripted_line import Line

GONE = BackendSessionLost("box", "The server ended our session.")


@pytest.mark.requirement("B05")
async def test_calls_that_lost_the_session_share_one_renewal(legacy: Line) -> None:
    calls = [legacy.call() for _ in range(5)]
    lost = [await legacy.server.next("tools/call") for _ in calls]
    legacy.server.script["tools/call"] = [result({"ok": True})]
    for asked in lost[:3]:
        asked.fail(GONE)
    await until(lambda: legacy.owner.renewals)
    for asked in lost[3:]:
        asked.fail(GONE)
    assert {bytes(await call) for call in calls} == {b'{"ok": true}'}
    assert legacy.server.count("initialize") == 2
    assert legacy.server.count("tools/call") == 10
    assert legacy.owner.renewals == 1


async def test_a_call_that_loses_the_session_twice_fails(legacy: Line) -> None:
    legacy.server.script["tools/call"] = [raises(GONE)]
    with pytest.raises(BackendSessionLost):
        await legacy.call()
    assert legacy.server.count("tools/call") == 2


async def test_a_call_begun_during_the_renewal_waits_for_it(legacy: Line) -> None:
    legacy.server.script["tools/call"] = [raises(GONE), result({})]
    del legacy.server.script["initialize"]
    first = legacy.call()
    initialize = await legacy.server.next("initialize")
    second = legacy.call()
    await asyncio.sleep(0)
    assert legacy.server.transcript == ["> tools/call", "> initialize"]
    assert legacy.connection.peer.offers("tools"), "what it offers stays known meanwhile"
    initialized()(initialize)
    await asyncio.gather(first, second)
    assert legacy.server.count("initialize") == 2


async def test_closing_during_a_renewal_fails_the_calls_that_wait_for_it(legacy: Line) -> None:
    legacy.server.script["tools/call"] = [raises(GONE)]
    del legacy.server.script["initialize"]
    calls = [legacy.call(), legacy.call()]
    await legacy.server.next("initialize")
    await legacy.connection.aclose()
    for call in calls:
        with pytest.raises(BackendUnavailable):
            await call


async def test_our_own_requests_renew_the_session_too(legacy: Line) -> None:
    legacy.server.script["ping"] = [raises(GONE), result({})]
    await legacy.connection.probe(5)
    assert legacy.server.count("initialize") == 2


@pytest.mark.parametrize(
    "renewal",
    [
        raises(BackendUnavailable("box", "down", "it answered with HTTP status 503")),
        raises(BackendHttpError("box", 404)),
        refuses(-32603),
        initialized("1999-12-31"),
    ],
)
async def test_a_session_that_cannot_be_renewed_is_a_lost_connection(legacy: Line, renewal: Reply) -> None:
    legacy.server.script["tools/call"] = [raises(GONE)]
    legacy.server.script["initialize"] = [renewal]
    calls = [legacy.call(), legacy.call()]
    for call in calls:
        with pytest.raises(BackendUnavailable):
            await call
    assert len(legacy.owner.lost) == 1
