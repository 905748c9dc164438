"""The clients' side as one thing: builds the parts, starts and ends them in order.

Owns the listener's one sweeper. Knows nothing of backends.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from proxy_core.access.audit.audit import Audit
from proxy_core.access.meters import Scope
from proxy_core.access.refusals import Refusals
from proxy_core.backends.call import ANYONE
from proxy_core.clock import Clock
from proxy_core.config.auth import TlsConfig
from proxy_core.config.models import Config, is_loopback
from proxy_core.control import Control
from proxy_core.errors import InsecureBind, TlsUnusable
from proxy_core.facts import Fact, SessionsChanged
from proxy_core.frontend.affinity import Affinity
from proxy_core.frontend.challenges import Challenges
from proxy_core.frontend.direct_answer import DirectAnswer
from proxy_core.frontend.endpoint import McpEndpoint, Rules
from proxy_core.frontend.event_stream import EventStreams
from proxy_core.frontend.guards import Guard, bracketed, guard_for
from proxy_core.frontend.jwt_tokens import JwtTokens
from proxy_core.frontend.legacy import LegacyEra
from proxy_core.frontend.legacy_answer import LegacyAnswer
from proxy_core.frontend.legacy_calls import LegacyCalls
from proxy_core.frontend.listens import Listens
from proxy_core.frontend.modern import ModernEra
from proxy_core.frontend.principals import Principals
from proxy_core.frontend.profile_gate import ProfileGate, no_such_profile
from proxy_core.frontend.quota import Quota
from proxy_core.frontend.resource_metadata import ResourceMetadata
from proxy_core.frontend.responses import Handler
from proxy_core.frontend.server import Listener
from proxy_core.frontend.sessions import LegacySessions
from proxy_core.frontend.sse_front import SseFront
from proxy_core.frontend.steering import Steering
from proxy_core.frontend.tls import Stamp, context_for, stamp_of, untimely
from proxy_core.frontend.underway import Pending, Underway
from proxy_core.frontend.wire import Endpoint
from proxy_core.tasks import Tasks
from proxy_core.telemetry.metrics import Metrics

SWEEP_S: Final = 1.0
END_STREAMS_S: Final = 2.0
"""How long a client may take to receive the end of its stream."""
_WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
log = logging.getLogger(__name__)


class Frontend:
    def __init__(
        self,
        config: Config,
        handler: Handler,
        clock: Clock,
        publish: Callable[[Fact], None],
        *,
        allow_remote: bool = False,
        control: Control | None = None,
        metrics: Metrics | None = None,
        fast_path: bool = True,
    ) -> None:
        """`allow_remote`: the operator said that strangers on the network may connect without a token.

        `control`: what the admin API and the pages of health and numbers stand on; without it there are none.
        `fast_path`: whether POSTs to MCP's paths go past aiohttp.
        """
        self._config = config
        self._hub = handler.hub
        self._clock = clock
        self._publish = publish
        self._port = config.proxy.port
        self.url = ""
        """Where clients of this machine connect; empty before the listener is up."""
        self._allow_remote = allow_remote
        limits = config.limits
        # On loopback everyone is the one user of this machine, whose agents may well run many calls at once.
        exempt = frozenset({ANYONE}) if is_loopback(config.proxy.host) else frozenset[str]()
        self._refusals = Refusals(clock, publish)
        self._calls = Quota(
            "calls", limits.calls, exempt, own=_own_calls(config), refused=self._refusing("concurrent")
        )
        self._open = EventStreams(clock)
        self._sessions = LegacySessions(
            limits.sessions, limits.session_idle_s, clock, self._tell, handler.session_ended
        )
        self._listen_quota = Quota("listens", limits.listens, exempt, refused=self._refusing("listens"))
        self._listens = Listens(handler, self._open, self._listen_quota, self._tell)
        self._underway = Underway(self._quiet)
        self._legacy_calls = LegacyCalls(handler, self._calls, self._sessions, self._underway)
        self._affinity = Affinity(config.routing)
        self._legacy = LegacyEra(handler, self._open, self._legacy_calls, self._sessions, self._affinity)
        modern = ModernEra(handler, self._open, self._calls, self._listens, self._affinity, self._underway)
        self._sse = SseFront(handler, self._open, self._legacy_calls, self._sessions, self._affinity)
        self._jwts = JwtTokens(config.auth, clock, self._end_of)
        rules = Rules(self._guard(), self._principals(), ProfileGate.of(config))
        self._endpoint = McpEndpoint(rules, modern, self._legacy, self._sse)
        self._steering = (
            None
            if control is None
            else Steering(config, self._endpoint, control, metrics or Metrics(), self._open, clock)
        )
        self._metadata = ResourceMetadata(self._endpoint, config.auth)
        self._listener = Listener(
            self._endpoint_at,
            config.proxy.host,
            config.proxy.port,
            (self._endpoint, self._is_mcp) if fast_path else None,
        )
        self._tls_stamp: Stamp = ()
        self._tasks = Tasks("frontend")

    def _endpoint_at(self, path: str) -> Endpoint:
        if self._metadata.serves(path):
            return self._metadata
        return self._endpoint if self._steering is None else self._steering.port.endpoint_at(path)

    def _is_mcp(self, path: str) -> bool:
        is_free = self._endpoint_at(path) is self._endpoint
        return is_free and self._endpoint.guard.profile_in(path) is not None

    @property
    def admin_socket(self) -> Path | None:
        """Where the admin API is reached on this machine; None while there is no socket."""
        return None if self._steering is None else self._steering.socket

    @property
    def session_count(self) -> int:
        """Legacy sessions that are open."""
        return len(self._sessions)

    @property
    def stream_count(self) -> int:
        """GET streams and listens that are open."""
        return self._sessions.stream_count + len(self._listens)

    @property
    def in_flight(self) -> int:
        """Requests that are being served, listens left out."""
        return self._calls.total

    async def start(self) -> str:
        """Listen; the URL for clients on this machine.

        Raises: InsecureBind, TlsUnusable, PortInUse, OSError.
        """
        proxy = self._config.proxy
        if self._config.is_exposed and not self._allow_remote:
            raise InsecureBind(proxy.host)
        self._tls_stamp = stamp_of(proxy.tls)
        if proxy.tls is not None:
            await self._listener.use_tls(context_for(proxy.tls))
            self._warn_of(proxy.tls)
        self._port = await self._listener.start()
        self._endpoint.use(guard=self._guard())
        if self._steering is not None:
            self._steering.use(self._config)
            await self._steering.start(self._port)
        self._tasks.start(self._sweep(), "sweep")
        self._jwts.refresh()
        host = bracketed(_WILDCARDS.get(proxy.host, proxy.host))
        self.url = f"{'http' if proxy.tls is None else 'https'}://{host}:{self._port}{proxy.path}"
        return self.url

    def use(self, config: Config) -> None:
        """Apply tokens, allow-lists, certificates and limits from now on.

        Host, port, path, and whether HTTPS is served, stay until the next start.

        What was open with a token or a profile that is gone or changed ends: sessions with all they have,
        listens, and requests that wait for their answer. So does a request for what its profile denies by now.
        """
        before, kept = self._config, self._config.proxy
        address: dict[str, object] = {"host": kept.host, "port": kept.port, "path": kept.path}
        if kept.tls is None or config.proxy.tls is None:
            address["tls"] = kept.tls
        self._config = config.model_copy(update={"proxy": config.proxy.model_copy(update=address)})
        self._endpoint.use(guard=self._guard())
        self._metadata.use(config.auth)
        self._renew_tls()
        self._use_principals(self._principals())
        self._use_profiles(ProfileGate.of(self._config))
        self._underway.judge(before, self._config)
        if self._steering is not None:
            self._steering.use(self._config)
        self._affinity.use(config.routing)
        self._calls.limit, self._calls.own = config.limits.calls, _own_calls(config)
        self._listen_quota.limit = config.limits.listens
        self._sessions.limit = config.limits.sessions
        self._sessions.idle_s = config.limits.session_idle_s

    def tell(self, audit: Audit | None) -> None:
        """Where it is told who was not let in, from now on."""
        self._endpoint.audit = audit
        if self._steering is not None:
            self._steering.tell(audit)

    async def stop_listening(self) -> None:
        """Take no new work; what is in flight goes on, and may be watched through the admin socket."""
        self._endpoint.is_stopping = True
        if self._steering is not None:
            self._steering.stop_verbs()
        await self._listener.stop_accepting()

    async def end_streams(self) -> None:
        """End the listens, with their result, and the GET streams, once they heard of all that has changed.

        Waits at most `END_STREAMS_S` for clients.
        """
        await self._hub.settled()
        self._sessions.end_streams()
        try:
            async with asyncio.timeout(END_STREAMS_S):
                await self._listens.end_all()
        except TimeoutError:
            log.debug("some clients did not read the end of their streams")

    async def aclose(self) -> None:
        """Close everything; what is nearly answered still is, the rest is cancelled. Safe to call twice."""
        self._endpoint.is_stopping = True
        await self._tasks.aclose()
        await self.end_streams()
        self._sse.end_all()
        if self._steering is not None:
            await self._steering.aclose()
        await self._listener.aclose()
        await self._jwts.aclose()
        await self._legacy_calls.aclose()
        await self._open.aclose()

    def _guard(self) -> Guard:
        proxy, resource = self._config.proxy, self._config.auth.resource
        # Whoever has a token for our URI was told to come there.
        public = (urlsplit(resource).netloc,) if resource is not None else ()
        return guard_for(
            proxy.path,
            proxy.host,
            self._port,
            allowed_hosts=(*proxy.allowed_hosts, *public),
            allowed_origins=proxy.allowed_origins,
            max_body_bytes=proxy.max_body_bytes,
            has_sse=proxy.legacy_sse,
        )

    def _renew_tls(self) -> None:
        """Serve by the configured files, if they are others than before or have been renewed."""
        settings = self._config.proxy.tls
        if settings is None or (stamp := stamp_of(settings)) == self._tls_stamp:
            return
        self._tls_stamp = stamp
        try:
            context = context_for(settings)
        except TlsUnusable as error:
            log.error("the certificates before go on being used: %s", error.message)
            return
        self._tasks.start(self._listener.use_tls(context), "tls")
        log.info("HTTPS is served with the certificates as they are now")
        self._warn_of(settings)

    def _warn_of(self, settings: TlsConfig) -> None:
        if said := untimely(settings, datetime.fromtimestamp(self._clock.wall(), UTC)):
            log.warning("%s", said)

    def _principals(self) -> Principals:
        auth = self._config.auth
        is_open = self._allow_remote or is_loopback(self._config.proxy.host)
        jwts = self._jwts if auth.issuers else None
        return Principals(auth.tokens, is_open=is_open, jwts=jwts, challenges=Challenges(auth))

    def _use_principals(self, principals: Principals) -> None:
        lost = self._endpoint.principals.lost(principals) | self._jwts.use(self._config.auth)
        self._endpoint.use(principals=principals)
        if lost:
            self._end_of(lost)
        if self._config.is_exposed and not self._allow_remote:
            log.warning("no token is left: nobody can connect until there is one, or a restart with --insecure")

    def _end_of(self, principals: Collection[str]) -> None:
        self._end_open(principals)
        if self._steering is not None:
            self._steering.end_of(principals)

    def _end_open(self, principals: Collection[str]) -> None:
        self._sessions.end_of(principals)
        self._listens.end_of(principals)
        challenges = Challenges(self._config.auth)
        self._underway.end_where(
            lambda caller: caller.principal in principals,
            lambda caller: challenges.missing() if caller.principal == ANYONE else challenges.changed(),
        )

    def _quiet(self) -> Iterator[Pending]:
        return (each for each in self._open.quiet() if isinstance(each, DirectAnswer | LegacyAnswer))

    def _use_profiles(self, profiles: ProfileGate) -> None:
        moved, gone = self._endpoint.profiles.lost(profiles)
        self._endpoint.use(profiles=profiles)
        self._end_open(moved)
        self._sessions.end_under(gone)
        self._listens.end_under(gone)
        self._underway.end_where(
            lambda caller: caller.profile in gone, lambda caller: no_such_profile(caller.profile)
        )
        if self._steering is not None:
            self._steering.end_of(moved)

    def _refusing(self, kind: str) -> Callable[[str], None]:
        return partial(self._refusals.tell, Scope.PRINCIPAL, kind)

    def _tell(self) -> None:
        self._publish(SessionsChanged(self._clock.monotonic(), self.session_count, self.stream_count))

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self._renew_tls()
            self._jwts.sweep()
            await self._open.sweep()
            await self._sessions.sweep()
            self._listener.sweep()


def _own_calls(config: Config) -> Mapping[str, int]:
    """Most calls in flight of the tokens that have such a limit of their own."""
    tokens = config.auth.tokens
    return {each.principal: each.limits.concurrent for each in tokens if each.limits.concurrent is not None}
