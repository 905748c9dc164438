"""One run of the counting program, and of programs that do not do what they should."""

import asyncio
import sys
import time
from collections.abc import Sequence

import psutil
import pytest

from proxy_core.context.token_helper import COMMAND, HelperFailed, counts_of, pieces
from proxy_core.context.token_main import MAX_TEXT_BYTES
from tests.support.processes import living_children

TEXTS = (b"hello world", b"", b"it's I'LL")


async def counted(
    texts: Sequence[bytes], command: Sequence[str] = COMMAND, deadline_s: float = 60
) -> list[tuple[bytes, int]]:
    told: list[tuple[bytes, int]] = []
    await counts_of(texts, lambda text, tokens: told.append((text, tokens)), command, deadline_s)
    return told


def python(program: str) -> tuple[str, ...]:
    return (sys.executable, "-c", program)


@pytest.fixture(autouse=True)
def nothing_is_left():
    before = living_children()
    yield
    assert living_children() == before


async def test_each_text_is_told_with_its_tokens_in_order():
    assert await counted(TEXTS) == [(b"hello world", 2), (b"", 0), (b"it's I'LL", 3)]


async def test_more_than_a_pipe_holds_goes_both_ways():
    texts = [b'{"number":%d,"padding":"%s"}' % (number, b"x" * 100) for number in range(20_000)]
    told = await counted(texts)
    assert [text for text, _ in told] == texts
    assert all(10 < tokens < 40 for _, tokens in told)


async def test_a_text_that_is_longer_than_the_program_takes_is_counted_in_pieces():
    text = b"hello world " * (MAX_TEXT_BYTES // 8)
    ((_, tokens),) = await counted([text])
    assert tokens == pytest.approx(len(text) / 6, rel=0.001)


@pytest.mark.parametrize("size", [0, 1, MAX_TEXT_BYTES, MAX_TEXT_BYTES + 1, 2 * MAX_TEXT_BYTES + 2])
def test_pieces_are_the_text_cut_between_characters(size: int):
    text = ("x" + "🦀" * (size // 4 + 1)).encode()[:size]
    cut = list(pieces(text))
    assert b"".join(cut) == text
    assert all(len(piece) <= MAX_TEXT_BYTES for piece in cut)
    for piece in cut[:-1]:
        piece.decode()


def test_what_is_no_utf8_is_cut_too():
    text = b"\x80" * (MAX_TEXT_BYTES + 10)
    assert [len(piece) for piece in pieces(text)] == [MAX_TEXT_BYTES - 4, 14]


async def test_a_program_that_dies_is_a_failure_with_its_last_words_and_what_it_said_stands():
    told: list[tuple[bytes, int]] = []
    dying = python("import sys; print(2, flush=True); sys.exit('x' * 1000 + '\\nno vocabulary')")
    with pytest.raises(HelperFailed, match=r"ended too early: no vocabulary$"):
        await counts_of(TEXTS, lambda text, tokens: told.append((text, tokens)), dying)
    assert told == [(b"hello world", 2)]


async def test_a_program_that_is_killed_is_a_failure():
    with pytest.raises(HelperFailed, match="ended too early: without a word"):
        await counted(TEXTS, python("import os; os.kill(os.getpid(), 9)"))


@pytest.mark.parametrize(
    "program",
    ["import time; time.sleep(60)", "import sys, time; sys.stdin.buffer.read(); time.sleep(60)"],
    ids=["that reads nothing", "that never answers"],
)
async def test_a_program_that_hangs_is_ended(program: str):
    with pytest.raises(HelperFailed, match=r"not done within 0\.3 s"):
        # More than the pipe holds, so that feeding it hangs too.
        await counted([b"x" * 1_000_000], python(program), deadline_s=0.3)


@pytest.mark.parametrize(
    "answer",
    ["many", "-1", "0", "12", "1e3", "٣", "", "9" * 1000, "2" * 30 + "\\n"],
)
async def test_an_answer_that_cannot_be_true_is_not_believed(answer: str):
    """Eleven bytes are 1 to 11 tokens."""
    with pytest.raises(HelperFailed, match="talks nonsense"):
        await counted([b"hello world"], python(f"import time; print('{answer}', flush=True); time.sleep(60)"))


async def test_a_flood_of_answers_is_not_held():
    flood = python("import sys\nwhile True: sys.stdout.write('9' * 100000)")
    started_at = time.monotonic()
    with pytest.raises(HelperFailed, match="talks nonsense"):
        await counted(TEXTS, flood)
    assert time.monotonic() - started_at < 30


async def test_much_on_stderr_holds_nothing_up():
    loud = python("import sys; sys.stderr.write('x' * 1_000_000); sys.stderr.flush(); print(2)")
    assert await counted([b"hello world"], loud) == [(b"hello world", 2)]


async def test_a_program_that_cannot_be_started_is_a_failure():
    with pytest.raises(HelperFailed, match="cannot be started"):
        await counted(TEXTS, ("/no/such/program",))


async def test_who_gives_up_leaves_no_program_behind():
    """The fixture looks."""
    before = len(living_children())
    work = asyncio.ensure_future(counted(TEXTS, python("import time; time.sleep(60)")))
    while len(living_children()) == before:
        await asyncio.sleep(0.01)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work


async def test_a_program_gets_none_of_the_folder_that_the_gateway_runs_in(tmp_path, monkeypatch):
    """Were it to import what lies there, a project could run its code in our name."""
    (tmp_path / "toktok.py").write_text("raise SystemExit('owned')")
    monkeypatch.chdir(tmp_path)
    assert await counted([b"hello world"]) == [(b"hello world", 2)]


async def test_who_is_cancelled_twice_leaves_nothing_open():
    """As at the end of a loop that waits for nobody; the pipe is held by another program meanwhile."""
    hold_stderr = (
        "import subprocess, time; subprocess.Popen(['sleep', '5'], stdin=-3, stdout=-3); time.sleep(60)"
    )
    before = psutil.Process().num_fds()
    work = asyncio.ensure_future(counted(TEXTS, python(hold_stderr)))
    while not any(child.children() for child in living_children()):
        assert not work.done()
        await asyncio.sleep(0.01)
    for _ in range(2):
        work.cancel()
        await asyncio.sleep(0.1)
    assert work.cancelled()
    async with asyncio.timeout(4):
        # Before the other program lets go of the pipe.
        while psutil.Process().num_fds() != before:
            await asyncio.sleep(0.05)
