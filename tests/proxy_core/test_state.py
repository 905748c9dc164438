import fcntl
import json
import logging
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from proxy_core import state
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


def test_an_update_changes_what_is_there(folder: StateFolder, tmp_path: Path):
    folder.update("eras", lambda there: there | {"a": "1"})
    folder.update("eras", lambda there: there | {"b": "2"})
    assert folder.read("eras") == {"a": "1", "b": "2"}
    assert stat.S_IMODE((file_of(tmp_path).parent / ".eras.lock").stat().st_mode) == 0o600


def test_updates_from_several_at_once_lose_nothing(tmp_path: Path):
    def add(number: int) -> None:
        own = StateFolder(tmp_path / "one")
        own.update("eras", lambda there: there | {str(number): ""})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    assert len(StateFolder(tmp_path / "one").read("eras")) == 40


def test_one_that_holds_the_file_for_ever_is_not_waited_for_so_long(
    folder: StateFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(state, "LOCK_S", 0.05)
    folder.update("eras", dict)
    with (file_of(tmp_path).parent / ".eras.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with caplog.at_level(logging.WARNING):
            folder.update("eras", lambda there: {"a": "1"})
    assert folder.read("eras") == {"a": "1"}
    assert "did not wait any longer" in caplog.text


def test_a_file_that_is_not_ours_is_kept_beside_the_new_one(folder: StateFolder, tmp_path: Path):
    folder.write("eras", {})
    file_of(tmp_path).write_bytes(b"not ours")
    folder.update("eras", lambda there: there | {"a": "1"})
    assert folder.read("eras") == {"a": "1"}
    assert file_of(tmp_path).with_suffix(".json.bad").read_bytes() == b"not ours"


def test_where_nothing_can_be_written_an_update_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING):
        StateFolder(tmp_path / "file" / "below").update("eras", lambda there: {"a": "1"})
    assert "could not keep eras" in caplog.text


def test_a_stamp_is_another_when_the_file_is(folder: StateFolder):
    assert folder.stamp("eras") == 0
    folder.write("eras", {})
    assert folder.stamp("eras") > 0
