"""What is kept of tools over restarts, and what several gateways make of one file."""

import logging
import stat
from pathlib import Path
from typing import Any

import pytest

from proxy_core.backends import tool_records
from proxy_core.backends.tool_records import MAX_APPROVED, ToolRecords
from proxy_core.catalog.fingerprints import fingerprint_of
from proxy_core.state import StateFolder
from tests.support.clock import FakeClock


def tool(text: str) -> dict[str, Any]:
    return {"name": "read", "description": text, "inputSchema": {"type": "object"}}


def approve(records: ToolRecords, text: str, name: str = "read") -> str:
    now = fingerprint_of(tool(text))
    records.approve("box", name, now, tool(text))
    return now.digest


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "state")


def file_of(tmp_path: Path) -> Path:
    return tmp_path / "state" / "tools-box.json"


async def test_they_outlive_the_process(folder: StateFolder, clock: FakeClock, tmp_path: Path):
    first = ToolRecords(folder, clock)
    assert first.of("box") == {}
    digest = approve(first, "a")
    first.listed("box", "read", False)
    await first.aclose()
    assert stat.S_IMODE(file_of(tmp_path).stat().st_mode) == 0o600
    second = ToolRecords(folder, clock)
    known = second.of("box")["read"]
    assert known.has(digest)
    assert (known.is_listed, known.parts) == (False, fingerprint_of(tool("a")).parts)
    text = await second.text("box", "read")
    assert text is not None
    assert (text.description, text.input_schema) == ("a", '{"type":"object"}')
    assert await second.text("box", "other") is None


async def test_the_last_few_definitions_count_as_known(folder: StateFolder, clock: FakeClock):
    records = ToolRecords(folder, clock)
    digests = []
    for text in "abcdef":
        clock.advance(1)
        digests.append(approve(records, text))
    await records.aclose()
    known = ToolRecords(folder, clock).of("box")["read"]
    assert [known.has(digest) for digest in digests] == [False, False] + [True] * MAX_APPROVED
    text = await ToolRecords(folder, clock).text("box", "read")
    assert text is not None
    assert text.description == "f"


async def test_without_a_folder_they_live_as_long_as_the_process(clock: FakeClock):
    records = ToolRecords(None, clock)
    approve(records, "a")
    await records.aclose()
    text = await records.text("box", "read")
    assert text is not None
    assert text.description == "a"


async def test_two_gateways_lose_nothing_of_each_others(folder: StateFolder, clock: FakeClock):
    one, other = ToolRecords(folder, clock), ToolRecords(folder, clock)
    for records in (one, other):
        assert records.of("box") == {}
        approve(records, "first")
    await one.aclose()
    clock.advance(5)
    second = approve(one, "second")
    approve(one, "x", "mine")
    await one.aclose()
    approve(other, "y", "theirs")
    other.listed("box", "read", True)
    await other.aclose()
    third = ToolRecords(folder, clock).of("box")
    assert set(third) == {"read", "mine", "theirs"}
    assert third["read"].has(second)
    text = await other.text("box", "read")
    assert text is not None
    assert text.description == "second", "what was approved last explains the next change"


async def test_what_another_gateway_approved_is_taken_over(folder: StateFolder, clock: FakeClock):
    one, other = ToolRecords(folder, clock), ToolRecords(folder, clock)
    approve(one, "first")
    await one.aclose()
    assert len(other.of("box")) == 1
    assert await other.take_over(["box"]) == []
    clock.advance(5)
    digest = approve(one, "second")
    await one.aclose()
    assert await other.take_over(["box"]) == ["box"]
    assert other.of("box")["read"].has(digest)
    assert await other.take_over(["box"]) == []


@pytest.mark.parametrize("content", [b"{", b'{"version":9,"entries":{"read":"x"}}', b"\xff"])
async def test_a_file_that_is_not_ours_is_said_and_kept_aside(
    folder: StateFolder, clock: FakeClock, tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
):
    folder.write("tools-box", {})
    file_of(tmp_path).write_bytes(content)
    records = ToolRecords(folder, clock)
    with caplog.at_level(logging.WARNING):
        assert records.of("box") == {}
    assert "ignored" in caplog.text
    assert "counts as first seen" in caplog.text
    approve(records, "a")
    await records.aclose()
    assert file_of(tmp_path).with_suffix(".json.bad").read_bytes() == content
    assert set(ToolRecords(folder, clock).of("box")) == {"read"}


@pytest.mark.parametrize("entry", ["", "{", "[]", '{"known":{"approved":[],"parts":""}}', "[" * 10_000])
async def test_an_entry_that_is_not_ours_costs_itself_alone(folder: StateFolder, clock: FakeClock, entry: str):
    first = ToolRecords(folder, clock)
    approve(first, "a")
    await first.aclose()
    folder.update("tools-box", lambda there: there | {"bad": entry})
    assert set(ToolRecords(folder, clock).of("box")) == {"read"}


async def test_those_that_are_gone_make_room(clock: FakeClock, folder: StateFolder, monkeypatch: Any):
    monkeypatch.setattr(tool_records, "MAX_TOOLS", 2)
    records = ToolRecords(folder, clock)
    for name in ("a", "b", "c"):
        approve(records, "x", name)
    assert set(records.of("box")) == {"a", "b"}, "none is gone"
    await records.save()
    records.listed("box", "a", False)
    approve(records, "x", "c")
    await records.aclose()
    assert set(records.of("box")) == set(ToolRecords(folder, clock).of("box")) == {"b", "c"}


async def test_texts_that_are_too_much_together_are_left_out(
    clock: FakeClock, folder: StateFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(tool_records, "MAX_RECORD_BYTES", 4000)
    records = ToolRecords(folder, clock)
    digests = [approve(records, "x" * 1000 * number, f"t{number}") for number in (1, 2, 3)]
    await records.aclose()
    fresh = ToolRecords(folder, clock)
    assert all(fresh.of("box")[f"t{number}"].has(digests[number - 1]) for number in (1, 2, 3))
    assert [await fresh.text("box", f"t{number}") is None for number in (1, 2, 3)] == [False, False, True]
