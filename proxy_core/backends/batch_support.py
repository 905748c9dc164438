"""Whether one replica reads JSON-RPC batches, as far as it has shown, and how many it was sent. Pure.

Outlives the replica's connections: what was found out once is not asked again. Many servers that agreed on
2025-03-26 do not read batches, though it says that they must (basic, "Batching").
"""

from enum import Enum, auto


class Support(Enum):
    UNKNOWN = auto()
    ON_TRIAL = auto()
    """It has been sent a batch of pings, and is trusted with nothing until it has answered."""
    SHOWN = auto()
    LACKING = auto()
    """It did not answer the pings, or failed with a batch later."""


class BatchSupport:
    """Shared by all connections of one replica."""

    def __init__(self) -> None:
        self.state = Support.UNKNOWN
        self.batches_sent = 0
        """Those with requests that somebody waits for; trials do not count."""
        self.requests_in_batches = 0

    def sent(self, requests: int) -> None:
        self.batches_sent += 1
        self.requests_in_batches += requests

    def on_trial(self) -> None:
        self.state = Support.ON_TRIAL

    def trial_over(self) -> None:
        """Whatever it came to: one that came to nothing may be repeated."""
        if self.state is Support.ON_TRIAL:
            self.state = Support.UNKNOWN

    def tried(self, is_read: bool | None) -> None:
        """The end of a trial; None: it has shown nothing, and is tried again."""
        if is_read is None:
            self.state = Support.UNKNOWN
        else:
            self.state = Support.SHOWN if is_read else Support.LACKING

    def failed(self) -> bool:
        """It is sent no batch any more; whether that is news."""
        was, self.state = self.state, Support.LACKING
        return was is not Support.LACKING
