"""What a server says when it refuses a request: its WWW-Authenticate, as far as OAuth has to do with it. Pure.

Spec: RFC 9110, section 11.6.1; RFC 6750, section 3; RFC 9728, section 5.1.
"""

import re
from dataclasses import dataclass
from typing import Final

from proxy_core.oauth.documents import read_scopes

MAX_CHARS: Final = 8192
_SCHEME: Final = re.compile(r"(?:^|,)\s*Bearer(?=[\s,]|$)", re.IGNORECASE)
_NEXT: Final = re.compile(r",\s*[!#$%&'*+.^_`|~0-9A-Za-z-]+\s+[!#$%&'*+.^_`|~0-9A-Za-z-]+\s*=")
_PARAMETER: Final = re.compile(r'([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


@dataclass(frozen=True, slots=True)
class Challenge:
    is_bearer: bool = False
    metadata: str | None = None
    """The URL of the server's metadata."""
    scopes: tuple[str, ...] = ()
    error: str = ""


def challenge_of(header: str) -> Challenge:
    """Of several challenges in one header the first for a bearer token; one that is too long says nothing."""
    blank = _unquoted(header) if len(header) <= MAX_CHARS else ""
    found = _SCHEME.search(blank)
    if found is None:
        return Challenge()
    following = _NEXT.search(blank, found.end())
    rest = header[found.end() : following.start() if following is not None else None]
    given: dict[str, str] = {}
    for name, quoted, plain in _PARAMETER.findall(rest):
        # Of a parameter that is repeated the first counts.
        given.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) if quoted else plain)
    return Challenge(
        True, given.get("resource_metadata"), read_scopes(given.get("scope", "")), given.get("error", "")
    )


def _unquoted(text: str) -> str:
    """The text with what stands in quotes blanked out, every character in its place."""
    return re.sub(r'"(?:[^"\\]|\\.)*"', lambda at: '"' + "x" * (len(at[0]) - 2) + '"', text)
