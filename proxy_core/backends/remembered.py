"""What each replica listed in an earlier run, kept on disk: clients see names before the servers answer.

A replica whose address is another has nothing to remember. Lists that are private to somebody are not kept.
"""

from typing import Any, Final

import msgspec

from proxy_core.backends.backend import Backend
from proxy_core.backends.late_writer import LateWriter
from proxy_core.backends.lists import FEATURE_OF, Listing, Lists
from proxy_core.backends.verdicts import address_of
from proxy_core.errors import ParseError
from proxy_core.protocol import jsonrpc
from proxy_core.state import StateFolder

MAX_REPLICA_BYTES: Final = 4 << 20
"""A replica that lists more is not remembered."""
_PREFIX: Final = "lists-"

_decode = msgspec.json.Decoder(dict[str, list[dict[str, Any]]]).decode


class RememberedLists:
    """Sole writer of its files, one for each server."""

    def __init__(self, folder: StateFolder | None) -> None:
        """Without a folder nothing is remembered."""
        self._folder = folder
        self._writer = LateWriter("remembered", self._write)
        self._due: dict[str, dict[str, Lists]] = {}
        """Server -> key of the replica -> what is to be written."""

    def recall(self, backend: Backend) -> None:
        """Give its replicas the lists that they had, as far as they are known to be theirs."""
        if self._folder is None:
            return
        entries = self._folder.read(_PREFIX + backend.id)
        for member in backend.members:
            text = entries.get(_key(member.id, address_of(member.settings.transport)))
            if text is not None and (lists := _lists(text)) is not None:
                member.remember(lists)
        backend.remembered()

    def keep(self, backend: Backend) -> None:
        """Its lists were read; written a little later."""
        if self._folder is None:
            return
        self._due[backend.id] = {
            _key(member.id, address_of(member.settings.transport)): member.lists for member in backend.members
        }
        self._writer.changed()

    def _write(self) -> None:
        assert self._folder is not None
        while self._due:
            server, replicas = self._due.popitem()
            texts = {key: _text(lists) for key, lists in replicas.items()}
            kept = {key: text for key, text in texts.items() if text is not None}
            self._folder.write(_PREFIX + server, kept)

    async def aclose(self) -> None:
        """Write what is not written yet. It may be used again afterwards."""
        await self._writer.aclose()


def _key(replica: str, address: str) -> str:
    return f"{replica} {address}"


def _text(lists: Lists) -> str | None:
    """None for one that has read nothing yet: as empty lists it would seem to lack what the others have."""
    kept = {method: listing.items for method, listing in lists.by_method.items() if not listing.is_private}
    if not kept:
        return None
    data = jsonrpc.encode(kept)
    return data.decode() if len(data) <= MAX_REPLICA_BYTES else None


def _lists(text: str) -> Lists | None:
    try:
        by_method = _decode(text)
    except (msgspec.DecodeError, ParseError):
        return None
    known = {method: items for method, items in by_method.items() if method in FEATURE_OF}
    return (
        Lists({method: Listing(tuple(items), ttl_ms=0) for method, items in known.items()}) if known else None
    )
