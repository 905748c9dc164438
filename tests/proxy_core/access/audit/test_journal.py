import errno
import hashlib
import os
import stat
from pathlib import Path

import pytest

from proxy_core.access.audit import journal as journal_module
from proxy_core.access.audit.lines import Happened
from proxy_core.access.audit.places import Unusable
from proxy_core.access.audit.verifying import verify_all
from tests.support.audits import KEY, journal, kill, lines_of, raw_lines, write, write_some, writing


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


# --- files and their names ------------------------------------------------------------------------------------


def test_files_are_for_their_owner_alone(path: Path):
    write_some(path, 1)
    assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {0o600}


def test_a_file_that_others_could_read_is_closed_to_them(path: Path):
    write_some(path, 1)
    path.chmod(0o644)
    write_some(path, 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_folder_that_is_not_there_is_made(tmp_path: Path):
    path = tmp_path / "a" / "b" / "audit.jsonl"
    write_some(path, 1)
    assert verify_all(path).is_whole
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["audit.jsonl", "audit.jsonl.head"])
def test_a_symbolic_link_is_not_followed(path: Path, name: str):
    victim = path.parent / "victim"
    victim.write_text("")
    (path.parent / name).symlink_to(victim)
    with pytest.raises(Unusable, match="symbolic link"):
        journal(path)
    assert victim.read_text() == ""


def test_a_link_to_nothing_makes_nothing(path: Path):
    path.symlink_to(path.parent / "nothing")
    with pytest.raises(Unusable, match="symbolic link"):
        journal(path)
    assert not (path.parent / "nothing").exists()


def test_a_file_of_another_kind_is_refused(path: Path):
    path.write_text('{"not": "an audit"}\n')
    with pytest.raises(Unusable, match="something else"):
        journal(path)
    assert path.read_text() == '{"not": "an audit"}\n'


def test_a_pipe_is_refused_and_not_waited_for(path: Path):
    os.mkfifo(path)
    with pytest.raises((Unusable, OSError)):
        journal(path)


def test_a_file_with_a_second_name_is_refused(path: Path):
    write_some(path, 1)
    (path.parent / "other").hardlink_to(path)
    with pytest.raises(Unusable, match="hard link"):
        journal(path)


def test_a_folder_where_everybody_may_write_is_refused(path: Path):
    path.parent.chmod(0o777)
    with pytest.raises(Unusable, match="everybody"):
        journal(path)


def test_one_gateway_at_a_time(path: Path):
    with writing(path):
        with pytest.raises(Unusable, match="another gateway"):
            journal(path)
    write_some(path, 1)


# --- what goes on after a start -------------------------------------------------------------------------------


def test_the_chain_goes_on_after_a_restart(path: Path):
    write_some(path, 3)
    write_some(path, 2)
    assert [line["seq"] for line in lines_of(path)] == [1, 2, 3, 4, 5, 6]
    assert verify_all(path).lines == 6


def test_half_a_line_is_closed_by_a_line_that_says_so(path: Path):
    write_some(path, 3)
    whole, half = path.read_bytes(), raw_lines(path)[-1][:40]
    path.write_bytes(whole + half)
    write_some(path, 1)
    torn = lines_of_known(path)[-2]
    assert (torn["kind"], torn["seq"]) == ("torn", 5)
    assert (torn["bytes"], torn["sha256"]) == (40, hashlib.sha256(half).hexdigest())
    report = verify_all(path)
    assert report.is_whole and report.notes == ["A crash left half a line before line 5."]


def test_a_line_that_lacks_its_end_alone_counts(path: Path):
    write_some(path, 3)
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    write_some(path, 1)
    assert [line["kind"] for line in lines_of(path)] == ["file", *["event"] * 4]
    assert verify_all(path).is_whole


def test_half_a_line_that_tells_of_half_a_line_is_closed_as_well(path: Path):
    write_some(path, 3)
    path.write_bytes(path.read_bytes() + b'{"kind":"ev\n{"kind":"torn","se')
    write_some(path, 1)
    report = verify_all(path)
    assert report.is_whole and report.lines == 6


def test_what_was_not_written_is_gone_with_a_killed_gateway_and_no_more(path: Path):
    opened = journal(path)
    for word in ("one", "two"):
        opened.seal(Happened(what=word))
    opened.flush()
    opened.seal(Happened(what="three"))
    kill(opened)
    write(path, ["four"])
    assert [line.get("what") for line in lines_of(path)] == [None, "one", "two", "four"]
    assert verify_all(path).is_whole


def test_lines_that_went_while_the_gateway_was_away_are_told_for_good(path: Path):
    write_some(path, 3)
    path.write_bytes(b"".join(raw_lines(path)[:-1]))
    write_some(path, 1)
    broken = verify_all(path).broken
    assert broken is not None and (broken.what, broken.line) == ("gap", 4)
    assert lines_of(path)[3]["why"] == "lines at the end are gone"
    assert lines_of(path)[3]["head_seq"] == 4


def test_a_head_that_is_gone_is_told_for_good(path: Path):
    write_some(path, 3)
    path.with_name(path.name + ".head").unlink()
    write_some(path, 1)
    broken = verify_all(path).broken
    assert broken is not None and (broken.what, broken.line) == ("gap", 5)


def test_files_that_are_gone_are_told_for_good(path: Path):
    write_some(path, 3)
    path.unlink()
    write_some(path, 1)
    assert lines_of(path)[0]["file"] == 2
    broken = verify_all(path).broken
    assert broken is not None and broken.what == "gap"


def test_another_last_line_is_told_for_good(path: Path):
    write_some(path, 3)
    before = path.read_bytes()
    head = path.with_name(path.name + ".head")
    kept = head.read_bytes()
    path.write_bytes(before.replace(b"event 2", b"EVENT 2"))
    assert head.read_bytes() == kept
    # Its hash stands there still: what shows is that it does not fit.
    assert verify_all(path).broken is not None


def test_another_key_begins_another_file(path: Path):
    write_some(path, 2)
    write_some(path, 2, key=KEY)
    older = path.with_name(path.name + ".1")
    assert [line["chain"] for line in (lines_of(older)[0], lines_of(path)[0])] == ["sha256", "hmac-sha256"]
    assert verify_all(path, [KEY]).lines == 6


def test_half_a_line_before_another_key_is_told_by_the_next_file(path: Path):
    write_some(path, 2)
    path.write_bytes(path.read_bytes() + b'{"kind":"eve')
    write_some(path, 2, key=KEY)
    assert lines_of(path)[0]["torn_bytes"] == 12
    assert verify_all(path, [KEY]).is_whole


def test_what_is_put_behind_the_last_line_meanwhile_is_no_crash(path: Path):
    write_some(path, 3)
    path.write_bytes(path.read_bytes() + b"something else\n")
    write_some(path, 1)
    broken = verify_all(path).broken
    assert broken is not None and broken.what == "gap" and "something else" in broken.why


# --- rotation -------------------------------------------------------------------------------------------------


def test_a_full_file_is_put_aside_and_the_chain_goes_on(path: Path):
    write_some(path, 50, max_bytes=2000)
    numbers = sorted(int(each.name.split(".")[-1]) for each in path.parent.glob("audit.jsonl.[0-9]*"))
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) > 3
    assert all(each.stat().st_size < 2600 for each in path.parent.iterdir())
    older, newer = path.with_name("audit.jsonl.1"), path.with_name("audit.jsonl.2")
    assert lines_of(newer)[0]["before"] == lines_of(older)[-1]["hash"]
    report = verify_all(path)
    assert report.is_whole and report.files == len(numbers) + 1


def test_no_more_files_are_kept_than_are_asked_for(path: Path):
    write_some(path, 50, max_bytes=2000, keep=2)
    assert len(list(path.parent.glob("audit.jsonl.[0-9]*"))) == 2
    report = verify_all(path)
    assert report.is_whole and "those before it are not here" in report.notes[0]


def test_a_crash_between_two_files_changes_nothing(path: Path):
    write_some(path, 3)
    path.rename(path.with_name(path.name + ".1"))
    write_some(path, 3)
    report = verify_all(path)
    assert report.is_whole and report.files == 2 and report.lines == 8


def test_what_a_crash_left_of_a_new_file_is_no_obstacle(path: Path):
    write_some(path, 3)
    path.with_name(path.name + ".new").write_text('{"kind":"fi')
    write_some(path, 50, max_bytes=2000)
    assert verify_all(path).is_whole
    assert not path.with_name(path.name + ".new").exists()


# --- a disk that does not take it -----------------------------------------------------------------------------


class Disk:
    """Takes so many bytes, and no more until there is room."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room: int | None = None
        self._write = os.write
        monkeypatch.setattr(journal_module.os, "write", self.write)

    def write(self, fd: int, data: bytes) -> int:
        if self.room is None:
            return self._write(fd, data)
        taken = bytes(data)[: self.room]
        if not taken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= len(taken)
        return self._write(fd, taken)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_what_a_full_disk_refused_is_written_once_there_is_room(path: Path, disk: Disk):
    opened = journal(path)
    opened.flush()
    disk.room = 100
    opened.seal(Happened(what="one"))
    with pytest.raises(OSError, match="No space"):
        opened.flush()
    assert opened.unwritten == 1 and opened.has_unsynced
    disk.room = None
    opened.flush()
    opened.seal(Happened(what="two"))
    opened.close()
    assert [line.get("what") for line in lines_of(path)] == [None, "one", "two"]
    assert verify_all(path).is_whole


@pytest.mark.parametrize("room", [0, 50])
def test_a_full_disk_between_two_files_is_waited_for(path: Path, disk: Disk, room: int):
    opened = journal(path, max_bytes=1000)
    while opened.unwritten == 0 and disk.room is None:
        opened.seal(Happened(what="something"))
        if opened._size + len(opened._buffer) >= 1000:
            disk.room = len(opened._buffer) + room
        else:
            opened.flush()
    for _ in range(3):
        with pytest.raises(OSError, match="No space"):
            opened.flush()
        disk.room = room
    disk.room = None
    opened.flush()
    opened.seal(Happened(what="after"))
    opened.close()
    assert verify_all(path).is_whole
    assert lines_of(path)[-1]["what"] == "after"


def test_a_line_that_cannot_be_made_changes_nothing(path: Path):
    with writing(path) as opened:
        with pytest.raises(ValueError, match="a line of"):
            opened.seal(Happened(what="x" * 70_000))
        opened.seal(Happened(what="next"))
    assert verify_all(path).lines == 2


def lines_of_known(path: Path) -> list[dict[str, object]]:
    """Those that are lines."""
    whole = path.with_suffix(".whole")
    whole.write_bytes(b"".join(line for line in raw_lines(path) if line.endswith(b'"}\n')))
    return lines_of(whole)
