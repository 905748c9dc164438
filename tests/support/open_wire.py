"""A response that stays open, without a network: what streams are tested on."""

import asyncio

from proxy_core.frontend.wire import HeaderList, WireStream


class OpenWire:
    """A connection whose client reads while `reads` is set."""

    def __init__(self) -> None:
        self.sent = b""
        self.headers: HeaderList | None = None
        self.is_closed = self.is_aborted = self.is_gone = False
        self.reads = asyncio.Event()
        self.reads.set()
        self.writing = asyncio.Event()

    async def open(self, status: int, headers: HeaderList) -> WireStream:
        if self.is_gone:
            raise ConnectionResetError
        self.headers = headers
        return self

    async def write(self, data: bytes) -> None:
        if self.is_gone:
            raise ConnectionResetError
        self.sent += data
        self.writing.set()
        await self.reads.wait()

    async def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_aborted = True
        self.reads.set()
