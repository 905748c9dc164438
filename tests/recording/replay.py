"""Play a recorded session to a gateway in this process, behind which the recording answers.

Time is the recording's: a `FakeClock` is moved to each request's offset before it is sent, so whatever the
gateway keeps for a while grows old as it did, and a day takes seconds. Requests of one offset go out together.
"""

import asyncio
import itertools
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config
from proxy_core.proxy import Proxy
from proxy_core.telemetry.snapshot import Snapshot
from tests.recording import pipe
from tests.recording.backends import Recorded, listening
from tests.recording.clients import Clients, clients_of
from tests.recording.session import BEFORE_THE_DAY, UNANSWERED, Asked, Json, Server, Session
from tests.support.clock import FakeClock
from tests.support.gateway_process import stdio
from tests.support.processes import SOON_S
from tests.support.survey import SERVER_INFO

LISTS: Final = {
    "tools/list": "tools",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
    "prompts/list": "prompts",
}
TURNS: Final = 200
"""Of the event loop: more than a new connection and a request on it take, from client to gateway."""
FORWARDED: Final = (*LISTS, "resources/read", "prompts/get", "tools/call")
"""What concerns servers; the rest a gateway answers itself, whatever it keeps."""


@dataclass(frozen=True)
class MethodCount:
    requests: int
    """Of clients."""
    asked: int
    """Calls of servers that these come to where nothing is kept: a list asks each server that has such."""
    made: int
    """Calls that reached the servers, whoever caused them: also what the gateway reads for itself."""
    at_start: int = 0
    """Of those made, the ones before the first client came."""

    @property
    def saved_share(self) -> float:
        """0.0 where there was nothing to save."""
        return 1 - self.made / self.asked if self.asked else 0.0

    def __add__(self, other: "MethodCount") -> "MethodCount":
        return MethodCount(
            self.requests + other.requests,
            self.asked + other.asked,
            self.made + other.made,
            self.at_start + other.at_start,
        )


@dataclass(frozen=True)
class Difference:
    """One answer that was another than the recorded one."""

    request: Asked
    got: Json | None


@dataclass(frozen=True)
class Replayed:
    counts: Mapping[str, MethodCount]
    """By method, those of FORWARDED."""
    lists_by_server: Mapping[str, MethodCount]
    """All lists of each server together."""
    by_client: Mapping[str, Mapping[str, int]]
    """Requests by client and method."""
    made_by_server: Mapping[str, Mapping[str, int]]
    """Every request that reached a server, handshakes and pings too."""
    differences: tuple[Difference, ...]
    unknown: tuple[str, ...]
    """Requests of the gateway that the recording has no answer to."""
    snapshot: Snapshot
    """The gateway's own picture at the end of the day."""
    answers: tuple[Json | None, ...] = field(repr=False, default=())
    """To each request of the session, in its order."""

    @property
    def total(self) -> MethodCount:
        return sum(self.counts.values(), MethodCount(0, 0, 0))

    def count(self, *methods: str) -> MethodCount:
        """Of these methods together."""
        return sum((self.counts[method] for method in methods), MethodCount(0, 0, 0))


async def replay(session: Session, settings: Mapping[str, Any] | None = None) -> Replayed:
    """`settings`: sections of the configuration, as `cache` and `batching`."""
    return await _Replay(session, settings or {}).run()


class _Replay:
    def __init__(self, session: Session, settings: Mapping[str, Any]) -> None:
        self._session = session
        self._settings = settings
        self._clock = FakeClock()
        self._now_ms = BEFORE_THE_DAY
        self._servers = {server.id: Recorded(server, lambda: self._now_ms) for server in session.servers}
        self._answers: list[Json | None] = []
        self._at_start: dict[str, dict[str, int]] = {}

    async def run(self) -> Replayed:
        async with AsyncExitStack() as house:
            # The path of a socket must be short.
            folder = Path(house.enter_context(tempfile.TemporaryDirectory(prefix="o1-")))
            paths = await house.enter_async_context(listening(folder, dict(self._servers)))
            proxy = Proxy(self._config(paths), clock=self._clock)
            await house.enter_async_context(proxy.started())
            assert await proxy.wait_ready(SOON_S)
            self._at_start = self._made()
            clients = await house.enter_async_context(clients_of(proxy.snapshot().url))
            for instant in _instants(self._session.asked):
                await self._play(clients, instant)
            snapshot = proxy.snapshot()
            made = self._made()
        return self._summed(snapshot, made)

    def _made(self) -> dict[str, dict[str, int]]:
        return {server: dict(each.made) for server, each in self._servers.items()}

    def _config(self, paths: Mapping[str, Path]) -> LoadedConfig:
        servers = [stdio(server, pipe.command(path)) for server, path in paths.items()]
        # An idle session ends when a sweep in real time finds it so, which the recording knows nothing of.
        lasting = {"session_idle_s": 2 * 86_400}
        sections = {"proxy": {"port": 0, "grace_s": 1}, "limits": lasting} | dict(self._settings)
        return LoadedConfig(Config.model_validate({"servers": servers} | sections), None, {})

    async def _play(self, clients: Clients, instant: list[Asked]) -> None:
        at_ms = instant[0].at_ms
        self._clock.advance((at_ms - self._now_ms) / 1000)
        self._now_ms = at_ms
        asking = asyncio.gather(
            *(clients.ask(a.client, a.session, a.revision, a.method, dict(a.params)) for a in instant)
        )
        if len(instant) > 1:
            await self._all_sent()
        self._answers += await asking
        for server in self._servers.values():
            server.speak()

    async def _all_sent(self) -> None:
        """Until the gateway, which runs on this very loop, has every request of this instant.

        Only then may a server answer the first of them: who asks the same meanwhile can be served with it.
        """
        for server in self._servers.values():
            server.hold()
        for _ in range(TURNS):
            await asyncio.sleep(0)
        for server in self._servers.values():
            server.release()

    def _summed(self, snapshot: Snapshot, made: Mapping[str, Mapping[str, int]]) -> Replayed:
        pairs = list(zip(self._session.asked, self._answers, strict=True))
        by_client: dict[str, Counter[str]] = {}
        for asked in self._session.asked:
            if asked.method not in UNANSWERED:
                by_client.setdefault(asked.client, Counter())[asked.method] += 1
        return Replayed(
            counts={method: self._count(method, made) for method in FORWARDED},
            lists_by_server={
                server.id: self._lists_of(server, made[server.id]) for server in self._session.servers
            },
            by_client=by_client,
            made_by_server=made,
            differences=tuple(
                Difference(asked, got)
                for asked, got in pairs
                if asked.method not in UNANSWERED and comparable(got) != comparable(asked.answer)
            ),
            unknown=tuple(each for server in self._servers.values() for each in server.unknown),
            snapshot=snapshot,
            answers=tuple(self._answers),
        )

    def _count(self, method: str, made: Mapping[str, Mapping[str, int]]) -> MethodCount:
        requests = self._requests(method)
        asked = requests * (
            sum(_has(server, method) for server in self._session.servers) if method in LISTS else 1
        )
        return MethodCount(requests, asked, _sum(made, method), _sum(self._at_start, method))

    def _lists_of(self, server: Server, made: Mapping[str, int]) -> MethodCount:
        asked = sum(self._requests(method) for method in LISTS if _has(server, method))
        at_start = self._at_start[server.id]
        return MethodCount(
            asked, asked, sum(made.get(m, 0) for m in LISTS), sum(at_start.get(m, 0) for m in LISTS)
        )

    def _requests(self, method: str) -> int:
        return sum(asked.method == method for asked in self._session.asked)


def _has(server: Server, method: str) -> bool:
    """Whether the server was found to have such a list."""
    return any(each.method == method and "result" in (each.outcome or {}) for each in server.answers)


def _sum(made: Mapping[str, Mapping[str, int]], method: str) -> int:
    return sum(each.get(method, 0) for each in made.values())


def _instants(asked: tuple[Asked, ...]) -> Iterator[list[Asked]]:
    for _, group in itertools.groupby(asked, key=lambda each: each.at_ms):
        yield list(group)


def comparable(answer: Any) -> Any:
    """Without what is right to be different: hints on how long it may be kept, and our own version."""
    if isinstance(answer, list):
        return [comparable(each) for each in answer]
    if not isinstance(answer, dict):
        return answer
    kept = {name: comparable(value) for name, value in answer.items() if name not in ("ttlMs", SERVER_INFO)}
    if "protocolVersion" in kept:
        kept.pop("serverInfo", None)
    if kept.get("_meta") == {}:
        del kept["_meta"]
    return kept
