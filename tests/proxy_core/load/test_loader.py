"""Loads on small real servers: every request under an id of its own, and every reply accounted for."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web

from proxy_core.load import connection
from proxy_core.load.asking import Dialect, question
from proxy_core.load.loader import Loader, Plan
from proxy_core.load.tally import LoadResult
from proxy_core.load.target import target_of
from tests.support.backend_server import (
    BackendServer,
    Seen,
    answers,
    closed_port,
    event,
    json_reply,
    result_event,
    rpc_error,
    serving,
    serving_bytes,
    streams,
)

SHORT = Plan(connections=4, seconds=0.3, warm_up_s=0.05, timeout_s=5)
PROGRESS = event(b'{"jsonrpc":"2.0","method":"notifications/progress","params":{}}')


async def loaded(url: str, plan: Plan = SHORT) -> LoadResult:
    target = await target_of(url)
    ask = question(Dialect(target.authority, target.path), "tools/list")
    return await Loader(target, ask, plan).run()


@asynccontextmanager
async def answering(*handlers: Callable[[Seen], Awaitable[web.StreamResponse]]) -> AsyncIterator[BackendServer]:
    async with serving({"tools/list": list(handlers)}) as server:
        yield server


def kinds(result: LoadResult) -> set[str]:
    return {fault.kind for fault in result.faults}


@pytest.mark.parametrize("rate", [None, 200.0])
async def test_every_request_has_an_id_of_its_own_and_is_answered(rate: float | None):
    async with answering(answers({"tools": []})) as server:
        result = await loaded(server.url, replace(SHORT, per_s=rate))
    assert result.faults == ()
    assert 0 < result.good == result.requests <= len(server.seen)
    asked = Counter(seen.id for seen in server.seen)
    assert asked.most_common(1)[0][1] == 1
    assert result.received_bytes > 0 and result.replaced == 0
    assert result.percentiles_ms[0.5] <= result.percentiles_ms[0.999] <= result.longest_ms


async def test_a_rate_is_kept():
    async with answering(answers({})) as server:
        result = await loaded(server.url, replace(SHORT, per_s=100.0))
    assert 29 <= result.requests <= 31
    assert 35 <= len(server.seen) <= 36
    assert result.late_ms is not None and result.late_ms >= 0


async def test_a_stream_is_read_to_its_answer():
    async with answering(streams(b": hello\n\n", PROGRESS, result_event({"tools": []}))) as server:
        result = await loaded(server.url)
    assert result.faults == () and result.good > 0


async def test_a_stream_without_an_answer_is_none():
    async with answering(streams(PROGRESS)) as server:
        result = await loaded(server.url)
    assert (result.good, kinds(result)) == (0, {"a stream without an answer"})


async def test_failures_are_counted_by_their_kind_beside_what_is_good():
    async with answering(rpc_error(-32000), answers({})) as server:
        result = await loaded(server.url, replace(SHORT, warm_up_s=0.0))
    assert [(fault.kind, fault.count, fault.example) for fault in result.faults] == [
        ("JSON-RPC error -32000", 1, "no")
    ]
    assert result.requests == result.good + 1 == len(server.seen)


async def test_the_answer_to_another_request_is_not_taken_for_ones_own():
    async def for_another(seen: Seen) -> web.StreamResponse:
        return json_reply(b'{"jsonrpc":"2.0","id":%d,"result":{}}' % (seen.id + 1))

    async with answering(for_another) as server:
        result = await loaded(server.url)
    assert (result.good, kinds(result)) == (0, {"the answer to another request"})


async def test_a_request_counts_from_when_it_was_due():
    """One connection and answers of 50 ms: at 100 a second each request waits longer than the one before."""

    async def slow(seen: Seen) -> web.StreamResponse:
        await asyncio.sleep(0.05)
        return json_reply(seen.result({}))

    async with answering(slow) as server:
        plan = Plan(connections=1, seconds=0.5, warm_up_s=0.0, timeout_s=5, per_s=100.0)
        result = await loaded(server.url, plan)
    assert result.longest_ms > 300
    assert kinds(result) == {"never asked"}
    assert result.requests == 50


async def test_an_answer_that_takes_too_long_is_not_waited_for():
    async def never(seen: Seen) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with answering(never) as server:
        result = await asyncio.wait_for(loaded(server.url, replace(SHORT, warm_up_s=0.0, timeout_s=0.1)), 5)
    assert kinds(result) == {"no answer in time"}
    assert result.replaced > 0


async def test_a_connection_that_its_server_closes_is_opened_again():
    async def last(seen: Seen) -> web.StreamResponse:
        response = json_reply(seen.result({}))
        response.force_close()
        return response

    async with answering(last) as server:
        result = await loaded(server.url)
    assert result.faults == ()
    assert result.good > SHORT.connections and result.replaced > 0


async def test_a_server_that_breaks_off_is_a_lost_connection():
    cut = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"
    async with serving_bytes(cut) as url:
        result = await loaded(url)
    assert kinds(result) == {"connection lost"}


async def test_what_is_no_http_is_said():
    async with serving_bytes(b"SSH-2.0-nonsense\r\n") as url:
        result = await loaded(url)
    assert "invalid HTTP" in kinds(result)


async def test_a_reply_that_is_too_large_is_not_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connection, "MAX_REPLY_BYTES", 10_000)
    async with answering(answers({"filler": "x" * 20_000})) as server:
        result = await loaded(server.url)
    assert (result.good, kinds(result)) == (0, {"a reply that is too large"})


async def test_a_server_that_is_gone_does_not_end_the_load():
    result = await loaded(f"http://127.0.0.1:{await closed_port()}/mcp")
    assert kinds(result) == {"no connection"}
    assert result.faults[0].count >= SHORT.connections


async def test_the_progress_ends_where_the_time_does():
    shares: list[float] = []
    async with answering(answers({})) as server:
        target = await target_of(server.url)
        ask = question(Dialect(target.authority, target.path), "tools/list")
        await Loader(target, ask, SHORT).run(shares.append)
    assert shares == sorted(shares) and 0 <= shares[0] < 1 and shares[-1] <= 1
