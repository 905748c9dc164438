import json
import logging
import os
import stat
from pathlib import Path

import pytest

from proxy_core.state import MAX_FILE_BYTES, StateFolder, state_folder

CONFIG = Path("/etc/only1mcp.yaml")


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "only1mcp" / "one")


def file_of(tmp_path: Path) -> Path:
    return tmp_path / "only1mcp" / "one" / "eras.json"


def test_entries_are_kept(folder: StateFolder):
    assert folder.read("eras") == {}
    folder.write("eras", {"a": "1", "ü": "\n"})
    folder.write("other", {"b": "2"})
    assert folder.read("eras") == {"a": "1", "ü": "\n"}
    folder.write("eras", {})
    assert folder.read("eras") == {}
    assert folder.read("other") == {"b": "2"}


def test_only_its_owner_can_read_it(folder: StateFolder, tmp_path: Path):
    folder.write("eras", {"a": "1"})
    assert stat.S_IMODE(file_of(tmp_path).stat().st_mode) == 0o600
    assert stat.S_IMODE(file_of(tmp_path).parent.stat().st_mode) == 0o700
    assert os.listdir(file_of(tmp_path).parent) == ["eras.json"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"version":1}',
        b'{"version":2,"entries":{}}',
        b'{"version":1,"entries":{"a":5}}',
        b'{"version":1,"entries":{"a":"' + b"x" * MAX_FILE_BYTES + b'"}}',
        b"[" * 100_000,
    ],
    ids=["empty", "cut", "array", "binary", "no-entries", "newer", "no-text", "huge", "deep"],
)
def test_a_file_that_is_not_ours_is_ignored_with_a_line_in_the_log(
    folder: StateFolder, tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
):
    folder.write("eras", {"a": "1"})
    file_of(tmp_path).write_bytes(content)
    assert folder.read("eras") == {}
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    folder.write("eras", {"a": "2"})
    assert folder.read("eras") == {"a": "2"}


def test_a_folder_that_cannot_be_used_is_said_once_and_is_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "taken").write_text("a file where the folder should be")
    folder = StateFolder(tmp_path / "taken")
    for _ in range(3):
        folder.write("eras", {"a": "1"})
    assert folder.read("eras") == {}
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [text.split(" ")[0] for text in warned] == ["could", "ignored"]


def test_a_write_that_fails_leaves_what_was_there_and_no_rubbish(
    folder: StateFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder.write("eras", {"a": "1"})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    folder.write("eras", {"a": "2"})
    assert folder.read("eras") == {"a": "1"}
    assert os.listdir(file_of(tmp_path).parent) == ["eras.json"]


def test_each_configuration_has_a_folder_of_its_own(tmp_path: Path):
    environ = {"XDG_STATE_HOME": str(tmp_path), "HOME": "/nowhere"}
    state_folder(CONFIG, environ).write("eras", {"a": "1"})
    assert state_folder(CONFIG, environ).read("eras") == {"a": "1"}
    assert state_folder(Path("/etc/other.yaml"), environ).read("eras") == {}
    (file,) = tmp_path.glob("only1mcp/*/eras.json")
    assert "etc" not in str(file.relative_to(tmp_path))
    assert json.loads(file.read_text()) == {"version": 1, "entries": {"a": "1"}}


def test_a_relative_state_home_counts_as_none(tmp_path: Path):
    state_folder(CONFIG, {"XDG_STATE_HOME": "state", "HOME": str(tmp_path)}).write("eras", {"a": "1"})
    assert state_folder(CONFIG, {"XDG_STATE_HOME": "", "HOME": str(tmp_path)}).read("eras") == {"a": "1"}
