"""Where a secret is kept: the keyring of the system where there is one, else the sealed file.

Each has a service and a name, as `github/token`; that is also how the keyring's own tools find it. The file
lists all of them, and holds those that the keyring does not. May wait for seconds: call it from a thread.
"""

import os
import re
from collections.abc import Mapping
from typing import Final

from proxy_core.errors import Only1Error
from proxy_core.vault.keyrings import KeyringFailed, SystemKeyring
from proxy_core.vault.sealed_file import SealedFile, SealFailed

SERVICE: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}"
ADDRESS: Final = re.compile(rf"({SERVICE})/({NAME})")
MAX_BYTES: Final = 65_536
"""Of one secret."""
OWN: Final = "only1mcp-"
"""How the services begin that are the gateway's own, and no person's."""


class VaultFailed(Only1Error):
    """A secret cannot be read or kept; the sentence says why, and nothing of a value."""


class Vault:
    def __init__(self, environ: Mapping[str, str] = os.environ, keyring: SystemKeyring | None = None) -> None:
        self._file = SealedFile(environ)
        self._keyring = keyring or SystemKeyring()

    def read(self, service: str, name: str) -> str | None:
        """None: there is none of that name. Raises: VaultFailed."""
        address = f"{service}/{name}"
        entries = self._file.entries()
        sealed = entries.get(address)
        try:
            if sealed:
                return self._file.opened(address, sealed)
            if service.startswith(OWN) and address not in entries:
                # Nobody else keeps those: a keyring need not be asked for what it cannot have.
                return None
            return self._keyring.get(service, name) if self._keyring.is_there else None
        except (KeyringFailed, SealFailed) as error:
            raise VaultFailed(f"The secret {address} cannot be read: {error}.") from error

    def write(self, service: str, name: str, value: str) -> str:
        """Keep it in place of what was there; where it is kept, in words. Raises: VaultFailed."""
        address = f"{service}/{name}"
        if len(value.encode()) > MAX_BYTES:
            raise VaultFailed(f"The secret {address} is too large: {MAX_BYTES} bytes are the most.")
        try:
            if self._keyring.is_there:
                self._keyring.set(service, name, value)
                self._file.put(address, None)
                return "the keyring of the system"
            self._file.put(address, value)
        except (KeyringFailed, SealFailed) as error:
            raise VaultFailed(f"The secret {address} cannot be kept: {error}.") from error
        return "a sealed file, as there is no keyring here"

    def delete(self, service: str, name: str) -> bool:
        """Whether there was one. Raises: VaultFailed."""
        address = f"{service}/{name}"
        try:
            was_in_file = bool(self._file.entries().get(address))
            if not was_in_file and self._keyring.is_there and self._keyring.get(service, name) is not None:
                self._keyring.delete(service, name)
                self._file.drop(address)
                return True
            return self._file.drop(address) and was_in_file
        except (KeyringFailed, SealFailed) as error:
            raise VaultFailed(f"The secret {address} cannot be deleted: {error}.") from error

    def addresses(self) -> tuple[str, ...]:
        """Those that were kept by us for a person, as `service/name`, in order."""
        return tuple(sorted(address for address in self._file.entries() if not address.startswith(OWN)))

    def unopened(self) -> tuple[str, ...]:
        """Those of a person in the sealed file that the present key does not open, in order."""
        return tuple(address for address in self.addresses() if not self._opens(address))

    def _opens(self, address: str) -> bool:
        sealed = self._file.entries().get(address)
        try:
            return not sealed or bool(self._file.opened(address, sealed))
        except SealFailed:
            return False
