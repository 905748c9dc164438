"""The front door: what a screen, the CLI and the admin API may see and do.

`Proxy` implements it in process; a client over the admin API implements it from afar, so a screen cannot tell
near from far. Everything returned is frozen. Verbs name a server by its id, or one of its replicas as
`server/replica`, and raise `UnknownServer`.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Struct

from proxy_core.facts import Fact
from proxy_core.telemetry.context_bill import ContextBill
from proxy_core.telemetry.exchanges import ExchangeDetail, ExchangeRow
from proxy_core.telemetry.snapshot import (
    Action,
    LogLine,
    NamedItem,
    OrphanRow,
    Probe,
    ServerDetail,
    Snapshot,
)
from proxy_core.telemetry.tool_changes import ToolChange, ToolDiff
from proxy_core.telemetry.tool_detail import ToolDetail

__all__ = [
    "AbandonedCall",
    "Action",
    "Control",
    "DrainOutcome",
    "LoggedOut",
    "LoginBegun",
    "PlannedReplica",
    "PlannedServer",
    "ReloadPlan",
]


class AbandonedCall(Struct, frozen=True):
    """A call that a drain did not wait for any longer."""

    id: str
    """Our own id of it, as the server knows it."""
    method: str
    target: str
    """The server's own name of the tool or prompt, or the URI."""


class DrainOutcome(Struct, frozen=True):
    """How a drain ended."""

    finished: int
    """Calls that were in flight and ended by themselves."""
    abandoned: int
    """Calls still in flight when the grace ran out."""
    calls: tuple[AbandonedCall, ...] = ()
    """Those that were abandoned, as far as they had reached the server."""


class LoggedOut(Struct, frozen=True):
    """How a login ended."""

    was_in: bool
    """Whether there was one to forget."""
    note: str = ""
    """Why its tokens may be good still, in words; empty: they were revoked, or there were none."""


class LoginBegun(Struct, frozen=True):
    """What a person's browser has to do for a login."""

    url: str
    """Where to log in."""
    state: str
    """What the answer carries that is for this login."""
    for_s: float
    """How long it may take."""


class PlannedReplica(Struct, frozen=True):
    id: str
    action: Action
    in_flight: int = 0
    """Calls that it is serving now."""
    sessions: int = 0
    """Connections beside its primary one: those of single clients."""


class PlannedServer(Struct, frozen=True):
    """What a reload would do to one server."""

    id: str
    action: Action
    changed: tuple[str, ...] = ()
    """Keys that are different, as `tools.deny`; never their values."""
    replicas: tuple[PlannedReplica, ...] = ()
    in_flight: int = 0
    sessions: int = 0


class ReloadPlan(Struct, frozen=True):
    """What putting the file in force would do, before it is done."""

    servers: tuple[PlannedServer, ...] = ()
    """In the order of the file, those that leave last."""
    settings: tuple[str, ...] = ()
    """Keys beside `servers` that are different and apply at once, as `limits.calls`."""
    restart: tuple[str, ...] = ()
    """Keys that apply after a restart of the gateway alone, as `proxy.port`."""

    @property
    def is_empty(self) -> bool:
        return not (self.settings or self.restart or any(s.action is not Action.KEEP for s in self.servers))

    def ids(self, action: Action) -> tuple[str, ...]:
        return tuple(server.id for server in self.servers if server.action is action)


class Control(Protocol):
    def snapshot(self) -> Snapshot:
        """The picture as of now. Cheap: the same object as long as nothing changed."""
        ...

    def prepare(self) -> bool:
        """Do a part of the work of the next `snapshot`; True: there is more to do ahead of it.

        For who draws in the loop that carries calls: the rows of some hundred servers take milliseconds.
        """
        return False

    def detail(self, server: str) -> ServerDetail:
        """One server in full. From afar it may be as old as the last time it was asked for."""
        ...

    def events_after(self, seq: int) -> tuple[int, tuple[Fact, ...]]:
        """Facts newer than `seq` (0 for all that are kept), oldest first, and the newest number."""
        ...

    def logs_after(self, seq: int) -> tuple[int, tuple[LogLine, ...]]:
        """Log lines newer than `seq`, oldest first, and the newest number."""
        ...

    def names(self) -> tuple[NamedItem, ...]:
        """Every tool, resource, template and prompt that clients see, in list order."""
        ...

    def exchanges_after(self, seq: int) -> tuple[int, tuple[ExchangeRow, ...]]:
        """Exchanges that began or changed since `seq` (0 for all that are kept), in that order, and the newest
        number. One that did both is there once, as it is now; which it is, its `id` says.

        At most 500 at once: the number is then that of the last of them, and the next look brings the rest."""
        ...

    async def exchange(self, id: int) -> ExchangeDetail:
        """One in full. Raises: UnknownExchange, if it is not kept any more."""
        ...

    async def replay(self, id: int, target: str | None = None) -> ExchangeDetail:
        """Make a recorded request again, past every cache, and record that as well: how it went.

        `target`: ask this server or `server/replica` instead of the one that was asked. What a server answers,
        an error too, is part of what is returned. Raises: UnknownExchange, UnknownServer, NotReplayable.
        """
        ...

    async def context_bill(self) -> ContextBill:
        """What the lists of tools cost a model, as last counted; a moment after they change it is done anew."""
        ...

    async def tool(self, name: str) -> ToolDetail:
        """One tool in full, by its exposed name. Raises: InvalidParams, if there is none."""
        ...

    async def tool_changes(self, server: str | None = None) -> tuple[ToolChange, ...]:
        """Every tool that is not what was approved or first seen, of one server or of all, in list order.

        Raises: UnknownServer.
        """
        ...

    async def tool_diff(self, server: str, tool: str, digest: str | None = None) -> ToolDiff:
        """One of them in full, as it was and as it is, by the server's own name. `digest`: as `ToolChange` has
        it, where one tool says several things. Raises: UnknownServer, UnknownChange.
        """
        ...

    async def orphans(self) -> tuple[OrphanRow, ...]:
        """Processes that gateways of this person have left behind: looks at every process of the machine."""
        ...

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Call a tool by its exposed name; the result object as the server answered it."""
        ...

    async def drain(self, target: str, grace_s: float | None = None) -> DrainOutcome:
        """No new calls; wait for those in flight, at most `grace_s` (None: `proxy.grace_s`); then close.

        What no other replica has leaves the lists at once. Safe to call twice: the second call joins the first.
        """
        ...

    async def undrain(self, target: str) -> None: ...

    async def enable(self, target: str) -> None: ...

    async def disable(self, target: str) -> DrainOutcome:
        """Drain, then stay off until enabled; the file is not changed."""
        ...

    async def restart(self, target: str) -> None:
        """Drain, then start again with fresh lists; also ends a wait for the next start, or a crash loop."""
        ...

    async def probe(self, target: str) -> Probe:
        """Ask now whether it answers, on the connection that carries its calls; of several replicas the worst.

        One that waits for its next start makes it now; a breaker that is open is tried before its time.
        """
        ...

    async def answer(
        self, id: str, action: str, content: Mapping[str, object] | None = None, *, by: str = "screen"
    ) -> None:
        """Answer a server's question of `Snapshot.questions`: accept, decline or cancel.

        `content`: what was filled in, by name, for a form that is accepted. `by` goes to the log; from afar the
        gateway knows better. Raises: UnknownQuestion if it is not open any more, InvalidParams.
        """
        ...

    async def approve(
        self, server: str, tool: str | None = None, digest: str | None = None, *, by: str = "screen"
    ) -> tuple[str, ...]:
        """Take what a tool says now for what it should say, and let clients have it; without `tool` all of the
        server's. Which these were, by the server's own names.

        `digest`: only if it still says what was looked at. Raises: UnknownServer, UnknownChange.
        """
        ...

    async def login_port(self, target: str) -> int:
        """The loopback port that a browser should come back to after a login there; 0: any.

        Raises: UnknownServer, LoginFailed where there can be no login.
        """
        ...

    async def begin_login(self, target: str, redirect_uri: str) -> LoginBegun:
        """Find out where the gateway can log in for this server, and have a person do it.

        `redirect_uri`: on 127.0.0.1 of the person's machine; whoever asks listens there. Raises: UnknownServer,
        LoginFailed.
        """
        ...

    async def finish_login(self, target: str, answer: Mapping[str, str]) -> None:
        """What the browser came back with, as the parameters of its URL; once. Then the server is tried anew.

        Raises: UnknownServer, LoginFailed.
        """
        ...

    async def logout(self, target: str) -> LoggedOut:
        """Forget the login there, have its tokens revoked, and start the server anew without.

        Raises: UnknownServer, LoginFailed.
        """
        ...

    async def drill(
        self,
        target: str,
        kind: str,
        *,
        delay_ms: float = 0.0,
        share: float = 1.0,
        for_s: float = 60.0,
        by: str = "screen",
    ) -> None:
        """Make a fault on purpose: `delay` calls, answer a share of them with an `error`, or `kill` once.

        It acts where a real one would, ends by itself after `for_s`, and takes the place of the one before.
        Raises: NotAllowed unless the configuration says so (tui.fault_drills), InvalidParams, UnknownServer.
        """
        ...

    async def end_drill(self, target: str, *, by: str = "screen") -> None:
        """Nothing if there is none. Raises: UnknownServer."""
        ...

    async def clear_cache(self, server: str | None = None) -> int:
        """Drop every kept answer, or one server's, and have its lists read again: how many answers went.

        Raises: UnknownServer.
        """
        ...

    async def reload_plan(self) -> ReloadPlan:
        """Read the configuration again: what would change. Changes nothing. Raises: ConfigError."""
        ...

    async def apply_reload(self) -> ReloadPlan:
        """Read the configuration again and put it in force. Raises: ConfigError, and keeps the old one.

        Returns as soon as it is in force; drains go on by themselves.
        """
        ...

    async def rollback(self) -> ReloadPlan:
        """Put the configuration in force that was so before the present one; the file is not changed.

        Raises: NothingToRollBack.
        """
        ...

    async def set_log_level(self, level: str) -> None:
        """debug, info, warning or error, until the next reload. Raises: InvalidParams for another word."""
        ...
