"""A gateway elsewhere, as the command line reaches it: `FakeControl` behind the name of `RemoteControl`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from proxy_core.admin_wire import ExchangePage, LogPage
from proxy_core.control_client import GatewayUnreachable
from proxy_core.telemetry.snapshot import ServerDetail, Snapshot
from tests.support.fake_control import FakeControl


class FakeRemote(FakeControl):
    """Every address leads to it, as long as it is up."""

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        super().__init__(snapshot)
        self.is_up = True
        self.asked_at: list[tuple[str | Path, str | None]] = []
        """Address and token of each time that it was reached."""
        self.on_refresh: Callable[[], None] = lambda: None
        """What happens between two pictures."""

    def reached(self, address: str | Path, token: str | None = None, **more: Any) -> Self:
        """Stands for the class."""
        self.asked_at.append((address, token))
        return self

    async def __aenter__(self) -> Self:
        if not self.is_up:
            self.on_refresh()
            raise GatewayUnreachable(f"No gateway at {self.asked_at[-1][0]}: nothing answers there.")
        return self

    async def __aexit__(self, *raised: Any) -> None:
        """Nothing is kept open."""

    def follow(self) -> None:
        """The picture is always the newest."""

    async def refresh(self) -> Snapshot:
        self.on_refresh()
        return self.snapshot()

    async def fetch_detail(self, server: str) -> ServerDetail:
        return self.detail(server)

    async def fetch_logs(self, after: int = 0, limit: int = 1000) -> LogPage:
        self.on_refresh()
        seq, lines = self.logs_after(after)
        return LogPage(seq, lines[-limit:])

    async def fetch_exchanges(self, limit: int) -> ExchangePage:
        seq, rows = self.exchanges_after(0)
        return ExchangePage(seq, rows[-limit:])
