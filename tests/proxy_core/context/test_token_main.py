"""The program that counts tokens, as a process of its own; two other tokenizers give the same figures."""

import os
import subprocess
import sys
from collections.abc import Sequence

import psutil
import pytest

from proxy_core.context.token_helper import COMMAND
from proxy_core.context.token_main import LENGTH_BYTES, MAX_TEXT_BYTES, NICENESS, Input

TOOL = (
    '{"name":"clock__now","title":"Time now","description":"The current time in a timezone.","inputSchema":'
    '{"type":"object","properties":{"timezone":{"type":"string","description":'
    '"An IANA name, as Europe/Berlin."}}}}'
)
O200K_BASE = {
    "": 0,
    "hello world": 2,
    "it's I'LL": 3,
    "x\ny  \n\n z": 5,
    " " * 5000: 40,
    "日本語テキスト" * 50: 250,
    "🦀" * 100: 300,
    "<|endoftext|>": 7,
    TOOL: 51,
}
"""Text -> tokens. What looks like a special token is ordinary text where a server wrote it."""


def framed(text: str) -> bytes:
    raw = text.encode()
    return len(raw).to_bytes(LENGTH_BYTES, "big") + raw


def said(given: bytes, command: Sequence[str] = COMMAND) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, input=given, capture_output=True, timeout=60, check=False)


def test_counts_are_those_of_the_encoding():
    done = said(b"".join(map(framed, O200K_BASE)))
    assert (done.returncode, done.stderr) == (0, b"")
    assert dict(zip(O200K_BASE, map(int, done.stdout.split()), strict=True)) == O200K_BASE


@pytest.mark.parametrize("text", ["a" * MAX_TEXT_BYTES, "é" * (MAX_TEXT_BYTES // 2), "\n" * MAX_TEXT_BYTES])
def test_a_hostile_text_takes_no_longer_than_another(text: str):
    """Where a tokenizer is quadratic in the longest run of a character, these take hours."""
    assert int(said(framed(text)).stdout) > 0


@pytest.mark.parametrize(
    "given", [b"", b"\0\0", framed("hello world")[:-1]], ids=["none", "a length", "a text"]
)
def test_it_ends_with_its_input_wherever_that_breaks_off(given: bytes):
    done = said(given)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_text_that_is_too_long_is_not_read():
    done = said((MAX_TEXT_BYTES + 1).to_bytes(LENGTH_BYTES, "big"))
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"longer than" in done.stderr


def test_half_a_character_costs_no_more_than_that():
    raw = "é".encode()[:1]
    done = said(len(raw).to_bytes(LENGTH_BYTES, "big") + raw + framed("hello world"))
    assert [int(line) for line in done.stdout.split()][1] == 2


def test_it_ends_when_nothing_comes():
    """Else one whose gateway hangs would hold its memory as long."""
    reading, writing = os.pipe()
    try:
        os.write(writing, b"abc")
        given = Input(reading, idle_s=0.0)
        assert given.take(2) == b"ab"
        with pytest.raises(EOFError):
            given.take(2)
    finally:
        os.close(reading)
        os.close(writing)


def test_a_reader_that_has_gone_is_no_failure():
    process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, error = process.communicate(framed("hello world"), timeout=60)
    assert (process.returncode, error) == (0, b"")


def test_it_gives_way_to_whatever_else_runs():
    process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(framed("hello world"))
    process.stdin.flush()
    assert process.stdout.readline() == b"2\n"
    assert psutil.Process(process.pid).nice() == min(19, psutil.Process().nice() + NICENESS)
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_it_loads_nothing_of_ours():
    look = (
        "import atexit, runpy, sys\n"
        "atexit.register(lambda: print(sorted({n.partition('.')[0] for n in sys.modules})))\n"
        f"runpy.run_path({COMMAND[-1]!r}, run_name='__main__')\n"
    )
    done = said(b"", (sys.executable, "-P", "-c", look))
    assert done.returncode == 0, done.stderr
    assert b"'toktok'" in done.stdout
    assert not {b"'proxy_core'", b"'asyncio'", b"'importlib.metadata'", b"'email'"} & set(
        done.stdout.split(b", ")
    )
