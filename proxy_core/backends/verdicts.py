"""Which era each server turned out to speak, remembered over restarts, so that a legacy one is not probed anew.

A verdict is forgotten when the server contradicts it, and of itself after a while: a server that learned the
modern era meanwhile still answers `initialize`, so nothing but a probe would ever tell.
Spec: 2026-07-28 basic/versioning, "Backward compatibility".
"""

import hashlib
from typing import Final

from proxy_core.backends.http_url import Url
from proxy_core.backends.late_writer import LateWriter
from proxy_core.clock import Clock
from proxy_core.config.models import HttpTransport, SseTransport, StdioTransport
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.revisions import Era
from proxy_core.state import StateFolder

NAME: Final = "eras"
MAX_VERDICTS: Final = 512
MAX_AGE_S: Final = 7 * 86_400.0


class EraVerdicts:
    """Sole writer of its file."""

    def __init__(self, folder: StateFolder | None, clock: Clock) -> None:
        """Without a folder it remembers until the end of the process."""
        self._folder = folder
        self._clock = clock
        self._writer = LateWriter("verdicts", self._write)
        self._entries = folder.read(NAME) if folder is not None else {}
        """Address -> `<era> <wall seconds of the probe>`, the oldest first."""

    def get(self, address: str) -> Era | None:
        era, _, probed_at = self._entries.get(address, "").partition(" ")
        if era not in tuple(Era) or not probed_at.isdigit():
            return None
        return Era(era) if 0 <= self._clock.wall() - int(probed_at) < MAX_AGE_S else None

    def remember(self, address: str, era: Era) -> None:
        """To be called after a probe, and only then: what is merely believed does not grow younger."""
        self._entries.pop(address, None)
        self._entries[address] = f"{era} {int(self._clock.wall())}"
        while len(self._entries) > MAX_VERDICTS:
            del self._entries[next(iter(self._entries))]
        self._changed()

    def forget(self, address: str) -> None:
        if self._entries.pop(address, None) is not None:
            self._changed()

    def _changed(self) -> None:
        if self._folder is not None:
            self._writer.changed()

    def _write(self) -> None:
        assert self._folder is not None
        self._folder.write(NAME, self._entries.copy())

    async def aclose(self) -> None:
        """Write what is not written yet. It may be used again afterwards."""
        await self._writer.aclose()


def address_of(transport: StdioTransport | HttpTransport | SseTransport) -> str:
    """What tells one server from another, as a hash: arguments and paths may hold secrets."""
    if isinstance(transport, StdioTransport):
        parts = ["stdio", transport.cwd, transport.command, *transport.args]
    else:
        url = Url.of(transport.url)
        parts = [transport.type, str(url.origin), url.path]
    return hashlib.sha256(jsonrpc.encode(parts)).hexdigest()
