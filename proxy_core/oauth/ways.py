"""The way from a server's URL to whoever has tokens for it: where, as whom, and what is asked for.

Knows no tokens and no state of a login. Spec: 2026-07-28 basic/authorization, "Authorization Server Discovery",
"Client Registration", "Scope Selection Strategy".
"""

import logging
from typing import Final

from yarl import URL

from proxy_core.clock import Clock
from proxy_core.config.base import is_loopback
from proxy_core.config.models import HttpTransport, SseTransport
from proxy_core.oauth import clients
from proxy_core.oauth.clients import Client
from proxy_core.oauth.discovery import NotFound, discovered
from proxy_core.oauth.documents import ResourceMetadata, ServerMetadata
from proxy_core.oauth.fetching import Reach
from proxy_core.oauth.kept import LoginStore, VaultFailed

_OFFLINE: Final = "offline_access"
log = logging.getLogger(__name__)


class Way:
    def __init__(
        self, server: str, transport: HttpTransport | SseTransport, store: LoginStore, clock: Clock
    ) -> None:
        self._server = server
        self._url = transport.url
        self._config = transport.auth
        self._store = store
        self._clock = clock
        is_local = is_loopback(URL(transport.url).host or "")
        self.reach = Reach(
            server,
            self._config.networks,
            "`transport.auth.networks`",
            # A server on this machine may have its authorization server here too; one elsewhere never.
            lambda url: is_local and is_loopback(url.host or ""),
        )

    async def found(self, metadata: str | None) -> tuple[ResourceMetadata, ServerMetadata]:
        """`metadata`: the URL of a challenge. Raises: NotFound, FetchFailed."""
        return await discovered(self.reach, self._url, metadata, self._config.issuer)

    def scopes(
        self,
        resource: ResourceMetadata,
        server: ServerMetadata,
        asked: tuple[str, ...],
        missing: frozenset[str],
        had: tuple[str, ...],
    ) -> tuple[str, ...]:
        """Those to ask for. `asked`: by a challenge. `missing`: what a token was refused for.

        `had`: with what there was already a step up is none down elsewhere.
        """
        if missing:
            chosen = (*had, *self._config.scopes, *sorted(missing))
        else:
            chosen = self._config.scopes or asked or resource.scopes or ()
        scopes = tuple(dict.fromkeys(chosen))
        # Without any, the authorization server chooses; one that is named would be all there is.
        wants_offline = scopes and _OFFLINE in server.scopes and self._config.grant == "authorization_code"
        return (*scopes, _OFFLINE) if wants_offline and _OFFLINE not in scopes else scopes

    def configured(self, server: ServerMetadata) -> Client:
        """Who we are by the configuration alone. Raises: NotFound."""
        client = clients.configured(self._config, server)
        if client is None:
            raise NotFound("the configuration does not say who we are there")
        return client

    async def client(self, server: ServerMetadata, redirect_uri: str, scopes: tuple[str, ...]) -> Client:
        """Who we are there, if need be by a registration. Raises: NotFound, FetchFailed."""
        client = clients.configured(self._config, server)
        if client is not None:
            return client
        try:
            kept = await self._store.client(server.issuer)
            if kept is not None and clients.is_usable(kept, redirect_uri, self._clock.wall()):
                return kept
            client = await clients.registered(self.reach, server, redirect_uri, scopes)
            await self._store.keep_client(client)
        except VaultFailed as error:
            raise NotFound(error.message.rstrip(".")) from error
        return client

    async def unregistered(self, client: Client) -> None:
        """It is known there no more: the next login registers anew."""
        try:
            await self._store.forget_client(client.issuer)
        except VaultFailed as error:
            log.warning("%s: %s", self._server, error.message)
