"""From one configuration in force to another, and what is said of it on the way."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config, ServerConfig, StdioTransport
from proxy_core.config.watcher import digest_of
from proxy_core.errors import ConfigError, ConfigProblem, NothingToRollBack
from proxy_core.facts import ConfigApplied, ConfigRejected, Fact
from proxy_core.reloading import ROLLED_BACK_NOTICE, SHOWN_DIGEST, WAITING_NOTICE, Reloading
from tests.support.clock import FakeClock
from tests.support.scripted_channel import until


def server(server_id: str, command: str = "box", **more: Any) -> ServerConfig:
    return ServerConfig(id=server_id, transport=StdioTransport(command=command), **more)


class File:
    """A configuration file whose meaning the test sets, and the reloading of it."""

    def __init__(self, path: Path, reload: dict[str, Any] | None = None) -> None:
        """`reload`: the section of that name; without it, the file is not watched."""
        self.path = path
        self.reload = reload or {}
        self.clock = FakeClock()
        self.facts: list[Fact] = []
        self.in_force: list[LoadedConfig] = []
        self.reads: list[threading.Thread] = []
        self.fault: str | None = None
        self.next: LoadedConfig
        self.says(server("aa"))
        self.reloading = Reloading(
            self.next,
            self._read,
            (lambda: self.path) if reload is not None else None,
            lambda before: self.in_force.append(self.reloading.loaded),
            self.clock,
            self.facts.append,
        )

    def _read(self) -> LoadedConfig:
        self.reads.append(threading.current_thread())
        if self.fault is not None:
            raise ConfigError(str(self.path), (ConfigProblem("proxy.port", self.fault, 3),))
        return self.next

    def says(self, *servers: ServerConfig, **sections: Any) -> LoadedConfig:
        """What the file holds from now on."""
        config = Config.model_validate({"servers": servers, "reload": self.reload, **sections})
        self.next, self.fault = LoadedConfig(config, self.path), None
        self.path.write_text(f"{config!r}")
        return self.next

    def breaks(self, words: str = "must be a number") -> None:
        self.path.write_text(words)
        self.fault = words

    @property
    def notices(self) -> list[str]:
        return [notice.text for notice in self.reloading.notices]


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[File]:
    made = File(tmp_path / "only1mcp.yaml")
    yield made
    await made.reloading.stop()


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[File]:
    """The file is watched, and a change holds still soon."""
    made = watched_file(tmp_path)
    yield made
    await made.reloading.stop()


def watched_file(folder: Path, **reload: Any) -> File:
    made = File(folder / "only1mcp.yaml", {"debounce_ms": 10} | reload)
    made.reloading.start()
    return made


# --- reload -------------------------------------------------------------------------------------------------


async def test_at_the_start_the_configuration_is_the_first(file: File) -> None:
    status = file.reloading.status
    assert (status.version, status.applied_at) == (1, file.clock.monotonic())
    assert status.digest == (digest_of(file.path) or "")[:SHOWN_DIGEST]
    assert (status.error, status.is_waiting, status.can_roll_back, file.notices) == (None, False, False, [])


async def test_a_reload_puts_the_file_in_force(file: File) -> None:
    new = file.says(server("aa", "other"), server("bb"), server("cc", name="C"))
    file.clock.advance(60)
    changes = await file.reloading.reload()
    assert [(each.id, each.change) for each in changes.servers] == [
        ("aa", "replace"),
        ("bb", "add"),
        ("cc", "add"),
    ]
    assert (file.reloading.loaded, file.in_force) == (new, [new])
    status = file.reloading.status
    assert (status.version, status.applied_at, status.can_roll_back) == (2, file.clock.monotonic(), True)
    assert status.digest == (digest_of(file.path) or "")[:SHOWN_DIGEST]
    assert file.facts == [
        ConfigApplied(file.clock.monotonic(), str(file.path), ("bb", "cc"), (), ("aa",), (), False)
    ]


async def test_a_reload_of_no_server_tells_the_keys_that_are_others(file: File) -> None:
    file.says(server("aa"), profiles={"review": {}}, proxy={"grace_s": 7})
    await file.reloading.reload()
    (fact,) = file.facts
    assert isinstance(fact, ConfigApplied)
    assert fact.settings == ("proxy.grace_s", "profiles.review")


async def test_what_is_told_of_a_reload_names_each_server_once(file: File) -> None:
    file.says(server("aa"), server("bb"), server("cc", enabled=False), server("dd"))
    await file.reloading.reload()
    file.says(server("aa", name="A"), server("bb", enabled=False), server("cc"))
    await file.reloading.reload()
    (_, fact) = file.facts
    assert isinstance(fact, ConfigApplied)
    assert (fact.added, fact.removed, fact.replaced, fact.updated) == (("cc",), ("bb", "dd"), (), ("aa",))


async def test_the_file_is_read_off_the_loop(file: File) -> None:
    await file.reloading.reload()
    assert file.reads and threading.current_thread() not in file.reads


async def test_a_file_that_means_the_same_is_no_new_version(file: File) -> None:
    file.path.write_text("# a comment more")
    changes = await file.reloading.reload()
    status = file.reloading.status
    assert changes.is_empty
    assert (status.version, status.can_roll_back, file.facts) == (1, False, [])
    assert status.digest == (digest_of(file.path) or "")[:SHOWN_DIGEST], "the file is another one all the same"


async def test_two_reloads_at_once_end_in_the_newer_one(file: File) -> None:
    """Though the older reading takes longer."""
    read, may_end = file._read, threading.Event()

    def read_slowly_once() -> LoadedConfig:
        is_first = not file.reads
        found = read()
        if is_first:
            may_end.wait(30)
        return found

    file.reloading._read = read_slowly_once
    file.says(server("bb"))
    first = asyncio.ensure_future(file.reloading.reload())
    await until(lambda: file.reads)
    newest = file.says(server("cc"))
    second = asyncio.ensure_future(file.reloading.reload())
    await asyncio.wait([second], timeout=0.05)
    may_end.set()
    await asyncio.gather(first, second)
    assert file.reloading.loaded == newest


# --- a bad file ---------------------------------------------------------------------------------------------


async def test_a_bad_file_changes_nothing_but_what_is_said(file: File) -> None:
    before = file.reloading.loaded
    file.breaks()
    with pytest.raises(ConfigError):
        await file.reloading.reload()
    assert (file.reloading.loaded, file.in_force) == (before, [])
    words = f"{file.path}:3: proxy.port: must be a number"
    status = file.reloading.status
    assert (status.version, status.errors, status.error) == (1, 1, words)
    assert file.notices == [f"The configuration was not applied, the last good one stays in force: {words}"]
    assert [notice.level for notice in file.reloading.notices] == ["error"]
    assert file.facts == [ConfigRejected(file.clock.monotonic(), str(file.path), words)]


async def test_a_good_file_ends_what_was_said_of_the_bad_one(file: File) -> None:
    for words in ("must be a number", "must be a number", "is too large"):
        file.breaks(words)
        with pytest.raises(ConfigError):
            await file.reloading.reload()
    file.says(server("aa"))
    await file.reloading.reload()
    assert (file.reloading.status.errors, file.reloading.status.error, file.notices) == (2, None, [])
    assert sum(isinstance(fact, ConfigRejected) for fact in file.facts) == 2, "the same fault is told once"


async def test_a_plan_of_a_bad_file_says_so_too(file: File) -> None:
    file.breaks()
    with pytest.raises(ConfigError):
        await file.reloading.changes()
    assert file.reloading.status.errors == 1


# --- a plan -------------------------------------------------------------------------------------------------


async def test_a_plan_changes_nothing(file: File) -> None:
    before = file.reloading.loaded
    file.says(server("bb"))
    changes = await file.reloading.changes()
    assert [(each.id, each.change) for each in changes.servers] == [("bb", "add"), ("aa", "drain")]
    assert (file.reloading.loaded, file.in_force, file.reloading.status.version) == (before, [], 1)


# --- one step back ------------------------------------------------------------------------------------------


async def test_without_an_earlier_configuration_there_is_no_way_back(file: File) -> None:
    with pytest.raises(NothingToRollBack):
        file.reloading.roll_back()
    await file.reloading.reload()
    with pytest.raises(NothingToRollBack):
        file.reloading.roll_back()


async def test_a_rollback_puts_the_one_before_in_force_and_says_that_the_file_differs(file: File) -> None:
    first, second = file.reloading.loaded, file.says(server("bb"))
    await file.reloading.reload()
    changes = file.reloading.roll_back()
    assert [(each.id, each.change) for each in changes.servers] == [("aa", "add"), ("bb", "drain")]
    assert (file.reloading.loaded, file.in_force) == (first, [second, first])
    assert (file.reloading.status.version, file.reloading.status.can_roll_back) == (3, True)
    assert file.notices == [ROLLED_BACK_NOTICE]
    fact = file.facts[-1]
    assert isinstance(fact, ConfigApplied) and fact.is_rollback
    assert len(file.reads) == 1, "the file is not looked at"


async def test_a_rollback_of_a_rollback_is_where_one_was(file: File) -> None:
    second = file.says(server("bb"))
    await file.reloading.reload()
    file.reloading.roll_back()
    file.reloading.roll_back()
    assert (file.reloading.loaded, file.notices) == (second, [])


async def test_a_reload_after_a_rollback_goes_by_the_file_again(file: File) -> None:
    second = file.says(server("bb"))
    await file.reloading.reload()
    file.reloading.roll_back()
    await file.reloading.reload()
    assert (file.reloading.loaded, file.notices) == (second, [])


async def test_a_reload_that_changes_nothing_keeps_the_way_back(file: File) -> None:
    first = file.reloading.loaded
    file.says(server("bb"))
    await file.reloading.reload()
    await file.reloading.reload()
    file.reloading.roll_back()
    assert file.reloading.loaded is first


# --- what waits for a restart -------------------------------------------------------------------------------


async def test_keys_that_wait_for_a_restart_are_named_until_they_are_as_at_the_start(file: File) -> None:
    file.says(server("aa"), proxy={"port": 9000, "host": "::1"})
    await file.reloading.reload()
    assert file.notices == ["A restart of the gateway is needed for: proxy.host, proxy.port."]
    file.says(server("bb"), proxy={"port": 9000})
    await file.reloading.reload()
    assert file.notices == ["A restart of the gateway is needed for: proxy.port."]
    file.says(server("bb"))
    await file.reloading.reload()
    assert file.notices == []


async def test_a_start_serves_what_is_in_force(file: File) -> None:
    file.says(server("aa"), proxy={"port": 9000})
    await file.reloading.reload()
    file.reloading.start()
    assert file.notices == []


# --- watching -----------------------------------------------------------------------------------------------


async def test_a_change_of_the_file_is_put_in_force(watched: File) -> None:
    new = watched.says(server("bb"))
    await until(lambda: watched.in_force)
    assert watched.in_force == [new]


async def test_a_change_between_the_first_reading_and_the_start_is_put_in_force(tmp_path: Path) -> None:
    late = File(tmp_path / "only1mcp.yaml", {"debounce_ms": 10})
    new = late.says(server("bb"))
    late.reloading.start()
    await until(lambda: late.in_force)
    assert late.in_force == [new]
    await late.reloading.stop()


async def test_a_change_while_the_file_is_read_is_put_in_force(watched: File) -> None:
    first = watched.says(server("bb"))
    read, newest = watched._read, None

    def read_slowly() -> LoadedConfig:
        nonlocal newest
        found = read()
        if newest is None:
            newest = watched.says(server("cc"))
        return found

    watched.reloading._read = read_slowly
    await watched.reloading.reload()
    assert watched.reloading.loaded == first
    assert watched.reloading.status.digest != (digest_of(watched.path) or "")[:SHOWN_DIGEST]
    await until(lambda: watched.reloading.loaded == newest)


async def test_a_bad_change_is_said_and_the_next_good_one_put_in_force(watched: File) -> None:
    watched.breaks()
    await until(lambda: watched.reloading.status.error)
    assert watched.in_force == []
    new = watched.says(server("bb"))
    await until(lambda: watched.in_force)
    assert (watched.in_force, watched.reloading.status.error) == ([new], None)


@pytest.fixture
async def asking(tmp_path: Path) -> AsyncIterator[File]:
    """A watched file whose change waits for a person."""
    made = watched_file(tmp_path, confirm=True)
    yield made
    await made.reloading.stop()


async def test_where_a_person_confirms_a_change_waits_until_they_do(asking: File) -> None:
    new = asking.says(server("bb"))
    await until(lambda: asking.reloading.status.is_waiting)
    assert (asking.in_force, asking.notices) == ([], [WAITING_NOTICE])
    await asking.reloading.reload()
    assert (asking.in_force, asking.notices) == ([new], [])


async def test_a_change_that_was_taken_back_waits_no_more(asking: File) -> None:
    before = asking.reloading.loaded
    asking.says(server("bb"))
    await until(lambda: asking.reloading.status.is_waiting)
    asking.says(server("aa"))
    await until(lambda: not asking.reloading.status.is_waiting)
    assert (asking.reloading.loaded, asking.in_force) == (before, [])


async def test_a_change_that_waits_and_then_breaks_waits_no_more(asking: File) -> None:
    asking.says(server("bb"))
    await until(lambda: asking.reloading.status.is_waiting)
    asking.breaks()
    await until(lambda: asking.reloading.status.error)
    assert not asking.reloading.status.is_waiting


async def test_stopped_it_notices_nothing_more(watched: File, tmp_path: Path) -> None:
    await watched.reloading.stop()
    watched.says(server("bb"))
    (tmp_path / "other").mkdir()
    other = watched_file(tmp_path / "other")
    other.says(server("bb"))
    await until(lambda: other.in_force)
    await other.reloading.stop()
    assert watched.in_force == []
