"""Who has been asking: one record for each client, principal and revision, folded from finished requests. Pure.

Names are what clients call themselves: display only, and bounded in number, since anyone can make up new ones.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Final

from proxy_core.facts import RequestFinished
from proxy_core.telemetry.snapshot import ClientRow

MAX_CLIENTS: Final = 200


@dataclass(slots=True)
class _Record:
    requests: int = 0
    last_at: float = 0.0
    calls: Counter[str] = field(default_factory=Counter)
    """By server."""


class Clients:
    def __init__(self) -> None:
        self._records: OrderedDict[tuple[str, str, str, str], _Record] = OrderedDict()
        """By name, principal, era and revision; the one seen last is last."""

    def fold(self, fact: RequestFinished, count: int = 1) -> None:
        """`count`: how many that are alike, of which this is the last."""
        key = (fact.client, fact.principal, fact.era, fact.revision)
        record = self._records.get(key)
        if record is None:
            record = self._records[key] = _Record()
            if len(self._records) > MAX_CLIENTS:
                self._records.popitem(last=False)
        else:
            self._records.move_to_end(key)
        record.requests += count
        record.last_at = fact.at
        if fact.server is not None:
            record.calls[fact.server] += count

    def keep(self, servers: set[str]) -> None:
        """Forget the calls of servers that are no longer configured."""
        for record in self._records.values():
            for gone in record.calls.keys() - servers:
                del record.calls[gone]

    def rows(self) -> tuple[ClientRow, ...]:
        """The one seen last is first."""
        return tuple(
            ClientRow(
                name=name,
                principal=principal,
                era=era,
                revision=revision,
                requests=record.requests,
                last_at=record.last_at,
                calls=tuple(sorted(record.calls.items())),
            )
            for (name, principal, era, revision), record in reversed(self._records.items())
        )
