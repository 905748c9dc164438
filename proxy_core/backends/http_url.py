"""Where a request goes, in the parts that the head of it and a connection are made of.

What most URLs are is read here; the rest, and what refers to another URL, by yarl, which costs 1.5 MB to load.
Spec: RFC 3986; RFC 9112, section 3.2.
"""

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

if TYPE_CHECKING:
    from yarl import URL

_PLAIN: Final = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*)"
    r"(?::(?P<port>[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
    r"(?P<target>(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?(?:\?[A-Za-z0-9._~=&-]+)?)"
)
"""What can be written in one way alone: no %, no dot segments, no upper case in a host, no address in []."""
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Spec: RFC 6454, section 4."""

    scheme: str
    host: str
    """As a resolver takes it; an IPv6 address without brackets."""
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """As in a Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS.get(self.scheme) else f"{host}:{self.port}"


class Url(Struct, frozen=True):
    text: str
    origin: Origin
    target: str
    """Path and query, as they are sent."""
    user: str | None = None
    password: str = ""

    @classmethod
    def of(cls, text: str) -> "Url":
        """Raises: ValueError, for what is no URL with a host."""
        found = _PLAIN.fullmatch(text)
        if found is None:
            # Here, as most do without it.
            from yarl import URL

            return _of(URL(text))
        scheme, port, target = found["scheme"], found["port"], found["target"]
        origin = Origin(scheme, found["host"], int(port) if port else _DEFAULT_PORTS[scheme])
        return cls(text, origin, target if target.startswith("/") else f"/{target}")

    def joined(self, reference: str) -> "Url":
        """What `reference` means where this is the base, without its fragment. Raises: ValueError."""
        from yarl import URL

        return _of(URL(self.text).join(URL(reference)).with_fragment(None))

    def without_user(self) -> "Url":
        from yarl import URL

        return self if self.user is None else _of(URL(self.text).with_user(None))

    def at(self, target: str) -> "Url":
        """Another target of the same origin, to the letter: `//host/` too is but a path there."""
        return replace(self, text=f"{self.origin}{target}", target=target)

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def shown(self) -> str:
        """For people: nothing that may be a secret."""
        return f"{self.origin}{self.path}"[:200]

    def __repr__(self) -> str:
        return f"Url({self.shown()})"


def _of(url: "URL") -> Url:
    if not url.raw_host or url.port is None:
        raise ValueError("no host, or no port that its scheme would have")
    # A zone, as in fe80::1%eth0, is encoded in a URL and not for a resolver.
    host = (url.host or "") if ":" in url.raw_host else url.raw_host
    origin = Origin(url.scheme, host, url.port)
    return Url(str(url), origin, url.raw_path_qs, url.user, url.password or "")
