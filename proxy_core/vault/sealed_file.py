"""Secrets in a file of the state folder, each sealed with AES-GCM under its own name.

The key comes from ONLY1MCP_SECRET_KEY, else from a file beside it. What that protects against and what not is
said in docs/backend_auth.md. Does file IO: call it from a thread.
Spec: NIST SP 800-38D (GCM), RFC 7914 (scrypt).
"""

import base64
import binascii
import contextlib
import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from proxy_core.state import StateFolder, state_home

KEY_ENV: Final = "ONLY1MCP_SECRET_KEY"
FILE: Final = "secrets"
KEY_FILE: Final = "secrets.key"
_SALT: Final = ""
"""Where the salt stands among the entries: no secret is called so."""
_KEY_BYTES: Final = 32
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_SCRYPT_N: Final = 1 << 14


class SealFailed(Exception):
    """Its words are for a person, and tell nothing of a value."""


class SealedFile:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._home = state_home(environ)
        self._folder = StateFolder(self._home)
        self._spoken = environ.get(KEY_ENV, "")
        self._keys: dict[str, bytes] = {}
        """By salt."""

    def entries(self) -> dict[str, str]:
        """What is kept, sealed, by name. An empty text stands for one that is kept elsewhere."""
        return {name: sealed for name, sealed in self._folder.read(FILE).items() if name != _SALT}

    def opened(self, name: str, sealed: str) -> str:
        """Raises: SealFailed if it was sealed with another key, or is not what was sealed."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            data = base64.b64decode(sealed, validate=True)
            key = self._key(self._folder.read(FILE).get(_SALT, ""))
            return AESGCM(key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], name.encode()).decode()
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise SealFailed(
                f"it cannot be opened: it was sealed with another key than that of {KEY_ENV} or {KEY_FILE}"
            ) from error

    def put(self, name: str, value: str | None) -> None:
        """Seal and keep it; None: only say that it is kept elsewhere. Raises: SealFailed."""
        kept = ""

        def change(entries: dict[str, str]) -> Mapping[str, str]:
            nonlocal kept
            salt = entries.get(_SALT) or base64.b64encode(os.urandom(_SALT_BYTES)).decode()
            kept = "" if value is None else self._sealed(name, value, salt)
            return {**entries, _SALT: salt, name: kept}

        self._folder.update(FILE, change)
        if self._folder.read(FILE).get(name) != kept:
            raise SealFailed(f"it could not be written to {self._home}")

    def drop(self, name: str) -> bool:
        """Whether it was there. Raises: SealFailed."""
        if name not in self.entries():
            return False
        self._folder.update(FILE, lambda entries: {key: each for key, each in entries.items() if key != name})
        if name in self.entries():
            raise SealFailed(f"it could not be removed from {self._home}")
        return True

    def _sealed(self, name: str, value: str, salt: str) -> str:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + AESGCM(self._key(salt)).encrypt(nonce, value.encode(), name.encode())
        return base64.b64encode(sealed).decode()

    def _key(self, salt: str) -> bytes:
        if not self._spoken:
            return self._key_of_file()
        if salt not in self._keys:
            # Slow on purpose, for what a person thought of; half a dozen secrets share one salt, so once.
            raw = base64.b64decode(salt)
            self._keys[salt] = hashlib.scrypt(
                self._spoken.encode(), salt=raw, n=_SCRYPT_N, r=8, p=1, dklen=_KEY_BYTES
            )
        return self._keys[salt]

    def _key_of_file(self) -> bytes:
        path = self._home / KEY_FILE
        try:
            if not path.exists():
                self._make_key(path)
            if path.stat().st_mode & 0o077:
                raise SealFailed(f"{path} is open to other users; it must have mode 0600")
            key = base64.b64decode(path.read_bytes(), validate=True)
        except (OSError, binascii.Error) as error:
            raise SealFailed(f"{path} cannot be used: {getattr(error, 'strerror', None) or error}") from error
        if len(key) != _KEY_BYTES:
            raise SealFailed(f"{path} is no key of ours")
        return key

    def _make_key(self, path: Path) -> None:
        """Whole or not at all, and never in place of one that another process made meanwhile."""
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Readable by its owner alone, as mkstemp makes it.
        handle, temporary = tempfile.mkstemp(prefix=f".{KEY_FILE}-", dir=self._home)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(base64.b64encode(os.urandom(_KEY_BYTES)))
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)
        finally:
            os.unlink(temporary)
