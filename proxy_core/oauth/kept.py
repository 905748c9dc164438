"""Logins that outlive a run, in the vault: tokens by who gave them, for what, to whom; registrations by issuer.

Each record says for itself what it is good for, and is not used for anything else.
"""

import asyncio
import hashlib
import logging
from typing import Final, TypeVar

import msgspec

from proxy_core.oauth.clients import Client
from proxy_core.oauth.tokens import Tokens
from proxy_core.vault.vault import OWN, Vault, VaultFailed

SERVICE: Final = f"{OWN}login"
T = TypeVar("T")
log = logging.getLogger(__name__)


class Pointer(msgspec.Struct, frozen=True):
    """Which tokens a server was logged in with last."""

    server: str
    issuer: str
    resource: str
    client_id: str


class LoginStore:
    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def tokens(self, server: str) -> Tokens | None:
        """Those of the last login at this URL. Raises: VaultFailed."""
        pointer = await self._read(Pointer, "server", server)
        if pointer is None or pointer.server != server:
            return None
        address = (pointer.issuer, pointer.resource, pointer.client_id)
        tokens = await self._read(Tokens, "tokens", *address)
        return tokens if tokens is not None and tokens.address == address else None

    async def keep(self, server: str, tokens: Tokens) -> None:
        """Raises: VaultFailed."""
        await self._write(tokens, "tokens", *tokens.address)
        await self._write(Pointer(server, *tokens.address), "server", server)

    async def forget(self, server: str, tokens: Tokens) -> None:
        """Unless there are others by now, which another gateway has got. Raises: VaultFailed."""
        if (kept := await self.tokens(server)) is not None and kept != tokens:
            return
        await self._drop("server", server)
        await self._drop("tokens", *tokens.address)

    async def client(self, issuer: str) -> Client | None:
        """As we are registered there. Raises: VaultFailed."""
        client = await self._read(Client, "client", issuer)
        return client if client is not None and client.issuer == issuer else None

    async def keep_client(self, client: Client) -> None:
        """Raises: VaultFailed."""
        await self._write(client, "client", client.issuer)

    async def forget_client(self, issuer: str) -> None:
        """Raises: VaultFailed."""
        await self._drop("client", issuer)

    async def _read(self, kind: type[T], *address: str) -> T | None:
        kept = await asyncio.to_thread(self._vault.read, SERVICE, _name(*address))
        if kept is None:
            return None
        try:
            return msgspec.json.decode(kept, type=kind)
        except msgspec.DecodeError:
            # Of another version of ours; a new login makes it good.
            log.warning("a kept login cannot be read, and is as good as none")
            return None

    async def _write(self, value: msgspec.Struct, *address: str) -> None:
        text = msgspec.json.encode(value).decode()
        await asyncio.to_thread(self._vault.write, SERVICE, _name(*address), text)

    async def _drop(self, *address: str) -> None:
        await asyncio.to_thread(self._vault.delete, SERVICE, _name(*address))


def _name(*address: str) -> str:
    """What a record is called in a keyring, where everybody may read it."""
    return f"{address[0]}-{hashlib.sha256(msgspec.json.encode(address)).hexdigest()[:40]}"


__all__ = ["LoginStore", "VaultFailed"]
