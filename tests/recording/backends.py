"""The servers' side of a recorded session: real servers that are listened to, or none but the recording.

Each server is a Unix socket; what the gateway starts is `pipe.py`, which leads there. Both kinds see every
message of the gateway, so both can say how many requests of which method reached the server.
"""

import asyncio
import contextlib
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from tests.recording.session import (
    BEFORE_THE_DAY,
    OPENS,
    SUBSCRIBES,
    Answered,
    Json,
    Said,
    Server,
    canonical,
)

MAX_LINE: Final = 16 * 1024 * 1024
DISCOVERS: Final = "server/discover"
_BY_METHOD_ALONE: Final = frozenset({OPENS, DISCOVERS})
"""Their parameters say who asks and not what is asked for."""
_EMPTY_ANSWER: Final = frozenset({"ping", "logging/setLevel"})
"""Answered `{}` by every server that knows them, recorded or not: the gateway asks them when it likes."""
INITIALIZED: Final = "notifications/initialized"


class Backend(Protocol):
    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Be the server at the other end of one connection, until either side ends it."""
        ...


@asynccontextmanager
async def listening(folder: Path, backends: dict[str, Backend]) -> AsyncIterator[dict[str, Path]]:
    """The socket of each server."""
    connections: set[asyncio.Task[None]] = set()

    def taking(backend: Backend) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        return lambda reader, writer: connections.add(asyncio.create_task(_served(backend, reader, writer)))

    paths = {server: folder / server for server in backends}
    async with contextlib.AsyncExitStack() as sockets:
        for server, backend in backends.items():
            opening = asyncio.start_unix_server(taking(backend), paths[server], limit=MAX_LINE)
            await sockets.enter_async_context(await opening)
        try:
            yield paths
        finally:
            for connection in connections:
                connection.cancel()
            await asyncio.gather(*connections, return_exceptions=True)


async def _served(backend: Backend, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with contextlib.suppress(ConnectionError):
            await backend.serve(reader, writer)
    finally:
        writer.close()


# --- recording ------------------------------------------------------------------------------------------------


@dataclass
class _Pending:
    at_ms: int
    method: str
    params: Json
    told: list[Json] = field(default_factory=list)


class Overheard:
    """A real server, started anew for each connection; everything that passes is noted."""

    def __init__(
        self,
        command: Sequence[str],
        env: dict[str, str],
        folder: Path,
        now_ms: Callable[[], int],
        clean: Callable[[Any], Any],
    ) -> None:
        self._command = command
        self._env = env
        self._folder = folder
        self._now_ms = now_ms
        self._clean = clean
        self._pending: dict[Any, _Pending] = {}
        self.answers: list[Answered] = []
        self.said: list[Said] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=self._env,
            cwd=self._folder,
            limit=MAX_LINE,
        )
        assert process.stdin is not None and process.stdout is not None
        back = asyncio.create_task(_pump(process.stdout, writer, self._from_server))
        try:
            await _pump(reader, process.stdin, self._from_gateway)
            process.stdin.close()
            await process.wait()
        finally:
            back.cancel()
            if process.returncode is None:
                process.kill()
                await process.wait()

    @property
    def left_open(self) -> list[Answered]:
        """Requests that were never answered, as listens are not."""
        return [Answered(p.at_ms, p.method, p.params, None, tuple(p.told)) for p in self._pending.values()]

    def _from_gateway(self, message: Json) -> None:
        if "method" in message and "id" in message:
            params = {name: value for name, value in message.get("params", {}).items() if name != "_meta"}
            self._pending[message["id"]] = _Pending(self._now_ms(), message["method"], self._clean(params))

    def _from_server(self, message: Json) -> None:
        message = self._clean(message)
        if "method" not in message:
            asked = self._pending.pop(message.get("id"))
            outcome: Json = {key: message[key] for key in ("result", "error") if key in message}
            self.answers.append(Answered(asked.at_ms, asked.method, asked.params, outcome, tuple(asked.told)))
            return
        assert not message["method"].endswith("/progress"), "its token is the gateway's; nobody may ask for it"
        meanwhile = [each for each in self._pending.values() if each.method != SUBSCRIBES]
        if self._now_ms() > BEFORE_THE_DAY and meanwhile and "id" not in message:
            meanwhile[0].told.append(message)
        else:
            self.said.append(Said(self._now_ms(), message))


async def _pump(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, note: Callable[[Json], None]
) -> None:
    while line := await source.readline():
        with contextlib.suppress(json.JSONDecodeError):
            note(json.loads(line))
        target.write(line)
        await target.drain()


# --- playing again --------------------------------------------------------------------------------------------


class Recorded:
    """A server that answers as it was recorded to, by what the time is; several connections may be open.

    Of the answers to one request the newest that is not of the future counts: what is asked less often than it
    was recorded gets what it would have got then. Answers of one instant are given in their order.
    """

    def __init__(self, server: Server, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._answers: dict[tuple[str, str], list[Answered]] = defaultdict(list)
        for answer in server.answers:
            self._answers[_key(answer.method, answer.params)].append(answer)
        for answers in self._answers.values():
            answers.sort(key=lambda each: each.at_ms)
        self._given: Counter[tuple[tuple[str, str], int]] = Counter()
        self._said = sorted(server.said, key=lambda each: each.at_ms)
        self._to_say = sum(each.at_ms > BEFORE_THE_DAY for each in self._said)
        self._writers: set[asyncio.StreamWriter] = set()
        self._held: list[tuple[asyncio.StreamWriter, Json]] | None = None
        self.made: Counter[str] = Counter()
        """Requests that reached the server, by method."""
        self.unknown: list[str] = []
        """Requests that nobody recorded an answer to."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while line := await reader.readline():
                self._take(json.loads(line), writer)
                await writer.drain()
        finally:
            self._writers.discard(writer)

    def hold(self) -> None:
        """Answer nothing until `release`: a real server would take its time."""
        self._held = []

    def release(self) -> None:
        held, self._held = self._held or [], None
        for writer, message in held:
            self._write(writer, message)

    def speak(self) -> None:
        """Say what it said unasked up to now, to everyone who is connected."""
        now = self._now_ms()
        while self._to_say and (due := self._said[-self._to_say]).at_ms <= now:
            self._to_say -= 1
            for writer in self._writers:
                self._write(writer, due.message)

    def _take(self, message: Json, writer: asyncio.StreamWriter) -> None:
        method = message.get("method")
        if method == INITIALIZED:
            for each in self._said:
                if each.at_ms <= BEFORE_THE_DAY:
                    self._write(writer, each.message)
        elif method is not None and "id" in message:
            self.made[method] += 1
            self._answer(method, message, writer)

    def _answer(self, method: str, message: Json, writer: asyncio.StreamWriter) -> None:
        answer = self._due(_key(method, message.get("params")))
        if answer is None:
            outcome: Json | None = {"result": {}}
            if method not in _EMPTY_ANSWER:
                self.unknown.append(f"{method} {canonical(message.get('params'))}")
                outcome = {"error": {"code": -32603, "message": "This was not recorded."}}
        else:
            outcome = answer.outcome
            for told in answer.told:
                self._write(writer, told)
        if outcome is not None:
            self._write(writer, {"jsonrpc": "2.0", "id": message["id"], **outcome})

    def _due(self, key: tuple[str, str]) -> Answered | None:
        answers = self._answers.get(key)
        if not answers:
            return None
        now = self._now_ms()
        newest_ms = max((each.at_ms for each in answers if each.at_ms <= now), default=answers[0].at_ms)
        of_then = [each for each in answers if each.at_ms == newest_ms]
        given = self._given[key, newest_ms]
        self._given[key, newest_ms] += 1
        return of_then[min(given, len(of_then) - 1)]

    def _write(self, writer: asyncio.StreamWriter, message: Json) -> None:
        if self._held is not None:
            self._held.append((writer, message))
        else:
            writer.write(json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")


def _key(method: str, params: Json | None) -> tuple[str, str]:
    return method, "" if method in _BY_METHOD_ALONE else canonical(params)
