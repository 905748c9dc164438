"""The backend of the benchmarks: whole requests however they come, and each answer to its own question."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.benchmarks.backend import Backend
from tests.benchmarks.equal_ids import right_answers
from tests.benchmarks.lines import opened
from tests.benchmarks.load import Ask, modern_call
from tests.benchmarks.processes import http_backend
from tests.benchmarks.rounds import Way, in_turns

CALL = b'{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"echo","arguments":{"n":"\\"7\\""}}}'
TOKEN = CALL.replace(b'"name"', b'"_meta":{"progressToken":5},"name"')


@asynccontextmanager
async def connection(*options: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with http_backend(*options) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        yield reader, writer
        writer.close()
        await writer.wait_closed()


def post(body: bytes) -> bytes:
    return b"POST /mcp HTTP/1.1\r\ncontent-LENGTH: %d\r\n\r\n%b" % (len(body), body)


async def body_of(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    return await reader.readexactly(int(head.split(b"Content-Length: ")[1].split(b"\r")[0]))


async def test_requests_are_found_in_whatever_pieces_they_come():
    async with connection() as (reader, writer):
        two = post(CALL) + post(CALL.replace(b'"a"', b"2"))
        for piece in (two[:10], two[10:70], two[70:]):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        assert [json.loads(await body_of(reader))["id"] for _ in range(2)] == ["a", 2]


async def test_a_large_request_in_many_pieces_is_whole_and_so_is_the_next():
    argument = b"x" * 2_000_000
    long = CALL.replace(b'\\"7\\"', argument)
    async with connection("--echo") as (reader, writer):
        sent = post(long) + post(CALL)
        for at in range(0, len(sent), 70_000):
            writer.write(sent[at : at + 70_000])
            await writer.drain()
        echoed = json.loads(await body_of(reader))["result"]["content"][0]["text"]
        assert json.loads(echoed) == {"n": argument.decode()}
        assert json.loads(await body_of(reader))["id"] == "a"


async def test_it_counts_what_it_was_asked_and_has_no_other_pages():
    async with connection() as (reader, writer):
        writer.write(post(CALL) + b"GET /asked HTTP/1.1\r\n\r\n" + b"GET /mcp HTTP/1.1\r\n\r\n")
        await body_of(reader)
        assert json.loads(await body_of(reader)) == {"tools/call": 1}
        assert (await reader.readline()).startswith(b"HTTP/1.1 405 ")


async def test_progress_comes_before_the_answer_for_who_wants_it():
    async with connection("--progress", "2") as (reader, writer):
        for body, events in ((TOKEN, [1, 2]), (CALL, [])):
            writer.write(post(body))
            stream = (await reader.readuntil(b"\r\n0\r\n\r\n")).decode()
            messages = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: ")]
            assert [each["params"]["progress"] for each in messages[:-1]] == events
            assert messages[-1]["id"] == "a"


def test_it_repeats_the_arguments_as_they_came():
    content = json.loads(Backend().echo(CALL))["result"]["content"]
    assert json.loads(content[0]["text"]) == {"n": '"7"'}


@pytest.mark.parametrize("rows", [0, 14])
def test_replies_are_json_of_both_eras(rows: int):
    modern, legacy = (json.loads(Backend(rows=rows, is_legacy=it).answer(CALL)) for it in (False, True))
    assert modern["result"].pop("resultType") == "complete"
    del modern["result"]["_meta"]
    assert modern == legacy
    assert len(legacy["result"].get("structuredContent", {"rows": []})["rows"]) == rows


async def test_answers_are_right_where_each_has_its_own_arguments():
    def ask(number: int) -> Ask:
        body = CALL.replace(b'"a"', b"1").replace(b'"\\"7\\""', b"%d" % number)
        return lambda _: (b"", body)

    async with http_backend("--echo") as (port, _):
        with opened(port, 3, modern_call("echo")) as lines:
            assert right_answers([ask(0), ask(1), ask(2)], lines) == 3
            # As if two of them had got each other's.
            assert right_answers([ask(1), ask(0), ask(2)], lines) == 1
    async with http_backend() as (port, _):
        with opened(port, 1, modern_call("echo")) as lines:
            assert right_answers([ask(0)], lines) == 0


def test_every_way_has_a_turn_in_each_round_and_begins_as_often_as_the_others():
    ways = [Way(name, 0, []) for name in "abc"]
    taken: list[str] = []
    in_turns(ways, 3, lambda way: taken.append(way.name))
    assert "".join(taken) == "abcbcacab"
