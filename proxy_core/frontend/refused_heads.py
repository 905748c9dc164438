"""What the audit is told of a request that was not let in. Pure."""

from proxy_core.access.audit.refusals import Refusal
from proxy_core.errors import HttpRefusal
from proxy_core.frontend.wire import WireHead

_WITH_A_NAME = frozenset({403, 429, 503})
"""Statuses of those who have said who they are."""


def refusal_of(where: str, head: WireHead, refusal: HttpRefusal) -> Refusal:
    """Its path without the query, which may hold a secret."""
    is_known = refusal.status in _WITH_A_NAME and bool(head.values.get("authorization"))
    principal = head.principal if is_known else ""
    return Refusal(where, refusal.status, refusal.message, principal, head.peer, head.path)
