"""A server of HTTP/1.1 as cheap as Python allows: POST bodies in, ready answers out, on one asyncio.Protocol.

It trusts its client to frame requests rightly, for only benchmarks speak to it. Knows no MCP.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, cast

Respond: TypeAlias = Callable[[bytes], bytes | list[bytes]]
"""From the body of a POST to that of the answer: JSON; nothing, which is 202; or the events of a stream."""
_JSON: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
_ACCEPTED: Final = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
_NOT_ALLOWED: Final = b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n"
_STREAM: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
_LENGTH: Final = b"content-length:"


async def serve_raw(respond: Respond, port: int, slow_s: float, counts: Mapping[str, int]) -> None:
    """Serve until cancelled; the port that was bound is printed. `counts`: what GET /asked tells.

    `slow_s`: how long each answer to a POST takes.
    """
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(respond, slow_s, counts), "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class _Connection(asyncio.Protocol):
    def __init__(self, respond: Respond, slow_s: float, counts: Mapping[str, int]) -> None:
        self._respond = respond
        self._slow_s = slow_s
        self._counts = counts
        self._held: list[bytes] = []
        """The beginning of a request that is not whole, in the pieces that came."""
        self._missing = 0
        """Bytes without which it cannot be; only then are its pieces put together, once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are no subclasses.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._held:
            self._held.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                return
            data = b"".join(self._held)
            self._held.clear()
        self._missing = 1
        while data:
            body_at = data.find(b"\r\n\r\n") + 4
            if body_at < 4:
                break
            head = data[:body_at].lower()
            length_at = head.find(_LENGTH)
            body_end = body_at
            if length_at >= 0:
                digits_at = length_at + len(_LENGTH)
                body_end += int(head[digits_at : head.find(b"\r", digits_at)])
            if len(data) < body_end:
                self._missing = body_end - len(data)
                break
            self._answer(head, data[body_at:body_end])
            data = data[body_end:]
        if data:
            self._held.append(data)

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"post "):
            answer = _framed(self._respond(body))
            if self._slow_s:
                asyncio.get_running_loop().call_later(self._slow_s, self._transport.write, answer)
                return
        elif head.startswith(b"get /asked "):
            answer = _framed(json.dumps(self._counts).encode())
        else:
            answer = _NOT_ALLOWED
        self._transport.write(answer)


def _framed(answer: bytes | list[bytes]) -> bytes:
    if isinstance(answer, list):
        events = (b"event: message\ndata: %b\n\n" % each for each in answer)
        return b"%b%b0\r\n\r\n" % (_STREAM, b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in events))
    return _JSON % (len(answer), answer) if answer else _ACCEPTED
