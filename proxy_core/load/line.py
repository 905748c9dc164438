"""A connection whose replies are awaited one by one: for what is asked before a load, and after it."""

import asyncio
from time import perf_counter
from typing import Final

from proxy_core.errors import GatewayUnreachable
from proxy_core.load.connection import LoadConnection
from proxy_core.load.target import Target

CONNECT_S: Final = 3.0
ANSWER_S: Final = 10.0


async def connect(target: Target, connection: LoadConnection) -> None:
    """Raises: OSError, TimeoutError."""
    async with asyncio.timeout(CONNECT_S):
        await asyncio.get_running_loop().create_connection(
            lambda: connection,
            target.address,
            target.port,
            ssl=target.tls,
            server_hostname=target.server_name if target.tls else None,
        )


class Line:
    """Opened by `open`; after each `ask` its `connection` holds the reply."""

    def __init__(self, target: Target) -> None:
        self.connection = LoadConnection(self)
        self._target = target
        self._finished: asyncio.Future[None] | None = None

    async def open(self) -> None:
        """Raises: GatewayUnreachable."""
        try:
            await connect(self._target, self.connection)
        except (OSError, TimeoutError) as error:
            why = getattr(error, "strerror", None) or str(error) or f"no connection within {CONNECT_S:g} s"
            raise GatewayUnreachable(f"Nothing answers at {self._target.url}: {why}.") from error

    async def ask(self, request: bytes, request_id: int = 0) -> None:
        """Until the reply is there whole, or its connection lost. Opens another if it was closed before.

        Raises: GatewayUnreachable if it cannot, or if `ANSWER_S` are over.
        """
        if not self.connection.is_open:
            self.connection = LoadConnection(self)
            await self.open()
        self._finished = finished = asyncio.get_running_loop().create_future()
        now = perf_counter()
        self.connection.ask(request, request_id, now, now)
        try:
            async with asyncio.timeout(ANSWER_S):
                await finished
        except TimeoutError as error:
            raise GatewayUnreachable(f"{self._target.url} did not answer within {ANSWER_S:g} s.") from error

    def close(self) -> None:
        self.connection.close()

    # --- for its connection -----------------------------------------------------------------------------------

    def finished(self, connection: LoadConnection) -> None:
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(None)

    def gone(self, connection: LoadConnection) -> None:
        """Whoever asks next opens another."""
