"""Our own stdin and stdout: lines in, lines out, both within bounds, whatever they are connected to."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy_core.errors import Only1Error
from proxy_core.frontend import pipe
from proxy_core.frontend.pipe import ClientDoesNotRead, LineCutter, LineReader, LineWriter
from tests.support.wire import comes_true

SOON_S = 20


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    """The two ends of a pipe; a test may close them itself."""
    both = os.pipe()
    yield both
    for end in both:
        try:
            os.close(end)
        except OSError:
            pass


async def _all(reader: LineReader) -> list[bytes | None]:
    found: list[bytes | None] = []
    while lines := await asyncio.wait_for(reader.read(), SOON_S):
        found += lines
    return found


# --- cutting


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_lines_come_out_whole_whatever_the_chunks(size: int):
    cutter = LineCutter(10)
    stream = b'{"a":1}\r\n\n   \nlast'
    found = [line for at in range(0, len(stream), size) for line in cutter.feed(stream[at : at + size])]
    assert [*found, *cutter.rest()] == [b'{"a":1}', b"last"]
    assert cutter.rest() == []


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_a_line_that_is_too_long_is_skipped_and_the_next_is_read(size: int):
    cutter = LineCutter(10)
    stream = b"x" * 10 + b"\n" + b"y" * 11 + b"\nz\n" + b"w" * 50
    found = [line for at in range(0, len(stream), size) for line in cutter.feed(stream[at : at + size])]
    assert [*found, *cutter.rest()] == [b"x" * 10, None, b"z", None]


# --- reading


async def test_a_regular_file_is_read_to_its_end(tmp_path: Path):
    path = tmp_path / "in"
    path.write_bytes(b"one\n" * 50_000 + b"two")
    fd = os.open(path, os.O_RDONLY)
    reader = LineReader(fd, 100)
    reader.start()
    lines = await _all(reader)
    os.close(fd)
    assert (len(lines), lines[0], lines[-1]) == (50_001, b"one", b"two")
    assert await reader.read() == []


async def test_a_terminal_is_read_line_by_line():
    master, slave = os.openpty()
    reader = LineReader(slave, 100)
    reader.start()
    os.write(master, b"hello\n")
    assert await asyncio.wait_for(reader.read(), SOON_S) == [b"hello"]
    os.write(master, b"\x04")
    assert await _all(reader) == []
    os.close(master)
    os.close(slave)


async def test_a_pipe_that_somebody_made_non_blocking_is_waited_for(ends: tuple[int, int]):
    read, write = ends
    os.set_blocking(read, False)
    reader = LineReader(read, 100)
    reader.start()
    waiting = asyncio.ensure_future(reader.read())
    await asyncio.sleep(0)
    os.write(write, b"late\n")
    assert await asyncio.wait_for(waiting, SOON_S) == [b"late"]
    os.close(write)
    assert await _all(reader) == []


async def test_no_more_is_read_ahead_than_is_wanted(ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pipe, "READ_BYTES", 4)
    read, write = ends
    reader = LineReader(read, 100)
    reader.start()
    os.write(write, b"abc\n" * 100)
    await comes_true(lambda: reader._chunks.qsize() == pipe.READ_AHEAD, "it has read ahead")
    os.close(write)
    assert await _all(reader) == [b"abc"] * 100


# --- writing


async def test_lines_are_written_in_order_and_what_is_left_at_the_end_too(ends: tuple[int, int]):
    read, write = ends
    reader, writer = LineReader(read, 100), LineWriter(write, lambda error: None)
    reader.start()
    writer.start()
    expected = [b"%d" % number for number in range(20_000)]
    for line in expected:
        writer.send(line)
    got = asyncio.ensure_future(_all(reader))
    await writer.aclose(SOON_S)
    writer.send(b"too late")
    os.close(write)
    assert await got == expected


async def test_a_client_that_does_not_read_is_waited_for(
    ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pipe, "HIGH_WATER_BYTES", 1000)
    read, write = ends
    writer = LineWriter(write, lambda error: None)
    writer.start()
    writer.send(b"x" * 300_000)
    waiting = asyncio.ensure_future(writer.room())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting), 0.05)
    reader = LineReader(read, 1 << 20)
    reader.start()
    assert await asyncio.wait_for(reader.read(), SOON_S) == [b"x" * 300_000]
    await asyncio.wait_for(waiting, SOON_S)
    await writer.aclose(SOON_S)


async def test_a_client_that_never_reads_is_given_up(ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pipe, "MAX_QUEUED_BYTES", 500_000)
    read, write = ends
    told: list[Only1Error | None] = []
    writer = LineWriter(write, told.append)
    writer.start()
    for _ in range(20):
        writer.send(b"x" * 50_000)
    assert [type(error) for error in told] == [ClientDoesNotRead]
    assert not writer.has_reader()
    # Neither waits for a thread that is stuck.
    await asyncio.wait_for(writer.room(), 1)
    await asyncio.wait_for(writer.aclose(SOON_S), 1)
    os.close(read)


async def test_a_client_that_has_gone_is_noticed(ends: tuple[int, int]):
    read, write = ends
    told: list[Only1Error | None] = []
    writer = LineWriter(write, told.append)
    writer.start()
    assert writer.has_reader()
    os.close(read)
    assert not writer.has_reader()
    writer.send(b"anyone?")
    writer.send(b"no")
    await comes_true(lambda: told, "the writer says so")
    await asyncio.wait_for(writer.aclose(SOON_S), SOON_S)
    assert told == [None]


async def test_a_line_waits_only_until_it_is_written(ends: tuple[int, int]):
    read, write = ends
    writer = LineWriter(write, lambda error: None)
    writer.send(b"again")
    assert writer.is_waiting(b"again")
    writer.start()
    await comes_true(lambda: not writer.is_waiting(b"again"), "it is written")
    await writer.aclose(SOON_S)
    assert os.read(read, 100) == b"again\n"


CLAIMING = """
import os, subprocess, sys
from proxy_core.frontend.pipe import claim_stdio
pipe = claim_stdio()
print("a stray print", flush=True)
os.write(1, b"a stray write\\n")
subprocess.run(["sh", "-c", "echo a stray child"])
assert sys.stdin.read() == ""
os.write(pipe.stdout, os.read(pipe.stdin, 100))
"""


@pytest.mark.requirement("L17")
def test_nothing_but_what_is_meant_for_it_reaches_a_stdout_that_was_claimed():
    done = subprocess.run([sys.executable, "-c", CLAIMING], input=b"{}\n", capture_output=True, timeout=60)
    assert done.stdout == b"{}\n", done.stderr
    assert [b"stray " + what in done.stderr for what in (b"print", b"write", b"child")] == [True] * 3
