"""Whose an answer is, told by what is in it: the canaries of clients, mints of servers, topics of a policy.

Everything that a client receives is put before a `Court`. What is another's, or of a topic that the client was
not shown at any time while it asked, is a leak.
"""

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

_CANARY: Final = re.compile(rb"CANARY-(\d+)-")
_MINT: Final = re.compile(rb"MINT-(\d+)-")
_TOPIC: Final = re.compile(rb"TOPIC-(\d+)-")


def canary(who: int) -> str:
    """What this client alone puts into its requests."""
    return f"CANARY-{who}-"


@dataclass
class Court:
    leaks: list[str] = field(default_factory=list)
    judged: Counter[str] = field(default_factory=Counter)
    """What was received, by what it was."""
    evidence: Counter[str] = field(default_factory=Counter)
    """What was found in it, whoever's it was: without any of it nothing was shown."""
    _owners: dict[bytes, int] = field(default_factory=dict)
    """Mint -> the first client that had it."""

    def judge(self, what: str, who: int, received: bytes, topics: Collection[int] | None = None) -> None:
        """`topics`: those that the client may have been shown; None: of any."""
        self.judged[what] += 1
        for number in _CANARY.findall(received):
            self.evidence["canary"] += 1
            if int(number) != who:
                self._convict(what, who, f"the canary of {int(number)}", received)
        for mint in _MINT.findall(received):
            self.evidence["mint"] += 1
            owner = self._owners.setdefault(mint, who)
            if owner != who:
                self._convict(what, who, f"mint {int(mint)}, which {owner} has", received)
        for number in _TOPIC.findall(received):
            self.evidence["topic"] += 1
            if topics is not None and int(number) not in topics:
                self._convict(what, who, f"topic {int(number)}, and may have {sorted(topics)}", received)

    def _convict(self, what: str, who: int, found: str, received: bytes) -> None:
        self.leaks.append(f"{what}: {who} has {found}: {received[:500]!r}")
