"""The listener's certificates: read from their files, and read again when those are renewed.

Spec: RFC 9325 (which versions and ciphers), which the defaults of `ssl` keep.
"""

import os
import ssl
from datetime import datetime
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
    for name, path in (("certificate", settings.certificate), ("key", settings.key)):
        _check_readable(f"proxy.tls.{name}", path)
    try:
        # A password would be asked for on the terminal, where nobody waits for the question.
        context.load_cert_chain(_path(settings.certificate), _path(settings.key), password=_no_password)
    except (OSError, ValueError) as error:
        files = f"{settings.certificate} and {settings.key}"
        raise TlsUnusable("proxy.tls.certificate and key", files, _why(error)) from error
    if settings.client_ca is not None:
        _check_readable("proxy.tls.client_ca", settings.client_ca)
        try:
            context.load_verify_locations(_path(settings.client_ca))
        except (OSError, ValueError) as error:
            raise TlsUnusable("proxy.tls.client_ca", settings.client_ca, _why(error)) from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def untimely(settings: TlsConfig, now: datetime) -> str:
    """That the certificate has expired, or is not good yet, as a sentence; empty: it is good."""
    # Here, as a gateway without HTTPS needs none of it.
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificates(_path(settings.certificate).read_bytes())[0]
    except (OSError, ValueError):
        # Read by OpenSSL, and not by this: then clients say what they think of it.
        return ""
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    named = f"The certificate {settings.certificate}"
    if now > last:
        return f"{named} has expired, on {last:%Y-%m-%d %H:%M} UTC: clients refuse it."
    if now < first:
        return f"{named} is good from {first:%Y-%m-%d %H:%M} UTC on: clients refuse it until then."
    return ""


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


def _check_readable(key_path: str, text: str) -> None:
    """OpenSSL does not say which file it could not read. Raises: TlsUnusable."""
    try:
        _path(text).open("rb").close()
    except OSError as error:
        raise TlsUnusable(key_path, text, error.strerror or str(error)) from error


def _why(error: OSError | ValueError) -> str:
    """In words, what OpenSSL says in its own."""
    if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
        return "the key is not the one of this certificate"
    if isinstance(error, ssl.SSLError):
        return "this is not in PEM form, or of another kind"
    return str(error)


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _no_password() -> str:
    raise ValueError("the key has a password")
