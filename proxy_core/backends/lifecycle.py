"""The states of a server and what moves it from one to another, as a table. Pure."""

from enum import Enum, auto
from typing import Final

from proxy_core.telemetry.snapshot import ServerState as S


class Event(Enum):
    START = auto()
    """A connection attempt begins."""
    OPENED = auto()
    ATTEMPT_FAILED = auto()
    AUTH_MISSING = auto()
    LOST = auto()
    """The connection of a server in service ended by itself."""
    GAVE_UP = auto()
    """Too many crashes: no further attempt until somebody asks."""
    PROBE_FAILED = auto()
    """The first of possibly several."""
    PROBES_FAILED = auto()
    """`failure_threshold` in a row."""
    PROBES_ANSWERED = auto()
    """`success_threshold` in a row."""
    DRAIN = auto()
    DRAINED = auto()
    DISABLED = auto()


# Asked of a server that is already out of service, a drain has nothing to wait for.
_ANY: Final = {Event.DRAIN: S.DRAINING, Event.DRAINED: S.DRAINED, Event.DISABLED: S.DISABLED}
_OFF: Final = {Event.START: S.STARTING, Event.DRAINED: S.DRAINED, Event.DISABLED: S.DISABLED}
_ATTEMPT: Final = {
    Event.OPENED: S.HEALTHY,
    Event.ATTEMPT_FAILED: S.UNHEALTHY,
    Event.AUTH_MISSING: S.AUTH_REQUIRED,
    Event.GAVE_UP: S.FAILED,
}
_PROBED: Final = {
    Event.LOST: S.RESTARTING,
    Event.PROBES_FAILED: S.UNHEALTHY,
    Event.PROBES_ANSWERED: S.HEALTHY,
}

TRANSITIONS: Final[dict[S, dict[Event, S]]] = {
    S.STARTING: _ATTEMPT | _ANY,
    S.RESTARTING: {Event.START: S.RESTARTING} | _ATTEMPT | _ANY,
    S.HEALTHY: {Event.PROBE_FAILED: S.DEGRADED} | _PROBED | _ANY,
    S.DEGRADED: _PROBED | _ANY,
    # Without a connection, or with one on which it answers no probes. Stays what it is while it is tried again:
    # a row that flickers between two states tells nothing.
    S.UNHEALTHY: _ATTEMPT | _PROBED | _ANY,
    S.AUTH_REQUIRED: _ATTEMPT | _ANY,
    S.FAILED: {Event.START: S.STARTING} | _ANY,
    S.DRAINING: {Event.DRAINED: S.DRAINED, Event.DISABLED: S.DISABLED},
    S.DRAINED: _OFF,
    S.DISABLED: _OFF,
}

IN_SERVICE: Final = frozenset({S.HEALTHY, S.DEGRADED})
"""Answers, as far as we know. A connected one that does not is still asked if there is no other."""
SWITCHED_OFF: Final = frozenset({S.DRAINING, S.DRAINED, S.DISABLED})
"""Out of service because somebody said so: its items leave the lists at once."""


def after(state: S, event: Event) -> S:
    """The state that follows; the same one where the event means nothing there."""
    return TRANSITIONS[state].get(event, state)
