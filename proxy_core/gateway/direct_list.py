"""A list's first page that is ready: joined from bytes that are there, in one step.

What such requests of one client have in common is worked out once, and each of them only looks whether it still
holds.
"""

from proxy_core.config.models import Config
from proxy_core.gateway.exchange import Caller
from proxy_core.gateway.modes import Mode
from proxy_core.gateway.standing import Standing


class ListLane:
    """What requests for one list's first page, by a client that says the same of itself, have in common."""

    __slots__ = ("_standing", "caller", "config", "method", "mode", "page", "version")

    def __init__(
        self,
        config: Config,
        version: int,
        caller: Caller,
        method: str,
        mode: Mode,
        page: bytes,
        standing: Standing,
    ) -> None:
        """`config`, `version`: of the catalog; it is good as long as these are in force. `page`: its members
        without the braces."""
        self.config = config
        self.version = version
        self.caller = caller
        self.method = method
        self.mode = mode
        self.page = page
        self._standing = standing

    @property
    def is_over(self) -> bool:
        """Whether the list stands otherwise by now."""
        return self._standing.is_over

    def result(self, now: float) -> bytes | None:
        """As JSON; None if its time is over. `now`: monotonic seconds."""
        standing = self._standing
        if now >= standing.good_until:
            return None
        standing.hit(now)
        return b"".join((b"{", self.page, standing.suffix(self.caller.era, now), b"}"))
