"""Many clients through one day that takes a minute: who is next is decided by the day's own clock.

Nothing waits for real time but what a server is waited for. One client acts at a time, and no two of them at
the same offset; what is meant to happen at once is asked for `together`.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from tests.recording.clients import Clients
from tests.recording.session import BEFORE_THE_DAY, ENDS, LISTENS, OPENS, SUBSCRIBES, Asked, Json
from tests.support.http_client import MODERN

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60 * SECOND_MS
ANSWER_MS: Final = 40
"""How long a request takes on the day's clock."""
Request = tuple["Talk", str, Json]


class Day:
    def __init__(self, clients: Clients, clean: Callable[[Any], Any]) -> None:
        self._clients = clients
        self._clean = clean
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._awake = 0
        self._all_asleep = asyncio.Event()
        self.now_ms = BEFORE_THE_DAY
        self.asked: list[Asked] = []

    async def run(self, people: Sequence[Coroutine[Any, Any, None]]) -> None:
        """Until everyone has gone home."""
        self._awake = len(people)
        tasks = [asyncio.create_task(self._live(person)) for person in people]
        try:
            while True:
                await self._all_asleep.wait()
                if not self._sleepers:
                    break
                at_ms, _, sleeper = heapq.heappop(self._sleepers)
                self.now_ms = max(at_ms, self.now_ms + 1)
                self._awake += 1
                self._all_asleep.clear()
                sleeper.set_result(None)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _live(self, person: Coroutine[Any, Any, None]) -> None:
        try:
            await self.until(0)
            await person
        finally:
            self._falls_asleep()

    def _falls_asleep(self) -> None:
        self._awake -= 1
        if self._awake == 0:
            self._all_asleep.set()

    async def until(self, at_ms: float) -> None:
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (int(at_ms), next(self._order), sleeper))
        self._falls_asleep()
        await sleeper

    async def passes(self, ms: float) -> None:
        await self.until(self.now_ms + ms)

    async def together(self, requests: Sequence[Request]) -> list[Json | None]:
        """All at one instant; goes on when the last is answered."""
        answers = await asyncio.gather(*(self._send(*request) for request in requests))
        for (talk, method, params), answer in zip(requests, answers, strict=True):
            cleaned = None if answer is None else self._clean(answer)
            row = (self.now_ms, talk.client, talk.session, talk.revision, method, self._clean(params), cleaned)
            self.asked.append(Asked(*row))
        await self.passes(ANSWER_MS)
        return answers

    async def _send(self, talk: "Talk", method: str, params: Json) -> Json | None:
        return await self._clients.ask(talk.client, talk.session, talk.revision, method, params)


class Talk:
    """One session of a client, or one conversation of a modern one."""

    def __init__(self, day: Day, client: str, number: int, revision: str) -> None:
        self._day = day
        self.client = client
        self.session = f"{client}-{number}"
        self.revision = revision

    def opening(self, capabilities: Json) -> Request:
        info = {"name": self.client, "version": "1.0.0"}
        params = {"protocolVersion": self.revision, "capabilities": capabilities, "clientInfo": info}
        return self, OPENS, params

    async def open(self, capabilities: Json) -> None:
        await self._day.together([self.opening(capabilities)])
        await self.ask(LISTENS)

    async def listen(self, *flags: str) -> None:
        """The modern way to hear of changes."""
        assert self.revision == MODERN
        await self.ask(SUBSCRIBES, notifications=dict.fromkeys(flags, True))

    async def ask(self, method: str, **params: Any) -> Json:
        answer = (await self._day.together([(self, method, params)]))[0]
        return answer or {}

    async def ask_together(self, *methods: str) -> None:
        await self._day.together([(self, method, {}) for method in methods])

    async def call(self, tool: str, **arguments: Any) -> Json:
        answer = await self.ask("tools/call", name=tool, arguments=arguments)
        assert "result" in answer and not answer["result"].get("isError"), (tool, answer)
        return answer

    async def read(self, uri: str) -> None:
        answer = await self.ask("resources/read", uri=uri)
        assert "result" in answer, (uri, answer)

    async def end(self) -> None:
        await self.ask(ENDS)
