"""Keep one guard process alive and tell it which process groups are ours.

The guard (guard_main.py) holds the read end of our pipe; however we die, the pipe ends and it ends the groups.
Knows nothing of MCP or of channels. Why a process and not PR_SET_PDEATHSIG: docs/decisions/0003.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from proxy_core.backends.child_env import RUN_VARIABLE
from proxy_core.tasks import Tasks

log = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 30.0
SETTLED_S: Final = 30.0
"""A guard that lived so long is replaced without a longer pause."""
CLOSE_S: Final = 5.0

_PROGRAM: Final = str(Path(__file__).with_name("guard_main.py"))


class _Exit(asyncio.SubprocessProtocol):
    def __init__(self) -> None:
        self.happened = asyncio.Event()

    def process_exited(self) -> None:
        self.happened.set()


class Guard:
    """Ends our children when we no longer can. Start it before the first child, close it after the last."""

    def __init__(self, command: Sequence[str] = (sys.executable, "-I", "-S", _PROGRAM)) -> None:
        self.run_id: Final = secrets.token_hex(8)
        """Every child carries it as ONLY1MCP_RUN, which it keeps even where it leaves its group."""
        self._command = (*command, f"{RUN_VARIABLE}={self.run_id}")
        self._groups: set[int] = set()
        self._pipe: int | None = None
        self._transport: asyncio.SubprocessTransport | None = None
        self._exit = _Exit()
        self._tasks = Tasks("guard")

    def __repr__(self) -> str:
        return f"Guard(pid={self.pid}, groups={sorted(self._groups)})"

    @property
    def pid(self) -> int | None:
        """None until it runs, and while it is replaced."""
        return self._transport.get_pid() if self._transport is not None else None

    async def start(self) -> None:
        await self._spawn()
        self._tasks.start(self._keep_alive(), "keep-alive")

    def watch(self, pgid: int) -> None:
        """Call before the group's leader may do anything of its own."""
        self._groups.add(pgid)
        self._tell(f"+{pgid}\n")

    def forget(self, pgid: int) -> None:
        """Call as soon as the group is gone: its number may be given to another."""
        if pgid in self._groups:
            self._groups.discard(pgid)
            self._tell(f"-{pgid}\n")

    async def aclose(self) -> None:
        """Let the guard end what is left of our children, and wait for it. Safe to call twice."""
        await self._tasks.aclose()
        self._close_pipe()
        if self._transport is None:
            return
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._exit.happened.wait()
        except TimeoutError:
            log.warning("some child processes could not be ended within %.0f s", CLOSE_S)
        self._close_transport()

    async def _keep_alive(self) -> None:
        loop = asyncio.get_running_loop()
        pause_s = FIRST_PAUSE_S
        while True:
            started_at = loop.time()
            await self._exit.happened.wait()
            self._close_pipe()
            self._close_transport()
            log.warning("the guard process ended; until the next one runs, a crash could leave children behind")
            pause_s = (
                FIRST_PAUSE_S if loop.time() - started_at > SETTLED_S else min(pause_s * 2, LONGEST_PAUSE_S)
            )
            await asyncio.sleep(pause_s)
            await self._spawn()

    async def _spawn(self) -> None:
        """Start a guard that knows all groups. A failure counts as a guard that ended at once."""
        self._exit = _Exit()
        # Neither end is inheritable: a child that held the write end would keep the guard from seeing our end.
        read_end, write_end = os.pipe()
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, write_end)
            try:
                self._transport = await self._exec(read_end)
            except OSError as error:
                log.error("the guard process cannot start: %s", error)
                self._exit.happened.set()
                return
            finally:
                os.close(read_end)
            undo.pop_all()
        os.set_blocking(write_end, False)
        self._pipe = write_end
        for pgid in self._groups:
            self._tell(f"+{pgid}\n")

    async def _exec(self, stdin: int) -> asyncio.SubprocessTransport:
        # A gateway may itself be the child of one, whose mark must not end up on this guard.
        env = {name: value for name, value in os.environ.items() if name != RUN_VARIABLE}
        transport, _ = await asyncio.get_running_loop().subprocess_exec(
            lambda: self._exit,
            *self._command,
            stdin=stdin,
            stdout=DEVNULL,
            stderr=DEVNULL,
            cwd="/",
            env=env,
            start_new_session=True,
        )
        return transport

    def _tell(self, line: str) -> None:
        if self._pipe is None:
            return
        try:
            os.write(self._pipe, line.encode())
        except BrokenPipeError:
            # It has just ended; the next one is told of every group.
            return
        except BlockingIOError:
            log.warning("the guard process no longer reads; it is replaced")
            if self._transport is not None:
                self._transport.send_signal(signal.SIGKILL)

    def _close_pipe(self) -> None:
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            os.close(pipe)

    def _close_transport(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()
