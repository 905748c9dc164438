"""From a JWT to whoever bears it: decided by what is here already, or by keys that are waited for.

A token that was good is known again by its SHA-256, until it expires, its key goes or the rules change. What
was admitted or opened by it holds the same `JwtCredential`, and so sees that too.
Spec: 2026-07-28 basic/authorization, "Token Handling"; RFC 9068, section 4.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from proxy_core.access.claims import EVERYTHING, Access, IssuerRules, ScopeMissing, TokenRefused
from proxy_core.access.compact import CompactToken, NoToken, parsed
from proxy_core.clock import Clock
from proxy_core.config.models import AuthConfig
from proxy_core.errors import HttpRefusal
from proxy_core.frontend.challenges import Challenges
from proxy_core.frontend.keys_wanted import KeysWanted

if TYPE_CHECKING:
    from proxy_core.access.signatures import Thumbprint
    from proxy_core.frontend.jwks import IssuerKeys

MAX_KNOWN: Final = 1024
"""Tokens that were good, the one used longest ago goes first."""
log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False, weakref_slot=True)
class JwtCredential:
    """A token that was verified. `JwtTokens` alone changes it."""

    access: Access
    claims: dict[str, Any]
    issuer: str
    algorithm: str
    key: "Thumbprint"
    good_until: float
    """Wall seconds; 0 once it was taken back."""
    _now: Callable[[], float]
    _lacks: Callable[["JwtCredential", str], HttpRefusal]

    def is_good(self) -> bool:
        return self.good_until > self._now()

    def profile_for(self, named: str) -> str:
        """The profile to serve it under, where the URL names this one. Raises: HttpRefusal 403."""
        profiles = self.access.profiles
        if not named:
            return profiles[0]
        if named in profiles or EVERYTHING in profiles:
            return named
        raise self._lacks(self, named)


class JwtTokens:
    """Outlives changes of the configuration, so that keys and tokens that stay good are not asked for again."""

    def __init__(self, auth: AuthConfig, clock: Clock, on_lost: Callable[[Collection[str]], None]) -> None:
        """`on_lost` is told of principals whose tokens stopped to be good before their time."""
        self._auth = auth
        self._clock = clock
        self._on_lost = on_lost
        self._challenges = Challenges(auth)
        self._rules: dict[str, IssuerRules] = {}
        self._keys: dict[str, IssuerKeys] = {}
        self._left: list[IssuerKeys] = []
        """Of issuers that are gone, and may still be fetching."""
        self._known: OrderedDict[bytes, JwtCredential] = OrderedDict()
        self._live: WeakSet[JwtCredential] = WeakSet()
        """Also those that are known no more, and still have something open."""
        self._set_rules(auth)

    def _set_rules(self, auth: AuthConfig) -> None:
        self._auth = auth
        self._challenges = Challenges(auth)
        self._rules = {each.issuer: IssuerRules.of(auth, each) for each in auth.issuers}
        for name, rules in self._rules.items():
            old = self._keys.get(name)
            if old is not None and old.settings.jwks_url == rules.settings.jwks_url:
                old.settings = rules.settings
                continue
            if old is not None:
                self._left.append(old)
            # Here, since most gateways have no issuer, and what fetches keys brings a parser of URLs.
            from proxy_core.frontend.jwks import IssuerKeys

            self._keys[name] = IssuerKeys(rules.settings, self._clock, self._keys_changed)
        for name in self._keys.keys() - self._rules.keys():
            self._left.append(self._keys.pop(name))

    # --- a request --------------------------------------------------------------------------------------------

    def identify(self, token: str, digest: bytes) -> JwtCredential:
        """`digest`: SHA-256 of the token. Raises: HttpRefusal 401, 403 or 503; KeysWanted."""
        known = self._known.get(digest)
        if known is not None and known.is_good():
            self._known.move_to_end(digest)
            return known
        try:
            credential = self._verified(parsed(token))
        except (NoToken, TokenRefused) as error:
            log.debug("a token was refused: %s", error)
            raise self._challenges.invalid() from error
        except ScopeMissing as error:
            raise self._challenges.insufficient(error.scopes) from error
        self._known[digest] = credential
        self._live.add(credential)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return credential

    def _verified(self, token: CompactToken) -> JwtCredential:
        """Raises: TokenRefused, ScopeMissing, HttpRefusal."""
        issuer = token.claims.get("iss")
        rules = self._rules.get(issuer) if isinstance(issuer, str) else None
        if rules is None or token.algorithm not in rules.settings.algorithms:
            raise TokenRefused("its issuer is none of ours, or its alg none of the issuer's")
        # Before its signature, so that no keys are asked for, and no sums done, for what is over or another's.
        good_until = rules.good_until(token.claims, self._clock.wall())
        keys = self._keys[rules.settings.issuer]
        candidates = keys.keys.candidates(token) if keys.keys is not None else ()
        if not candidates:
            raise self._without_key(keys)
        key = next((each for each in candidates if each.made(token)), None)
        if key is None:
            raise TokenRefused("its signature is wrong")
        return JwtCredential(
            rules.access(token.claims),
            token.claims,
            rules.settings.issuer,
            token.algorithm,
            key.thumbprint,
            good_until,
            self._clock.wall,
            self._lacks,
        )

    def _without_key(self, keys: "IssuerKeys") -> Exception:
        if keys.keys is not None:
            refusal = self._challenges.invalid()
        else:
            words = "The keys that the token was signed with cannot be had at present."
            refusal = HttpRefusal(503, words, {"Retry-After": "10"})
        return KeysWanted(refusal, keys) if keys.may_come else refusal

    def _lacks(self, credential: JwtCredential, profile: str) -> HttpRefusal:
        rules = self._rules.get(credential.issuer)
        scopes = () if rules is None else rules.scopes_for(credential.claims, profile)
        if scopes:
            return self._challenges.insufficient(scopes)
        return HttpRefusal(403, "This token is not for the profile that the URL names.")

    # --- what changes -----------------------------------------------------------------------------------------

    def use(self, auth: AuthConfig) -> frozenset[str]:
        """Judge by these rules from now on; who had a token that is good no more, or gives something else now.

        Looks at the keys anew: one who reloads because a key was taken back need not wait.
        """
        if auth != self._auth:
            self._set_rules(auth)
        lost = self._drop([each for each in self._live if each.good_until and not self._stays(each)])
        self.refresh()
        return lost

    def refresh(self) -> None:
        """Look at all keys anew. Needs a running loop."""
        for keys in self._keys.values():
            keys.refresh(is_asked_for=True)

    def _stays(self, credential: JwtCredential) -> bool:
        """Whether it gives by the present rules what it gave before; how long it does may be different."""
        rules, keys = self._rules.get(credential.issuer), self._keys.get(credential.issuer)
        if rules is None or keys is None or keys.keys is None:
            return False
        try:
            credential.good_until = rules.good_until(credential.claims, self._clock.wall())
            is_alike = rules.access(credential.claims) == credential.access
        except (TokenRefused, ScopeMissing):
            return False
        is_signed = credential.algorithm in rules.settings.algorithms
        return is_alike and is_signed and credential.key in keys.keys.thumbprints

    def _keys_changed(self, changed: "IssuerKeys") -> None:
        if self._keys.get(changed.settings.issuer) is not changed:
            return
        counting = changed.keys.thumbprints if changed.keys is not None else frozenset()
        of_it = [each for each in self._live if each.issuer == changed.settings.issuer and each.good_until]
        lost = self._drop([each for each in of_it if each.key not in counting])
        if lost:
            self._on_lost(lost)

    def _drop(self, dropped: Collection[JwtCredential]) -> frozenset[str]:
        now = self._clock.wall()
        lost = frozenset(each.access.principal for each in dropped if each.good_until > now)
        for each in dropped:
            each.good_until = 0.0
            self._live.discard(each)
        return lost

    def sweep(self) -> None:
        """To be called now and then."""
        now = self._clock.wall()
        for digest in [digest for digest, each in self._known.items() if each.good_until <= now]:
            del self._known[digest]
        used = {each.issuer for each in self._live if each.good_until > now}
        for name, keys in self._keys.items():
            keys.sweep(is_used=name in used)

    async def aclose(self) -> None:
        for keys in (*self._keys.values(), *self._left):
            await keys.aclose()
