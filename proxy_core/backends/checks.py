"""How one replica is: what its probes and its calls say of it, and what follows from that.

Knows what is asked and how an answer is judged; nothing of when that is done by itself (prober.py), and nothing
of what the replica offers.
"""

from collections.abc import Callable
from typing import Final

from proxy_core.backends.connection import Connection
from proxy_core.backends.health import Health
from proxy_core.backends.http_probe import ask_endpoints
from proxy_core.backends.lifecycle import SWITCHED_OFF, Event
from proxy_core.backends.prober import Prober
from proxy_core.backends.replica import Replica
from proxy_core.clock import Clock
from proxy_core.config.models import HealthConfig, StdioTransport, Transport
from proxy_core.errors import (
    BackendError,
    BackendFailing,
    BackendFault,
    BackendHttpError,
    ErrorCode,
)
from proxy_core.facts import ProbeFinished
from proxy_core.telemetry.snapshot import BreakerState, Probe, ServerState

PROBES_KEPT: Final = 60


class Checks:
    def __init__(
        self,
        server: str,
        replica: Replica,
        rules: Callable[[], HealthConfig],
        transport: Callable[[], Transport],
        publish: Callable[[ProbeFinished], None],
        clock: Clock,
    ) -> None:
        """`rules` and `transport`: as the configuration in force says."""
        self._server = server
        self._replica = replica
        self._rules = rules
        self._transport = transport
        self._publish = publish
        self._clock = clock
        self._health = Health(rules)
        self._prober = Prober(rules, self._probe_if_connected)
        self.history: list[Probe] = []
        """Oldest first."""

    @property
    def last(self) -> Probe | None:
        return self.history[-1] if self.history else None

    def start(self) -> None:
        """Probe again and again. Safe to call twice."""
        self._prober.start()

    async def stop(self) -> None:
        await self._prober.stop()

    def rules_changed(self) -> None:
        self._prober.rules_changed()

    def renew(self) -> None:
        """Another connection: what the last one did says nothing of it."""
        self._health.renew()

    async def probe(self) -> Probe:
        """Ask now whether it answers; one that waits for its next start makes it now. One answer is enough."""
        try:
            connection = await self._replica.ready()
            permit = self._replica.breaker.admit_probe()
        except BackendFault as fault:
            # Nothing was asked, so that this says nothing new of it.
            return self._keep(Probe(self._clock.monotonic(), None, fault.detail))
        started_at = self._clock.monotonic()
        try:
            with permit:
                await self._ask_how_it_is(connection)
        except (BackendFault, BackendError) as error:
            self._probe_failed(started_at, error)
        else:
            self._probe_answered(started_at)
            self._judge(Event.PROBES_ANSWERED)
        assert self.last is not None
        return self.last

    async def _probe_if_connected(self) -> None:
        """The probe of the prober. While the breaker is open it tells how the server is, and no more."""
        connection = self._replica.connection
        if connection is None or self._replica.state in SWITCHED_OFF:
            return
        started_at = self._clock.monotonic()
        try:
            if self._replica.breaker.admits:
                with self._replica.breaker.free or self._replica.breaker.admit():
                    await self._ask_how_it_is(connection)
            elif self._replica.breaker.state is BreakerState.OPEN:
                await self._ask_how_it_is(connection)
            else:
                # Half open, with as many trials under way as there may be: they will tell.
                return
        except (BackendFault, BackendError) as error:
            # The end of a connection is no news of how the next one fares.
            if self._replica.connection is connection and not connection.is_lost:
                self._probe_failed(started_at, error)
        else:
            self._probe_answered(started_at)

    async def _ask_how_it_is(self, connection: Connection) -> None:
        """Raises: BackendError, BackendFault."""
        rules, transport = self._rules(), self._transport()
        await self._replica.drilling.felt(self._server, rules.timeout)
        if rules.probe == "http" and not isinstance(transport, StdioTransport):
            await ask_endpoints(self._server, transport, rules.endpoints, rules.timeout)
            return
        try:
            await connection.probe(rules.timeout)
        except BackendError as error:
            # One that knows no ping answers all the same.
            if error.code != ErrorCode.METHOD_NOT_FOUND:
                raise

    def _probe_failed(self, started_at: float, error: BackendFault | BackendError) -> None:
        now = self._clock.monotonic()
        detail = error.detail if isinstance(error, BackendFault) else error.message
        latency_ms = (now - started_at) * 1000
        self._keep(Probe(now, latency_ms, detail, _code_of(error)))
        self._publish(ProbeFinished(now, self._server, self._replica.id, latency_ms, detail))
        event = self._health.failed()
        failures = self._health.failures
        times = "the last probe" if failures == 1 else f"the last {failures} probes"
        self._judge(event, f"{times} failed: {detail}")

    def _probe_answered(self, started_at: float) -> None:
        now = self._clock.monotonic()
        latency_ms = (now - started_at) * 1000
        self._keep(Probe(now, latency_ms, None))
        self._publish(ProbeFinished(now, self._server, self._replica.id, latency_ms, None))
        if self._replica.state is not ServerState.HEALTHY:
            self.answered()
        else:
            self._health.renew()

    def _keep(self, probe: Probe) -> Probe:
        self.history.append(probe)
        del self.history[:-PROBES_KEPT]
        return probe

    def answered(self) -> None:
        """It was asked something and answered, while it was thought not to be well."""
        event = self._health.answered()
        if event is not None:
            self._judge(event)

    def _judge(self, event: Event, reason: str = "") -> None:
        """Go by what was seen, but for one that has gone or is switched off: its row says that."""
        connection = self._replica.connection
        if connection is not None and not connection.is_lost and self._replica.state not in SWITCHED_OFF:
            self._replica.move(event, reason)


def _code_of(error: BackendFault | BackendError) -> int | None:
    if isinstance(error, BackendFailing | BackendHttpError):
        return error.status
    return error.code if isinstance(error, BackendError) else None
