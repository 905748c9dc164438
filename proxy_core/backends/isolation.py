"""Who shares a connection to a server, and what that connection says of its clients. Pure.

Modern HTTP has no state to keep apart. A legacy server is told once, in `initialize`, what can be asked of the
client; a child process keeps whatever it likes.
Spec: 2025-11-25 basic/lifecycle, "Capability Negotiation"; 2026-07-28 basic, "Per-request protocol fields".
"""

from typing import Final, NamedTuple

from proxy_core.backends.call import ANYONE, Call
from proxy_core.backends.peer import Peer
from proxy_core.config.models import EndpointConfig
from proxy_core.protocol.capabilities import FEATURES, NONE, ClientCapabilities
from proxy_core.protocol.revisions import Era

EVERYTHING: Final = ClientCapabilities(FEATURES)
"""What the primary connection declares, which reads the lists: some servers list a tool that asks only to
clients who can be asked. Also what is said where clients that differ share a connection: what one of them lacks
is refused when it is asked."""


class Key(NamedTuple):
    """A connection beside the primary one: the calls that share it have equal keys."""

    principal: str
    session: str | None
    """The one legacy session that it serves; None: all of the principal's."""
    declared: ClientCapabilities
    """What a legacy server is told in `initialize`."""


def key_of(settings: EndpointConfig, era: Era, call: Call) -> Key | None:
    """The connection for this call to a server of this era; None for the primary one."""
    mode = settings.isolation
    if mode == "shared":
        return None
    if mode == "session" and call.session is not None:
        return Key(call.principal, call.session, _exactly(call.capabilities))
    if settings.transport.type == "stdio":
        return None if call.principal == ANYONE else Key(call.principal, None, EVERYTHING)
    if era is Era.MODERN:
        is_shared = mode == "auto" or call.principal == ANYONE
        return None if is_shared else Key(call.principal, None, NONE)
    declared = _exactly(call.capabilities)
    if call.principal == ANYONE and declared == EVERYTHING:
        return None
    return Key(call.principal, None, declared)


def _exactly(capabilities: ClientCapabilities) -> ClientCapabilities:
    """Without the extensions, which `initialize` has no place for."""
    if not capabilities.extensions:
        return capabilities
    return ClientCapabilities(capabilities.features, capabilities.announces_roots)


def declared_with_call(capabilities: ClientCapabilities, peer: Peer) -> ClientCapabilities:
    """What a modern server is told with one call: what its client declared, extensions if both know them."""
    if not capabilities.extensions:
        return capabilities
    offered = peer.capabilities.get("extensions")
    known = offered if isinstance(offered, dict) else {}
    shared = tuple(each for each in capabilities.extensions if isinstance(known.get(each[0]), dict))
    return ClientCapabilities(capabilities.features, capabilities.announces_roots, shared)
