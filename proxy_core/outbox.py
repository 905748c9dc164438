"""What several connections write in one turn of the event loop, written together at its end.

A write wakes whoever reads at the other end, which costs more than the write where he sleeps: whoever is
woken by the first is awake for the others.
"""

import asyncio
from typing import Protocol


class Sender(Protocol):
    def flush(self) -> None:
        """Write what is unsent, if anything still is. Must not raise."""
        ...


class Outbox:
    """Of one event loop. Holds a sender for the rest of the turn, never longer."""

    def __init__(self) -> None:
        self._senders: list[Sender] = []

    def put(self, sender: Sender) -> None:
        """`sender` has something to write; once for each time it has."""
        if not self._senders:
            asyncio.get_running_loop().call_soon(self._flush)
        self._senders.append(sender)

    def _flush(self) -> None:
        senders, self._senders = self._senders, []
        for sender in senders:
            sender.flush()
