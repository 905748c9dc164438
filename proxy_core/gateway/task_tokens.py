"""The ids under which modern clients know the tasks of servers: sealed, and good for their own viewer alone.

Good for as long as the key that sealed them: how long a task is kept is for its server to say.
"""

import hashlib
import secrets
from collections.abc import Callable
from typing import Any, Final

from proxy_core.errors import InvalidParams
from proxy_core.gateway.exchange import Viewer
from proxy_core.protocol.sealed import Sealer

PURPOSE: Final = "task"


class UnknownTask(InvalidParams):
    """Never said why: a token tells nobody what it is good for."""

    def __init__(self) -> None:
        super().__init__("Unknown task")


class TaskTokens:
    def __init__(self, sealer: Callable[[], Sealer]) -> None:
        self._sealer = sealer

    def seal(self, server: str, replica: str, task_id: str, viewer: Viewer) -> str:
        nonce = secrets.token_hex(8)
        # A token can be read by whoever holds it, so it names nobody.
        payload = {"b": server, "r": replica, "k": task_id, "x": nonce, "p": _digest(nonce, viewer)}
        return self._sealer().seal(PURPOSE, payload)

    def open(self, token: Any, viewer: Viewer) -> tuple[str, str, str]:
        """The server, the replica that runs it, and its own id of the task. Raises: UnknownTask."""
        try:
            payload = self._sealer().open(PURPOSE, token if isinstance(token, str) else "")
        except InvalidParams:
            raise UnknownTask from None
        if payload["p"] != _digest(payload["x"], viewer):
            raise UnknownTask
        return payload["b"], payload["r"], payload["k"]


def _digest(nonce: str, viewer: Viewer) -> str:
    return hashlib.sha256(f"{nonce}\0{viewer.principal}\0{viewer.profile}".encode()).hexdigest()
