"""Carrying out what `opening` decides: discover, initialize, start again, over a line that is not open yet.

Knows no sessions, calls or sinks. Spec: 2026-07-28 basic/versioning; 2025-11-25 basic/lifecycle.
"""

from typing import Final, Protocol

from msgspec import Raw

from proxy_core import __version__
from proxy_core.backends import peer
from proxy_core.backends.opening import (
    Discovered,
    Exited,
    HttpRefused,
    Initialized,
    Nonsense,
    Opening,
    Outcome,
    Refused,
    Silence,
    Step,
    TransportKind,
)
from proxy_core.backends.peer import Peer
from proxy_core.backends.verdicts import address_of
from proxy_core.config.models import EndpointConfig
from proxy_core.errors import BackendError, BackendExited, BackendHttpError, BackendTimeout, NotServable
from proxy_core.protocol import jsonrpc, meta
from proxy_core.protocol.revisions import LATEST_LEGACY, MODERN, Era, era_of

CLIENT_INFO: Final = jsonrpc.encode({"name": "only1mcp", "version": __version__})
NO_CAPABILITIES: Final = b"{}"
_INITIALIZE: Final = b'{"protocolVersion":%s,"capabilities":%s,"clientInfo":%s}'


class Line(Protocol):
    """What a handshake needs of a connection."""

    peer: Peer
    transport: TransportKind

    async def request(self, method: str, params: bytes, *, idle_s: float, cap_s: float) -> Raw:
        """Raises: BackendError, BackendFault."""
        ...

    async def reopen(self, kind: TransportKind) -> None:
        """A fresh channel of this kind in place of the present one. Raises: BackendFault."""
        ...


class Verdicts(Protocol):
    """What is remembered of a server's era from earlier starts, by an address of its own."""

    def get(self, address: str) -> Era | None: ...

    def remember(self, address: str, era: Era) -> None: ...

    def forget(self, address: str) -> None: ...


class NoVerdicts:
    """Remembers nothing."""

    def get(self, address: str) -> Era | None:
        return None

    def remember(self, address: str, era: Era) -> None:
        return

    def forget(self, address: str) -> None:
        return


class Handshake:
    def __init__(
        self,
        line: Line,
        settings: EndpointConfig,
        declared: bytes = NO_CAPABILITIES,
        verdicts: Verdicts | None = None,
    ) -> None:
        """`declared`: the JSON of the client capabilities that a legacy server is told in `initialize`."""
        self._line = line
        self._settings = settings
        self._declared = declared
        # A pinned era is not in question.
        self._verdicts = (verdicts if settings.era == "auto" else None) or NoVerdicts()

    async def open(self) -> None:
        """Connect and agree on a revision. Raises: BackendFault; NotServable where they do not agree."""
        address = address_of(self._settings.transport)
        known = self._verdicts.get(address)
        opening = Opening(self._line.transport, self._settings.era, known is Era.LEGACY)
        try:
            await self._carry_out(opening)
        except NotServable:
            self._verdicts.forget(address)
            raise
        found = era_of(opening.revision)
        if found is not known and self._line.transport == self._settings.transport.type != "sse":
            self._verdicts.remember(address, found)

    async def _carry_out(self, opening: Opening) -> None:
        step = opening.first()
        await self._line.reopen(self._line.transport)
        while step is not Step.READY:
            match step:
                case Step.DISCOVER:
                    step = opening.after_discover(await self._discover())
                case Step.INITIALIZE:
                    step = opening.after_initialize(await self.initialize())
                case Step.RESPAWN:
                    await self._line.reopen(self._line.transport)
                    step = Step.INITIALIZE
                case Step.TRY_SSE:
                    await self._line.reopen("sse")
                    step = Step.INITIALIZE
                case _:
                    raise NotServable(self._settings.id, opening.reason)

    async def _discover(self) -> Outcome:
        self._line.peer = peer.nobody(MODERN)
        answer = await self._ask("server/discover", modern_params(b"{}"))
        if not isinstance(answer, Raw):
            return answer
        found = peer.discovered(answer)
        if found is None:
            return Nonsense()
        self._line.peer, supported = found
        return Discovered(supported)

    async def initialize(self) -> Outcome:
        if self._line.peer.era is Era.MODERN:
            # What the probe left. A peer whose session is renewed stays known meanwhile.
            self._line.peer = peer.nobody(LATEST_LEGACY)
        answer = await self._ask(
            "initialize", _INITIALIZE % (jsonrpc.encode(LATEST_LEGACY), self._declared, CLIENT_INFO)
        )
        if not isinstance(answer, Raw):
            return answer
        found = peer.initialized(answer)
        if found is None:
            return Nonsense()
        self._line.peer = found
        return Initialized(found.revision)

    async def _ask(self, method: str, params: bytes) -> Raw | Outcome:
        connect_s = self._settings.timeouts.connect_s
        try:
            return await self._line.request(method, params, idle_s=connect_s, cap_s=connect_s)
        except BackendError as error:
            return Refused(error.code, peer.supported_in(error.raw_data))
        except BackendHttpError as error:
            return HttpRefused(error.status)
        except BackendTimeout:
            return Silence()
        except BackendExited:
            return Exited()


def modern_params(params: bytes, declared: bytes = NO_CAPABILITIES) -> bytes:
    """Params of a request of the gateway's own, which but for what it is itself about declares nothing."""
    return meta.for_modern_backend(Raw(params), {}, None, MODERN, declared, CLIENT_INFO, None)
