"""Where one call's progress and log notifications go: back to the client that made the call, in its own terms.

Spec: basic/utilities/progress; server/utilities/logging (modern: only on the request's own stream, and only
if it asked for a level).
"""

from typing import Final

from msgspec import Raw

from proxy_core.errors import ParseError
from proxy_core.gateway.exchange import Exchange
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.methods import LOG_LEVELS
from proxy_core.protocol.revisions import Era

_RANK: Final = {f'"{level}"'.encode(): rank for rank, level in enumerate(LOG_LEVELS)}


class ExchangeSink:
    __slots__ = ("_exchange", "_token", "wants_progress")

    def __init__(self, exchange: Exchange, token: Raw) -> None:
        """`token`: the JSON of the client's progress token, or empty."""
        self._exchange = exchange
        self._token = token
        self.wants_progress = not jsonrpc.is_empty(token)

    def progress(self, params: dict[str, Raw]) -> None:
        own = params | {"progressToken": self._token}
        self._exchange.outlet.notify(jsonrpc.notification("notifications/progress", jsonrpc.encode(own)))

    def log(self, params: Raw) -> None:
        if self._wants(params):
            self._exchange.outlet.notify(
                jsonrpc.notification("notifications/message", jsonrpc.one_line(bytes(params)))
            )

    def _wants(self, params: Raw) -> bool:
        caller = self._exchange.caller
        if caller.log_level is None:
            return caller.era is Era.LEGACY
        try:
            level = bytes(jsonrpc.members(params).get("level", jsonrpc.NO_JSON))
        except ParseError:
            return False
        rank = _RANK.get(level)
        return rank is not None and rank >= LOG_LEVELS.index(caller.log_level)
