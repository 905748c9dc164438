"""That a token cannot be judged yet, and what would have to be waited for. Knows neither tokens nor keys."""

from typing import Protocol

from proxy_core.errors import HttpRefusal


class Obtainable(Protocol):
    async def obtain(self) -> None:
        """Wait a while for it. Raises nothing."""
        ...


class KeysWanted(HttpRefusal):
    """The token names a key that is not here: refused, unless somebody waits for keys and asks again."""

    def __init__(self, refusal: HttpRefusal, keys: Obtainable) -> None:
        super().__init__(refusal.status, refusal.message, refusal.headers)
        self.keys = keys
