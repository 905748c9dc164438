"""What was opened with a credential that is good for a while alone, and so has to end with it.

Calls that are being answered are no part of it: they were admitted.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from proxy_core.frontend.wire import Credential


class Lasting:
    """Sole owner of what it knows; `sweep` is called by the listener's one sweeper."""

    def __init__(self) -> None:
        self._open: dict[object, tuple[Credential, Callable[[], None]]] = {}

    @contextmanager
    def while_good(self, credential: Credential | None, end: Callable[[], None]) -> Iterator[None]:
        """Inside the block, `end` is called once the credential is good no more; it may be called again."""
        if credential is None:
            yield
            return
        key = object()
        self._open[key] = (credential, end)
        try:
            yield
        finally:
            del self._open[key]

    def sweep(self) -> None:
        for credential, end in list(self._open.values()):
            if not credential.is_good():
                end()
