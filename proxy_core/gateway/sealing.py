"""The sealer in force: made from `proxy.seal_keys`, else from a random key as long as this process lives.

Cursors, request states and task ids are sealed by one sealer; their purposes keep them apart.
"""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from proxy_core.protocol.sealed import Sealer

KEY_BYTES: Final = 32
_SALT: Final = b"only1mcp seal key"
"""The same everywhere: gateways that share a key open each other's tokens."""
_SCRYPT_N: Final = 1 << 14
_SCRYPT_R: Final = 8


class Sealing:
    def __init__(self, keys: Callable[[], Sequence[str]]) -> None:
        """`keys`: those in force, the one that seals first; read at each use, so that a reload rotates them."""
        self._keys = keys
        self._random = secrets.token_bytes(KEY_BYTES)
        self._used: Sequence[str] = ()
        self._sealer = Sealer([self._random])

    def __call__(self) -> Sealer:
        keys = self._keys()
        if keys is not self._used and keys != self._used:
            self._sealer = Sealer([derived(key) for key in keys] or [self._random])
        self._used = keys
        return self._sealer


@lru_cache(maxsize=16)
def derived(key: str) -> bytes:
    """The bytes that seal, from a text that a person may have thought up.

    Whoever holds a token can try keys against its seal for as long as he likes, so each try is made slow
    (RFC 7914); about 50 ms, once for each key and process.
    """
    return hashlib.scrypt(key.encode(), salt=_SALT, n=_SCRYPT_N, r=_SCRYPT_R, p=1, dklen=KEY_BYTES)
