"""Which server told whom of a URI that no list has: a link or a resource inside one of its results. Pure.

One client's links say nothing to another: a URI is remembered for the viewer it was sent to, who is whatever
tells one from the other.
Spec: 2025-11-25 server/tools, "Resource Links" (they need not be listed).
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

MAX_SEEN: Final = 10_000
"""Of all viewers; what was not used for longest is forgotten first."""
MAX_SEEN_CHARS: Final = 2048
"""Of one URI; a longer one is not remembered."""
KEEP_S: Final = 3600.0


class SeenUris:
    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[Hashable, str], tuple[str, float]] = OrderedDict()
        """(viewer, URI) -> (server, monotonic seconds)."""

    def __len__(self) -> int:
        return len(self._seen)

    def remember(self, viewer: Hashable, uri: str, server: str, now: float) -> None:
        if len(uri) > MAX_SEEN_CHARS:
            return
        self._seen[viewer, uri] = (server, now)
        self._seen.move_to_end((viewer, uri))
        if len(self._seen) > MAX_SEEN:
            self._seen.popitem(last=False)

    def server_of(self, viewer: Hashable, uri: str, now: float) -> str | None:
        """Who told this viewer of the URI last; being asked for keeps it for longer."""
        server, seen_at = self._seen.get((viewer, uri), (None, 0.0))
        if server is None:
            return None
        if now - seen_at > KEEP_S:
            del self._seen[viewer, uri]
            return None
        self.remember(viewer, uri, server, now)
        return server
