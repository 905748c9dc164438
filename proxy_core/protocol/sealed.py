"""Tokens that clients keep for us and give back: sealed, so that only what we said comes back.

A token is readable but not forgeable: put no secret in it. One kind never passes for another.
"""

import base64
import hashlib
import hmac
from typing import Any, Final, TypeAlias

from proxy_core.errors import InvalidParams, Only1Error, ParseError
from proxy_core.protocol import jsonrpc

Payload: TypeAlias = dict[str, Any]

MAX_TOKEN_BYTES: Final = 64 * 1024
_FORMAT: Final = "o1"


class Sealer:
    """Seals with the first key, opens with any: keys are rotated by putting the new one in front."""

    def __init__(self, keys: list[bytes]) -> None:
        if not keys or not all(keys):
            raise ValueError("a Sealer needs keys")
        self._keys = {_key_id(key): key for key in keys}
        self._current = _key_id(keys[0])

    def seal(self, purpose: str, payload: Payload) -> str:
        """`o1.<key id>.<payload>.<mac>`. Raises: Only1Error if the payload is too large to be opened again."""
        body = jsonrpc.encode(payload)
        mac = self._mac(purpose, self._current, body)
        token = f"{_FORMAT}.{self._current}.{_to_text(body)}.{_to_text(mac)}"
        if len(token) > MAX_TOKEN_BYTES:
            raise Only1Error("The state to be kept by the client is too large.")
        return token

    def open(self, purpose: str, token: str) -> Payload:
        """What was sealed for this purpose. Raises: InvalidParams, in the same words whatever is wrong."""
        payload = self._opened(purpose, token)
        if payload is None:
            raise InvalidParams(f"Invalid or expired {purpose}.")
        return payload

    def _opened(self, purpose: str, token: str) -> Payload | None:
        if len(token) > MAX_TOKEN_BYTES or token.count(".") != 3:
            return None
        form, key_id, body_text, mac_text = token.split(".")
        body, mac = _from_text(body_text), _from_text(mac_text)
        if form != _FORMAT or key_id not in self._keys or body is None or mac is None:
            return None
        if not hmac.compare_digest(mac, self._mac(purpose, key_id, body)):
            return None
        return _payload(body)

    def _mac(self, purpose: str, key_id: str, body: bytes) -> bytes:
        # No zero byte is in a purpose or a key id, so no two triples give the same message.
        message = b"\0".join((purpose.encode(), key_id.encode(), body))
        return hmac.digest(self._keys[key_id], message, "sha256")


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"key id\0" + key).hexdigest()[:8]


def _payload(body: bytes) -> Payload | None:
    try:
        payload = jsonrpc.decode(body)
    except ParseError:
        return None
    return payload if isinstance(payload, dict) else None


def _to_text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _from_text(text: str) -> bytes | None:
    """The bytes of canonical, unpadded base64url, else None: each value has one spelling only."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    return raw if _to_text(raw) == text else None
