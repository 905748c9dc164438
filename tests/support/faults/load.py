"""Clients that keep calling one server at a steady rate, and remember what became of every call."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum

import aiohttp

from tests.support.faults import steady
from tests.support.faults.keys import key_of, number_of
from tests.support.http_client import Client
from tests.support.wire import Json, ask

HANGS_S = 30.0
"""A call that is not answered by then is said to hang."""
SLOW_S = 0.3


class Kind(StrEnum):
    ADD = "add"
    READ = "read"
    WHO = "who"
    SLOW = "slow"


SAFE = frozenset({Kind.READ, Kind.WHO})
"""A read, and a tool that `tools.retry` names."""
RETRIED_TOOLS = [Kind.WHO.value]


@dataclass
class Asked:
    """One call. Times are monotonic seconds."""

    key: str
    kind: Kind
    began_at: float
    ended_at: float = 0.0
    """0 while it is under way."""
    text: str | None = None
    """The answer, if it was one."""
    error: Json | None = None
    """The JSON-RPC error."""
    broken: str = ""
    """What went wrong between client and gateway; nothing ever should."""

    @property
    def is_safe(self) -> bool:
        return self.kind in SAFE

    @property
    def is_answered(self) -> bool:
        return self.text is not None

    @property
    def took_s(self) -> float:
        return self.ended_at - self.began_at

    @property
    def outcome(self) -> str:
        """Short words for a message of a test."""
        if self.error is not None:
            ours = (self.error.get("data") or {}).get("dev.only1mcp") or {}
            return f"{ours.get('kind', self.error.get('code'))}: {self.error.get('message')}"
        return self.broken or ("answered" if self.is_answered else "no answer")


class Load:
    """Calls to one server of a gateway, all four kinds by turns."""

    def __init__(self, client: Client, server: str, per_s: float) -> None:
        self._client = client
        self._server = server
        self._pause_s = 1 / per_s
        self._calls: set[asyncio.Task[None]] = set()
        self._running: asyncio.Task[None] | None = None
        self.asked: list[Asked] = []
        """In the order in which they began."""

    def start(self) -> None:
        self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Begin no more, and wait for those under way."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
        if self._calls:
            await asyncio.wait(self._calls)

    async def answers(self) -> bool:
        """Whether the server can be called, by a call that is not remembered."""
        asked = Asked(key_of(self._server, 0), Kind.READ, time.monotonic())
        await self._ask(asked, 0)
        return asked.is_answered

    def has_settled_since(self, at: float, calls: int) -> bool:
        """Whether the last calls that have ended all succeeded, at least so many of them begun after `at`."""
        last = [asked for asked in self.asked if asked.ended_at and asked.began_at > at][-calls:]
        return len(last) == calls and all(asked.is_answered for asked in last)

    async def _run(self) -> None:
        began_at = time.monotonic()
        kinds = tuple(Kind)
        while True:
            number = len(self.asked)
            asked = Asked(key_of(self._server, number), kinds[number % len(kinds)], time.monotonic())
            self.asked.append(asked)
            task = asyncio.create_task(self._ask(asked, number))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)
            await asyncio.sleep(max(0.0, began_at + len(self.asked) * self._pause_s - time.monotonic()))

    async def _ask(self, asked: Asked, number: int) -> None:
        method, params = self._request(asked, number)
        try:
            async with asyncio.timeout(HANGS_S):
                answer = await ask(self._client, method, params, id=asked.key)
        except TimeoutError:
            asked.broken = "hangs"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            asked.broken = f"{type(error).__name__}: {error}"
        else:
            asked.error = answer.get("error")
            asked.text = None if asked.error else text_of(answer["result"])
        asked.ended_at = time.monotonic()

    def _request(self, asked: Asked, number: int) -> tuple[str, Json]:
        if asked.kind is Kind.READ:
            return "resources/read", {"uri": steady.uri_of(self._server, asked.key)}
        more = {Kind.ADD: {"a": number, "b": 1}, Kind.SLOW: {"seconds": SLOW_S}}.get(asked.kind, {})
        arguments = {"key": asked.key} | more
        return "tools/call", {"name": f"{self._server}__{asked.kind}", "arguments": arguments}

    def is_right(self, asked: Asked) -> bool:
        """Whether the answer is this call's own."""
        number = number_of(asked.key)
        text = str(asked.text)
        if asked.kind is Kind.WHO:
            return text.startswith(f"{asked.key} by {self._server}")
        wanted = {
            Kind.ADD: steady.sum_text(asked.key, number, 1),
            Kind.SLOW: steady.slow_text(asked.key),
            Kind.READ: steady.read_text(asked.key),
        }
        return text == wanted[asked.kind]


def text_of(result: Json) -> str:
    """The one text of a tool's answer or of a resource."""
    (content,) = result.get("content") or result["contents"]
    return str(content["text"])


@asynccontextmanager
async def many_calls(url: str) -> AsyncIterator[Client]:
    """A modern client with as many connections as it needs."""
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as http:
        yield Client(http, url)
