"""A JWT as it comes: three parts, of which nothing is believed yet. Pure.

Spec: RFC 7515, sections 3.1, 4.1 and 5.2; RFC 7519, section 7.2; RFC 8725, section 3.11 (typ).
"""

import binascii
import re
from base64 import urlsafe_b64decode
from typing import Any, Final

import orjson
from msgspec import Struct

MAX_CHARS: Final = 8192
"""Of a whole token; no line of a request's head is longer."""
MAX_KID_CHARS: Final = 256
_PARTS: Final = re.compile(r"([A-Za-z0-9_-]{1,4096})\.([A-Za-z0-9_-]{1,8192})\.([A-Za-z0-9_-]{1,2048})")
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt", "application/jwt"})


class NoToken(ValueError):
    """It is not in the form of a signed JWT that may be an access token."""


class CompactToken(Struct, frozen=True):
    algorithm: str
    kid: str | None
    claims: dict[str, Any]
    signed: bytes
    signature: bytes


def parsed(text: str) -> CompactToken:
    """Raises: NoToken."""
    parts = _PARTS.fullmatch(text) if len(text) <= MAX_CHARS else None
    if parts is None:
        raise NoToken("it has not the form of a signed JWT")
    header, claims = _object(parts[1]), _object(parts[2])
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or not isinstance(kid, str | None) or len(kid or "") > MAX_KID_CHARS:
        raise NoToken("its alg or kid is none")
    if "crit" in header or "b64" in header:
        # Nothing is known here that a token may insist on.
        raise NoToken("its header has crit or b64")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise NoToken("its typ is that of something else than an access token")
    return CompactToken(algorithm, kid, claims, f"{parts[1]}.{parts[2]}".encode(), _decoded(parts[3]))


def _object(part: str) -> dict[str, Any]:
    try:
        found = orjson.loads(_decoded(part))
    except orjson.JSONDecodeError as error:
        raise NoToken("a part of it is no JSON") from error
    if not isinstance(found, dict):
        raise NoToken("a part of it is no JSON object")
    return found


def _decoded(part: str) -> bytes:
    try:
        return urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error as error:
        raise NoToken("a part of it is no base64") from error
