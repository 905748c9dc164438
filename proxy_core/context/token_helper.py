"""One run of the program that counts tokens: started, fed, read and ended, whatever it does.

Its answers are believed only as far as they can be true. Knows nothing of what the texts are.
"""

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from proxy_core.context.token_main import LENGTH_BYTES, MAX_TEXT_BYTES
from proxy_core.tasks import Tasks

COMMAND: Final = (sys.executable, "-P", str(Path(__file__).with_name("token_main.py")))
"""By its path, so that it imports nothing of ours; -P: nor whatever lies beside it."""
DEADLINE_S: Final = 60.0
_WRITE_BYTES: Final = 1 << 16
_READ_BYTES: Final = 1 << 12
_MAX_LINE: Final = 20
_MAX_WORDS: Final = 1 << 12


class HelperFailed(Exception):
    """The program could not be started, died, took too long, or answered what cannot be true."""


async def counts_of(
    texts: Sequence[bytes],
    told: Callable[[bytes, int], None],
    command: Sequence[str] = COMMAND,
    deadline_s: float = DEADLINE_S,
) -> None:
    """Start the program, and hand each text to `told` with its tokens, as soon as they are known, in order.

    A text that is longer than the program takes is counted in pieces: a cut may cost a token or two, of a
    million. Raises: HelperFailed; what was told before stands.
    """
    try:
        async with asyncio.timeout(deadline_s):
            await _run(texts, told, command)
    except TimeoutError as error:
        raise HelperFailed(f"it was not done within {deadline_s:g} s") from error
    except OSError as error:
        raise HelperFailed(f"it cannot be started: {error}") from error


async def _run(texts: Sequence[bytes], told: Callable[[bytes, int], None], command: Sequence[str]) -> None:
    # In a session of its own: it ends when we close its stdin, not when somebody presses Ctrl-C.
    process = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd="/", start_new_session=True, limit=_READ_BYTES
    )
    tasks = Tasks("token helper")
    try:
        tasks.start(_feed(process, texts), "feed")
        words = tasks.start(_last_words(process), "stderr")
        try:
            await _read(process, texts, told)
        except EOFError:
            raise HelperFailed(f"it ended too early: {await words or 'without a word'}") from None
    finally:
        try:
            await _end(process)
            await tasks.aclose()
        finally:
            # Whoever is cancelled twice waits no longer; there is no public way to close its pipes at once.
            process._transport.close()  # type: ignore[attr-defined]


async def _feed(process: Process, texts: Sequence[bytes]) -> None:
    assert process.stdin is not None
    # A program that has gone is found out by whoever reads its answers.
    with contextlib.suppress(ConnectionError):
        for text in texts:
            for piece in pieces(text):
                process.stdin.write(len(piece).to_bytes(LENGTH_BYTES, "big"))
                for start in range(0, len(piece), _WRITE_BYTES):
                    process.stdin.write(piece[start : start + _WRITE_BYTES])
                    await process.stdin.drain()
        process.stdin.close()


async def _read(process: Process, texts: Sequence[bytes], told: Callable[[bytes, int], None]) -> None:
    """Raises: EOFError if there are fewer answers than texts; HelperFailed."""
    assert process.stdout is not None
    ahead = b""
    waiting: list[bytes] = []
    for text in texts:
        tokens = 0
        for piece in pieces(text):
            while not waiting:
                read = await process.stdout.read(_READ_BYTES)
                if not read:
                    raise EOFError
                *waiting, ahead = (ahead + read).split(b"\n")
                waiting.reverse()
                if len(ahead) > _MAX_LINE:
                    raise HelperFailed("it talks nonsense")
            tokens += _believed(waiting.pop(), piece)
        told(text, tokens)


def _believed(line: bytes, text: bytes) -> int:
    """No token is less than a byte. Raises: HelperFailed."""
    if not (line.isdigit() and len(line) <= _MAX_LINE and bool(text) <= (tokens := int(line)) <= len(text)):
        raise HelperFailed("it talks nonsense")
    return tokens


def pieces(text: bytes) -> Iterator[bytes]:
    """`text` as the program takes it, cut between characters."""
    start = 0
    while len(text) - start > MAX_TEXT_BYTES:
        end = start + MAX_TEXT_BYTES
        while text[end] & 0xC0 == 0x80 and end > start + MAX_TEXT_BYTES - 4:
            end -= 1
        yield text[start:end]
        start = end
    yield text[start:]


async def _last_words(process: Process) -> str:
    """The last line of its stderr, bounded; all of it is read, so that it is not held up."""
    assert process.stderr is not None
    tail = b""
    while read := await process.stderr.read(_READ_BYTES):
        tail = (tail + read)[-_MAX_WORDS:]
    lines = tail.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:200] if lines else ""


async def _end(process: Process) -> None:
    """Whether it is done or hangs: nothing of it is needed any more."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    # It does not count as gone before its pipes were read to their ends; stderr has its own reader.
    while await process.stdout.read(_READ_BYTES):
        pass
    await process.wait()
