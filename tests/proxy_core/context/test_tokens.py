"""Tokens of texts, counted once and kept."""

import asyncio
import json
import logging
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from proxy_core.context.tokens import NAME, HelperFailed, TokenCounter, content_key
from proxy_core.state import StateFolder

NOBODY = ("/no/such/program",)
KNOWN = {b"hello world": 2, b"it's I'LL": 3}


def keyed(*texts: bytes) -> dict[str, bytes]:
    return {content_key(text): text for text in texts}


def by_key(counts: Mapping[bytes, int]) -> dict[str, int]:
    return {content_key(text): tokens for text, tokens in counts.items()}


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "state")


def file_in(tmp_path: Path) -> Path:
    return tmp_path / "state" / f"{NAME}.json"


async def test_a_text_is_counted_once_in_the_life_of_the_state_folder(folder: StateFolder, tmp_path: Path):
    assert await TokenCounter(folder).count(keyed(*KNOWN)) == by_key(KNOWN)
    assert stat.S_IMODE(file_in(tmp_path).stat().st_mode) == 0o600
    assert await TokenCounter(folder, NOBODY).count(keyed(*KNOWN)) == by_key(KNOWN)


async def test_without_a_folder_it_is_counted_once_in_the_life_of_the_process(tmp_path: Path):
    starts = tmp_path / "starts"
    program = f"open({str(starts)!r}, 'a').write('x')\nwhile True: print(1, flush=True)"
    counter = TokenCounter(None, (sys.executable, "-c", program))
    both = await asyncio.gather(counter.count(keyed(b"a", b"b")), counter.count(keyed(b"b", b"a")))
    assert both == [by_key({b"a": 1, b"b": 1}), by_key({b"a": 1, b"b": 1})]
    assert starts.read_text() == "x"
    await counter.count(keyed(b"a", b"c"))
    assert starts.read_text() == "xx"


async def test_nothing_to_count_starts_no_program(folder: StateFolder):
    assert await TokenCounter(folder, NOBODY).count({}) == {}


async def test_a_failure_loses_nothing_that_was_counted_before(folder: StateFolder):
    half = (sys.executable, "-c", "print(1)")
    counter = TokenCounter(folder, half)
    with pytest.raises(HelperFailed):
        await counter.count(keyed(b"a", b"b"))
    assert await counter.count(keyed(b"a")) == by_key({b"a": 1})


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"version":99,"entries":{}}', b"\xff\xfe", b'{"version":1,"entries":{"a":1}}'],
)
async def test_a_broken_file_is_as_none_and_is_replaced(
    folder: StateFolder, tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
):
    folder.write(NAME, {})
    file_in(tmp_path).write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert await TokenCounter(folder).count(keyed(*KNOWN)) == by_key(KNOWN)
    assert NAME in caplog.text
    assert folder.read(NAME) == {key: str(tokens) for key, tokens in by_key(KNOWN).items()}


@pytest.mark.parametrize(
    ("key", "tokens"),
    [("hello", "2"), (None, "-2"), (None, "2.0"), (None, ""), (None, "٢"), (None, "9" * 10)],
)
async def test_an_entry_that_is_no_count_is_as_none(folder: StateFolder, key: str | None, tokens: str):
    folder.write(NAME, {key or content_key(b"hello world"): tokens})
    counter = TokenCounter(folder)
    assert await counter.count(keyed(b"hello world")) == by_key({b"hello world": 2})
    assert folder.read(NAME) == {content_key(b"hello world"): "2"}


async def test_those_go_first_that_were_not_asked_for_the_longest(folder: StateFolder, tmp_path: Path):
    counter = TokenCounter(folder, max_kept=3)
    await counter.count(keyed(b"a", b"b", b"c"))
    await counter.count(keyed(b"a"))
    # More than are kept are counted all the same.
    assert len(await counter.count(keyed(b"d", b"e"))) == 2
    entries: dict[str, Any] = json.loads(file_in(tmp_path).read_text())["entries"]
    assert list(entries) == [content_key(text) for text in (b"a", b"d", b"e")]
    again = TokenCounter(folder, NOBODY, max_kept=2)
    assert await again.count(keyed(b"d", b"e")) == by_key({b"d": 1, b"e": 1})
    with pytest.raises(HelperFailed):
        await again.count(keyed(b"a"))


async def test_more_texts_than_are_kept_are_counted(folder: StateFolder):
    texts = [b"%d" % number for number in range(10)]
    assert len(await TokenCounter(folder, max_kept=3).count(keyed(*texts))) == 10


def test_this_process_has_not_loaded_the_vocabulary():
    assert "toktok" not in sys.modules
