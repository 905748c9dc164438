"""What else a URI may mean to the server that reads it: a rule about a URI has to hold for all of it. Pure.

Clients choose how they write a URI, and servers undo it in different ways: `file:///pub/%2e%2e/secret` is
within `/pub` for whoever compares letters, and is not for whoever opens the file.
Spec: RFC 3986, section 6.2.2 (normalisation), 5.2.4 (dot segments); RFC 8089 (file URIs).
"""

import re
from typing import Final, NamedTuple
from urllib.parse import unquote

MAX_ENCODINGS: Final = 4
"""How often one percent-encoding may lie within another."""
_PARTS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*:)(//[^/?#]*)?([^?#]*)(.*)\Z", re.DOTALL)
_LOCAL: Final = "//localhost"
_WITH_HOST: Final = frozenset({"file:", "http:", "https:"})
"""Schemes whose authority is surely a host, which is the same in capitals; in others it may be a name."""


class UriForms(NamedTuple):
    meanings: tuple[str, ...]
    """As it was said and, if that is another, as a server may understand it."""
    loosely: tuple[str, ...]
    """As a server may understand it that does not look at a query, a fragment, capitals or a last slash, nor at
    the host of a file."""


def forms_of(uri: str) -> UriForms | None:
    """None: nobody can know. It is encoded again and again, or goes up further than it has gone down: whether
    `note://pub/../secret` leaves `pub` depends on what its server takes for the host."""
    plain = uri
    for _ in range(MAX_ENCODINGS):
        decoded = unquote(plain, errors="surrogateescape")
        if decoded == plain:
            break
        plain = decoded
    else:
        if unquote(plain, errors="surrogateescape") != plain:
            return None
    found = _PARTS.match(plain)
    if found is None:
        return UriForms((uri,), ())
    scheme, authority, path, rest = found.groups(default="")
    scheme = scheme.lower()
    if scheme in _WITH_HOST:
        authority = authority.lower()
    if scheme == "file:" and authority == _LOCAL:
        authority = "//"
    clean = _without_dots(path.replace("\\", "/"))
    if clean is None:
        return None
    understood = scheme + authority + clean + rest
    cut = clean.rstrip("/")
    hosts = (authority, authority.lower(), "//") if scheme == "file:" else (authority, authority.lower())
    loosely = dict.fromkeys(scheme + host + cut for host in hosts)
    return UriForms((uri,) if understood == uri else (uri, understood), tuple(loosely))


def _without_dots(path: str) -> str | None:
    """Without `.`, `..` and empty segments; a slash at either end stays. None: it goes above its beginning."""
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            if not segments:
                return None
            segments.pop()
        elif segment not in ("", "."):
            segments.append(segment)
    start = "/" if path.startswith("/") else ""
    end = "/" if segments and path.endswith(("/", "/.", "/..")) else ""
    return start + "/".join(segments) + end
