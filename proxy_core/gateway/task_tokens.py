"""The ids under which modern clients know the tasks of servers: sealed, and good for their own viewer alone.

Good for as long as the key that sealed them: how long a task is kept is for its server to say.
"""

import hashlib
import secrets
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from proxy_core.errors import InvalidParams
from proxy_core.gateway.exchange import Viewer
from proxy_core.protocol.sealed import Sealer

PURPOSE: Final = "task"


class UnknownTask(InvalidParams):
    """Never said why: a token tells nobody what it is good for."""

    def __init__(self) -> None:
        super().__init__("Unknown task")


class TaskPlace(NamedTuple):
    """Where a task runs, and what of: in its server's own words."""

    server: str
    replica: str
    task: str
    tool: str


class TaskTokens:
    def __init__(self, sealer: Callable[[], Sealer]) -> None:
        self._sealer = sealer

    def seal(self, place: TaskPlace, viewer: Viewer) -> str:
        nonce = secrets.token_hex(8)
        # A token can be read by whoever holds it, so it names nobody.
        names = {"b": place.server, "r": place.replica, "k": place.task, "t": place.tool}
        return self._sealer().seal(PURPOSE, {**names, "x": nonce, "p": _digest(nonce, viewer)})

    def open(self, token: Any, viewer: Viewer) -> TaskPlace:
        """Raises: UnknownTask."""
        try:
            payload = self._sealer().open(PURPOSE, token if isinstance(token, str) else "")
        except InvalidParams:
            raise UnknownTask from None
        # One that an earlier version sealed does not say of which tool it is.
        if payload["p"] != _digest(payload["x"], viewer) or "t" not in payload:
            raise UnknownTask
        return TaskPlace(payload["b"], payload["r"], payload["k"], payload["t"])


def _digest(nonce: str, viewer: Viewer) -> str:
    return hashlib.sha256(f"{nonce}\0{viewer.principal}\0{viewer.profile}".encode()).hexdigest()
