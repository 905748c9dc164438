"""A list's first page that is ready: joined from bytes that are there, in one step.

What such requests of one client have in common is worked out once, and each of them only looks whether it still
holds.
"""

from proxy_core.gateway.exchange import Caller
from proxy_core.gateway.modes import Mode
from proxy_core.gateway.standing import Standing


class ListLane:
    """What requests for one list's first page, by a client that says the same of itself, have in common."""

    __slots__ = ("_standing", "caller", "method", "mode", "page", "version", "viewer")

    def __init__(
        self,
        version: int,
        caller: Caller,
        method: str,
        mode: Mode,
        page: bytes,
        standing: Standing,
    ) -> None:
        """`version`: of the catalog; it is good as long as that is in force. `page`: its members without the
        braces."""
        self.version = version
        self.caller = caller
        self.viewer = caller.viewer
        self.method = method
        self.mode = mode
        self.page = page
        self._standing = standing

    @property
    def is_over(self) -> bool:
        """Whether the list stands otherwise by now."""
        return self._standing.is_over

    def is_ready(self, now: float) -> bool:
        """Whether nothing has to be read first. `now`: monotonic seconds."""
        return now < self._standing.good_until

    def result(self, now: float) -> bytes:
        """As JSON."""
        standing = self._standing
        standing.hit(now)
        return b"".join((b"{", self.page, standing.suffix(self.caller.era, now), b"}"))
