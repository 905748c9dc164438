"""What a stream counts, however its bytes come."""

import pytest

from tests.benchmarks.growth.listeners import ACKNOWLEDGED, CHANGED, Listener

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
EVENTS = b"".join(
    b'%x\r\ndata: {"method":%s}\r\n\r\n\r\n' % (20, word) for word in (ACKNOWLEDGED, CHANGED, CHANGED)
)


@pytest.mark.parametrize("size", [1, 7, 33, 1000])
def test_every_event_counts_once_whatever_the_pieces(size: int):
    listener, stream = Listener(), HEAD + EVENTS + b"2\r\n:\n\r\n"
    for at in range(0, len(stream), size):
        listener.data_received(stream[at : at + size])
    assert listener.is_acknowledged
    assert listener.changes == 2


def test_half_an_event_is_none():
    listener = Listener()
    listener.data_received(HEAD + b"data: " + CHANGED)
    assert listener.changes == 0
