"""A JSON-RPC batch, which 2025-03-26 alone has: its messages, and its answers gathered again.

Spec: 2025-03-26 basic, "Batching"; basic/transports, "Sending Messages to the Server".
"""

import asyncio
from typing import Final, TypeAlias

import msgspec
from msgspec import Raw

from proxy_core.errors import InvalidRequest, ParseError
from proxy_core.frontend.client_stream import ClientStream
from proxy_core.frontend.responses import as_line
from proxy_core.protocol import jsonrpc

REVISIONS: Final = frozenset({"2025-03-26"})
MAX_MESSAGES: Final = 1000
_decode_items = msgspec.json.Decoder(list[Raw]).decode

Item: TypeAlias = jsonrpc.Message | jsonrpc.NotOneMessage | ParseError


def read(body: bytes) -> list[Item]:
    """The messages in order; an error stands for what is none.

    Raises: ParseError if the whole is no JSON array, InvalidRequest if it has no message or too many.
    """
    try:
        items = _decode_items(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ParseError("The body is not valid JSON.") from error
    if not 0 < len(items) <= MAX_MESSAGES:
        raise InvalidRequest(f"A batch holds 1 to {MAX_MESSAGES} messages.")
    return [_read_one(bytes(item)) for item in items]


def _read_one(body: bytes) -> Item:
    try:
        return jsonrpc.parse(body)
    except (jsonrpc.NotOneMessage, ParseError) as error:
        return error


class BatchAnswer:
    """The answers to one batch: an array, unless something must be streamed first; then an event each."""

    def __init__(self, stream: ClientStream) -> None:
        self._stream = stream
        self._ready: list[bytes] = []
        self._awaited = 0
        self._is_sealed = False
        self.is_empty = True
        """Whether the batch asks for no answer at all."""
        self.ended: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        """The array; empty if every request was cancelled or the answers went out as events."""

    def expect(self) -> None:
        """One more answer is to come."""
        self._awaited += 1
        self.is_empty = False

    def add(self, body: bytes) -> None:
        """An answer that was expected; nothing for a request that was cancelled."""
        self._awaited -= 1
        if body:
            self._ready.append(as_line(body))
        if self._stream.is_streaming:
            self._flush()
        self._end_if_done()

    def seal(self) -> None:
        """Every message of the batch was looked at."""
        self._is_sealed = True
        self._end_if_done()

    def _flush(self) -> None:
        for line in self._ready:
            self._stream.notify(line)
        self._ready.clear()

    def _end_if_done(self) -> None:
        if self._awaited or not self._is_sealed:
            return
        self._stream.finish()
        if not self.ended.done():
            self.ended.set_result(b"[%s]" % b",".join(self._ready) if self._ready else b"")
