"""What a modern client brings back with its answers: sealed, and good for that very request alone.

A state is bound to backend, method, target, arguments and principal, and to its kind. Whatever differs is
refused in the same words, so that a state tells nobody what it is good for.
Spec: 2026-07-28 basic/patterns/mrtr, "Server Requirements".
"""

import hashlib
import secrets
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

import msgspec

from proxy_core.clock import Clock
from proxy_core.errors import InvalidParams, InvalidRequestState, ParseError
from proxy_core.gateway.exchange import Exchange
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.sealed import Sealer

PURPOSE: Final = "state"


class StateKind(StrEnum):
    PARK = "park"
    """The call goes on at a legacy backend; the state names it."""
    WRAP = "wrap"
    """A modern backend's own state, to be handed back to it."""
    RETRY = "retry"
    """The call was refused until a page has been visited; it is to be made again."""


TTL_S: Final = {StateKind.PARK: 600.0, StateKind.WRAP: 1800.0, StateKind.RETRY: 1800.0}
_canonical = msgspec.json.Encoder(order="sorted").encode


class States:
    def __init__(self, sealer: Callable[[], Sealer], clock: Clock) -> None:
        self._sealer = sealer
        self._clock = clock
        self._node = secrets.token_hex(8)
        """This process: a parked call lives in no other."""

    def seal(self, kind: StateKind, exchange: Exchange, kept: str, replica: str = "") -> str:
        """The state for a retry of `exchange`, which goes back to `replica`.

        Raises: Only1Error if `kept` is too large.
        """
        nonce = secrets.token_hex(8)
        # Wall time: another process, or this one after a restart, may have to judge it.
        expires_at = int(self._clock.wall() + TTL_S[kind])
        payload = {"t": kind, "k": kept, "r": replica, "x": nonce, "e": expires_at, "o": self._node}
        return self._sealer().seal(PURPOSE, payload | _binding(exchange, nonce))

    def open(self, exchange: Exchange, token: Any) -> tuple[StateKind, str, str]:
        """What was kept for this request, and the replica that it goes back to. Raises: InvalidRequestState."""
        try:
            payload = self._sealer().open(PURPOSE, token if isinstance(token, str) else "")
            kind = StateKind(payload["t"])
            bound = _binding(exchange, payload["x"])
            is_ours = all(payload[key] == value for key, value in bound.items())
            is_here = kind is not StateKind.PARK or payload["o"] == self._node
            if is_ours and is_here and self._clock.wall() < payload["e"]:
                return kind, payload["k"], payload["r"]
        except (InvalidParams, ParseError, KeyError, ValueError):
            pass
        raise InvalidRequestState


def _binding(exchange: Exchange, nonce: str) -> dict[str, str | None]:
    return {
        "b": exchange.backend,
        "m": exchange.method,
        "n": exchange.target,
        "a": _digest(nonce, _canonical(_arguments(exchange))),
        # A token can be read by whoever holds it, so it names nobody.
        "p": _digest(nonce, exchange.caller.principal.encode()),
    }


def _arguments(exchange: Exchange) -> Any:
    """As values: a client may write the same arguments in another order."""
    arguments = jsonrpc.decode(jsonrpc.members(exchange.params).get("arguments", jsonrpc.NO_JSON))
    return {} if arguments is None else arguments


def _digest(nonce: str, value: bytes) -> str:
    return hashlib.sha256(nonce.encode() + b"\0" + value).hexdigest()
