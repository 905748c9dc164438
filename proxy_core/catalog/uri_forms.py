"""What else a URI may mean to the server that reads it: a rule about a URI has to hold for all of it. Pure.

Clients choose how they write a URI, and servers undo it in different ways: `file:///pub/%2e%2e/secret` is
within `/pub` for whoever compares letters, and is not for whoever opens the file.
Spec: RFC 3986, section 6.2.2 (normalisation), 5.2.4 (dot segments); RFC 8089 (file URIs).
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple
from urllib.parse import unquote

MAX_ENCODINGS: Final = 4
"""How often one percent-encoding may lie within another."""
_PARTS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*:)(//[^/?#]*)?([^?#]*)(.*)\Z", re.DOTALL)
_SLASHES: Final = re.compile(r"[/\\]")
_LOCAL: Final = "//localhost"
_WITH_HOST: Final = frozenset({"file:", "http:", "https:"})
"""Schemes whose authority is surely a host, which is the same in capitals; in others it may be a name."""


class UriForms(NamedTuple):
    meanings: tuple[str, ...]
    """As it was said and, where that is another, as a server may understand it."""
    loosely: tuple[str, ...]
    """As a server may understand it that does not look at a query, a fragment, capitals or a last slash, or
    does not know what the host of a file is."""


def forms_of(uri: str) -> UriForms | None:
    """None: nobody can know. It is encoded again and again; or it goes up among backslashes, in its query, or
    further than it has gone down: whether `note://pub/../secret` leaves `pub` depends on what its server takes
    for the host."""
    texts = list(islice(_decoded(uri), MAX_ENCODINGS + 2))
    if len(texts) > MAX_ENCODINGS + 1:
        return None
    meanings, loosely = {uri: None}, dict[str, None]()
    # What one server undoes another leaves as it is; some undo it twice, and look for a query before or after.
    for text in texts:
        parts = _PARTS.match(text)
        if parts is None:
            meanings[text] = None
            continue
        scheme, authority, path, rest = parts.groups(default="")
        if ".." in _SLASHES.split(rest):
            # There are servers that know of no query, and take all of it for a path.
            return None
        for meant in _decoded(path):
            found = _understood(scheme.lower(), authority, meant, rest)
            if found is None:
                return None
            meanings[found.meanings[0]] = None
            loosely.update(dict.fromkeys(found.loosely))
    return UriForms(tuple(meanings), tuple(loosely))


def _decoded(uri: str) -> Iterator[str]:
    """As it is, with its percent-encodings undone, with what then are such undone too, and so on."""
    text = uri
    while True:
        yield text
        decoded = unquote(text, errors="surrogateescape")
        if decoded == text:
            return
        text = decoded


def _understood(scheme: str, said: str, path: str, rest: str) -> UriForms | None:
    """One meaning, of a URI whose percent-encodings are none. `said`: its authority."""
    authority = said.lower() if scheme in _WITH_HOST else said
    if scheme == "file:" and authority == _LOCAL:
        authority = "//"
    clean = _without_dots(path)
    if clean is None:
        return None
    cut = clean.rstrip("/")
    hosts = [authority, authority.lower()]
    if scheme == "file:":
        # Without a host, and with what stands there for the first folder.
        hosts += ["//", f"///{said[2:]}".rstrip("/")]
    return UriForms((scheme + authority + clean + rest,), tuple(scheme + host + cut for host in hosts))


def _without_dots(path: str) -> str | None:
    """Without `.`, `..` and empty segments; a slash at either end stays. None: where it leads is not clear."""
    segments: list[str] = []
    # To some a backslash is a slash.
    for segment in _SLASHES.split(path):
        if segment == "..":
            if not segments or "\\" in path:
                return None
            segments.pop()
        elif segment not in ("", "."):
            segments.append(segment)
    start = "/" if path.startswith("/") else ""
    end = "/" if segments and path.endswith(("/", "/.", "/..")) else ""
    return start + "/".join(segments) + end
