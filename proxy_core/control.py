"""The front door: what a screen, the CLI and the admin API may see and do.

`Proxy` implements it in process; a client over the admin API implements it from afar, so a screen cannot tell
near from far. Everything returned is frozen. Verbs name a server by its id and raise `UnknownServer`.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from proxy_core.facts import Fact
from proxy_core.telemetry.snapshot import LogLine, NamedItem, Probe, ServerDetail, Snapshot


@dataclass(frozen=True, slots=True)
class DrainOutcome:
    """How a drain ended."""

    finished: int
    """Calls that were in flight and ended by themselves."""
    abandoned: int
    """Calls still in flight when the grace ran out."""


@dataclass(frozen=True, slots=True)
class ReloadOutcome:
    """What applying the configuration changed, by server id."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


class Control(Protocol):
    def snapshot(self) -> Snapshot:
        """The picture as of now. Cheap: the same object as long as nothing changed."""
        ...

    def detail(self, server: str) -> ServerDetail: ...

    def events_after(self, seq: int) -> tuple[int, tuple[Fact, ...]]:
        """Facts newer than `seq` (0 for all that are kept), oldest first, and the newest number."""
        ...

    def logs_after(self, seq: int) -> tuple[int, tuple[LogLine, ...]]:
        """Log lines newer than `seq`, oldest first, and the newest number."""
        ...

    def names(self) -> tuple[NamedItem, ...]:
        """Every tool, resource, template and prompt that clients see, in list order."""
        ...

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Call a tool by its exposed name; the result object as the server answered it."""
        ...

    async def drain(self, server: str) -> DrainOutcome:
        """No new calls; wait for those in flight, at most `proxy.grace_s`; then close the connection.

        The server's tools leave the lists at once. Safe to call twice: the second call joins the first.
        """
        ...

    async def undrain(self, server: str) -> None: ...

    async def enable(self, server: str) -> None: ...

    async def disable(self, server: str) -> DrainOutcome:
        """Drain, then stay off until enabled; the file is not changed."""
        ...

    async def restart(self, server: str) -> None:
        """Drain, then start again with fresh lists; also ends a wait for the next start."""
        ...

    async def probe(self, server: str) -> Probe:
        """Ask the server now whether it answers, over the connection that carries its calls."""
        ...

    async def apply_reload(self) -> ReloadOutcome:
        """Read the configuration again and apply it. Raises ConfigError and keeps the old one if it is bad."""
        ...

    def set_log_level(self, level: str) -> None: ...
