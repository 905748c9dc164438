"""Ports that stay ours while nobody listens on them: between a kill and the next start, and while refused.

A port that is merely free may be anybody's a moment later: each of a thousand connections takes one.
"""

import socket
import sys


class HeldPort:
    """One port of loopback. Whoever listens on it needs SO_REUSEADDR, as asyncio and aiohttp set it."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Bound and not listening: the system gives it to nobody else, and refuses who connects.
        self._socket.bind(("127.0.0.1", 0))
        self.number: int = self._socket.getsockname()[1]
        if sys.platform != "linux":
            # Elsewhere nobody could listen beside it.
            self.release()

    def release(self) -> None:
        self._socket.close()
