"""Writing a little later."""

import asyncio
import threading

import pytest

from proxy_core.backends import late_writer
from proxy_core.backends.late_writer import LateWriter
from tests.support.scripted_channel import until


class Disk:
    def __init__(self) -> None:
        self.value = 0
        self.written: list[int] = []
        self.threads: set[threading.Thread] = set()
        self.go = threading.Event()
        self.go.set()

    def write(self) -> None:
        self.threads.add(threading.current_thread())
        value = self.value
        self.go.wait(30)
        self.written.append(value)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    monkeypatch.setattr(late_writer, "PAUSE_S", 0.01)
    return Disk()


async def test_what_changes_together_is_written_once_and_off_the_loop(disk: Disk) -> None:
    writer = LateWriter("test", disk.write)
    for disk.value in range(1, 4):
        writer.changed()
    await until(lambda: disk.written)
    await writer.aclose()
    assert disk.written == [3]
    assert threading.main_thread() not in disk.threads


async def test_a_stop_writes_what_is_due_and_nothing_twice(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_writer, "PAUSE_S", 3600)
    writer = LateWriter("test", disk.write)
    await writer.aclose()
    assert disk.written == []
    disk.value = 7
    writer.changed()
    await asyncio.sleep(0)
    await writer.aclose()
    await writer.aclose()
    assert disk.written == [7]


async def test_a_stop_in_the_middle_of_a_write_leaves_the_last_word(disk: Disk) -> None:
    writer = LateWriter("test", disk.write)
    disk.go.clear()
    disk.value = 1
    writer.changed()
    await until(lambda: disk.threads)
    disk.value = 2
    writer.changed()
    stop = asyncio.ensure_future(writer.aclose())
    await asyncio.sleep(0)
    disk.go.set()
    await stop
    assert disk.written[-1] == 2
