"""A backend over several scripted servers, one for each replica, with all that stands around it.

A replica runs where its command says; as long as nothing else is said, the command is its id. What a test may
change as a reload does (health, retry, breaker, routing) is a plain attribute.
"""

import asyncio
from typing import Any

from proxy_core.backends.backend import Backend
from proxy_core.backends.call import Call
from proxy_core.backends.channel import Receiver
from proxy_core.backends.connection import Terms
from proxy_core.backends.member import Member
from proxy_core.backends.opening import TransportKind
from proxy_core.config.models import (
    CircuitBreakerConfig,
    EndpointConfig,
    HealthConfig,
    HttpTransport,
    ReplicaConfig,
    RetryConfig,
    RoutingConfig,
    ServerConfig,
    StdioTransport,
)
from proxy_core.facts import CallRetried, Fact, ReplicaChanged
from proxy_core.telemetry.snapshot import ServerState as S
from tests.support.clock import FakeClock
from tests.support.scripted_backend import ADD, child
from tests.support.scripted_channel import (
    Asked,
    Gateway,
    ScriptedChannel,
    ScriptedServer,
    Sink,
    result,
    tools,
    until,
)

NEVER_S = 3600.0
"""Between two probes, where a test makes them itself."""


def place(replica: str, at: str | None = None, weight: int = 1) -> ReplicaConfig:
    """A child that is started as `at`."""
    return ReplicaConfig(id=replica, weight=weight, transport=StdioTransport(command=at or replica))


def remote(replica: str, at: str | None = None) -> ReplicaConfig:
    transport = HttpTransport(url=f"http://{at or replica}.example/mcp")
    return ReplicaConfig(id=replica, transport=transport)


def pongs(**more: Any) -> dict[str, Any]:
    """As `child`, and it answers pings."""
    return child(ping=result({}), **more)


class Replicas:
    def __init__(
        self,
        *places: str | ReplicaConfig,
        script: dict[str, Any] | None = None,
        scripts: dict[str, dict[str, Any]] | None = None,
        **more: Any,
    ) -> None:
        """`script`: of every server that `scripts` does not name. `more`: settings of the server."""
        self._script = script or pongs()
        self._scripts = scripts or {}
        self.servers: dict[str, ScriptedServer] = {}
        self.clock = FakeClock()
        self.gateway = Gateway()
        self.health = HealthConfig(probe_interval=NEVER_S)
        self.looks = 0
        """How often somebody looked at `health`, as a prober does before each wait."""
        self.retry = RetryConfig()
        self.breaker = CircuitBreakerConfig()
        self.routing = RoutingConfig()
        self.server_queue = 256
        self.states: list[S] = []
        self.sayings: list[tuple[str, str, str]] = []
        self.facts: list[Fact] = []
        self._more = {"era": "legacy"} | more
        self.backend = Backend(
            self.settings(*places),
            self._channel,
            self.gateway,
            self.clock,
            says=lambda server, level, text: self.sayings.append((server, level, text)),
            on_state=lambda server, before, now, reason: self.states.append(now),
            terms=Terms(
                server_queue=lambda: self.server_queue,
                breaker=lambda: self.breaker,
                health=self._look,
                retry=lambda: self.retry,
                routing=lambda: self.routing,
                publish=self.facts.append,
            ),
        )
        self._tasks: list[asyncio.Task[Any]] = []

    def _look(self) -> HealthConfig:
        self.looks += 1
        return self.health

    def settings(self, *places: str | ReplicaConfig, **more: Any) -> ServerConfig:
        """Of a server with these replicas."""
        all_places = tuple(place(each) if isinstance(each, str) else each for each in places)
        return ServerConfig(id="box", replicas=all_places, **self._more | more)

    def _channel(
        self, settings: EndpointConfig, kind: TransportKind, receiver: Receiver, stderr: Any
    ) -> ScriptedChannel:
        transport = settings.transport
        is_child = isinstance(transport, StdioTransport)
        at = transport.command if is_child else transport.url.split("/")[2].removesuffix(".example")
        return self.at(at).channel(kind, receiver)

    def at(self, where: str) -> ScriptedServer:
        """The server that is started, or reached, under that name."""
        if where not in self.servers:
            self.servers[where] = ScriptedServer(self._scripts.get(where, self._script))
        return self.servers[where]

    def __getitem__(self, replica: str) -> Member:
        return next(member for member in self.backend.members if member.id == replica)

    # --- calls ----------------------------------------------------------------------------------------------

    def begin(self, awaitable: Any) -> "asyncio.Task[Any]":
        self._tasks.append(asyncio.ensure_future(awaitable))
        return self._tasks[-1]

    def call(self, name: str = "add", sink: Sink | None = None, **more: Any) -> "asyncio.Task[Any]":
        return self.begin(self.backend.call(Call("tools/call", ADD, name=name, sink=sink, **more)))

    async def answered_by(self, name: str = "add", **more: Any) -> str:
        """Make a call; the replica that answered it."""
        replica: str = (await self.call(name, **more)).replica
        return replica

    async def held(self, where: str, **more: Any) -> "tuple[asyncio.Task[Any], Asked]":
        """A call that is bound to go there, and what of it reached that server, for the test to answer."""
        self.at(where).script.pop("tools/call", None)
        call = self.call(replica=where, **more)
        return call, await self.at(where).next("tools/call")

    def replies(self, where: str, method: str, *replies: Any) -> None:
        """What that server does from now on; the last is kept."""
        self.at(where).script[method] = list(replies)

    def answers(self, *where: str) -> "Replicas":
        """These answer every call."""
        for each in where:
            self.replies(each, "tools/call", result({}))
        return self

    def has(self, where: str, *names: str) -> None:
        self.replies(where, "tools/list", tools(*names))

    def calls_at(self, *where: str) -> tuple[int, ...]:
        """How many calls reached each."""
        return tuple(self.at(each).count("tools/call") for each in where)

    # --- how it is ------------------------------------------------------------------------------------------

    @property
    def tools(self) -> list[str]:
        return [tool["name"] for tool in self.backend.lists.get("tools/list").items]

    @property
    def retried(self) -> list[str]:
        """The replicas at which a call failed that was then made again."""
        return [fact.replica for fact in self.facts if isinstance(fact, CallRetried)]

    def states_of(self, replica: str) -> list[S]:
        return [
            fact.after for fact in self.facts if isinstance(fact, ReplicaChanged) and fact.replica == replica
        ]

    async def in_service(self) -> "Replicas":
        self.backend.start()
        await self.reach(S.HEALTHY)
        return self

    async def reach(self, state: S, *replicas: str) -> None:
        """Until these, or all, are in that state."""
        members = [self[each] for each in replicas] or self.backend.members
        await until(lambda: all(member.state is state for member in members))

    async def probes_due(self, count: int = 5) -> None:
        """So many scheduled probes of all replicas together, whether anything was asked or not."""
        whole = self.looks + count
        await until(lambda: self.looks >= whole)

    async def wait(self, seconds: float) -> None:
        """Let time pass, as the registry's sweep sees it."""
        self.clock.advance(seconds)
        self.backend.sweep(self.clock.monotonic())
        await asyncio.sleep(0)

    async def rest(self) -> None:
        """Until whatever is under way has come to nothing more."""
        for _ in range(50):
            await asyncio.sleep(0)

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.backend.aclose()
