"""The whole gateway: builds the rooms, owns their lifetimes and the configuration in force.

Implements `Control`, the one front door. Order of a stop, from any door: stop listening, end streams with
their results, drain up to `grace_s`, close the children, release the rest.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import Raw
from msgspec.structs import replace

from proxy_core import __version__
from proxy_core.access.audit.audit import Audit
from proxy_core.access.audit.verbs import audited
from proxy_core.backends.backend import Backend
from proxy_core.backends.connection import Terms
from proxy_core.backends.drills import Drills
from proxy_core.backends.guard import Guard
from proxy_core.backends.lifecycle import Event
from proxy_core.backends.orphans import find_orphans
from proxy_core.backends.pace import Pace
from proxy_core.backends.pictures import Offers, Suspects, detail_of, row_of
from proxy_core.backends.plans import planned
from proxy_core.backends.process_samples import ProcessSampler
from proxy_core.backends.registry import BackendRegistry
from proxy_core.backends.remembered import RememberedLists
from proxy_core.backends.rows import SLICE, Rows
from proxy_core.backends.stdio_channel import use_pidfd_child_watcher
from proxy_core.backends.tool_details import tool_detail
from proxy_core.backends.tool_records import ToolRecords
from proxy_core.backends.verdicts import EraVerdicts
from proxy_core.clock import Clock, SystemClock
from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config
from proxy_core.config.profiles import idle_globs
from proxy_core.context.ledger import TokenLedger
from proxy_core.context.tokens import TokenCounter
from proxy_core.control import AbandonedCall, Control, DrainOutcome, LoggedOut, LoginBegun, ReloadPlan
from proxy_core.errors import InvalidParams
from proxy_core.facts import (
    CallRetried,
    CatalogChanged,
    ContextModeChanged,
    Fact,
    LimitReached,
    ProbeFinished,
    RequestFinished,
    StateChanged,
    VerbUsed,
)
from proxy_core.feed import Feed
from proxy_core.frontend.frontend import Frontend
from proxy_core.gateway.billing import Billing, Measured
from proxy_core.gateway.exchange import Exchange, Nobody
from proxy_core.gateway.gateway import Gateway
from proxy_core.gateway.replaying import Replaying, operator
from proxy_core.gateway.served_lists import ServedLists
from proxy_core.gateway.subscriptions import SubscriptionHub
from proxy_core.gateway.tool_watch import ToolWatch
from proxy_core.oauth.logins import Logins
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.text import clean_text
from proxy_core.reloading import Reloading
from proxy_core.state import state_folder
from proxy_core.tasks import Tasks
from proxy_core.telemetry import logs
from proxy_core.telemetry.context_bill import ContextBill
from proxy_core.telemetry.exchanges import ExchangeDetail, ExchangeRow
from proxy_core.telemetry.lag import LoopLag
from proxy_core.telemetry.metrics import Metrics
from proxy_core.telemetry.recorder import Recorder, Rules
from proxy_core.telemetry.snapshot import (
    LogLine,
    NamedItem,
    Notice,
    OrphanRow,
    Probe,
    ServerDetail,
    ServerRow,
    ServerState,
    Snapshot,
    Totals,
)
from proxy_core.telemetry.tool_changes import ToolChange, ToolDiff
from proxy_core.telemetry.tool_detail import ToolDetail
from proxy_core.vault.vault import Vault

EVENTS: Final = 1000
"""Facts kept for the screens; requests are only counted."""
DEMO_NOTICE: Final = (
    "No configuration file yet: three demo servers are running. "
    "Press i to import the servers of your AI clients."
)
HOW_TO_LOG_IN: Final = (
    "only1mcp login {} says which page to open, and waits for the browser to come back to the machine where it"
    " runs; elsewhere: the same with --url, or only1mcp monitor ssh://HOST"
)
"""For whoever has a log and no screen. Not the page itself: who reads the log could log in there as himself."""
LEVELS: Final = ("debug", "info", "warning", "error")
SWEEP_S: Final = 10.0
"""Between two looks for kept answers that are past their time."""
MAX_NAMED: Final = 20
"""Calls that were cut off, or tools that were approved, in one log line."""
MAX_NAME_BYTES: Final = 128
"""Of a tool in a log line."""
if TYPE_CHECKING:
    from proxy_core.frontend.pipe import Pipe
    from proxy_core.frontend.stdio_front import StdioFront

log = logging.getLogger(__name__)
server_log = logging.getLogger(logs.SERVER_LOG)


class Proxy(Control):
    def __init__(
        self,
        loaded: LoadedConfig,
        reload: Callable[[], LoadedConfig] | None = None,
        *,
        insecure: bool = False,
        fast_path: bool = True,
        listen: bool = True,
        only: frozenset[str] | None = None,
        clock: Clock | None = None,
        pipe: "Pipe | None" = None,
        profile: str = "",
        config_path: Callable[[], Path | None] | None = None,
        on_config: Callable[[LoadedConfig], None] = lambda loaded: None,
    ) -> None:
        """`reload` reads the configuration again; `only` starts these servers alone; `listen` may be False.

        `pipe`: serve the one client at its other end, instead of a port, under `profile`. `config_path`: the
        file to watch, if any. `on_config` applies what is not ours of a configuration put in force, as where
        the log goes.
        """
        self._insecure = insecure
        self._fast_path = fast_path
        self._listens = listen
        self._only = only
        self._pipe = pipe
        self._profile = profile
        self._clock = clock or SystemClock()
        self._stop_requested = asyncio.Event()
        self._force = asyncio.Event()
        self._feed: Feed[Fact] = Feed(EVENTS)
        self._logs = logs.new_ring()
        self._metrics = Metrics()
        self._offers = Offers()
        self._lag = LoopLag(self._clock)
        self._tasks = Tasks("proxy")
        self._started_at = self._clock.monotonic()
        self._reloading = Reloading(
            loaded, reload or (lambda: loaded), config_path, self._put_in_force, self._clock, self._publish
        )
        self._on_config = on_config
        self._url = ""
        self.cut_off: tuple[AbandonedCall, ...] = ()
        """Calls that the last stop did not wait for."""
        folder = state_folder(loaded.path, os.environ) if loaded.path is not None else None
        self._verdicts = EraVerdicts(folder, self._clock)
        self._remembered = RememberedLists(folder)
        records = ToolRecords(folder, self._clock)
        self._watch = ToolWatch(records, self._clock, self._publish, _server_says)
        billing = Billing(lambda: self._gateway.listing, lambda: self.config)
        self._ledger = TokenLedger(
            billing, TokenCounter(folder), self._clock, on_count=lambda: self._gateway.costs_known()
        )
        self._recorder = Recorder(self._clock, self._recorded())
        # The gateway's rules: of the one that is there when a line is written.
        self.audit = Audit(loaded, self._clock, self._publish, lambda *of: self._gateway.profiles.rule_for(*of))
        self._served = ServedLists(self._ledger.list_cost)
        self._rows = Rows(self._metrics, self._row)
        self._build()
        self._picture = self._fresh_picture(0)
        self._picture_of = self._signs()

    def _build(self) -> None:
        self._guard = Guard()
        measured = Measured(lambda: self._ledger.bill)
        hub, recorder = SubscriptionHub(), self._recorder
        self._gateway = Gateway(
            lambda: self.config,
            hub,
            self._clock,
            self._publish,
            measured,
            recorder,
            self._served,
            self._watch,
        )
        self._replaying = Replaying(self._gateway, recorder)
        self._logins = Logins(Vault(), self._clock, self._login_changed)
        self._registry = BackendRegistry(
            self._gateway,
            self._clock,
            self._guard,
            says=_server_says,
            on_state=self._state_changed,
            terms=Terms(
                self._verdicts,
                lambda: self.config.limits.server_queue,
                lambda: self.config.circuit_breaker,
                lambda: self.config.health,
                lambda: self.config.retry,
                lambda: self.config.routing,
                self._publish,
                self._wire_batch,
                paced=Pace().paced,
            ),
            memory=self._remembered,
            logins=self._logins,
        )
        self._gateway.serve(self._registry)
        self._drills = Drills(
            lambda: self._registry, lambda: self.config.tui.fault_drills, self._clock, self._verb
        )
        self._sampler = ProcessSampler(self._registry.children, self._clock, run_id=self._guard.run_id)
        self._frontend = self._new_frontend()

    def _wire_batch(self) -> int:
        batching = self.config.batching
        return batching.max_batch_size if batching.enabled else 0

    def _recorded(self) -> Rules:
        inspect = self.config.inspect
        # At a pipe nobody could look.
        exchanges = inspect.exchanges if self._pipe is None else 0
        return Rules(inspect.bodies, exchanges, inspect.max_bytes)

    def _new_frontend(self) -> "Frontend | StdioFront":
        config, handler, clock, publish = self.config, self._gateway, self._clock, self._publish
        if self._pipe is not None:
            # Here, since a gateway that is reached over HTTP never serves a pipe.
            from proxy_core.frontend.stdio_front import StdioFront

            return StdioFront(config, handler, clock, publish, self._pipe, self.request_stop, self._profile)
        return Frontend(
            config,
            handler,
            clock,
            publish,
            allow_remote=self._insecure,
            fast_path=self._fast_path,
            control=self,
            metrics=self._metrics,
        )

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._reloading.loaded.config

    @property
    def _loaded(self) -> LoadedConfig:
        return self._reloading.loaded

    # --- lifetime -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until `request_stop`, then stop in order. May be run again after it has ended.

        Raises: PortInUse, InsecureBind.
        """
        async with self.started():
            await self._stop_requested.wait()

    def request_stop(self, force: bool = False) -> None:
        """Stop soon; with `force` (a second signal), without waiting for calls in flight."""
        self._stop_requested.set()
        if force:
            self._force.set()

    def request_reload(self) -> None:
        """Put the file in force soon; what came of it is said in the log and the notices."""
        self._reloading.request()

    @contextlib.asynccontextmanager
    async def started(self) -> AsyncIterator[None]:
        """Everything up inside the block, everything gone after it."""
        await self._start()
        try:
            yield
        finally:
            await self._stop()

    async def _start(self) -> None:
        use_pidfd_child_watcher()
        self._ring = logs.RingHandler(self._logs)
        logging.getLogger(logs.ROOT).addHandler(self._ring)
        self._started_at = self._clock.monotonic()
        try:
            self.audit.start()
            self._tell_audit()
            await self._guard.start()
            # The clients' side before the servers': clients may connect while servers still start. And last of
            # what is awaited: the first request, which a pipe may hold already, must find the servers listed.
            if self._listens:
                self._url = await self._frontend.start()
        except BaseException:
            await self._release()
            raise
        self._registry.start()
        self._tasks.start(self._lag.watch(), "lag")
        self._tasks.start(self._sampler.run(), "processes")
        self._tasks.start(self._sweep(), "sweep")
        self._tasks.start(self._recorder.run(), "recorder")
        self._apply()
        self._reloading.start()
        self._ledger.start()
        log.info("serving %s", self._url or "this command only")

    def _apply(self) -> None:
        servers = self.config.servers
        if self._only is not None:
            servers = tuple(server for server in servers if server.id in self._only)
        for sentence in idle_globs(self.config):
            log.warning("%s", sentence)
        self._registry.apply(servers, self._loaded.unset, self.config.proxy.grace_s)
        self._logins.keep(servers)
        self._metrics.keep({server.id for server in servers})
        self._watch.keep({server.id for server in servers})
        self._gateway.servers_changed()
        # A server that is switched off says nothing by which the picture would be made anew.
        self._picture_of = ()

    def _put_in_force(self, before: LoadedConfig) -> None:
        """The configuration in force may be another than `before`."""
        if self.config.logging.level != before.config.logging.level:
            # Else a level that was set by hand stays.
            _use_log_level(self.config.logging.level)
        self._on_config(self._loaded)
        self._recorder.use(self._recorded())
        self.audit.use(before, self._loaded)
        self._tell_audit()
        self._frontend.use(self.config)
        self._gateway.reloaded(before.config)
        self._apply()
        self._drills.reloaded()
        # How lists are given to clients may be another way now, though the catalog is the same.
        self._ledger.changed()

    def _tell_audit(self) -> None:
        # None while there is nothing to tell: what a call meets then is one look at that.
        audit = self.audit if self.audit.is_on else None
        self._gateway.endings.audit = audit
        self._frontend.tell(audit)

    async def _stop(self) -> None:
        grace_s = self.config.proxy.grace_s
        await self._reloading.stop()
        in_flight = self._registry.in_flight
        if in_flight:
            log.info("stopping: waiting up to %g s for %d calls in flight", grace_s, in_flight)
        await self._frontend.stop_listening()
        await self._frontend.end_streams()
        # Calls that wait for a client would be waited for in vain.
        await self._gateway.aclose()
        self.cut_off = await self._drained(grace_s)
        await self._release()
        log.info("stopped%s", f"; {_cut_off(self.cut_off)}" if self.cut_off else "")

    async def _drained(self, grace_s: float) -> tuple[AbandonedCall, ...]:
        """Drain everything, or stop waiting when forced; the calls that were cut off."""
        drain = self._tasks.start(self._registry.drain_all(grace_s), "drain-all")
        force = self._tasks.start(self._force.wait(), "force")
        await asyncio.wait((drain, force), return_when=asyncio.FIRST_COMPLETED)
        if drain.done():
            return drain.result().calls
        return self._registry.calls

    async def _release(self) -> None:
        await self._reloading.stop()
        await self._ledger.aclose()
        await self._tasks.aclose()
        await self._drills.aclose()
        await self._registry.aclose()
        await self._logins.aclose()
        await self._frontend.aclose()
        await self._gateway.aclose()
        await self._guard.aclose()
        await self._verdicts.aclose()
        await self._remembered.aclose()
        await self._watch.aclose()
        self._recorder.settle()
        await self.audit.aclose()
        self._url = ""
        logging.getLogger(logs.ROOT).removeHandler(self._ring)
        # Not at the start: a stop that was asked for before it must not be forgotten.
        self._stop_requested.clear()
        self._force.clear()
        self._build()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self._gateway.cache.sweep()
            self._gateway.limits.sweep()
            if await self._watch.take_over():
                self._gateway.servers_changed()

    async def wait_ready(self, timeout_s: float) -> bool:
        """Until every server has been in service or failed once; False if some have not by then."""
        try:
            async with asyncio.timeout(timeout_s):
                while waiting := [b for b in self._registry if b.state is ServerState.STARTING]:
                    await asyncio.gather(*(backend.settled() for backend in waiting))
        except TimeoutError:
            return False
        return True

    # --- facts ----------------------------------------------------------------------------------------------

    def _publish(self, fact: Fact) -> None:
        self._metrics.fold(fact)
        if isinstance(fact, RequestFinished):
            return
        self.audit.heard(fact)
        if isinstance(fact, ContextModeChanged) or (isinstance(fact, CatalogChanged) and fact.kind == "tools"):
            self._ledger.changed()
        # What happens all the time is counted, and no event to be told.
        is_counted = isinstance(fact, ProbeFinished | CallRetried) or (
            isinstance(fact, LimitReached) and not fact.is_news
        )
        if not is_counted:
            self._feed.publish(fact)

    def _state_changed(self, server: str, before: ServerState, now: ServerState, reason: str) -> None:
        self._publish(StateChanged(self._clock.monotonic(), server, before, now, reason))
        level = logging.WARNING if now in (ServerState.UNHEALTHY, ServerState.FAILED) else logging.INFO
        server_log.log(level, "%s%s", now, f": {reason}" if reason else "", extra={"source": server})

    def _login_changed(self, server: str) -> None:
        if needed := self._logins.needed(server):
            _server_says(server, "warning", f"login needed, {needed}; {HOW_TO_LOG_IN.format(server)}")
        self._picture_of = ()

    def _verb(self, server: str, verb: str, outcome: str) -> None:
        self._publish(VerbUsed(self._clock.monotonic(), server, verb, outcome))
        server_log.info("%s: %s", verb, outcome, extra={"source": server})

    # --- Control: what is seen ------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        old, signs = self._picture, self._signs()
        # A second's difference is shown even if nothing happened: ages grow. What no sign tells waits for that.
        is_recent = self._clock.monotonic() - old.at < 1
        if is_recent and signs == self._picture_of:
            return old
        self._picture_of = signs
        fresh = self._fresh_picture(old.seq + 1)
        if is_recent and fresh == replace(old, seq=fresh.seq, at=fresh.at, wall=fresh.wall):
            return old
        self._picture = fresh
        return fresh

    def prepare(self) -> bool:
        if len(self._registry) <= SLICE:
            return False
        # While nothing happens there is one picture a second, and no need of it now.
        now = self._clock.monotonic()
        if now - self._picture.at < 1 and self._signs() == self._picture_of:
            return False
        return self._rows.make_ahead(self._registry, now, self._feed.last_seq)

    def _signs(self) -> tuple[object, ...]:
        """While these stay the same nothing happened that a person must see at once.

        A picture is asked for four times a second for each that watches, and to make one takes as long as
        carrying some calls.
        """
        return (
            self._feed.last_seq,
            self._metrics.total.calls,
            self._registry.in_flight,
            self._url,
            self._notices(),
            self._reloading.status,
            self._ledger.totals,
        )

    def _fresh_picture(self, seq: int) -> Snapshot:
        now = self._clock.monotonic()
        return Snapshot(
            seq=seq,
            at=now,
            wall=self._clock.wall(),
            started_at=self._started_at,
            version=__version__,
            url=self._url,
            config_path=str(self._loaded.path) if self._loaded.path else None,
            demo=self._loaded.path is None,
            servers=self._rows.rows(self._registry, now, self._feed.last_seq),
            clients=self._metrics.clients.rows(),
            totals=self._totals(now),
            notices=self._notices(),
            config=self._reloading.status,
            savings=self._gateway.savings(),
            context=self._ledger.totals,
            questions=self._gateway.desk.questions,
            drills_allowed=self.config.tui.fault_drills,
            audit=self.audit.status,
        )

    def _row(self, backend: Backend, now: float) -> ServerRow:
        costs = self._ledger.server_costs.get
        return row_of(
            backend, self._metrics, now, self._sampler.rows, costs, self._suspects, self._logins.needed
        )

    def _suspects(self, server: str) -> Suspects:
        return Suspects(*self._watch.counts(server), self._watch.mentions.counts.get(server, 0))

    def _totals(self, now: float) -> Totals:
        total = self._metrics.total
        return Totals(
            calls=total.calls,
            errors=total.errors,
            calls_per_s=total.rate.per_s(now),
            errors_per_s=total.error_rate.per_s(now),
            in_flight=self._registry.in_flight,
            latency=total.latency.latency(now),
            sessions=self._metrics.sessions,
            streams=self._metrics.streams,
            tokens_served=self._served.tokens,
            loop_lag_p99_ms=round(self._lag.p99_ms, 1),
        )

    def _notices(self) -> tuple[Notice, ...]:
        demo = (Notice("info", DEMO_NOTICE),) if self._loaded.path is None else ()
        return (*self.audit.notices, *self._drills.notices, *demo, *self._reloading.notices)

    def detail(self, server: str) -> ServerDetail:
        backend = self._registry.get(server)
        row = self._row(backend, self._clock.monotonic())
        offers = self._offers.use(self._gateway.listing.catalog)
        changes, naming = self._watch.changes(server), self._watch.mentions.of(server)
        return detail_of(backend, row, offers, self._metrics.changes.of(server), changes, naming)

    def events_after(self, seq: int) -> tuple[int, tuple[Fact, ...]]:
        return self._feed.last_seq, tuple(fact for _, fact in self._feed.after(seq))

    def logs_after(self, seq: int) -> tuple[int, tuple[LogLine, ...]]:
        return self._logs.last_seq, tuple(line for _, line in self._logs.after(seq))

    def names(self) -> tuple[NamedItem, ...]:
        return self._offers.use(self._gateway.listing.catalog).names

    def exchanges_after(self, seq: int) -> tuple[int, tuple[ExchangeRow, ...]]:
        return self._recorder.rows_after(seq)

    async def exchange(self, id: int) -> ExchangeDetail:
        return await self._recorder.detail(id)

    async def context_bill(self) -> ContextBill:
        return self._ledger.bill

    async def tool(self, name: str) -> ToolDetail:
        return tool_detail(self._gateway.listing.catalog, name, self._ledger.bill)

    async def tool_changes(self, server: str | None = None) -> tuple[ToolChange, ...]:
        ids = [backend.id for backend in self._registry] if server is None else [self._registry.get(server).id]
        return tuple(change for each in ids for change in self._watch.changes(each))

    async def tool_diff(self, server: str, tool: str, digest: str | None = None) -> ToolDiff:
        return await self._watch.diff(self._registry.get(server).id, tool, digest)

    async def orphans(self) -> tuple[OrphanRow, ...]:
        found, now = await asyncio.to_thread(find_orphans), self._clock.wall()
        return tuple(OrphanRow(o.pid, o.name, max(0.0, now - o.created_at), o.rss_bytes) for o in found)

    # --- Control: the verbs ---------------------------------------------------------------------------------

    @audited("call", "name")
    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        params = Raw(jsonrpc.encode({"name": name, "arguments": arguments}))
        exchange = Exchange("tools/call", params, operator(), Nobody())
        result = jsonrpc.decode(await self._gateway.handle(exchange))
        return result if isinstance(result, dict) else {}

    @audited("replay", "id", "target")
    async def replay(self, id: int, target: str | None = None) -> ExchangeDetail:
        replay = await self._replaying.replay(id, target)
        row = replay.detail.row
        ended = f"{row.status} in {row.duration_ms or 0:.0f} ms"
        self._verb(replay.server or "*", "replay", f"exchange {id} as {row.id}: {ended}")
        return replay.detail

    def _target(self, target: str) -> tuple[Backend, str | None]:
        """A server, or one replica of it. Raises: UnknownServer."""
        server, slash, replica = target.partition("/")
        return self._registry.get(server), replica if slash else None

    @audited("drain", "target", "grace_s")
    async def drain(self, target: str, grace_s: float | None = None) -> DrainOutcome:
        return await self._drain(target, "drain", Event.DRAINED, grace_s)

    @audited("disable", "target")
    async def disable(self, target: str) -> DrainOutcome:
        return await self._drain(target, "disable", Event.DISABLED, None)

    async def _drain(self, target: str, verb: str, final: Event, grace_s: float | None) -> DrainOutcome:
        backend, replica = self._target(target)
        patience_s = self.config.proxy.grace_s if grace_s is None else grace_s
        outcome = await backend.drain(patience_s, final, replica)
        self._verb(target, verb, _drained_words(outcome))
        return outcome

    @audited("undrain", "target")
    async def undrain(self, target: str) -> None:
        await self._resume(target, "undrain")

    @audited("enable", "target")
    async def enable(self, target: str) -> None:
        await self._resume(target, "enable")

    async def _resume(self, target: str, verb: str) -> None:
        backend, replica = self._target(target)
        if self._stays_off(backend, target, verb):
            return
        await backend.resume(replica)
        self._verb(target, verb, "takes calls again")

    def _stays_off(self, backend: Backend, target: str, verb: str) -> bool:
        """Whether a variable that is not set keeps the server from running; then said so."""
        if backend.unset is not None:
            self._verb(target, verb, f"stays off: {backend.unset}")
        return backend.unset is not None

    @audited("restart", "target")
    async def restart(self, target: str) -> None:
        backend, replica = self._target(target)
        if self._stays_off(backend, target, "restart"):
            return
        await backend.restart(self.config.proxy.grace_s, replica)
        self._verb(target, "restart", "started again")

    @audited("probe", "target")
    async def probe(self, target: str) -> Probe:
        backend, replica = self._target(target)
        probe = await backend.probe(replica)
        said = probe.error
        if said is None and probe.latency_ms is not None:
            said = f"answered in {probe.latency_ms:.1f} ms"
        self._verb(target, "probe", said or "no answer")
        return probe

    @audited("answer", "id", "action")
    async def answer(
        self, id: str, action: str, content: Mapping[str, object] | None = None, *, by: str = "screen"
    ) -> None:
        self._gateway.desk.answer(id, action, content, by)

    @audited("approve", "server", "tool", "digest")
    async def approve(
        self, server: str, tool: str | None = None, digest: str | None = None, *, by: str = "screen"
    ) -> tuple[str, ...]:
        tools = self._gateway.approve(self._registry.get(server).id, tool, digest)
        self._verb(server, "approve", f"{_named(tools)} by {by}")
        # Before anybody is told that it is done: it must outlive us.
        await self._watch.save()
        return tools

    async def login_port(self, target: str) -> int:
        backend, replica = self._target(target)
        return self._logins.port(backend.settings, replica)

    @audited("login", "target")
    async def begin_login(self, target: str, redirect_uri: str) -> LoginBegun:
        backend, replica = self._target(target)
        begun = await self._logins.begin(backend.settings, replica, redirect_uri)
        self._verb(target, "login", "waits for a person")
        return begun

    @audited("logged in", "target")
    async def finish_login(self, target: str, answer: Mapping[str, str]) -> None:
        backend, replica = self._target(target)
        await self._logins.finish(backend.settings, replica, answer)
        self._verb(target, "login", "logged in")
        if backend.unset is None:
            await backend.probe(replica)

    @audited("logout", "target")
    async def logout(self, target: str) -> LoggedOut:
        backend, replica = self._target(target)
        ended = await self._logins.forget(backend.settings, replica)
        self._verb(target, "logout", "the login is forgotten" if ended.was_in else "there was no login")
        if ended.was_in and backend.unset is None and backend.settings.enabled:
            await backend.restart(self.config.proxy.grace_s, replica)
        return ended

    @audited("drill", "target", "kind", "delay_ms", "share", "for_s")
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
        self._drills.begin(target, kind, delay_ms, share, for_s, by)

    @audited("end drill", "target")
    async def end_drill(self, target: str, *, by: str = "screen") -> None:
        self._drills.end(target, by)

    async def reload_plan(self) -> ReloadPlan:
        return planned(await self._reloading.changes(), self._registry)

    @audited("reload")
    async def apply_reload(self) -> ReloadPlan:
        return planned(await self._reloading.reload(), self._registry)

    @audited("rollback")
    async def rollback(self) -> ReloadPlan:
        return planned(self._reloading.roll_back(), self._registry)

    @audited("clear cache", "server")
    async def clear_cache(self, server: str | None = None) -> int:
        gone = self._gateway.clear_cache(server)
        self._verb(server or "*", "clear cache", f"{gone} answer{'' if gone == 1 else 's'} dropped")
        return gone

    @audited("log level", "level")
    async def set_log_level(self, level: str) -> None:
        if level not in LEVELS:
            raise InvalidParams(f"Unknown log level; the levels are {', '.join(LEVELS)}.")
        _use_log_level(level)


def _use_log_level(level: str) -> None:
    logging.getLogger(logs.ROOT).setLevel(level.upper())


def _cut_off(calls: tuple[AbandonedCall, ...]) -> str:
    named = ", ".join(f"{call.id} {call.target or call.method}" for call in calls[:MAX_NAMED])
    rest = f" and {len(calls) - MAX_NAMED} more" if len(calls) > MAX_NAMED else ""
    return f"{len(calls)} call{'' if len(calls) == 1 else 's'} cut off: {named}{rest}"


def _named(tools: tuple[str, ...]) -> str:
    shown = ", ".join(" ".join(clean_text(tool, MAX_NAME_BYTES).split()) for tool in tools[:MAX_NAMED])
    return f"{shown} and {len(tools) - MAX_NAMED} more" if len(tools) > MAX_NAMED else shown


def _server_says(server: str, level: str, text: str) -> None:
    server_log.log(getattr(logging, level.upper()), "%s", text, extra={"source": server})


def _drained_words(outcome: DrainOutcome) -> str:
    finished = f"{outcome.finished} call{'' if outcome.finished == 1 else 's'} finished"
    if outcome.abandoned:
        return (
            f"{finished}, {_cut_off(outcome.calls)}"
            if outcome.calls
            else f"{finished}, {outcome.abandoned} cut off"
        )
    return finished if outcome.finished else "no call was in flight"
