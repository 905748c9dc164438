"""The listener's certificates: read from their files, and read again when those are renewed.

Spec: RFC 9325 (which versions and ciphers), which the defaults of `ssl` keep.
"""

import os
import ssl
from pathlib import Path
from typing import Final, TypeAlias

from proxy_core.config.auth import TlsConfig
from proxy_core.errors import TlsUnusable

_OLDEST: Final = ssl.TLSVersion.TLSv1_2
Stamp: TypeAlias = tuple[tuple[str, int, int], ...]
"""By which files are told from what they were."""


def context_for(settings: TlsConfig) -> ssl.SSLContext:
    """Raises: TlsUnusable."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _OLDEST
    context.set_alpn_protocols(["http/1.1"])
    try:
        # A password would be asked for on the terminal, where nobody waits for the question.
        context.load_cert_chain(_path(settings.certificate), _path(settings.key), password=_no_password)
    except (OSError, ValueError) as error:
        raise TlsUnusable("proxy.tls.certificate and key", str(error)) from error
    if settings.client_ca is not None:
        try:
            context.load_verify_locations(_path(settings.client_ca))
        except (OSError, ValueError) as error:
            raise TlsUnusable("proxy.tls.client_ca", str(error)) from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def stamp_of(settings: TlsConfig | None) -> Stamp:
    """Changes with the files; looks at them and reads none."""
    if settings is None:
        return ()
    named = (settings.certificate, settings.key, settings.client_ca)
    return tuple(_stamp(_path(each)) for each in named if each is not None)


def _stamp(path: Path) -> tuple[str, int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return str(path), 0, 0
    return str(path), status.st_mtime_ns, status.st_ino


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _no_password() -> str:
    raise ValueError("the key has a password")
