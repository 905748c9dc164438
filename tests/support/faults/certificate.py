"""Certificates for 127.0.0.1 that live as long as a test; a gateway may be told to trust one, or not."""

import ssl
from pathlib import Path

from tests.support.certificates import Authority

TRUSTS = "SSL_CERT_FILE"
"""The variable that names the file of trusted certificates to OpenSSL."""


def self_signed(folder: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    """The certificate's file, and a context to serve with."""
    authority = Authority(folder, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.path, authority.key_path)
    return authority.path, context
