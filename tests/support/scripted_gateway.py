"""A gateway that answers as the test says: what the frontend's tests stand on."""

import asyncio
from collections.abc import Callable, Collection
from typing import Any

from msgspec import Raw

from proxy_core.errors import MethodNotFound, Only1Error
from proxy_core.gateway.exchange import Caller, Exchange
from proxy_core.gateway.subscriptions import SubscriptionHub
from proxy_core.protocol.jsonrpc import encode
from proxy_core.protocol.revisions import Era

Script = bytes | Exception | Callable[[Exchange], bytes]
SERVER_INFO = b'{"name":"only1mcp","version":"0"}'
MODERN_RESULT = (
    b'{"resultType":"complete","content":[],"_meta":{"io.modelcontextprotocol/serverInfo":'
    + SERVER_INFO
    + b"}}"
)
LEGACY_RESULT = b'{"content":[]}'


class HeldCall:
    """A request that waits until the test answers it."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.cancelled = asyncio.Event()
        self._answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def answer(self, result: bytes) -> None:
        self._answer.set_result(result)

    def fail(self, error: Only1Error) -> None:
        self._answer.set_exception(error)

    def notify(self, message: bytes) -> None:
        self.exchange.outlet.notify(message)

    async def outcome(self) -> bytes:
        try:
            return await self._answer
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


class ScriptedUpdates:
    """Listens get the URIs, or tasks, in `accepted`, once `is_ready` is set, and hear what `says` tells."""

    def __init__(self) -> None:
        self.accepted: set[str] = set()
        self.is_ready = asyncio.Event()
        self.is_ready.set()
        self.listeners: list[Callable[[Any], None]] = []

    async def listen(
        self, caller: Caller, uris: Collection[str], deliver: Callable[[Any], None]
    ) -> tuple[list[str], Callable[[], None]]:
        self.listeners.append(deliver)
        await self.is_ready.wait()
        return [uri for uri in uris if uri in self.accepted], lambda: self.listeners.remove(deliver)

    def says(self, news: Any) -> None:
        for deliver in list(self.listeners):
            deliver(news)


class NoDirectWay:
    def list_lane(self, caller: Caller, method: str) -> None:
        """Nothing is ready here."""

    def lane(self, caller: Caller, name: str, own_meta: bytes) -> None:
        """Nothing goes without a task."""


class ScriptedGateway:
    """Methods answer from `scripts`; those in `held` wait, and come out of `next_call` in order."""

    def __init__(self) -> None:
        self.hub = SubscriptionHub()
        self.scripts: dict[str, Script] = {"ping": b"{}"}
        self.held: set[str] = set()
        self.exchanges: list[Exchange] = []
        self.notifications: list[tuple[Caller, str, bytes]] = []
        self.ended: list[Caller] = []
        self.refusals: list[tuple[str, str, str]] = []
        self.updates = ScriptedUpdates()
        self.task_updates = ScriptedUpdates()
        self.direct = NoDirectWay()
        self._calls: asyncio.Queue[HeldCall] = asyncio.Queue()

    async def next_call(self) -> HeldCall:
        return await asyncio.wait_for(self._calls.get(), 20)

    async def handle(self, exchange: Exchange) -> bytes:
        self.exchanges.append(exchange)
        if exchange.method in self.held:
            call = HeldCall(exchange)
            self._calls.put_nowait(call)
            return await call.outcome()
        return self._scripted(exchange)

    def initialize(self, revision: str, profile: str = "", handshake: Exchange | None = None) -> bytes:
        return encode({"protocolVersion": revision, "capabilities": {}, "serverInfo": Raw(SERVER_INFO)})

    def notified(self, caller: Caller, method: str, params: Raw) -> None:
        self.notifications.append((caller, method, bytes(params)))

    def listened(self, caller: Caller, params: Raw, peer: str = "") -> None:
        """Nobody is told of it here."""

    def refused(self, caller: Caller, method: str, error: Only1Error, peer: str = "") -> None:
        self.refusals.append((caller.principal, method, error.message))

    def session_ended(self, caller: Caller) -> None:
        self.ended.append(caller)

    def _scripted(self, exchange: Exchange) -> bytes:
        script = self.scripts.get(exchange.method)
        if script is None and exchange.method.startswith("unknown/"):
            raise MethodNotFound("There is no such method.")
        if isinstance(script, Exception):
            raise script
        if callable(script):
            return script(exchange)
        if script is not None:
            return script
        return MODERN_RESULT if exchange.caller.era is Era.MODERN else LEGACY_RESULT
