"""Real files, changed in every way in which files are changed."""

import asyncio
import os
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from proxy_core.config import watcher
from proxy_core.config.models import ReloadConfig
from proxy_core.config.watcher import MISSING, UNREADABLE, ConfigWatcher, digest_of
from proxy_core.errors import Only1Error

AT_MOST_S = 20.0
"""For a busy machine; nothing that passes waits for it."""
QUIET_S = 0.4
"""Several times what a change takes to be handed over."""


class Watched:
    """A file that is watched: every content that was handed over, as whoever is called finds it."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.settings = ReloadConfig(debounce_ms=40)
        self.handed: list[str] = []
        self.notes: list[str] = []
        self.fault: BaseException | None = None
        self.changed = asyncio.Event()
        self.watcher = ConfigWatcher(
            lambda: self.path, lambda: self.settings, self.on_change, self.notes.append
        )

    async def on_change(self) -> None:
        self.handed.append(self.read())
        self.changed.set()
        if self.fault is not None:
            raise self.fault

    def turn(self, watch: bool) -> None:
        self.settings = ReloadConfig(watch=watch, debounce_ms=40)

    def read(self) -> str:
        digest = digest_of(self.path)
        return digest if digest in {MISSING, UNREADABLE} else Path(str(self.path)).read_text()

    async def until(self, *handed: str) -> None:
        """Waits for exactly these, in this order."""
        async with asyncio.timeout(AT_MOST_S):
            while len(self.handed) < len(handed):
                self.changed.clear()
                await self.changed.wait()
        assert self.handed == list(handed)

    async def stays(self) -> None:
        """Nothing more is handed over for a while."""
        before = list(self.handed)
        await asyncio.sleep(QUIET_S)
        assert self.handed == before


@asynccontextmanager
async def watching(
    path: Path | None, set_up: Callable[[Watched], None] | None = None
) -> AsyncIterator[Watched]:
    watched = Watched(path)
    if set_up is not None:
        set_up(watched)
    task = asyncio.create_task(watched.watcher.run())
    for _ in range(5):  # turns of the loop, in which it starts: only then is a change one
        await asyncio.sleep(0)
    try:
        yield watched
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    folder.mkdir()
    path = folder / "only1mcp.yaml"
    path.write_text("a")
    return path


@pytest.fixture
def no_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events alone, so that a test shows that there are some."""
    monkeypatch.setattr(watcher, "_LOOK_S", 3600.0)


pytestmark = pytest.mark.usefixtures("no_looks")


def renamed_over(path: Path, text: str) -> None:
    temporary = path.with_name(".tmp-1")
    temporary.write_text(text)
    os.replace(temporary, path)


async def test_what_is_written_in_place_is_handed_over(path: Path):
    async with watching(path) as watched:
        path.write_text("b")
        await watched.until("b")
        path.write_text("c")
        await watched.until("b", "c")
        await watched.stays()


async def test_what_is_renamed_over_it_is_handed_over(path: Path):
    async with watching(path) as watched:
        renamed_over(path, "b")
        await watched.until("b")
        renamed_over(path, "c")
        await watched.until("b", "c")


async def test_a_change_is_handed_over_soon_after_the_last_write(path: Path):
    """The aim is 300 ms at 100 ms of holding still; a busy machine is given more."""
    async with watching(path) as watched:
        watched.settings = ReloadConfig(debounce_ms=100)
        started_at = time.monotonic()
        path.write_text("b")
        await watched.until("b")
        assert 0.1 <= time.monotonic() - started_at < 2


async def test_a_writer_that_takes_its_time_is_never_seen_half(path: Path):
    whole = "".join(f"line {number}\n" for number in range(10))
    async with watching(path) as watched:
        watched.settings = ReloadConfig(debounce_ms=300)
        with path.open("w") as file:
            for line in whole.splitlines(keepends=True):
                file.write(line)
                file.flush()
                await asyncio.sleep(0.03)
        await watched.until(whole)
        await watched.stays()


async def test_an_editor_that_deletes_and_writes_anew_is_not_seen_between(path: Path):
    async with watching(path) as watched:
        watched.settings = ReloadConfig(debounce_ms=200)
        path.unlink()
        await asyncio.sleep(0.3)
        path.write_text("b")
        await watched.until("b")


async def test_a_file_that_goes_is_handed_over_and_so_is_its_return(path: Path):
    async with watching(path) as watched:
        path.unlink()
        await watched.until(MISSING)
        path.write_text("a")
        await watched.until(MISSING, "a")


async def test_a_file_that_cannot_be_read_is_handed_over_and_so_is_its_return(path: Path):
    async with watching(path) as watched:
        path.unlink()
        path.mkdir()  # permissions do not bind whoever is root
        await watched.until(UNREADABLE)
        path.rmdir()
        path.write_text("a")
        await watched.until(UNREADABLE, "a")


async def test_a_pipe_in_its_place_holds_nobody_up(path: Path):
    async with watching(path) as watched:
        path.unlink()
        os.mkfifo(path)
        await watched.until(UNREADABLE)


@contextmanager
def bound_by_permissions() -> Iterator[None]:
    """Root is not, so for a while it is somebody else."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.fixture
def public_path() -> Iterator[Path]:
    """In a folder that everybody may enter, as pytest's own are not."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = Path(folder) / "only1mcp.yaml"
        path.write_text("a")
        yield path


async def test_a_permission_lost_is_handed_over_and_so_is_its_return(public_path: Path):
    path = public_path
    async with watching(path) as watched:
        path.chmod(0)
        with bound_by_permissions():
            await watched.until(UNREADABLE)
        path.chmod(0o600)
        await watched.until(UNREADABLE, "a")


async def test_touching_it_changes_nothing(path: Path):
    async with watching(path) as watched:
        path.touch()
        path.write_text("a")
        renamed_over(path, "a")
        path.with_name("other.yaml").write_text("x")
        await watched.stays()
        assert watched.handed == []


async def test_a_change_that_is_taken_back_at_once_is_none(path: Path):
    async with watching(path) as watched:
        path.write_text("")
        path.write_text("a")
        await watched.stays()
        assert watched.handed == []


async def test_the_link_that_kubernetes_swaps_is_followed(tmp_path: Path):
    volume = tmp_path / "volume"

    def put(version: int) -> None:
        folder = volume / f"..{version}"
        folder.mkdir(parents=True)
        (folder / "only1mcp.yaml").write_text(f"v{version}")
        (volume / "..data_tmp").symlink_to(folder.name)
        os.replace(volume / "..data_tmp", volume / "..data")

    put(0)
    (volume / "only1mcp.yaml").symlink_to("..data/only1mcp.yaml")
    async with watching(volume / "only1mcp.yaml") as watched:
        for version in range(1, 5):
            put(version)
            await watched.until(*(f"v{number}" for number in range(1, version + 1)))


async def test_a_file_that_is_kept_elsewhere_is_watched_there(tmp_path: Path, path: Path):
    """As dotfile managers do, with a link to the file or to its folder."""
    store = tmp_path / "dotfiles"
    store.mkdir()
    kept = store / "kept.yaml"
    kept.write_text("a")
    path.unlink()
    path.symlink_to("../dotfiles/kept.yaml")
    async with watching(path) as watched:
        kept.write_text("b")
        await watched.until("b")
        renamed_over(kept, "c")
        await watched.until("b", "c")
        other = tmp_path / "other.yaml"
        other.write_text("d")
        path.unlink()
        path.symlink_to(other)
        await watched.until("b", "c", "d")
        renamed_over(other, "e")
        await watched.until("b", "c", "d", "e")


async def test_a_folder_that_goes_and_comes_back_is_watched_again(path: Path):
    async with watching(path) as watched:
        for number in range(3):
            os.rename(path.parent, path.parent.with_name(f"gone-{number}"))
            await watched.until(*[MISSING, "a"] * number, MISSING)
            path.parent.mkdir()
            path.write_text("a")
            await watched.until(*[MISSING, "a"] * (number + 1))
        path.write_text("b")
        await watched.until(*[MISSING, "a"] * 3, "b")


@pytest.mark.parametrize("write", [Path.write_text, renamed_over], ids=["in place", "renamed"])
async def test_of_many_rewrites_the_last_is_always_handed_over(path: Path, write: Callable[[Path, str], Any]):
    async with watching(path) as watched:
        for number in range(50):
            write(path, f"version {number}" * (number % 7 + 1))
            await asyncio.sleep(0.001 * (number % 60))
        last = path.read_text()
        async with asyncio.timeout(AT_MOST_S):
            while not watched.handed or watched.handed[-1] != last:
                watched.changed.clear()
                await watched.changed.wait()
        await watched.stays()
        assert len(set(watched.handed)) == len(watched.handed)


# --- what is in force already ---------------------------------------------------------------------------------


async def test_a_change_before_the_start_is_noticed_where_it_was_told_what_is_in_force(path: Path):
    digest = digest_of(path)
    path.write_text("b")
    async with watching(path, lambda watched: watched.watcher.seen(digest)) as watched:
        await watched.until("b")


async def test_what_was_put_in_force_by_hand_is_not_handed_over_again(path: Path):
    async with watching(path) as watched:
        path.write_text("b")
        watched.watcher.seen(digest_of(path))
        await watched.stays()
        assert watched.handed == []
        path.write_text("a")
        await watched.until("a")


async def test_a_file_that_stays_as_it_is_is_handed_over_once(path: Path, monkeypatch: pytest.MonkeyPatch):
    """`rollback` leaves the file, which must not undo it."""
    monkeypatch.setattr(watcher, "_LOOK_S", 0.02)
    async with watching(path) as watched:
        path.write_text("b")
        await watched.until("b")
        await watched.stays()


async def test_without_watching_nothing_is_handed_over_until_it_is_wanted_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(watcher, "_LOOK_S", 0.02)
    async with watching(path, lambda watched: watched.turn(watch=False)) as watched:
        path.write_text("b")
        await watched.stays()
        assert watched.handed == []
        watched.turn(watch=True)
        await watched.until("b")
        watched.turn(watch=False)
        await asyncio.sleep(0.1)
        path.write_text("c")
        await watched.stays()


async def test_a_file_that_is_not_there_yet_is_looked_for(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watcher, "_LOOK_S", 0.02)
    async with watching(None) as watched:
        await watched.stays()
        watched.path = path
        await watched.until("a")
        watched.path = path.with_name("none.yaml")
        await watched.until("a", MISSING)


# --- faults ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Only1Error("refused"), OSError("no")])
async def test_a_configuration_that_is_not_taken_ends_no_watching(path: Path, fault: BaseException):
    async with watching(path) as watched:
        watched.fault = fault
        path.write_text("b")
        await watched.until("b")
        path.write_text("c")
        await watched.until("b", "c")


async def test_a_fault_of_the_program_ends_it(path: Path):
    watched = Watched(path)
    watched.fault = LookupError("a bug")
    watched.watcher.seen("something else")
    with pytest.raises(LookupError):
        async with asyncio.timeout(AT_MOST_S):
            await watched.watcher.run()


async def test_without_events_it_looks_by_itself(path: Path, monkeypatch: pytest.MonkeyPatch):
    """As on a bind mount of a single file, or a share of another machine."""

    async def silence(*_folders: str, **_options: Any) -> AsyncIterator[set[Any]]:
        await asyncio.Event().wait()
        yield set()

    monkeypatch.setattr(watcher, "awatch", silence)
    monkeypatch.setattr(watcher, "_LOOK_S", 0.02)
    async with watching(path) as watched:
        path.write_text("b")
        await watched.until("b")
        assert watched.notes == []


@pytest.mark.parametrize("fault", [OSError("OS file watch limit reached"), RuntimeError("no inotify")])
async def test_where_nothing_can_be_watched_it_looks_more_often_and_says_so_once(
    path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
):
    real, tries = watcher.awatch, 0

    async def broken(*_folders: str, **_options: Any) -> AsyncIterator[set[Any]]:
        nonlocal tries
        tries += 1
        raise fault
        yield set()

    monkeypatch.setattr(watcher, "awatch", broken)
    monkeypatch.setattr(watcher, "_POLL_S", 0.02)
    async with watching(path) as watched:
        path.write_text("b")
        await watched.until("b")
        assert tries == 1
        monkeypatch.setattr(watcher, "_RETRY_S", 0.0)
        os.rename(path.parent, path.parent.with_name("gone"))
        path.parent.mkdir()
        path.write_text("c")
        await watched.until("b", "c")
        assert [str(fault) in note for note in watched.notes] == [True]
        monkeypatch.setattr(watcher, "awatch", real)
        async with asyncio.timeout(AT_MOST_S):
            while len(watched.notes) < 2:
                await asyncio.sleep(0.01)
        monkeypatch.setattr(watcher, "_POLL_S", 3600.0)
        path.write_text("d")
        await watched.until("b", "c", "d")


def busy_threads() -> int:
    """Those of the pool that have a job; an idle one waits for its queue and ends with the loop."""
    frames = sys._current_frames()
    at = [frames.get(thread.ident or 0) for thread in threading.enumerate() if "worker" in thread.name]
    return sum(frame is not None and Path(frame.f_code.co_filename).name != "threading.py" for frame in at)


async def test_nothing_of_it_outlives_its_end(path: Path):
    process = psutil.Process()
    open_before = process.num_fds()
    for number in range(10):
        async with watching(path) as watched:
            async with asyncio.timeout(AT_MOST_S):
                while not busy_threads():
                    await asyncio.sleep(0.01)
            path.write_text(str(number))
            await watched.until(str(number))
    async with asyncio.timeout(1):
        while busy_threads() or process.num_fds() > open_before:
            await asyncio.sleep(0.01)


async def test_swapping_links_leaks_no_watch(tmp_path: Path, path: Path):
    process = psutil.Process()
    path.unlink()

    def put(number: int) -> str:
        folder = tmp_path / f"v{number}"
        folder.mkdir()
        (folder / "x").write_text(str(number))
        (tmp_path / "link").symlink_to(folder / "x")
        os.replace(tmp_path / "link", path)
        return str(number)

    expected: list[str] = []
    put(0)
    async with watching(path) as watched:
        open_before = process.num_fds()
        for number in range(1, 11):
            expected.append(put(number))
            await watched.until(*expected)
        assert process.num_fds() <= open_before


def test_contents_are_told_apart(path: Path):
    first = digest_of(path)
    path.write_text("b")
    assert len({first, digest_of(path), digest_of(path.parent), digest_of(path / "x"), digest_of(None)}) == 4
    assert digest_of(path.with_name("none")) == MISSING
    assert digest_of(path.parent) == UNREADABLE
