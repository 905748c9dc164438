"""A server that is nothing but its recording: which answer it gives when, and what it says by itself."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.recording.backends import Recorded, listening
from tests.recording.session import BEFORE_THE_DAY, Answered, Said, Server
from tests.support.scripted_channel import until

CHANGED = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}


def text(value: str) -> dict[str, Any]:
    return {"result": {"text": value}}


def server(*answers: Answered, said: tuple[Said, ...] = ()) -> Server:
    return Server("box", "box-server", "1", "npm", "MIT", answers, said)


class Line:
    """The gateway's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._id = 0

    def tells(self, method: str) -> None:
        self._writer.write(json.dumps({"jsonrpc": "2.0", "method": method}).encode() + b"\n")

    async def next(self) -> Any:
        return json.loads(await asyncio.wait_for(self._reader.readline(), 20))

    def send(self, method: str, **params: Any) -> None:
        self._id += 1
        message = {"jsonrpc": "2.0", "id": self._id, "method": method, "params": params}
        self._writer.write(json.dumps(message).encode() + b"\n")

    async def ask(self, method: str, **params: Any) -> Any:
        self.send(method, **params)
        answer = await self.next()
        assert answer.pop("id") == self._id
        del answer["jsonrpc"]
        return answer


class Box:
    """The recorded server at a time that the test sets."""

    def __init__(self, recorded: Server) -> None:
        self.now_ms = 0
        self.backend = Recorded(recorded, lambda: self.now_ms)


@asynccontextmanager
async def connected(box: Box, folder: Path) -> AsyncIterator[Line]:
    async with listening(folder, {"box": box.backend}) as paths:
        reader, writer = await asyncio.open_unix_connection(paths["box"])
        yield Line(reader, writer)
        writer.close()


@pytest.fixture
def folder(own_runtime_folder: Path) -> Path:
    return own_runtime_folder


async def test_the_newest_answer_that_is_not_of_the_future_counts(folder: Path):
    box = Box(
        server(*(Answered(at, "resources/read", {"uri": "a:b"}, text(f"at {at}")) for at in (10, 20, 30)))
    )
    async with connected(box, folder) as line:
        told = []
        for box.now_ms in (10, 15, 29, 30, 99):
            told.append((await line.ask("resources/read", uri="a:b"))["result"]["text"])
    assert told == ["at 10", "at 10", "at 20", "at 30", "at 30"]


async def test_what_is_asked_before_its_time_gets_the_first_answer(folder: Path):
    box = Box(server(Answered(10, "tools/list", {}, text("first"))))
    async with connected(box, folder) as line:
        assert await line.ask("tools/list") == text("first")


async def test_answers_of_one_instant_are_given_in_their_order_and_the_last_of_them_again(folder: Path):
    box = Box(server(*(Answered(5, "tools/call", {"name": "next"}, text(each)) for each in "abc")))
    box.now_ms = 5
    async with connected(box, folder) as line:
        told = [(await line.ask("tools/call", name="next"))["result"]["text"] for _ in range(4)]
    assert told == ["a", "b", "c", "c"]


async def test_answers_go_by_what_is_asked_and_not_by_what_comes_with_it(folder: Path):
    box = Box(
        server(
            Answered(0, "tools/call", {"name": "one"}, text("1")),
            Answered(0, "tools/call", {"name": "two"}, text("2")),
        )
    )
    async with connected(box, folder) as line:
        assert await line.ask("tools/call", name="two", _meta={"progressToken": 7}) == text("2")
        assert await line.ask("tools/call", name="one") == text("1")
    assert box.backend.made == {"tools/call": 2}


async def test_what_was_told_during_a_call_comes_before_its_answer(folder: Path):
    box = Box(server(Answered(0, "tools/call", {"name": "grow"}, text("done"), (CHANGED,))))
    async with connected(box, folder) as line:
        line.send("tools/call", name="grow")
        assert await line.next() == CHANGED
        assert (await line.next())["id"] == 1


async def test_it_says_by_itself_what_it_said_then_once_the_time_has_come(folder: Path):
    box = Box(server(said=(Said(BEFORE_THE_DAY, {"method": "early"}), Said(50, CHANGED))))
    async with connected(box, folder) as line:
        line.tells("notifications/initialized")
        assert await line.next() == {"method": "early"}
        box.now_ms = 49
        box.backend.speak()
        assert await line.ask("ping") == {"result": {}}
        box.now_ms = 50
        box.backend.speak()
        box.backend.speak()
        assert await line.next() == CHANGED
        assert await line.ask("ping") == {"result": {}}


async def test_what_is_held_is_answered_in_its_order_when_it_is_released(folder: Path):
    box = Box(server(Answered(0, "tools/list", {}, text("list"))))
    async with connected(box, folder) as line:
        box.backend.hold()
        line.send("tools/list")
        line.send("ping")
        await until(lambda: box.backend.made.total() == 2)
        box.backend.release()
        assert [(await line.next())["id"] for _ in range(2)] == [1, 2]
        assert await line.ask("tools/list") == text("list")


async def test_what_nobody_recorded_is_refused_and_remembered(folder: Path):
    box = Box(server())
    async with connected(box, folder) as line:
        assert (await line.ask("tools/call", name="new"))["error"]["code"] == -32603
    assert box.backend.unknown == ['tools/call {"name": "new"}']
