"""A terminal of our own: a real pty, and an emulator that knows what a person would see on it."""

import os
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pexpect
import psutil
import pyte

from tests.support.processes import SOON_S, is_alive, mark_of, marked

COLUMNS, LINES = 100, 30
_LEAVE, _ENTER = b"\x1b[?1049l", b"\x1b[?1049h"
_SHOW, _HIDE = b"\x1b[?25h", b"\x1b[?25l"
_MOUSE_OFF, _MOUSE_ON = b"\x1b[?1000l", b"\x1b[?1000h"


class Terminal:
    def __init__(self, command: Sequence[str], folder: Path, env: Mapping[str, str]) -> None:
        self._process = pexpect.spawn(
            command[0],
            list(command[1:]),
            cwd=str(folder),
            env=dict(env),
            dimensions=(LINES, COLUMNS),
            timeout=SOON_S,
        )
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._emulator = pyte.ByteStream(self._screen)
        self._output = bytearray()
        self._modes_before = self._modes()
        self._family: dict[int, psutil.Process] = {}

    @property
    def pid(self) -> int:
        return int(self._process.pid)

    @property
    def text(self) -> str:
        """What stands on it now."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    @property
    def output(self) -> bytes:
        """Every byte so far."""
        return bytes(self._output)

    @property
    def is_alternate(self) -> bool:
        return self._output.rfind(_ENTER) > self._output.rfind(_LEAVE)

    def press(self, keys: str) -> None:
        self._process.send(keys)

    def resize(self, columns: int, lines: int) -> None:
        self._screen.resize(lines, columns)
        self._process.setwinsize(lines, columns)

    def shows(self, *words: str, without: str | None = None) -> str:
        """Wait until all of these words stand on the screen."""
        return self._until(
            lambda: all(word in self.text for word in words) and (without is None or without not in self.text),
            f"shows {words}",
        )

    def family(self) -> list[psutil.Process]:
        """Its descendants and what carries their mark; remembered for `leftovers`."""
        found = psutil.Process(self.pid).children(recursive=True)
        marks = {mark for process in found if (mark := mark_of(process))}
        self._family |= {process.pid: process for process in (*found, *marked(marks))}
        return list(self._family.values())

    def leftovers(self) -> list[psutil.Process]:
        return [process for process in self._family.values() if is_alive(process)]

    def hang_up(self) -> None:
        """As a window does that is closed."""
        self.family()
        self._process.ptyproc.fileobj.close()

    def signal(self, number: int) -> None:
        self.family()
        os.kill(self.pid, number)

    def ends(self) -> int | None:
        """Wait for the end; the exit code, or None if a signal ended it."""
        deadline_at = time.monotonic() + SOON_S
        while self._pump():
            assert time.monotonic() < deadline_at, f"still running, showing:\n{self.text}"
        self._process.wait()
        code: int | None = self._process.exitstatus
        return code

    def is_restored(self) -> dict[str, bool]:
        """Everything that a program must put back, by name."""
        output = self._output
        return {
            "alternate screen left": not self.is_alternate,
            "cursor shown": output.rfind(_SHOW) > output.rfind(_HIDE),
            "mouse released": output.rfind(_MOUSE_OFF) >= output.rfind(_MOUSE_ON),
            "line modes as before": self._modes() == self._modes_before,
        }

    def after_the_screen(self) -> str:
        """What was printed on the normal screen at the end."""
        return bytes(self._output[self._output.rfind(_LEAVE) :]).decode(errors="replace")

    def close(self) -> None:
        for process in (*self.leftovers(), *([psutil.Process(self.pid)] if self._process.isalive() else [])):
            process.kill()
        self._process.close(force=True)

    def _until(self, look: Any, what: str) -> str:
        deadline_at = time.monotonic() + SOON_S
        while not look():
            assert self._pump(), f"it ended before it {what}; it showed:\n{self.text}"
            assert time.monotonic() < deadline_at, f"it never {what}; it shows:\n{self.text}"
        return self.text

    def _pump(self) -> bool:
        """Take in what was written; False at the end."""
        try:
            data = self._process.read_nonblocking(65_536, timeout=0.05)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self._output += data
        self._emulator.feed(data)
        return True

    def _modes(self) -> list[Any]:
        # On Linux the pty can still be asked through our end after the program has gone.
        return termios.tcgetattr(self._process.child_fd)[:4] if sys.platform == "linux" else []
