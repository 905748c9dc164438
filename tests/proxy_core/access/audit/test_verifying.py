"""Every way to spoil an audit, and what is said of it."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy_core.access.audit import verifying
from proxy_core.access.audit.chain import GENESIS, Chain
from proxy_core.access.audit.journal import Journal
from proxy_core.access.audit.lines import Happened
from proxy_core.access.audit.verifying import NotAnAudit, Report, verify_all, verify_files
from tests.support.audits import KEY, LARGE, raw_lines, write_some, writing
from tests.support.processes import MODULE_ENV

PER_FILE = 8


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Three files: 1 and 2 put aside, and 3."""
    path = tmp_path / "audit.jsonl"
    with writing(path) as opened:
        for _ in range(2):
            fill(opened)
            opened.sizes = opened.sizes._replace(max_bytes=1)
            opened.flush()
            opened.sizes = opened.sizes._replace(max_bytes=LARGE)
        fill(opened)
    return path


def fill(opened: Journal) -> None:
    for number in range(PER_FILE):
        opened.seal(Happened(what=f"event {number}"))
    opened.flush()


def file(path: Path, number: int) -> Path:
    return path if number == 3 else path.with_name(f"{path.name}.{number}")


def edited(path: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    path.write_bytes(b"".join(change(raw_lines(path))))


def head_of(path: Path) -> Path:
    return path.with_name(path.name + ".head")


def rechained(lines: list[bytes], before: bytes, key: str | None = None) -> list[bytes]:
    """As somebody would who knows how it is done."""
    made = []
    for line in lines:
        members = json.loads(line)
        del members["hash"]
        sealed, before = Chain(key).sealed(before, json.dumps(members, separators=(",", ":")).encode()[:-1])
        made.append(sealed)
    return made


def broken(report: Report, what: str, where: Path, line: int) -> None:
    found = report.broken
    assert found is not None
    assert (found.what, Path(found.file), found.line) == (what, where, line), found


def test_an_audit_is_whole_and_its_end_is_named(path: Path):
    report = verify_all(path)
    last = json.loads(raw_lines(path)[-1])
    assert report.is_whole and not report.notes and not report.is_keyed
    assert (report.files, report.lines, report.first_seq) == (3, 3 + 3 * PER_FILE, 1)
    assert (report.last_seq, report.last_hash) == (last["seq"], last["hash"])


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("line", [1, 2, 5, PER_FILE + 1])
def test_a_letter_that_changes_shows_where_it_is(path: Path, number: int, line: int):
    where = file(path, number)
    edited(
        where,
        lambda lines: [each if n != line else each.replace(b"Z", b"z", 1) for n, each in enumerate(lines, 1)],
    )
    broken(verify_all(path), "edited", where, line)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_line_that_is_taken_out_shows_at_the_next(path: Path, number: int):
    edited(file(path, number), lambda lines: [*lines[:3], *lines[4:]])
    broken(verify_all(path), "missing", file(path, number), 4)


def test_a_last_line_of_a_file_that_is_taken_out_shows_at_the_next_file(path: Path):
    edited(file(path, 1), lambda lines: lines[:-1])
    broken(verify_all(path), "missing", file(path, 2), 1)


def test_lines_in_another_order_show(path: Path):
    edited(path, lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]])
    broken(verify_all(path), "missing", path, 4)


def test_a_line_that_is_there_twice_shows(path: Path):
    edited(path, lambda lines: [*lines[:4], lines[3], *lines[4:]])
    broken(verify_all(path), "order", path, 5)


def test_a_line_that_was_put_in_shows(path: Path):
    new = rechained([raw_lines(path)[3]], b"0" * 64)
    edited(path, lambda lines: [*lines[:3], *new, *lines[3:]])
    broken(verify_all(path), "edited", path, 4)


def test_a_number_that_changes_shows(path: Path):
    edited(path, lambda lines: [*lines[:3], lines[3].replace(b'"seq":22', b'"seq":23'), *lines[4:]])
    broken(verify_all(path), "missing", path, 4)


def test_what_is_no_line_shows(path: Path):
    edited(path, lambda lines: [*lines[:3], b"something else\n", *lines[3:]])
    broken(verify_all(path), "foreign", path, 4)


def test_a_space_between_members_shows(path: Path):
    edited(path, lambda lines: [*lines[:3], lines[3].replace(b',"', b', "', 1), *lines[4:]])
    broken(verify_all(path), "edited", path, 4)


def test_a_line_end_of_another_kind_shows(path: Path):
    edited(path, lambda lines: [*lines[:3], lines[3].replace(b"\n", b"\r\n"), *lines[4:]])
    broken(verify_all(path), "foreign", path, 4)


def test_a_second_hash_shows(path: Path):
    edited(
        path,
        lambda lines: [
            *lines[:3],
            lines[3].replace(b',"hash"', b',"hash":"' + GENESIS + b'","hash"'),
            *lines[4:],
        ],
    )
    broken(verify_all(path), "edited", path, 4)


@pytest.mark.parametrize("gone", [[1], [1, 2], [2]])
def test_a_file_that_is_gone_shows(path: Path, gone: list[int]):
    for number in gone:
        file(path, number).unlink()
    broken(verify_all(path), "file", file(path, 3 if 2 in gone else 2), 1 if gone == [2] else 0)


def test_the_present_file_that_is_gone_shows(path: Path):
    path.unlink()
    broken(verify_all(path), "cut", file(path, 2), 0)


def test_every_file_that_is_gone_shows_by_the_head(path: Path):
    for number in (1, 2, 3):
        file(path, number).unlink()
    broken(verify_all(path), "cut", path, 0)


def test_two_files_in_each_others_place_are_no_matter_for_they_say_their_number_and_show(path: Path):
    one, two = file(path, 1).read_bytes(), file(path, 2).read_bytes()
    file(path, 1).write_bytes(two)
    file(path, 2).write_bytes(one)
    broken(verify_all(path), "file", file(path, 2), 1)


@pytest.mark.parametrize("lines", [1, 4, PER_FILE])
def test_an_end_that_is_cut_off_shows_by_the_head(path: Path, lines: int):
    edited(path, lambda all: all[:-lines])
    broken(verify_all(path), "cut", path, 0)


def test_an_end_that_is_cut_within_a_line_shows_by_the_head(path: Path):
    path.write_bytes(path.read_bytes()[:-20])
    broken(verify_all(path), "cut", path, 0)


def test_a_file_that_is_emptied_shows(path: Path):
    path.write_bytes(b"")
    broken(verify_all(path), "foreign", path, 1)


def test_a_head_that_is_gone_shows(path: Path):
    head_of(path).unlink()
    broken(verify_all(path), "head", path, 0)


def test_a_head_that_changes_shows(path: Path):
    head_of(path).write_bytes(head_of(path).read_bytes().replace(b'"seq":2', b'"seq":1'))
    broken(verify_all(path), "head", path, 0)


def test_a_head_of_nonsense_shows(path: Path):
    head_of(path).write_bytes(b"nonsense")
    found = verify_all(path).broken
    assert found is not None and found.what == "head"


def test_lines_behind_the_head_are_those_that_were_not_durable_yet(path: Path):
    kept = head_of(path).read_bytes()
    write_some(path, 3)
    head_of(path).write_bytes(kept)
    assert verify_all(path).is_whole


# --- what a plain chain cannot show, and a key can ------------------------------------------------------------


def forged(path: Path) -> None:
    """The last file written anew from its fourth line on, without one of them, and a head to go with it."""
    lines = raw_lines(path)
    rest = [line.replace(b"event 5", b"nothing") for line in lines[3:]]
    new = rechained(rest, json.loads(lines[2])["hash"].encode())
    path.write_bytes(b"".join([*lines[:3], *new]))
    last = json.loads(new[-1])
    head = json.dumps(
        {"kind": "head", "file": 3, "seq": last["seq"], "before": last["hash"]}, separators=(",", ":")
    )
    head_of(path).write_bytes(Chain().sealed(GENESIS, head.encode()[:-1])[0].strip().ljust(511) + b"\n")


def test_who_makes_all_of_a_plain_chain_anew_is_not_found_out(path: Path):
    """Said in docs/audit.md: what a plain chain cannot do."""
    forged(path)
    assert verify_all(path).is_whole


def test_who_makes_a_chain_anew_without_its_key_is_found_out(tmp_path: Path):
    path = tmp_path / "audit.jsonl"
    write_some(path, PER_FILE, key=KEY)
    assert verify_all(path, [KEY]).is_keyed
    forged(path)
    broken(verify_all(path, [KEY]), "edited", path, 4)


def test_a_chain_without_a_key_in_the_place_of_one_with_it_shows(tmp_path: Path):
    path = tmp_path / "audit.jsonl"
    write_some(path, PER_FILE)
    report = verify_all(path, [KEY])
    broken(report, "edited", path, 1)
    assert report.lines == 0, "none of them is known to be as it was written"


def test_a_file_without_a_key_behind_one_with_it_shows(tmp_path: Path):
    path = tmp_path / "audit.jsonl"
    write_some(path, 3, key=KEY)
    write_some(path, 3)
    write_some(path, 3, key=KEY)
    broken(verify_all(path, [KEY]), "edited", path.with_name(path.name + ".2"), 1)


def test_without_its_key_nothing_is_said_of_an_audit(tmp_path: Path):
    path = tmp_path / "audit.jsonl"
    write_some(path, 3, key=KEY)
    for keys in ([], ["another key altogether"]):
        with pytest.raises(NotAnAudit, match="was not given"):
            verify_all(path, keys)


def test_keys_that_changed_are_all_wanted(tmp_path: Path):
    path = tmp_path / "audit.jsonl"
    write_some(path, 3, key=KEY)
    write_some(path, 3, key=KEY + " and newer")
    assert verify_all(path, [KEY + " and newer", KEY]).lines == 8


# --- files that are named -------------------------------------------------------------------------------------


def test_named_files_are_judged_alone_and_in_their_own_order(path: Path):
    report = verify_files([file(path, 2), file(path, 1)])
    assert report.is_whole and report.files == 2
    report = verify_files([file(path, 2)])
    assert report.is_whole and report.notes == ["Begins with file 2: those before it are not here."]


def test_a_file_between_named_ones_that_is_missing_shows(path: Path):
    broken(verify_files([file(path, 1), path]), "file", path, 1)


def test_there_must_be_something_to_verify(tmp_path: Path):
    for path in (tmp_path / "none.jsonl", tmp_path / "nowhere" / "none.jsonl"):
        with pytest.raises(NotAnAudit, match="There is no"):
            verify_all(path)


def test_a_chain_that_there_is_not_shows(path: Path):
    first = file(path, 1)
    edited(first, lambda lines: [lines[0].replace(b'"chain":"sha256"', b'"chain":"sha257"'), *lines[1:]])
    broken(verify_all(path), "edited", first, 1)


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path):
    pipe = tmp_path / "audit.jsonl"
    os.mkfifo(pipe)
    for what in (pipe, tmp_path, Path("/dev/null")):
        with pytest.raises(NotAnAudit, match=f"{what} is no regular file"):
            verify_files([what])
    with pytest.raises(NotAnAudit, match="no regular file"):
        verify_all(pipe)


def test_another_file_is_no_audit(tmp_path: Path):
    other = tmp_path / "other"
    for content in (b"\x00" * 100, b"x" * 200_000, b'{"kind":"file"}\n', b""):
        other.write_bytes(content)
        broken(verify_files([other]), "foreign", other, 1)


# --- while it is written --------------------------------------------------------------------------------------


def test_what_is_put_aside_meanwhile_is_read_all_the_same(path: Path):
    files = verifying._every_file(path)
    seen = [next(files)]
    with writing(path) as opened:
        for _ in range(3):
            opened.sizes = opened.sizes._replace(max_bytes=1)
            fill(opened)
    seen += files
    names = [each.name.removeprefix("audit.jsonl") for each, _ in seen]
    for _, file in seen:
        file.close()
    assert names == [*(f".{number}" for number in range(1, 7)), ""]


class Growing(io.BytesIO):
    """A file whose last line is half there, and the rest of it when it is looked at again."""

    def __init__(self, whole: bytes, there: int) -> None:
        super().__init__(whole[:there])
        self.rest = whole[there:]

    def readline(self, size: int | None = -1) -> bytes:
        line = super().readline(size)
        if not line.endswith(b"\n") and self.rest:
            place = self.tell()
            self.write(self.rest)
            self.seek(place)
            self.rest = b""
        return line


def test_a_line_that_is_being_written_is_the_end_for_now(path: Path):
    whole = path.read_bytes()
    growing = Growing(whole, len(whole) - 30)
    report = verifying.Verifier(is_all=False).run([(path, growing)], path)
    assert report.is_whole and report.lines == PER_FILE


# --- any change at all ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pristine") / "audit.jsonl"
    write_some(path, 6)
    return path


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_no_change_of_a_file_goes_unseen(pristine: Path, tmp_path: Path, data: st.DataObject):
    whole = pristine.read_bytes()
    start = data.draw(st.integers(0, len(whole) - 1), "start")
    end = data.draw(st.integers(start, min(len(whole), start + 400)), "end")
    new = data.draw(
        st.binary(max_size=40) | st.sampled_from([whole[i : i + 300] for i in range(0, 900, 150)]), "new"
    )
    spoilt = whole[:start] + new + whole[end:]
    path = tmp_path / "audit.jsonl"
    path.write_bytes(spoilt)
    head_of(path).write_bytes(head_of(pristine).read_bytes())
    # A last line that lacks but its end says the same.
    assert verify_all(path).is_whole == (spoilt in (whole, whole.removesuffix(b"\n")) or is_torn(whole, spoilt))


def is_torn(whole: bytes, spoilt: bytes) -> bool:
    """Something at the end that looks like a line that is being written."""
    rest = spoilt.removeprefix(whole)
    return len(rest) < len(spoilt) and b"\n" not in rest and b'{"kind":"'.startswith(rest[:9])


@pytest.mark.parametrize(
    "behind", [b"something\n", b"something", b"\n", b'{"kind":"call"\n', b'{"kind":"call"}\n', b"\0" * 9]
)
def test_what_stands_behind_the_last_line_shows(path: Path, behind: bytes):
    path.write_bytes(path.read_bytes() + behind)
    broken(verify_all(path), "foreign", path, PER_FILE + 2)
    broken(verify_files([path]), "foreign", path, PER_FILE + 2)


def test_half_a_line_behind_the_last_one_is_being_written_or_was_left_by_a_crash(path: Path):
    path.write_bytes(path.read_bytes() + b'{"kind":"call","se')
    for report in (verify_all(path), verify_files([path])):
        assert report.is_whole and any("half there" in note for note in report.notes)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.permutations(range(7)), st.integers(0, 7))
def test_no_order_but_one_is_whole(pristine: Path, tmp_path: Path, order: list[int], many: int):
    lines = raw_lines(pristine)
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b"".join(lines[each] for each in order[:many]))
    head_of(path).write_bytes(head_of(pristine).read_bytes())
    assert verify_all(path).is_whole == (list(order[:many]) == list(range(7)))


# --- size -----------------------------------------------------------------------------------------------------

_MEASURE = """
import resource, sys
from pathlib import Path
from proxy_core.access.audit.verifying import verify_all
report = verify_all(Path(sys.argv[1]))
assert report.is_whole, report
print(report.lines, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_a_long_audit_takes_no_more_memory_than_a_short_one(tmp_path: Path):
    short, long = tmp_path / "short.jsonl", tmp_path / "long.jsonl"
    write_some(short, 100)
    with writing(long) as opened:
        for _ in range(500):
            for _ in range(200):
                opened.seal(Happened(what="x" * 100))
            opened.flush()
    (_, small), (lines, large) = (measured(each) for each in (short, long))
    assert lines == 100_001
    assert large - small < 8, "MiB"


def measured(path: Path) -> tuple[int, int]:
    """Lines and MiB."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(path)],
        env=MODULE_ENV,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines, peak = done.stdout.split()
    return int(lines), int(peak)
