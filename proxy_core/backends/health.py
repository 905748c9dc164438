"""From probes in a row to what they say of a replica. Pure; knows no connections and no time.

A call that was answered says as much as a probe that was.
"""

from collections.abc import Callable

from proxy_core.backends.lifecycle import Event
from proxy_core.config.models import HealthConfig


class Health:
    def __init__(self, rules: Callable[[], HealthConfig]) -> None:
        """`rules`: as the configuration in force says for this server."""
        self._rules = rules
        self.failures = 0
        """In a row."""
        self.successes = 0
        """In a row, since the last failure."""

    def failed(self) -> Event:
        self.successes = 0
        self.failures += 1
        is_many = self.failures >= self._rules().failure_threshold
        return Event.PROBES_FAILED if is_many else Event.PROBE_FAILED

    def answered(self) -> Event | None:
        """None while more answers are wanted."""
        self.failures = 0
        self.successes += 1
        return Event.PROBES_ANSWERED if self.successes >= self._rules().success_threshold else None

    def renew(self) -> None:
        """Another connection: what the last one did says nothing of it."""
        self.failures = self.successes = 0
