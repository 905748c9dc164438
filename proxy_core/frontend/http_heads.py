"""Status lines and headers of our responses, as bytes.

All in them is ours, but for an Origin that the guard matched whole.
Spec: RFC 9110, section 6.6.1 (Date); RFC 9112, sections 4, 6.1 and 9.6.
"""

import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from proxy_core.frontend.guards import JSON
from proxy_core.frontend.wire import HeaderList, WireReply


def reply_head(reply: WireReply, *, is_last: bool = False) -> bytes:
    """Of a whole response. `is_last`: the connection ends with it."""
    head = _lines(reply.status, tuple(reply.headers))
    if is_last and ("Connection", "close") not in reply.headers:
        head += b"Connection: close\r\n"
    if reply.status == 204:
        return head + _date(int(time.time())) + b"\r\n"
    return b"%b%bContent-Length: %d\r\n\r\n" % (head, _date(int(time.time())), len(reply.body))


def json_head() -> bytes:
    """Of a whole response with status 200 and JSON, up to the digits of its length and two line ends."""
    return _json_head(int(time.time()))


@lru_cache(maxsize=1)
def _json_head(wall_s: int) -> bytes:
    return b"%b%bContent-Length: " % (_lines(200, (("Content-Type", JSON),)), _date(wall_s))


def stream_head(status: int, headers: HeaderList, *, is_last: bool = False) -> bytes:
    """Of a response whose body comes in chunks."""
    end = b"Connection: close\r\n\r\n" if is_last else b"\r\n"
    return b"%b%bTransfer-Encoding: chunked\r\n%b" % (
        _lines(status, tuple(headers)),
        _date(int(time.time())),
        end,
    )


@lru_cache(maxsize=64)
def _lines(status: int, headers: tuple[tuple[str, str], ...]) -> bytes:
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nServer: only1mcp\r\n{lines}".encode()


@lru_cache(maxsize=1)
def _date(wall_s: int) -> bytes:
    return f"Date: {formatdate(wall_s, usegmt=True)}\r\n".encode()
