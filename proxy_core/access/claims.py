"""What the claims of a token come to: who asks, what for, until when, or why it is refused. Pure.

Claims are an authorization server's, and signed by it: they are checked and never shown.
Spec: 2026-07-28 basic/authorization, "Token Handling"; RFC 7519, section 4.1; RFC 9068, sections 2.2 and 4.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import quote, urlsplit

from msgspec import Struct

from proxy_core.config.auth import GrantConfig, IssuerConfig
from proxy_core.config.models import AuthConfig

Claims: TypeAlias = Mapping[str, Any]
MAX_NAME_CHARS: Final = 255
"""Of a subject or a client id (OpenID Connect Core, section 2)."""
EVERYTHING: Final = ""
"""No profile."""
_NAMESPACE: Final = "jwt:"
_CLIENT: Final = ("client_id", "azp", "cid", "appid")
"""RFC 9068 has the first; the others are what common servers say."""


class TokenRefused(Exception):
    """It lets nobody in. Its words are for our log: who sent it is told no reason."""


class ScopeMissing(Exception):
    """It is good, and not good enough."""

    def __init__(self, scopes: tuple[str, ...]) -> None:
        super().__init__(scopes)
        self.scopes = scopes
        """All that are needed."""


class Access(Struct, frozen=True):
    """What a token gives."""

    principal: str
    profiles: tuple[str, ...]
    """Under which its bearer may be served, the one of the plain URL first."""


class IssuerRules(Struct, frozen=True):
    """How tokens of one issuer are judged."""

    settings: IssuerConfig
    resource: str
    """Canonical."""
    scopes: tuple[str, ...]
    leeway_s: float

    @classmethod
    def of(cls, auth: AuthConfig, issuer: IssuerConfig) -> "IssuerRules":
        return cls(issuer, canonical(auth.resource or ""), auth.scopes, auth.leeway_s)

    def good_until(self, claims: Claims, now: float) -> float:
        """Wall seconds, leeway included. Raises: TokenRefused if not for us, over, or not begun."""
        if claims.get("iss") != self.settings.issuer:
            raise TokenRefused("its iss is another")
        if not self._is_for_us(claims.get("aud")):
            raise TokenRefused("its aud is not auth.resource")
        until = _instant(claims, "exp")
        if until is None:
            raise TokenRefused("it has no exp")
        if until + self.leeway_s <= now:
            raise TokenRefused("it has expired")
        for name in ("nbf", "iat"):
            since = _instant(claims, name)
            if since is not None and since - self.leeway_s > now:
                raise TokenRefused(f"its {name} is in the future")
        return until + self.leeway_s

    def access(self, claims: Claims) -> Access:
        """What it gives. Raises: TokenRefused, ScopeMissing."""
        principal = self._principal(claims)
        if any(_has(claims, entry) for entry in self.settings.deny):
            raise TokenRefused("an entry of `deny` fits it")
        given = scopes_in(claims)
        if not given.issuperset(self.scopes):
            raise ScopeMissing(self.scopes)
        fitting = [grant for grant in self._grants_for(claims) if given.issuperset(grant.scopes)]
        if not fitting:
            raise self._ungranted(claims)
        return Access(principal, tuple(dict.fromkeys(grant.profile or EVERYTHING for grant in fitting)))

    def scopes_for(self, claims: Claims, profile: str) -> tuple[str, ...]:
        """All that this bearer's token needs for a profile; empty if no scope would help."""
        wanted = next((each for each in self._grants_for(claims) if each.profile == profile), None)
        return () if wanted is None else _joined(self.scopes, wanted.scopes)

    def _grants_for(self, claims: Claims) -> Iterator[GrantConfig]:
        """Those for which only scopes can be missing."""
        return (grant for grant in self.settings.grants if _has(claims, grant.claims))

    def _ungranted(self, claims: Claims) -> Exception:
        nearest = next(self._grants_for(claims), None)
        if nearest is None:
            return TokenRefused("no grant fits its claims")
        return ScopeMissing(_joined(self.scopes, nearest.scopes))

    def _is_for_us(self, audience: Any) -> bool:
        named = audience if isinstance(audience, list) else [audience]
        return any(isinstance(each, str) and canonical(each) == self.resource for each in named)

    def _principal(self, claims: Claims) -> str:
        subject = _name(claims, "sub")
        if not subject:
            raise TokenRefused("it has no sub")
        client = next((name for name in (_name(claims, each) for each in _CLIENT) if name), "")
        # Quoted, so that no two triples come to the same text, and none holds what a screen would obey.
        return f"{_NAMESPACE}{_quoted(subject)}/{_quoted(client)}@{self.settings.issuer}"


def canonical(uri: str) -> str:
    """As two URIs are compared: scheme and host in lower case, without a slash at the end.

    Of what is no URI, the text itself.
    """
    try:
        parts = urlsplit(uri)
        parts.port  # noqa: B018 (raises if it is none)
    except ValueError:
        return uri
    if not (parts.scheme and parts.netloc):
        return uri
    path_on = uri.partition("://")[2][len(parts.netloc) :]
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{path_on.removesuffix('/')}"


def scopes_in(claims: Claims) -> frozenset[str]:
    """RFC 9068 says `scope`, words in one text; others say `scp`, or have a list."""
    found = claims.get("scope", claims.get("scp"))
    if isinstance(found, str):
        return frozenset(found.split(" ")) - {""}
    listed = found if isinstance(found, list) else []
    return frozenset(each for each in listed if isinstance(each, str))


def _joined(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))


def _has(claims: Claims, wanted: Mapping[str, Any]) -> bool:
    return all(_says(claims.get(name), value) for name, value in wanted.items())


def _says(found: Any, value: Any) -> bool:
    # `true` and 1 are equal to Python, and not to whoever wrote the claim.
    one_of = found if isinstance(found, list) else [found]
    return any(type(each) is type(value) and each == value for each in one_of)


def _name(claims: Claims, claim: str) -> str:
    found = claims.get(claim, "")
    if not isinstance(found, str) or len(found) > MAX_NAME_CHARS:
        raise TokenRefused(f"its {claim} is no text, or a long one")
    return found


def _quoted(name: str) -> str:
    return quote(name, safe="", errors="replace")


def _instant(claims: Claims, claim: str) -> float | None:
    """NumericDate (RFC 7519, section 2): a number, and no other."""
    found = claims.get(claim)
    if found is None and claim not in claims:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or not abs(found) < 1e15:
        raise TokenRefused(f"its {claim} is no time")
    return float(found)
