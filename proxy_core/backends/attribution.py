"""Which call a legacy backend's own request belongs to. Pure.

A request may reach only the client whose call caused it: what cannot be told apart is refused.
Spec: 2025-11-25 basic/transports, "Sending Messages to the Server" (a request on a call's own stream is that
call's); basic/utilities/tasks, "Associating Task-Related Messages"; otherwise stdio and the standalone stream
say nothing of what caused a request.
"""

from collections.abc import Iterable
from enum import Enum, auto
from typing import Any, TypeAlias

from proxy_core.backends.correlation import Pending, without_parked
from proxy_core.backends.upward import CallSink
from proxy_core.protocol.jsonrpc import Request
from proxy_core.protocol.tasks import related_task

Asked: TypeAlias = Pending[Any]


class Unattributed(Enum):
    """Why a request belongs to no call."""

    NO_CALL = auto()
    """No call that could have caused it is in flight."""
    UNDECLARED = auto()
    """It is the one client's, which cannot be asked this by any of its calls."""
    AMBIGUOUS = auto()
    """Several clients' calls are in flight."""


def attribute(
    request: Request, origin: int | None, in_flight: Iterable[Asked]
) -> tuple[Asked, CallSink] | Unattributed:
    """The call, and who asks its client. `in_flight`: the oldest first.

    `origin`: the id of our request whose own stream carried it, None on a stream that all share.
    """
    calls = [(each, each.sink) for each in in_flight if each.sink is not None]
    task = related_task(request.params)
    if task is not None and (of_task := next((call for call in calls if call[0].task == task), None)):
        return of_task
    if origin is not None:
        return next((call for call in calls if call[0].id == origin), Unattributed.NO_CALL)
    may_have = without_parked([each for each, _ in calls])
    running = [call for call in calls if call[0] in may_have]
    if len(running) < 2:
        return running[0] if running else Unattributed.NO_CALL
    client = running[0][1].client
    if any(sink.client != client for _, sink in running):
        return Unattributed.AMBIGUOUS
    able = (call for call in running if call[1].may_ask(request.method, request.params))
    return next(able, Unattributed.UNDECLARED)
