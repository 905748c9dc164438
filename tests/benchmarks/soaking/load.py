"""Calls at a steady pace over connections that stay, each answer compared with what its call must get."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from tests.benchmarks.load import META, HttpCaller, Measured, closed_loop, modern_headers, modern_list
from tests.benchmarks.soaking.backend import TOOL, told

PADS: Final = (*(100,) * 30, 2_000, 50_000)
"""Letters in the answers, in turn."""
HANGS_S: Final = 30.0
"""A call that is not answered by then got no answer."""


class _Content(msgspec.Struct):
    text: str


class _Result(msgspec.Struct):
    content: list[_Content]


class _Error(msgspec.Struct):
    message: str


class _Answer(msgspec.Struct):
    id: int
    result: _Result | None = None
    error: _Error | None = None


_decode = msgspec.json.Decoder(_Answer).decode


@dataclass(frozen=True, slots=True)
class Refused:
    """A call that was answered with an error. Times are monotonic seconds."""

    server: str
    began_at: float
    ended_at: float
    message: str


@dataclass(frozen=True, slots=True)
class Hurt:
    """What was done to a server. Times are monotonic seconds."""

    server: str
    from_s: float
    to_s: float
    """When nothing kept it from coming back any more."""


def is_excused(refused: Refused, hurts: Sequence[Hurt], recovery_s: float) -> bool:
    """Whether its server was hurt while the call was under way, or comes back from that still."""
    return any(
        hurt.server == refused.server
        and refused.ended_at >= hurt.from_s
        and refused.began_at <= hurt.to_s + recovery_s
        for hurt in hurts
    )


@dataclass
class Ledger:
    """What became of every call."""

    answered: int = 0
    wrong: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    """Since somebody emptied it."""


@dataclass(frozen=True, slots=True)
class Asked:
    request_id: int
    server: str
    pad: int

    @property
    def key(self) -> str:
        return f"call-{self.request_id}"

    @property
    def headers(self) -> bytes:
        return modern_headers("tools/call", f"{self.server}__{TOOL}")

    def body(self, wait_ms: float = 0) -> bytes:
        arguments = f'{{"key":"{self.key}","pad":{self.pad},"wait_ms":{wait_ms:g}}}'
        params = f'{{"name":"{self.server}__{TOOL}","arguments":{arguments},{META}}}'
        return f'{{"jsonrpc":"2.0","id":{self.request_id},"method":"tools/call","params":{params}}}'.encode()

    @property
    def text(self) -> str:
        return told(self.key, self.server, self.pad)


def note(ledger: Ledger, asked: Asked, body: bytes, began_at: float, ended_at: float) -> None:
    """Put what came back for a call into the ledger. Pure, but for that."""
    try:
        answer = _decode(body)
    except msgspec.MsgspecError:
        ledger.broken.append(_shown(asked, body))
        return
    if answer.id != asked.request_id:
        ledger.wrong.append(_shown(asked, body))
    elif answer.error is not None:
        ledger.refused.append(Refused(asked.server, began_at, ended_at, answer.error.message))
    elif answer.result is None or [each.text for each in answer.result.content] != [asked.text]:
        ledger.wrong.append(_shown(asked, body))
    else:
        ledger.answered += 1


def _shown(asked: Asked, body: bytes) -> str:
    return f"{asked.server} {asked.key}: {body[:200]!r}"


class Load:
    """So many connections, each with a share of the pace."""

    def __init__(self, port: int, servers: Sequence[str], callers: int) -> None:
        self._port = port
        self._servers = servers
        self._callers = callers
        self._ids = itertools.count(1)
        self._connections: list[HttpCaller] = []
        self.ledger = Ledger()

    async def open(self) -> None:
        self._connections = [await self._connected() for _ in range(self._callers)]

    def close(self) -> None:
        for connection in self._connections:
            connection.close()

    async def capacity(self, seconds: float) -> Measured:
        """As many calls as go through."""

        async def call(at: int) -> None:
            await self._one(at, time.monotonic())

        callers = [lambda _, at=at: call(at) for at in range(self._callers)]
        return await closed_loop(callers, seconds, lambda: 0.0)

    async def run(self, per_s: float, seconds: float) -> None:
        """At a steady pace; a call's time counts from when it was due."""
        begun, pause_s = time.monotonic(), self._callers / per_s

        async def repeat(at: int) -> None:
            for number in itertools.count():
                due_at = begun + (number + at / self._callers) * pause_s
                if due_at > begun + seconds:
                    return
                await asyncio.sleep(max(0.0, due_at - time.monotonic()))
                await self._one(at, due_at)

        await asyncio.gather(*(repeat(at) for at in range(self._callers)))

    async def _one(self, at: int, due_at: float) -> None:
        request_id = next(self._ids)
        asked = Asked(request_id, self._servers[request_id % len(self._servers)], PADS[request_id % len(PADS)])
        began_at = time.monotonic()
        try:
            async with asyncio.timeout(HANGS_S):
                _, body = await self._connections[at].post(asked.headers, asked.body())
        except (OSError, TimeoutError) as error:
            self.ledger.broken.append(f"{asked.server} {asked.key}: {error!r}")
            self._connections[at].close()
            self._connections[at] = await self._connected()
            return
        ended_at = time.monotonic()
        note(self.ledger, asked, body, began_at, ended_at)
        self.ledger.latencies_ms.append((ended_at - due_at) * 1000)

    async def _connected(self) -> HttpCaller:
        connection = HttpCaller(self._port, modern_list())
        await connection.open()
        return connection
