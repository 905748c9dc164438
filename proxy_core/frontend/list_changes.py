"""What clients are told when a list changes: made ahead, for many are told of one change.

Spec: 2025-11-25 server/tools, "List Changed Notification"; 2026-07-28 basic/patterns/subscriptions.
"""

from typing import Final

from proxy_core.gateway.subscriptions import ALL_KINDS, ListKind
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.methods import LIST_CHANGED, SUBSCRIPTION_ID

UNTAGGED: Final = {kind: jsonrpc.notification(LIST_CHANGED[kind]) for kind in ALL_KINDS}
"""For a legacy session."""
_ID: Final = b'"id"'
_TAG: Final = jsonrpc.encode({"_meta": {SUBSCRIPTION_ID: "id"}})
_AROUND_ID: Final = {kind: jsonrpc.notification(LIST_CHANGED[kind], _TAG).split(_ID) for kind in ALL_KINDS}


def tagged(kind: ListKind, raw_id: bytes) -> bytes:
    """For a listen, whose id in JSON is `raw_id`."""
    return raw_id.join(_AROUND_ID[kind])
