"""Exchanges written to a file."""

import json
import os
from pathlib import Path

import pytest

from only1mcp_tui.screens import exporting
from only1mcp_tui.screens.exporting import export, fresh_file
from tests.support.exchanges import exchanges_control

NOW = 1_767_225_600.0


def test_a_file_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        path, descriptor = fresh_file(tmp_path, NOW)
        os.close(descriptor)
        names.append(path.name)
    assert names == [
        "only1mcp-exchanges-20260101-000000.jsonl",
        "only1mcp-exchanges-20260101-000000-2.jsonl",
        "only1mcp-exchanges-20260101-000000-3.jsonl",
    ]


async def test_those_that_are_gone_are_said(tmp_path: Path) -> None:
    words = await export(exchanges_control(), [1, 8801, 8802], tmp_path, NOW)
    assert words.endswith("only1mcp-exchanges-20260101-000000.jsonl. 1 other is not kept any more.")
    assert words.startswith("2 requests written to ")


async def test_a_file_has_a_bounded_number_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "EXPORTED_MOST", 2)
    words = await export(exchanges_control(), [8801, 8802, 8803], tmp_path, NOW)
    assert "Those are the newest of 3." in words
    (file,) = tmp_path.iterdir()
    assert [json.loads(line)["row"]["id"] for line in file.read_text().splitlines()] == [8802, 8803]


async def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        await export(exchanges_control(), [8801], tmp_path / "absent", NOW)
