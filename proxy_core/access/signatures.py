"""Keys of an issuer, and whether one of them made a signature; the cryptography is joserfc's.

The only module that imports it, and itself imported when the first keys are there: that takes a while.
Spec: RFC 7515, sections 4.1 and 5.2; RFC 7517, section 5; RFC 8725, sections 3.1 to 3.5.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key
from joserfc.jws import JWSRegistry

from proxy_core.access.compact import CompactToken

MAX_KEYS: Final = 64
"""Of one set; what follows is not looked at."""
MAX_KEY_CHARS: Final = 2048
"""Of one number of a key: RSA of 8192 bits has 1366."""
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192
MAX_EXPONENT_BITS: Final = 33
"""A larger one makes each signature as dear as whoever chose it likes."""
_PUBLIC: Final[dict[str, tuple[str, ...]]] = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
"""Kind of key -> the members that make the public one. No other member is read, private ones least of all."""
_KINDS: Final[dict[str, str]] = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
_CURVES: Final[dict[str, str]] = {
    "ES256": "P-256",
    "ES384": "P-384",
    "ES512": "P-521",
    "EdDSA": "Ed25519",
    "Ed25519": "Ed25519",
}
Thumbprint: TypeAlias = str
"""Of a public key alone (RFC 7638)."""


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    kid: str | None
    thumbprint: Thumbprint
    _key: Key
    _kind: str
    _curve: str
    _only: str | None
    """The one algorithm that it is for, if its issuer says so."""

    def fits(self, algorithm: str) -> bool:
        """Whether it may be asked about a signature of this algorithm: never one of another kind of key."""
        if self._kind != _KINDS[algorithm[:2]] or self._curve != _CURVES.get(algorithm, ""):
            return False
        return self._only in (None, algorithm) or {self._only, algorithm} == {"EdDSA", "Ed25519"}

    def made(self, token: CompactToken) -> bool:
        """Whether this key signed it; the token's algorithm must fit."""
        # RFC 9864 gave the one signature of Ed25519 keys a name of its own.
        name = "Ed25519" if token.algorithm == "EdDSA" else token.algorithm
        algorithm = JWSRegistry.algorithms[name]
        try:
            algorithm.check_key(self._key)
            return algorithm.verify(token.signed, token.signature, self._key)
        except (JoseError, ValueError):
            return False


@dataclass(frozen=True, slots=True)
class KeySet:
    keys: tuple[VerifyingKey, ...] = ()

    @property
    def thumbprints(self) -> frozenset[Thumbprint]:
        return frozenset(key.thumbprint for key in self.keys)

    def candidates(self, token: CompactToken) -> tuple[VerifyingKey, ...]:
        """The keys that may have signed it: those it names; if it names none, the only one that fits."""
        fitting = tuple(key for key in self.keys if key.fits(token.algorithm))
        if token.kid is not None:
            return tuple(key for key in fitting if key.kid == token.kid)
        return fitting if len(fitting) == 1 else ()


def keys_in(document: Any) -> KeySet:
    """The usable keys of a JWK set; others are left out (RFC 7517, section 5). Raises: ValueError."""
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("it is no JWK set")
    found = (_key_of(each) for each in listed[:MAX_KEYS] if isinstance(each, dict))
    return KeySet(tuple(key for key in found if key is not None))


def _key_of(jwk: Mapping[str, Any]) -> VerifyingKey | None:
    kind, kid, only = jwk.get("kty"), jwk.get("kid"), jwk.get("alg")
    if not isinstance(kind, str) or kind not in _PUBLIC or not _is_for_signatures(jwk):
        return None
    if not (isinstance(kid, str | None) and isinstance(only, str | None)):
        return None
    found = {name: jwk.get(name) for name in _PUBLIC[kind]}
    members = {name: value for name, value in found.items() if isinstance(value, str)}
    if len(members) < len(found) or max(map(len, members.values())) > MAX_KEY_CHARS:
        return None
    try:
        with warnings.catch_warnings():
            # Of keys that are too short: they are left out, which says more.
            warnings.simplefilter("ignore")
            key = JWKRegistry.import_key({"kty": kind, **members})
            thumbprint = key.thumbprint()
    except (JoseError, ValueError, KeyError):
        return None
    if kind == "RSA" and not _has_good_size(key.raw_value):
        return None
    return VerifyingKey(kid, thumbprint, key, kind, members.get("crv", ""), only)


def _is_for_signatures(jwk: Mapping[str, Any]) -> bool:
    operations = jwk.get("key_ops")
    return jwk.get("use", "sig") == "sig" and (
        operations is None or (isinstance(operations, list) and "verify" in operations)
    )


def _has_good_size(key: Any) -> bool:
    bits, exponent_bits = int(key.key_size), int(key.public_numbers().e.bit_length())
    return MIN_RSA_BITS <= bits <= MAX_RSA_BITS and exponent_bits <= MAX_EXPONENT_BITS
