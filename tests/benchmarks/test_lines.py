"""The load over plain sockets: when requests are due, whose answers count, and what a busy server costs."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest

from tests.benchmarks.lines import Line, at_pace, opened, saturate, schedule
from tests.benchmarks.load import modern_list

RIGHT = b'HTTP/1.1 200 OK\r\nContent-Length: 33\r\n\r\n{"jsonrpc":"2.0","id":%d}'
ASK = modern_list()


@contextmanager
def server(answer: Callable[[socket.socket, int], None]) -> Iterator[int]:
    """Its port; `answer` is called for each request with its id, one connection after the other's request."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(65_536):
                answer(connection, int(data.split(b'"id":')[1].split(b",")[0]))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def in_pieces(connection: socket.socket, request_id: int) -> None:
    whole = RIGHT % request_id
    for at in (0, 20, 50):
        connection.sendall(whole[at : {0: 20, 20: 50}.get(at)])
        time.sleep(0.002)


def as_a_stream(connection: socket.socket, request_id: int) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    event = b'data: {"id":%d}\n\n' % request_id
    connection.sendall(b"%x\r\n%b\r\n" % (len(event), event))
    connection.sendall(b"0\r\n\r\n")


@pytest.mark.parametrize("answer", [in_pieces, as_a_stream])
def test_answers_are_whole_however_they_come(answer: Callable[[socket.socket, int], None]):
    with server(answer) as port, opened(port, 3, ASK) as lines:
        measured = saturate(lines, 0.05, lambda: 0.0)
    assert measured.calls >= 3
    assert len(measured.latencies_ms) == measured.calls


def test_an_answer_to_another_request_is_no_answer():
    def wrong(connection: socket.socket, request_id: int) -> None:
        connection.sendall(RIGHT % (request_id + 1))

    with server(wrong) as port, opened(port, 1, ASK) as lines, pytest.raises(AssertionError, match="jsonrpc"):
        saturate(lines, 0.05, lambda: 0.0)


def test_a_refusal_is_no_answer():
    def refused(connection: socket.socket, request_id: int) -> None:
        connection.sendall((RIGHT % request_id).replace(b"200 OK", b"503 No"))

    with server(refused) as port, opened(port, 1, ASK) as lines, pytest.raises(AssertionError, match="503"):
        saturate(lines, 0.05, lambda: 0.0)


def test_a_server_that_repeats_no_ids_may_be_asked_so():
    with server(lambda connection, _: connection.sendall(RIGHT % 1_234_567_890)) as port:
        with opened(port, 1, ASK, repeats_ids=False) as lines:
            assert saturate(lines, 0.02, lambda: 0.0).calls > 0


def test_one_request_is_exchanged_with_head_and_body():
    with server(in_pieces) as port:
        line = Line(port, ASK)
        head, body = line.exchange(*ASK(1_000_000_007))
        line.close()
    assert head.startswith(b"HTTP/1.1 200")
    assert body == b'{"jsonrpc":"2.0","id":1000000007}'


def test_requests_are_due_evenly():
    assert schedule(4, 1.0) == [0.0, 0.25, 0.5, 0.75]
    assert len(schedule(5000, 0.3)) == 1500


def test_a_request_that_waits_for_a_line_counts_from_when_it_was_due():
    """An open loop does not let a slow server off: its queue is in the figures."""

    def slowly(connection: socket.socket, request_id: int) -> None:
        time.sleep(0.03)
        connection.sendall(RIGHT % request_id)

    with server(slowly) as port, opened(port, 1, ASK) as lines:
        latencies_ms = at_pace(lines, [0.0, 0.0, 0.0, 0.0])
    assert all(later - sooner >= 29 for sooner, later in pairwise(latencies_ms))


def test_a_request_is_not_sent_before_it_is_due():
    due_s = [0.0, 0.05, 0.1]
    asked_at: list[float] = []

    def note(connection: socket.socket, request_id: int) -> None:
        asked_at.append(time.perf_counter())
        connection.sendall(RIGHT % request_id)

    with server(note) as port, opened(port, 2, ASK) as lines:
        begun = time.perf_counter()
        assert len(at_pace(lines, due_s)) == 3
    assert all(at - begun >= due for at, due in zip(asked_at, due_s, strict=True))
