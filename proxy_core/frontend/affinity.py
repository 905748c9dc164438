"""Which header of a client chooses among equal replicas, where the configuration names one (routing.hash_key).

Its value is hashed and goes no further: no server ever gets it.
"""

from typing import Final

from proxy_core.config.models import RoutingConfig
from proxy_core.frontend.wire import WireHead

MAX_CHARS: Final = 1024
_PREFIX: Final = "header:"


class Affinity:
    """One for the whole listener; `use` changes it for all."""

    def __init__(self, routing: RoutingConfig) -> None:
        self._header: str | None = None
        self.use(routing)

    def use(self, routing: RoutingConfig) -> None:
        is_header = routing.hash_key.startswith(_PREFIX)
        self._header = routing.hash_key.removeprefix(_PREFIX).lower() if is_header else None

    def of(self, head: WireHead) -> str:
        """What this client says; empty where nothing is configured or said."""
        return "" if self._header is None else head.values.get(self._header, "")[:MAX_CHARS]
