"""The login at one URL: its token of now, renewed in time, and what a person is needed for.

One for all connections to that URL, so that a token is renewed once for all. Sole writer of its state.
Spec: 2026-07-28 basic/authorization, "Scope Challenge Handling", "Token Refresh"; RFC 6750, section 3.1.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from proxy_core.backends.credentials import LoginNeeded
from proxy_core.clock import Clock
from proxy_core.config.models import HttpTransport, SseTransport
from proxy_core.control import LoggedOut
from proxy_core.errors import BackendAuthRequired, BackendFault, BackendUnavailable, LoginFailed
from proxy_core.oauth.attempts import ATTEMPT_S, Attempt, check_page, is_loopback_redirect
from proxy_core.oauth.challenges import Challenge, challenge_of
from proxy_core.oauth.discovery import NotFound
from proxy_core.oauth.fetching import FetchFailed
from proxy_core.oauth.in_time import InTime
from proxy_core.oauth.kept import LoginStore, VaultFailed
from proxy_core.oauth.revoking import why_not_revoked
from proxy_core.oauth.step_ups import StepUps
from proxy_core.oauth.tokens import TokenRefused, Tokens, requested
from proxy_core.oauth.ways import Way
from proxy_core.tasks import Tasks

MAX_ATTEMPTS: Final = 4
"""That are under way at once; the oldest is given up."""
DOUBT_S: Final = 10.0
"""A token that was got as the one before was refused, and is refused so soon too, is not what is wrong."""
MAX_LACKED: Final = 256
log = logging.getLogger(__name__)


class Login:
    """Of one server and URL (`backends.credentials.Credentials`)."""

    attempt_s: Final = ATTEMPT_S
    """How long a person may take."""

    def __init__(
        self,
        server: str,
        transport: HttpTransport | SseTransport,
        store: LoginStore,
        clock: Clock,
        on_change: Callable[[], None],
    ) -> None:
        """`on_change` hears when a login is needed, or not any more."""
        self.server = server
        self.transport = transport
        self._config = transport.auth
        self._store = store
        self._clock = clock
        self._on_change = on_change
        self._tasks = Tasks(f"login:{server}")
        self._way = Way(server, transport, store, clock)
        self.line = b""
        self.needed = ""
        """What a person has to log in for, in words; empty: for nothing."""
        self._ended = ""
        """What became of the login that there was, in words."""
        self._tokens: Tokens | None = None
        self._challenge = Challenge()
        self._wanted: frozenset[str] = frozenset()
        """Scopes that the server missed."""
        self._lacked: frozenset[str] = frozenset()
        """Those that tokens which the gateway got by itself were refused for."""
        self._step_ups = StepUps()
        self._attempts: dict[str, Attempt] = {}
        self._renewing: asyncio.Task[BackendFault | None] | None = None
        self._in_time = InTime(server, self._tasks, clock, lambda: self._once(self._before_its_end()))
        self._doubted_at = float("-inf")
        """When the last token was got because one was refused; long ago, once one was taken."""

    # --- what connections ask -------------------------------------------------------------------------------

    async def refused(self, status: int, challenge: str, sent: bytes) -> None:
        """As `Credentials.refused`; several who are refused at once have it looked into once."""
        if sent != self.line:
            return
        fault = await self._once(self._looked_into(status, challenge_of(challenge), bool(challenge)))
        if fault is not None:
            raise fault

    def accepted(self) -> None:
        """As `Credentials.accepted`."""
        self._doubted_at = float("-inf")

    async def _once(self, deed: Coroutine[Any, Any, BackendFault | None]) -> BackendFault | None:
        if self._renewing is not None and not self._renewing.done():
            deed.close()
        else:
            self._renewing = self._tasks.start(deed, "renew")
        renewing = self._renewing
        try:
            # Who gives up waiting does not end it for the others.
            return await asyncio.shield(renewing)
        except asyncio.CancelledError:
            if not renewing.cancelled():
                raise
            # It was given up itself, with the configuration that it belonged to.
            return BackendUnavailable(self.server, "The server's login is not renewed any more.")

    async def _looked_into(self, status: int, challenge: Challenge, is_said: bool) -> BackendFault | None:
        if status == 403:
            return await self._missing_scopes(challenge)
        self._challenge = challenge
        if self._config.type == "auto" and is_said and not challenge.is_bearer:
            return BackendAuthRequired(
                self.server,
                "The server asks for credentials.",
                "it answered 401 and wants no token: check the headers in its config",
            )
        return await self._renewed()

    async def _adopt(self) -> bool:
        """Use what an earlier run kept, or what another gateway with the same login has got meanwhile.

        Whether there is another token to ask with. Only once one is refused: who needs no login asks no
        keyring.
        """
        try:
            kept = await self._store.tokens(self.transport.url)
        except VaultFailed as error:
            self._ended = error.message.rstrip(".")
            return False
        if kept is None or not self._is_ours(kept) or not self._is_newer(kept):
            return False
        self._tokens = kept
        if kept.expires_at is not None and kept.expires_at <= self._clock.wall():
            return False
        self._use(kept)
        return True

    def _is_newer(self, kept: Tokens) -> bool:
        known = self._tokens
        return known is None or (kept.granted_at >= known.granted_at and kept != known)

    def _is_ours(self, tokens: Tokens) -> bool:
        """Whether the configuration still means this issuer and this client."""
        config = self._config
        own = config.client_id
        return config.issuer in (None, tokens.issuer) and own in (None, tokens.client.client_id)

    async def _renewed(self) -> BackendFault | None:
        """Another token without a person, or why there is none."""
        is_own = self._config.grant == "client_credentials"
        if not is_own and await self._adopt():
            return None
        now, tokens = self._clock.monotonic(), self._tokens
        if now - self._doubted_at < DOUBT_S:
            self._drop()
            return self._needs("it refuses the login that it was just given")
        if is_own:
            fault = await self._granted()
        elif tokens is not None and tokens.refresh_token is not None:
            fault = await self._refreshed(tokens, tokens.refresh_token)
        else:
            self._drop()
            return self._needs(self._ended or self._hint)
        if fault is None:
            self._doubted_at = now
        return fault

    @property
    def _hint(self) -> str:
        return "" if self._challenge.is_bearer else "it answered 401 without a word (are the headers right?)"

    async def _refreshed(self, tokens: Tokens, refresh_token: str) -> BackendFault | None:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        try:
            fresh = await requested(self._way.reach, self._config, tokens, form, self._clock.wall())
        except TokenRefused as refusal:
            if await self._adopt():
                # Another gateway was quicker, and what we had was used up with that.
                return None
            await self._forgotten(tokens)
            self._ended = f"the login was ended ({refusal})"
            return self._needs(self._ended)
        except FetchFailed as failure:
            return self._unreachable(failure)
        await self._keep(fresh)
        return None

    async def _granted(self) -> BackendFault | None:
        """A token for the gateway itself (RFC 6749, section 4.4)."""
        try:
            resource, server = await self._way.found(self._challenge.metadata)
            client = self._way.configured(server)
            scopes = self._way.scopes(resource, server, self._challenge.scopes, self._lacked, self._had)
            form = {"grant_type": "client_credentials"} | ({"scope": " ".join(scopes)} if scopes else {})
            before = Tokens(
                server.issuer,
                resource.resource,
                client,
                server.token_endpoint,
                "",
                scopes=scopes,
                revocation=server.revocation_endpoint,
            )
            fresh = await requested(self._way.reach, self._config, before, form, self._clock.wall())
        except (TokenRefused, NotFound) as refusal:
            self._drop()
            return LoginNeeded(self.server, "The server asks for credentials.", f"no token for it: {refusal}")
        except FetchFailed as failure:
            return self._unreachable(failure)
        # Not kept: the next one is got as easily.
        self._use(fresh)
        return None

    def _unreachable(self, failure: FetchFailed) -> BackendFault:
        return BackendUnavailable(self.server, "The server's login cannot be renewed now.", str(failure))

    async def _missing_scopes(self, challenge: Challenge) -> BackendFault | None:
        """A token that is good, and not for this."""
        if challenge.error != "insufficient_scope":
            return BackendAuthRequired(self.server, "The server refuses this.", "it answered 403")
        missing = frozenset(challenge.scopes)
        named = " ".join(sorted(missing))[:200] or "others"
        if self._step_ups.was_in_vain(missing, self._clock.monotonic()):
            self._settled()
            return BackendAuthRequired(
                self.server,
                "The server refuses this.",
                f"it refuses for want of scopes that it was given: {named}",
            )
        if self._config.grant == "client_credentials":
            self._step_ups.stepped(missing, self._clock.monotonic())
            # For the next tokens too. A server that thinks of new ones all the time gets no more than these.
            lacked = self._lacked | missing
            self._lacked = lacked if len(lacked) <= MAX_LACKED else missing
            return await self._granted()
        self._challenge, self._wanted = challenge, missing
        self._needs(f"it wants the scopes {named}")
        return BackendAuthRequired(self.server, "The server asks for a wider login.", self.needed)

    # --- what it is -----------------------------------------------------------------------------------------

    @property
    def _had(self) -> tuple[str, ...]:
        """The scopes of the login that there is."""
        return self._tokens.scopes if self._tokens is not None else ()

    def _needs(self, why: str) -> BackendFault:
        words = f"{why}: press L, or only1mcp login {self.server}".removeprefix(": ")
        if words != self.needed:
            self.needed = words
            self._on_change()
        return LoginNeeded(
            self.server, "The server asks for a login.", f"login needed{', ' if why else ': '}{words}"
        )

    def _settled(self) -> None:
        self._wanted = frozenset()
        if self.needed:
            self.needed = ""
            self._on_change()

    def _drop(self) -> None:
        """No token any more, but for what renews it."""
        self.line = b""
        self._in_time.cancel()

    def _use(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self.line = f"authorization: Bearer {tokens.access_token}\r\n".encode()
        self._ended = ""
        self._settled()
        if tokens.refresh_token is not None or self._config.grant == "client_credentials":
            self._in_time.wait_for(tokens)
        else:
            self._in_time.cancel()

    async def _before_its_end(self) -> BackendFault | None:
        if self._config.grant == "client_credentials":
            return await self._granted()
        tokens = self._tokens
        if tokens is None or tokens.refresh_token is None:
            return None
        return await self._refreshed(tokens, tokens.refresh_token)

    async def _keep(self, tokens: Tokens) -> None:
        """Use it, and put it by before anybody is told: one that is used up twice is taken for stolen."""
        self._use(tokens)
        try:
            await self._store.keep(self.transport.url, tokens)
        except VaultFailed as error:
            log.warning("%s: the login is good until the gateway ends: %s", self.server, error.message)

    async def _forgotten(self, tokens: Tokens) -> None:
        self._drop()
        self._tokens = None
        try:
            await self._store.forget(self.transport.url, tokens)
        except VaultFailed as error:
            log.warning("%s: %s", self.server, error.message)

    # --- what a person does ---------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """Where the browser should come back to on the person's machine; 0: anywhere."""
        return self._config.redirect_port

    async def begin(
        self, redirect_uri: str, look_up: Callable[[], Coroutine[Any, Any, str]]
    ) -> tuple[str, str]:
        """The URL for the person's browser, and the `state` of the answer. Raises: LoginFailed.

        `look_up`: the server's challenge, where it was not heard yet.
        """
        if self._config.grant == "client_credentials":
            raise LoginFailed(f"{self.server} logs in by itself (client_credentials); nobody is needed.")
        if not is_loopback_redirect(redirect_uri):
            raise LoginFailed("The browser has to come back to a port of this machine, on 127.0.0.1.")
        if not self._challenge.is_bearer:
            self._challenge = challenge_of(await look_up())
        try:
            resource, server = await self._way.found(self._challenge.metadata)
            check_page(server)
            scopes = self._way.scopes(resource, server, self._challenge.scopes, self._wanted, self._had)
            client = await self._way.client(server, redirect_uri, scopes)
            attempt = Attempt(resource, server, client, redirect_uri, scopes, self._clock.monotonic())
            url = attempt.url(self._way.reach)
        except (NotFound, FetchFailed) as failure:
            raise LoginFailed(f"There is no login at {self.server}: {failure}.") from failure
        while len(self._attempts) >= MAX_ATTEMPTS:
            del self._attempts[next(iter(self._attempts))]
        self._attempts[attempt.state] = attempt
        return url, attempt.state

    async def finish(self, answer: Mapping[str, str]) -> None:
        """Take what the browser brought back, once. Raises: LoginFailed."""
        attempt = self._attempts.pop(answer.get("state", ""), None)
        if attempt is None or self._clock.monotonic() - attempt.begun_at > ATTEMPT_S:
            raise LoginFailed("This answer belongs to no login that is under way; begin anew.")
        code = attempt.code(answer)
        try:
            tokens = await requested(
                self._way.reach, self._config, attempt.tokens_to_be(), attempt.form(code), self._clock.wall()
            )
        except TokenRefused as refusal:
            if refusal.error == "invalid_client" and attempt.client.redirect_uri:
                await self._way.unregistered(attempt.client)
            raise LoginFailed(f"The authorization server did not let us in: {refusal}.") from refusal
        except FetchFailed as failure:
            raise LoginFailed(f"The login did not come about: {failure}.") from failure
        if self._wanted:
            self._step_ups.stepped(self._wanted, self._clock.monotonic())
        await self._keep(tokens)

    async def forget(self) -> LoggedOut:
        """End the login, as far as we know of one, and have its tokens revoked. Raises: LoginFailed."""
        self._ended = ""
        if self._tokens is None and not await self._adopt() and self._ended:
            raise LoginFailed(f"{self._ended}.")
        tokens = self._tokens
        self._step_ups.clear()
        self._attempts.clear()
        self._drop()
        if tokens is None:
            return LoggedOut(was_in=False)
        # Before anybody is asked who might not answer.
        await self._forgotten(tokens)
        note = await why_not_revoked(self._way.reach, self._config, tokens, self._clock.wall())
        if note:
            log.warning("%s: logged out, but %s", self.server, note)
        return LoggedOut(was_in=True, note=note)

    async def aclose(self) -> None:
        await self._tasks.aclose()
