"""Where a load goes: a URL taken apart, and the address that its host stands for, looked up once.

What was looked up is what is connected to, so that a name cannot lead to one machine when it is judged and to
another when it is loaded.
"""

import asyncio
import ipaddress
import socket
import ssl
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from proxy_core.errors import GatewayUnreachable, Only1Error

_DEFAULT_PORTS = {"http": 80, "https": 443}


class BadTarget(Only1Error):
    """A URL that no load can go to."""


@dataclass(frozen=True, slots=True)
class Target:
    """An endpoint whose address is known."""

    url: str
    authority: str
    """As the Host header says it."""
    path: str
    """With the query, if there is one."""
    server_name: str
    """Which a certificate must be of."""
    address: str
    port: int
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    @property
    def is_loopback(self) -> bool:
        return ipaddress.ip_address(self.address.partition("%")[0]).is_loopback


async def target_of(url: str) -> Target:
    """Raises: BadTarget for what is no http:// or https:// URL, GatewayUnreachable for an unknown host."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise BadTarget(f"{url!r} is no URL: {error}.") from error
    host = parts.hostname
    if not port or not host:
        raise BadTarget(f"{url!r} is no http:// or https:// URL, such as http://127.0.0.1:8080/mcp.")
    if parts.username is not None or parts.password is not None:
        raise BadTarget("A URL must hold no password; name a variable that holds a token with --token-env.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not (path.isascii() and path.isprintable() and host.isascii()) or " " in path:
        raise BadTarget(f"{url!r} has characters that must be percent-encoded.")
    return Target(
        url=url,
        authority=parts.netloc,
        path=path,
        server_name=host,
        address=await _address_of(host, port),
        port=port,
        tls=ssl.create_default_context() if parts.scheme == "https" else None,
    )


async def _address_of(host: str, port: int) -> str:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise GatewayUnreachable(f"There is no host {host!r}: {error.strerror or error}.") from error
    # Most servers on one's own machine listen on 127.0.0.1 alone, also where localhost means ::1 first.
    addresses = sorted(found, key=lambda info: info[0] != socket.AF_INET)
    return str(addresses[0][4][0])
