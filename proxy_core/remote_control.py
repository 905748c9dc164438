"""The front door of a gateway in another process: `Control` over its admin API.

What a screen asks many times a second is answered from memory, which an event stream renews; what is done goes
over as a verb. Sequence numbers are ours: a gateway that starts again and counts from 1 loses nobody's place.
"""

import asyncio
import logging
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import msgspec
from msgspec.structs import replace

from proxy_core.admin_client import AdminClient
from proxy_core.admin_wire import (
    AnswerBody,
    ApproveBody,
    Approved,
    CallBody,
    Cleared,
    DrainBody,
    Drained,
    DrillBody,
    ExchangePage,
    LevelBody,
    LoginAnswer,
    LoginBody,
    LoginTerms,
    LogPage,
    NumberedExchange,
    NumberedFact,
    NumberedLine,
    Probed,
    ReplayBody,
    Resumed,
    Session,
    decoded,
    error_of,
)
from proxy_core.clock import Clock, SystemClock
from proxy_core.control import Control, DrainOutcome, LoggedOut, LoginBegun, ReloadPlan
from proxy_core.detail_revisions import Revision, Revisions
from proxy_core.errors import Only1Error, UnknownQuestion, UnknownServer
from proxy_core.facts import CatalogChanged, Fact
from proxy_core.feed import Feed
from proxy_core.protocol.sse import SseEvent
from proxy_core.tasks import Tasks
from proxy_core.telemetry.context_bill import ContextBill
from proxy_core.telemetry.exchanges import ExchangeDetail, ExchangeRow
from proxy_core.telemetry.logs import new_ring
from proxy_core.telemetry.row_ring import RowRing
from proxy_core.telemetry.snapshot import (
    LogLine,
    NamedItem,
    Notice,
    OrphanRow,
    Probe,
    ServerDetail,
    Snapshot,
)
from proxy_core.telemetry.tool_changes import ToolChange, ToolDiff
from proxy_core.telemetry.tool_detail import ToolDetail

STDERR_LINES: Final = 500
FACTS: Final = 1000
DETAIL_S: Final = 1.0
"""The shortest time from one fetch of a detail to the next, if it has changed and somebody looks at it."""
FIRST_WAIT_S: Final = 0.25
LONGEST_WAIT_S: Final = 5.0
"""Between two tries to reach a gateway that does not answer; each twice as long as the one before."""
_NAMES: Final = ""
"""Where the names stand among the details: no server is called so."""
_TARGET: Final = re.compile(r"([a-z0-9-]+)(?:/([a-z0-9-]+))?")
_QUESTION: Final = re.compile(r"[a-z0-9-]{1,24}")
log = logging.getLogger(__name__)
T = TypeVar("T")


class RemoteControl(Control):
    """Use as an async context manager: entering it fetches the first snapshot."""

    def __init__(
        self,
        address: str | Path,
        token: str | None = None,
        clock: Clock | None = None,
        name: str = "",
        fault: Callable[[], str | None] = lambda: None,
    ) -> None:
        """The way there is as `AdminClient` takes it."""
        self._client = AdminClient(address, token, name, fault)
        self._clock = clock or SystemClock()
        self._tasks = Tasks("remote control")
        self._follower: asyncio.Task[None] | None = None
        self._received: Snapshot | None = None
        """As it came last."""
        self._received_at = 0.0
        """When, on our own clock: the gateway's may stand anywhere."""
        self._shown: Snapshot | None = None
        self._seq = 0
        self._facts: Feed[Fact] = Feed(FACTS)
        self._lines = new_ring()
        self._rows = RowRing()
        """Of exchanges, which go with the run that made them: the next one counts its own from 1."""
        self._fact_seq = self._line_seq = self._row_seq = 0
        """The gateway's own numbers of the last ones."""
        self._details: dict[str, ServerDetail] = {}
        self._names: tuple[NamedItem, ...] = ()
        self._fetched_at: dict[str, float] = {}
        self._revisions = Revisions()
        self._fetching: set[str] = set()
        self.is_connected = False
        """Whether the gateway answered when it was last asked."""
        self.is_readonly = False
        """Whether it takes no verb from us; as the gateway said last, for what a token may do can change."""

    @property
    def address(self) -> str:
        return self._client.name

    async def __aenter__(self) -> Self:
        """Raises: GatewayUnreachable, TokenRefused."""
        await self._client.__aenter__()
        try:
            await self.refresh()
        except BaseException:
            await self._client.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tasks.aclose()
        await self._client.__aexit__(kind, error, trace)

    # --- keeping up -----------------------------------------------------------------------------------------

    async def refresh(self) -> Snapshot:
        """Fetch a snapshot now. Raises: GatewayUnreachable, TokenRefused."""
        self._use(await self._client.get("snapshot", Snapshot))
        return self.snapshot()

    async def fetch_session(self) -> Session:
        """Who we are there, and what we may. Raises: GatewayUnreachable, TokenRefused."""
        session = await self._client.get("session", Session)
        self.is_readonly = not session.may_steer
        return session

    def follow(self) -> None:
        """Keep the picture, the facts and the log lines up to date, from now on. Once is enough."""
        if self._follower is None:
            self._follower = self._tasks.start(self._follow(), "follow")

    async def _follow(self) -> None:
        wait_s = FIRST_WAIT_S
        while True:
            try:
                if not self.is_connected:
                    # Before its numbers are gone on from: it may be another run, which counts anew.
                    await self.refresh()
                run = self._run
                async with aclosing(self._client.events(self._position())) as stream:
                    async for events in stream:
                        wait_s = FIRST_WAIT_S
                        self._take(events, run)
                        if self._run != run:
                            break
                if self._run != run:
                    # It was restarted behind our back, and was asked for numbers that its new run has not.
                    continue
                self._lost("The gateway ended the connection.")
            except Only1Error as error:
                self._lost(error.message)
            # Not all at the same moment, should many look at one gateway.
            await asyncio.sleep(wait_s * random.uniform(0.75, 1.25))
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    def _position(self) -> dict[str, str]:
        logs = {"logs": "1", "logs_after": str(self._line_seq)}
        exchanges = {"exchanges": "1", "exchanges_after": str(self._row_seq)}
        return {"after": str(self._fact_seq)} | logs | exchanges

    @property
    def _run(self) -> float | None:
        """By which one run of the gateway is told from another."""
        return None if self._received is None else self._received.started_at

    def _take(self, events: list[SseEvent], run: float | None) -> None:
        for event in events:
            if self._run != run:
                return
            try:
                self._take_one(event)
            except msgspec.DecodeError as error:
                # A newer gateway may tell what is not known here; all else is still worth having.
                log.debug("an event was passed over: %s", error)

    def _take_one(self, event: SseEvent) -> None:
        """Raises: msgspec.DecodeError."""
        match event.event:
            case "snapshot":
                self._use(decoded(event.data, Snapshot))
            case "session":
                self.is_readonly = not decoded(event.data, Session).may_steer
            case "fact":
                self._take_fact(decoded(event.data, NumberedFact))
            case "log":
                line = decoded(event.data, NumberedLine)
                self._line_seq = line.seq
                self._lines.publish(line.line)
            case "exchange":
                exchange = decoded(event.data, NumberedExchange)
                self._row_seq = exchange.seq
                self._rows.take(exchange.row)
            case _:
                pass

    def _take_fact(self, told: NumberedFact) -> None:
        self._fact_seq = told.seq
        self._facts.publish(told.fact)
        if isinstance(told.fact, CatalogChanged):
            self._fetched_at.pop(_NAMES, None)
            self._revisions.lists_changed()

    def _use(self, snapshot: Snapshot) -> None:
        before = self._received
        if before is not None and before.started_at != snapshot.started_at:
            self._fact_seq = self._line_seq = self._row_seq = 0
            self._rows.clear()
            self._fetched_at.clear()
            self._revisions.forget()
            # What it had of a run that is over would be taken for what this one has.
            self._details.clear()
        self._received_at = self._clock.monotonic()
        if before is not None and before == snapshot and self.is_connected:
            return
        self._received = snapshot
        self.is_connected = True
        self._show(snapshot)

    def _lost(self, why: str) -> None:
        if self._received is not None and (self.is_connected or not self._is_said(why)):
            log.debug("not connected: %s", why)
            self._show(self._stale(self._received, f"{why} Trying again."))
        self.is_connected = False

    def _stale(self, last: Snapshot, words: str) -> Snapshot:
        """The last picture; its clocks are the gateway's, gone on by ours since it was heard last."""
        gone_s = self._clock.monotonic() - self._received_at
        at, since = last.at + gone_s, None if self._shown is None else self._shown.stale_since
        return replace(
            last,
            at=at,
            wall=last.wall + gone_s,
            stale_since=at if since is None else since,
            notices=(Notice("error", words), *last.notices),
        )

    def _is_said(self, why: str) -> bool:
        return self._shown is not None and any(one.text.startswith(why) for one in self._shown.notices)

    def _show(self, snapshot: Snapshot) -> None:
        self._seq += 1
        self._shown = replace(snapshot, seq=self._seq)

    # --- Control: what is seen ------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """The last one that came; stale while the gateway does not answer, and its notices say why."""
        assert self._shown is not None  # entered
        return self._shown

    def detail(self, server: str) -> ServerDetail:
        """As last fetched, and fetched again in the background when it has changed; at first the row alone."""
        row = next((row for row in self.snapshot().servers if row.id == server), None)
        if row is None:
            raise UnknownServer(server)
        revision = self._revisions.of(row, self.snapshot().config.version)
        if self._follower is None or not self._revisions.is_known(server, revision):
            self._fetch_if_old(server, lambda: self._fetch_detail_as_of(server, revision), DETAIL_S)
        known = self._details.get(server)
        return ServerDetail(row) if known is None else replace(known, row=row)

    def names(self) -> tuple[NamedItem, ...]:
        """As last fetched, and fetched in the background if a list has changed since; at first none."""
        self._fetch_if_old(_NAMES, self.fetch_names, None)
        return self._names

    def events_after(self, seq: int) -> tuple[int, tuple[Fact, ...]]:
        return self._facts.last_seq, tuple(fact for _, fact in self._facts.after(seq))

    def logs_after(self, seq: int) -> tuple[int, tuple[LogLine, ...]]:
        return self._lines.last_seq, tuple(line for _, line in self._lines.after(seq))

    def exchanges_after(self, seq: int) -> tuple[int, tuple[ExchangeRow, ...]]:
        return self._rows.after(seq)

    async def exchange(self, id: int) -> ExchangeDetail:
        """Fetched now. Raises also: GatewayUnreachable, TokenRefused."""
        return await self._client.get(f"exchanges/{id:d}", ExchangeDetail)

    async def replay(self, id: int, target: str | None = None) -> ExchangeDetail:
        return await self._client.post(f"exchanges/{id:d}/replay", ExchangeDetail, ReplayBody(target))

    async def fetch_detail(self, server: str) -> ServerDetail:
        """Now. Raises: UnknownServer, GatewayUnreachable, TokenRefused."""
        known = self._details.get(server)
        query = {}
        if known is not None:
            query = {"version": str(known.version), "stderr_after": str(known.stderr_seq)}
        detail = await self._client.get(_place(server), ServerDetail, query)
        if known is not None:
            detail = _completed(detail, known)
        self._details[server] = detail
        return detail

    async def _fetch_detail_as_of(self, server: str, revision: Revision) -> None:
        await self.fetch_detail(server)
        self._revisions.know(server, revision)

    async def fetch_names(self) -> tuple[NamedItem, ...]:
        """Now. Raises: GatewayUnreachable, TokenRefused."""
        self._names = await self._client.get("names", tuple[NamedItem, ...])
        return self._names

    async def fetch_logs(self, after: int = 0, limit: int = 1000) -> LogPage:
        """The newest `limit` lines that are newer than `after`, a number of the gateway's own.

        Raises: GatewayUnreachable, TokenRefused.
        """
        return await self._client.get("logs", LogPage, {"after": str(after), "limit": str(limit)})

    async def fetch_exchanges(self, limit: int) -> ExchangePage:
        """The newest `limit` of those that are kept. Raises: GatewayUnreachable, TokenRefused."""
        return await self._client.get("exchanges", ExchangePage, {"limit": str(limit)})

    # --- Control: the verbs ---------------------------------------------------------------------------------

    async def context_bill(self) -> ContextBill:
        return await self._client.get("context", ContextBill)

    async def tool(self, name: str) -> ToolDetail:
        return await self._client.get("tool", ToolDetail, {"name": name})

    async def tool_changes(self, server: str | None = None) -> tuple[ToolChange, ...]:
        path = "changes" if server is None else _verb(server, "changes")
        return await self._client.get(path, tuple[ToolChange, ...])

    async def tool_diff(self, server: str, tool: str, digest: str | None = None) -> ToolDiff:
        query = {"tool": tool} if digest is None else {"tool": tool, "digest": digest}
        return await self._client.get(_verb(server, "change"), ToolDiff, query)

    async def orphans(self) -> tuple[OrphanRow, ...]:
        return await self._client.get("orphans", tuple[OrphanRow, ...])

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return await self._client.post("call", dict[str, Any], CallBody(name, arguments))

    async def drain(self, target: str, grace_s: float | None = None) -> DrainOutcome:
        return await self._client.post(_verb(target, "drain"), DrainOutcome, DrainBody(grace_s))

    async def undrain(self, target: str) -> None:
        await self._client.post(_verb(target, "undrain"), dict[str, Any])

    async def enable(self, target: str) -> None:
        await self._client.post(_verb(target, "enable"), dict[str, Any])

    async def disable(self, target: str) -> DrainOutcome:
        return await self._client.post(_verb(target, "disable"), DrainOutcome)

    async def restart(self, target: str) -> None:
        await self._client.post(_verb(target, "restart"), dict[str, Any])

    async def probe(self, target: str) -> Probe:
        return await self._client.post(_verb(target, "probe"), Probe)

    async def answer(
        self, id: str, action: str, content: Mapping[str, object] | None = None, *, by: str = ""
    ) -> None:
        if _QUESTION.fullmatch(id) is None:
            raise UnknownQuestion(f"The question {id[:40]!r} is not open: there is none with this id.")
        body = AnswerBody(action, None if content is None else dict(content))
        await self._client.post(f"questions/{id}/answer", dict[str, Any], body)

    async def approve(
        self, server: str, tool: str | None = None, digest: str | None = None, *, by: str = ""
    ) -> tuple[str, ...]:
        body = ApproveBody(tool, digest)
        return (await self._client.post(_verb(server, "approve"), Approved, body)).tools

    async def login_port(self, target: str) -> int:
        return (await self._client.get(_verb(target, "login"), LoginTerms)).port

    async def begin_login(self, target: str, redirect_uri: str) -> LoginBegun:
        return await self._client.post(_verb(target, "login/begin"), LoginBegun, LoginBody(redirect_uri))

    async def finish_login(self, target: str, answer: Mapping[str, str]) -> None:
        await self._client.post(_verb(target, "login/finish"), dict[str, Any], LoginAnswer(dict(answer)))

    async def logout(self, target: str) -> LoggedOut:
        return await self._client.post(_verb(target, "logout"), LoggedOut)

    async def drill(
        self,
        target: str,
        kind: str,
        *,
        delay_ms: float = 0.0,
        share: float = 1.0,
        for_s: float = 60.0,
        by: str = "",
    ) -> None:
        body = DrillBody(kind, delay_ms, share, for_s)
        await self._client.post(_verb(target, "drill"), dict[str, Any], body)

    async def end_drill(self, target: str, *, by: str = "") -> None:
        await self._client.post(_verb(target, "drill/end"), dict[str, Any])

    async def drain_all(self, grace_s: float | None = None) -> dict[str, DrainOutcome | Only1Error]:
        """Every server at the same time: how each ended."""
        ended = await self._client.post("drain", dict[str, Drained], DrainBody(grace_s))
        return {
            server: error_of(one.error) if one.error else one.outcome or DrainOutcome(0, 0)
            for server, one in ended.items()
        }

    async def undrain_all(self) -> dict[str, Only1Error | None]:
        resumed = await self._client.post("undrain", dict[str, Resumed])
        return {server: error_of(one.error) if one.error else None for server, one in resumed.items()}

    async def probe_all(self) -> dict[str, Probe | Only1Error]:
        probed = await self._client.post("probe", dict[str, Probed])
        answered = {server: one.probe for server, one in probed.items() if one.probe is not None}
        failed = {server: error_of(one.error) for server, one in probed.items() if one.error is not None}
        return answered | failed

    async def clear_cache(self, server: str | None = None) -> int:
        path = "cache/clear" if server is None else _verb(server, "cache/clear")
        return (await self._client.post(path, Cleared)).answers

    async def reload_plan(self) -> ReloadPlan:
        return await self._client.get("reload", ReloadPlan)

    async def apply_reload(self) -> ReloadPlan:
        return await self._client.post("reload", ReloadPlan)

    async def rollback(self) -> ReloadPlan:
        return await self._client.post("rollback", ReloadPlan)

    async def set_log_level(self, level: str) -> None:
        await self._client.post("log-level", dict[str, Any], LevelBody(level))

    # --- fetching in the background -------------------------------------------------------------------------

    def _fetch_if_old(self, what: str, fetch: Callable[[], Awaitable[object]], old_s: float | None) -> None:
        """Unless it is being fetched, or was `old_s` ago or less; None: unless it ever was."""
        fetched_at = self._fetched_at.get(what)
        is_fresh = fetched_at is not None and (old_s is None or self._clock.monotonic() - fetched_at < old_s)
        if not is_fresh and what not in self._fetching:
            self._fetching.add(what)
            self._tasks.start(self._fetch(what, fetch), "fetch")

    async def _fetch(self, what: str, fetch: Callable[[], Awaitable[object]]) -> None:
        try:
            await fetch()
        except Only1Error as error:
            # Said by the notice, if the gateway has gone; a server that has gone leaves the picture.
            log.debug("not fetched: %s", error.message)
        finally:
            self._fetching.discard(what)
            # If it failed too: not as often as somebody looks.
            self._fetched_at[what] = self._clock.monotonic()


def _completed(detail: ServerDetail, known: ServerDetail) -> ServerDetail:
    """`detail` with what it leaves out because it is known."""
    if detail.version and detail.version == known.version:
        detail = replace(detail, items=known.items, hidden=known.hidden, destructive=known.destructive)
    if known.stderr_seq and detail.stderr_seq >= known.stderr_seq:
        detail = replace(detail, stderr=(*known.stderr, *detail.stderr)[-STDERR_LINES:])
    return detail


def _place(target: str) -> str:
    """The path of a server, or of one of its replicas. Raises: UnknownServer."""
    found = _TARGET.fullmatch(target)
    if found is None:
        raise UnknownServer(target)
    server, replica = found.groups()
    return f"servers/{server}" if replica is None else f"servers/{server}/replicas/{replica}"


def _verb(target: str, verb: str) -> str:
    return f"{_place(target)}/{verb}"
