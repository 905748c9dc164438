"""Who may speak to us, and in what form: decided by a request's head alone, before its body is read.

Pure: a head in, a typed refusal or None out. Knows no sockets, no sessions and no JSON.
Spec: basic/transports/streamable-http, "Security Warning" and "Sending Messages to the Server".
"""

import re
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from msgspec import Struct

from proxy_core.config.models import SLUG_PATTERN
from proxy_core.errors import HttpRefusal
from proxy_core.frontend.wire import WireHead

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"
METHODS: Final = ("POST", "GET", "DELETE")
SSE_PATH: Final = "/sse"
MESSAGES_PATH: Final = "/messages"
_SSE_METHODS: Final[dict[str, tuple[str, ...]]] = {SSE_PATH: ("GET",), MESSAGES_PATH: ("POST",)}

_PROFILE: Final = re.compile(SLUG_PATTERN)
_LOOPBACK_HOSTS: Final = ("127.0.0.1", "localhost", "[::1]")
# Any port: a page served by this machine (an inspector, a dev server) is as local as its user.
_LOOPBACK_ORIGIN: Final = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?")
_SINGLE: Final = ("host", "origin", "authorization", "content-type", "content-length", "mcp-session-id")
"""Headers that would be read differently by us and by someone in front of us if they came twice."""


class Guard(Struct, frozen=True):
    """The rules of one listener."""

    path: str
    hosts: frozenset[str]
    """Allowed Host values, lower case, as they must stand in the header."""
    names: frozenset[str]
    """Host names allowed with any port, or none."""
    origins: frozenset[str]
    max_body_bytes: int
    has_sse: bool = False
    """Whether HTTP+SSE is served too, on its own two paths."""

    def refusal(self, head: WireHead, identify: Callable[[WireHead], HttpRefusal | None]) -> HttpRefusal | None:
        """The first rule that the head breaks, in the order in which the transports name them.

        `identify` says who asks, or why not: after where the request comes from, before what it wants.
        """
        return (
            self.host_refusal(head)
            or self.origin_refusal(head)
            or identify(head)
            or self.route_refusal(head)
            or (self.body_refusal(head) if head.method == "POST" else None)
        )

    def host_refusal(self, head: WireHead) -> HttpRefusal | None:
        # A page of a foreign site that rebinds its name to this machine still says its own name here.
        host = head.values.get("host", "").lower()
        if host not in self.hosts and _name_of(host) not in self.names:
            return HttpRefusal(421, "The Host header is not one this gateway answers to.")
        return None if len(head.values) == len(head.headers) else _repeated(head)

    def origin_refusal(self, head: WireHead) -> HttpRefusal | None:
        origin = head.values.get("origin")
        if origin is None or self.allows_origin(origin):
            return None
        return HttpRefusal(403, "This Origin is not allowed.")

    def allows_origin(self, origin: str) -> bool:
        origin = origin.lower()
        return origin in self.origins or _LOOPBACK_ORIGIN.fullmatch(origin) is not None

    def profile_in(self, path: str) -> str | None:
        """The profile that a path of the MCP endpoint names, empty for the plain one; None: not its path."""
        if path == self.path:
            return ""
        if self.has_sse and path in _SSE_METHODS:
            return None
        head = self.path if self.path.endswith("/") else self.path + "/"
        name = path.removeprefix(head)
        return name if path.startswith(head) and _PROFILE.fullmatch(name) else None

    def route_refusal(self, head: WireHead) -> HttpRefusal | None:
        methods = self._methods_of(head.path)
        if not methods:
            return HttpRefusal(404, "There is nothing here.")
        if head.method not in methods and head.method != "OPTIONS":
            allow = ", ".join((*methods, "OPTIONS"))
            return HttpRefusal(405, "This HTTP method is not served here.", {"Allow": allow})
        return None

    def _methods_of(self, path: str) -> tuple[str, ...]:
        if self.profile_in(path) is not None:
            return METHODS
        return _SSE_METHODS.get(path, ()) if self.has_sse else ()

    def body_refusal(self, head: WireHead) -> HttpRefusal | None:
        values = head.values
        if declared_length(values.get("content-length", "")) > self.max_body_bytes:
            return too_large(self.max_body_bytes)
        if media_type(values.get("content-type", "")) != JSON:
            return HttpRefusal(415, f"The Content-Type must be {JSON}.")
        if values.get("content-encoding", "identity").lower() != "identity":
            return HttpRefusal(415, "A compressed body is not accepted.", {"Accept-Encoding": "identity"})
        if self.profile_in(head.path) is None:
            # A message of HTTP+SSE, whose answer goes elsewhere.
            return None
        accept = ",".join(head.all("accept"))
        if not (accepts(accept, JSON) and accepts(accept, EVENT_STREAM)):
            return HttpRefusal(406, f"The client must accept both {JSON} and {EVENT_STREAM}.")
        return None


def guard_for(
    path: str,
    host: str,
    port: int,
    *,
    allowed_hosts: tuple[str, ...] = (),
    allowed_origins: tuple[str, ...] = (),
    max_body_bytes: int,
    has_sse: bool = False,
) -> Guard:
    """The rules of a listener bound to `host` and `port`. An allowed host without a port stands for any."""
    own = {f"{name}:{port}" for name in (*_LOOPBACK_HOSTS, bracketed(host).lower())}
    if port == 80:
        own |= {name.removesuffix(":80") for name in own}
    configured = frozenset(name.lower() for name in allowed_hosts)
    names = frozenset(name for name in configured if _name_of(name) == name)
    return Guard(
        path=path,
        hosts=frozenset(own) | configured,
        names=names,
        origins=frozenset(origin.lower().rstrip("/") for origin in allowed_origins),
        max_body_bytes=max_body_bytes,
        has_sse=has_sse,
    )


def too_large(max_body_bytes: int) -> HttpRefusal:
    return HttpRefusal(413, f"The body is longer than {max_body_bytes} bytes.", {"Connection": "close"})


@lru_cache(maxsize=128)
def media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


@lru_cache(maxsize=128)
def accepts(accept: str, wanted: str) -> bool:
    """Whether an Accept header takes `wanted`, wildcards included. A missing header takes nothing.

    RFC 9110 12.5.1, but for absence: MCP wants the header, and its SDKs refuse without it.
    """
    ranges = {wanted: 3, wanted.partition("/")[0] + "/*": 2, "*/*": 1}
    best, taken = 0, False
    for item in accept.lower().split(","):
        name, _, parameters = item.partition(";")
        precision = ranges.get(name.strip(), 0)
        if precision > best:
            best, taken = precision, not _ZERO_WEIGHT.search(parameters)
    return taken


_ZERO_WEIGHT: Final = re.compile(r"(^|;)\s*q\s*=\s*0(\.0{0,3})?\s*(;|$)")


def _repeated(head: WireHead) -> HttpRefusal | None:
    seen: set[str] = set()
    for name, _ in head.headers:
        if name in _SINGLE and name in seen:
            return HttpRefusal(400, f"The {name} header came twice.")
        seen.add(name)
    return None


def _name_of(host: str) -> str:
    """The host without its port; an IPv6 address keeps its brackets."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


def bracketed(host: str) -> str:
    """A host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


def declared_length(value: str) -> int:
    """Bytes the client says it will send; 0 where it does not say, and then they are counted as they come."""
    if not (value.isascii() and value.isdigit()):
        return 0
    return int(value) if len(value) < 20 else sys.maxsize
