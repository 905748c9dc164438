"""A backend's progress and log notifications: to the call that they belong to, or to nobody.

Spec: basic/utilities/progress; server/utilities/logging (modern: on a call's own stream alone).
"""

from typing import Any

from msgspec import Raw

from proxy_core.backends.correlation import Correlation, Pending
from proxy_core.backends.owner import ConnectionOwner
from proxy_core.clock import Clock
from proxy_core.errors import ParseError
from proxy_core.protocol import jsonrpc


class Notices:
    def __init__(self, correlation: Correlation[Any], owner: ConnectionOwner, clock: Clock) -> None:
        self._correlation = correlation
        self._owner = owner
        self._clock = clock

    def progress(self, params: Raw) -> None:
        try:
            members = jsonrpc.members(params)
            token = jsonrpc.decode(members.get("progressToken", jsonrpc.NO_JSON))
            value = jsonrpc.decode(members.get("progress", jsonrpc.NO_JSON))
        except ParseError:
            return
        pending = self._correlation.progressed(token, value, self._clock.monotonic())
        if pending is not None and pending.sink is not None:
            _record(pending, "notifications/progress", params)
            pending.sink.progress(members)

    def log(self, params: Raw, origin: int | None) -> None:
        """`origin`: the id of our request whose own stream carried it."""
        # What a call's own stream carries is that call's or nobody's, even if another is the only one left.
        pending = self._correlation.only_one_with_sink() if origin is None else self._correlation.get(origin)
        if pending is not None and pending.sink is not None:
            _record(pending, "notifications/message", params)
            pending.sink.log(params)
            return
        try:
            data = jsonrpc.members(params).get("data", jsonrpc.NO_JSON)
        except ParseError:
            return
        self._owner.said("info", bytes(data)[:2048].decode(errors="replace"))


def _record(pending: Pending[Any], method: str, params: Raw) -> None:
    if pending.call is not None and pending.call.trace is not None:
        pending.call.trace.heard(method, params)
