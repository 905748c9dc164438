"""One spelling for equal parameters, so that equal requests are known as such. Pure.

Spec: RFC 8259, section 4: what a name that stands twice means is anyone's guess; such an object equals nothing.
"""

import json
import math
from typing import Any, Final

import msgspec
from msgspec import Raw

from proxy_core.errors import ParseError
from proxy_core.protocol import jsonrpc

_encode: Final = msgspec.json.Encoder(order="sorted").encode
_ABOUT_THE_REQUEST: Final = "_meta"
_NOT_ALONE: Final = ("inputResponses", "requestState", "task")
"""Members that tie a request to an earlier one, or its answer to one client."""


class _Ambiguous(ValueError):
    pass


def canonical_params(params: Raw) -> bytes | None:
    """The parameters without `_meta`, names sorted; None if no other request can be equal to this one."""
    try:
        members = jsonrpc.members(params)
        if any(name in members for name in _NOT_ALONE):
            return None
        value = _decode(bytes(params or b"{}").decode())
        value.pop(_ABOUT_THE_REQUEST, None)
        return _encode(value)
    except (ParseError, ValueError, RecursionError, msgspec.MsgspecError, OverflowError):
        return None


def _told_apart(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise _Ambiguous
    return value


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise _Ambiguous
    return value


def _no_json(word: str) -> Any:
    raise _Ambiguous(word)


# Made once, which takes longer than to decode most parameters.
_decode: Final = json.JSONDecoder(
    object_pairs_hook=_told_apart, parse_float=_finite, parse_constant=_no_json
).decode
