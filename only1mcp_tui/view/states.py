"""The state of a server or replica as a glyph, a word and a role: never colour alone."""

from dataclasses import dataclass

from only1mcp_tui.view.numbers import ABSENT
from only1mcp_tui.view.text import safe
from proxy_core.telemetry.snapshot import BreakerState, ServerState


@dataclass(frozen=True, slots=True)
class Look:
    glyph: str
    word: str
    role: str
    rank: int
    """What needs a person's eye sorts first."""


LOOKS: dict[ServerState, Look] = {
    ServerState.FAILED: Look("✖", "failed", "bad", 0),
    ServerState.UNHEALTHY: Look("✖", "unhealthy", "bad", 1),
    ServerState.AUTH_REQUIRED: Look("◆", "auth required", "warn", 2),
    ServerState.DEGRADED: Look("▲", "degraded", "warn", 3),
    ServerState.RESTARTING: Look("↻", "restarting", "info", 4),
    ServerState.STARTING: Look("◌", "starting", "info", 5),
    ServerState.DRAINING: Look("◐", "draining", "warn", 6),
    ServerState.DRAINED: Look("◑", "drained", "muted", 7),
    ServerState.HEALTHY: Look("●", "healthy", "good", 8),
    ServerState.DISABLED: Look("○", "disabled", "muted", 9),
}

CONNECTED = (ServerState.HEALTHY, ServerState.DEGRADED, ServerState.UNHEALTHY)
"""States in which a breaker decides whether calls get through."""

BREAKER_LOOKS = {
    BreakerState.OPEN: Look("⊘", "breaker open", "bad", 1),
    BreakerState.HALF_OPEN: Look("⊘", "half open", "warn", 3),
}


def look_of(state: ServerState, breaker: BreakerState = BreakerState.CLOSED) -> Look:
    """How it is, for whoever wants to call it: a connection that no call reaches is of no use."""
    if state in CONNECTED and breaker is not BreakerState.CLOSED:
        return BREAKER_LOOKS[breaker]
    return LOOKS[state]


ERA_GLYPHS = {"modern": "◆", "legacy": "◇"}


def era_badge(era: str | None, revision: str | None) -> tuple[str, str]:
    """Which protocol somebody speaks: the era as a glyph, the revision in figures."""
    if era is None or revision is None:
        return ABSENT, "muted"
    role = "accent" if era == "modern" else "muted"
    return f"{ERA_GLYPHS.get(era, '?')} {safe(revision, 10)}", role


LEVEL_ROLES = {"debug": "muted", "info": "info", "warning": "warn", "error": "bad"}
"""Of log lines and of notices."""
