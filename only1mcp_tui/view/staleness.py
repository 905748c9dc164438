"""A gateway elsewhere that is not heard any more: for how long, since when, and that it is heard again."""

from msgspec.structs import replace

from only1mcp_tui.view.numbers import clock_time, duration
from proxy_core.telemetry.snapshot import Notice, Snapshot


def stale_s(snapshot: Snapshot, now: float) -> float | None:
    """How long it has not been heard; None: it is."""
    return None if snapshot.stale_since is None else max(0.0, now - snapshot.stale_since)


def shown_now(snapshot: Snapshot, now: float) -> float:
    """The moment that ages are told for: they stop where nothing is known any more."""
    return now if snapshot.stale_since is None else snapshot.stale_since


def notices_of(snapshot: Snapshot) -> tuple[Notice, ...]:
    """The gateway's own; while it is not heard the first one says why not, and is told since when.

    By the gateway's clock, as every time on the screen.
    """
    if snapshot.stale_since is None or not snapshot.notices:
        return snapshot.notices
    wall = snapshot.wall - snapshot.at + snapshot.stale_since
    first, *others = snapshot.notices
    return replace(first, text=f"Stale since {clock_time(wall)}: {first.text}"), *others


def again_words(before: Snapshot, fresh: Snapshot, now: float) -> str:
    """What is said once when it is heard again; empty if it was heard all along. `now`: on `before`'s clock."""
    if before.stale_since is None or fresh.stale_since is not None:
        return ""
    restarted = " It was restarted meanwhile." if before.started_at != fresh.started_at else ""
    return f"Connected again after {duration(now - before.stale_since)}.{restarted}"
