"""Which extensions modern clients are offered: those that a server offers and we know how to carry. Pure.

Spec: 2026-07-28 basic, "Extensions"; io.modelcontextprotocol/tasks (SEP-2663); io.modelcontextprotocol/ui.
"""

from collections.abc import Iterable
from typing import Any, Final

from msgspec import Raw

from proxy_core.backends.peer import Peer
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.capabilities import TASKS, UI

MAX_SETTINGS_BYTES: Final = 4096


def offered(peers: Iterable[Peer]) -> dict[str, Any]:
    """Extension -> settings. `peers`: in the order of the configuration; the first that has pages says how."""
    found: dict[str, Any] = {}
    for peer in peers:
        if peer.extension(TASKS) is not None:
            # How tasks are done is the gateway's own affair.
            found[TASKS] = {}
        if UI not in found and (settings := peer.extension(UI)) is not None:
            found[UI] = _bounded(settings)
    return found


def _bounded(settings: dict[str, Any]) -> Raw | dict[str, Any]:
    try:
        body = jsonrpc.encode(settings)
    except RecursionError:
        return {}
    return Raw(body) if len(body) <= MAX_SETTINGS_BYTES else {}
