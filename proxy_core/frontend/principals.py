"""Who asks: from a request's bearer token to a principal, decided by its head alone.

Tokens of the configuration are known by their SHA-256 only: they are random and long, so a plain digest hides
them well. What is none of them may be a JWT, which is for `JwtTokens` to judge.
Spec: RFC 6750, sections 2.1 and 3; 2026-07-28 basic/authorization, "Access Token Usage".
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from proxy_core.access.policy import principal_of
from proxy_core.backends.call import ANYONE
from proxy_core.config.models import TokenConfig
from proxy_core.errors import HttpRefusal
from proxy_core.frontend.challenges import Challenges
from proxy_core.frontend.wire import WireHead

if TYPE_CHECKING:
    from proxy_core.frontend.jwt_tokens import JwtTokens

AUTHORIZATION: Final = "authorization"
_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)
_OTHER_SCHEME: Final = re.compile(r"(?!bearer\b)[!#$%&'*+.^_`|~0-9A-Za-z-]+( .*)?", re.IGNORECASE)


class Principals:
    def __init__(
        self,
        tokens: Iterable[TokenConfig],
        *,
        is_open: bool,
        jwts: "JwtTokens | None" = None,
        challenges: Challenges | None = None,
    ) -> None:
        """`is_open`: where there are no tokens and no issuers, everyone is let in, and is one principal."""
        tokens = tuple(tokens)
        self._of_profile = frozenset(principal_of(token) for token in tokens if token.profile is not None)
        self._onlookers = frozenset(principal_of(token) for token in tokens if token.admin != "none")
        self._steerers = frozenset(principal_of(token) for token in tokens if token.admin == "steer")
        self._digests = {principal_of(token): bytes.fromhex(token.sha256) for token in tokens}
        self._jwts = jwts
        self._challenges = challenges or Challenges()
        self._lets_anyone_in = is_open and not self._digests and jwts is None

    def identify(self, head: WireHead) -> str:
        """The principal; the credential of a JWT is left in the head.

        Raises: HttpRefusal 401, or 400 for a header that is not as RFC 6750 says; what `JwtTokens` raises.
        """
        if self._lets_anyone_in:
            return ANYONE
        given = head.values.get(AUTHORIZATION, "").strip(" \t")
        if not given or _OTHER_SCHEME.fullmatch(given):
            raise self._challenges.missing()
        bearer = _BEARER.fullmatch(given)
        if bearer is None:
            raise self._challenges.malformed()
        digest = hashlib.sha256(bearer[1].encode()).digest()
        principal = self._principal_of(digest)
        if principal is not None:
            return principal
        if self._jwts is None:
            raise self._challenges.invalid()
        credential = self._jwts.identify(bearer[1], digest)
        head.credential = credential
        return credential.access.principal

    def identify_operator(self, head: WireHead) -> str:
        """For what shows or steers everything. Raises: HttpRefusal, 403 for a token that is not for that."""
        principal = self.identify(head)
        if principal in self._of_profile:
            raise HttpRefusal(403, "This token is for one profile alone; this is about the whole gateway.")
        if principal != ANYONE and principal not in self._onlookers:
            raise HttpRefusal(403, "This token may not look at the whole gateway; its `admin` is none.")
        return principal

    def may_steer(self, principal: str) -> bool:
        """Whether an operator may do more than look."""
        return principal in self._steerers - self._of_profile

    def lost(self, now: "Principals") -> frozenset[str]:
        """Who could get in by these and cannot by `now`, at least not with the same token."""
        lost = {name for name, digest in self._digests.items() if now._digests.get(name) != digest}
        if self._lets_anyone_in and not now._lets_anyone_in:
            lost.add(ANYONE)
        return frozenset(lost)

    def lost_operators(self, now: "Principals") -> frozenset[str]:
        """Who could look at everything by these and cannot by `now`, at least not with the same token."""
        kept = now._onlookers - now._of_profile
        return self.lost(now) | {name for name in self._digests if name in self._onlookers - kept}

    def _principal_of(self, digest: bytes) -> str | None:
        found = None
        # Every one is compared, each in the same time, so that time tells nothing of which or how nearly.
        for principal, known in self._digests.items():
            if hmac.compare_digest(digest, known):
                found = principal
        return found
