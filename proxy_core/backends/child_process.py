"""One child process and its group: started under the guard's eyes, fed, and ended to the last member.

Moves bytes, knows no MCP. The child leads a session of its own, so its group's number is its process id.
Spec: 2025-11-25 basic/lifecycle, "Shutdown: stdio".
"""

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import PIPE
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

from msgspec import Struct

from proxy_core.backends.child_env import go_ahead
from proxy_core.backends.guard import Guard

MAX_UNREAD_BYTES: Final = 16 * 1024 * 1024
"""What may wait for a child that does not read its stdin."""
LINGER_S: Final = 0.5
"""How long the end of a pipe and the exit may lie apart: the system reports them in any order."""
POLL_S: Final = 0.01

STDIN, STDOUT, STDERR = 0, 1, 2


class StopWaits(Struct, frozen=True):
    """How long a child may take, in seconds: to see its stdin end, to heed SIGTERM, to be reaped."""

    eof_s: float = 2.0
    term_s: float = 2.0
    kill_s: float = 2.0


STOP_WAITS: Final = StopWaits()


class StdinClosed(Exception):
    """The child can no longer be written to."""


class StdinFull(Exception):
    """The child does not read its stdin, and `MAX_UNREAD_BYTES` wait already."""


def exit_words(returncode: int) -> str:
    if returncode >= 0:
        return f"exited with code {returncode}"
    try:
        return f"was killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"was killed by signal {-returncode}"


class ChildProcess(asyncio.SubprocessProtocol):
    """`on_end` is called once, with words, when the child ended without being asked to."""

    def __init__(
        self,
        guard: Guard,
        on_stdout: Callable[[bytes], None],
        on_stderr: Callable[[bytes], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._guard = guard
        self._outputs = {STDOUT: on_stdout, STDERR: on_stderr}
        self._on_end = on_end
        self._transport: asyncio.SubprocessTransport | None = None
        self._queue: list[bytes] = []
        self._queued_bytes = 0
        self._is_paused = False
        self._is_flush_due = False
        self._open_pipes = {STDIN, STDOUT, STDERR}
        self._has_exited = False
        self._is_stopping = False
        self._is_released = False
        self._reason: str | None = None

    async def start(self, command: Sequence[str], cwd: str | None, env: Mapping[str, str]) -> None:
        """Run a held command (child_env.held_command): let go only once the guard knows its group.

        Raises: OSError.
        """
        await asyncio.get_running_loop().subprocess_exec(
            lambda: self,
            *command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            cwd=cwd,
            env=dict(env),
            start_new_session=True,
        )

    @property
    def pid(self) -> int | None:
        return self._transport.get_pid() if self._transport is not None else None

    @property
    def exit_description(self) -> str | None:
        """What became of it, as `exited with code 1`; None while it runs."""
        if self._transport is None or (code := self._transport.get_returncode()) is None:
            return None
        return self._reason or exit_words(code)

    # --- writing --------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Queue bytes; those of one turn of the loop leave in one write. Raises: StdinClosed, StdinFull."""
        if not self._can_write() or self._is_stopping or self._has_exited:
            raise StdinClosed
        waiting = self._queued_bytes + self._stdin().get_write_buffer_size()
        if waiting and waiting + len(data) > MAX_UNREAD_BYTES:
            raise StdinFull
        self._queue.append(data)
        self._queued_bytes += len(data)
        if not self._is_flush_due and not self._is_paused:
            self._is_flush_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flush_due = False
        if self._queue and self._can_write():
            data = b"".join(self._queue)
            self._queue.clear()
            self._queued_bytes = 0
            self._stdin().write(data)

    def _can_write(self) -> bool:
        # A transport may be closing for some turns of the loop before it says that the pipe is lost.
        return self._transport is not None and STDIN in self._open_pipes and not self._stdin().is_closing()

    def _stdin(self) -> asyncio.WriteTransport:
        assert self._transport is not None
        return cast(asyncio.WriteTransport, self._transport.get_pipe_transport(STDIN))

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self._flush()

    # --- what the loop reports ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)
        self._guard.watch(self._transport.get_pid())
        with contextlib.suppress(StdinClosed):
            # Closed already where the opening was cancelled: then the shell ends without having run anything.
            self.write(go_ahead(self._guard.run_id))

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._outputs[fd](data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._open_pipes.discard(fd)
        if self._has_exited:
            self._settle()
        elif fd != STDERR and not self._is_stopping:
            asyncio.get_running_loop().call_later(LINGER_S, self._end_as_deaf, fd)

    def process_exited(self) -> None:
        self._has_exited = True
        if self._is_stopping:
            return
        # Its own children serve nobody any more (`npx` ends, `node` stays).
        self.kill()
        self._settle()
        asyncio.get_running_loop().call_later(LINGER_S, self._finish)

    def _end_as_deaf(self, fd: int) -> None:
        """A child that closed stdin or stdout and stays can neither be asked nor answer."""
        if not self._has_exited and not self._is_stopping:
            self._reason = f"closed its {'input' if fd == STDIN else 'output'} and was killed"
            self.kill()

    def _settle(self) -> None:
        if not self._open_pipes & {STDOUT, STDERR}:
            self._finish()

    def _finish(self) -> None:
        if not self._is_released and not self._is_stopping:
            self._release()
            self._on_end(self.exit_description or "ended")

    # --- ending ---------------------------------------------------------------------------------------------

    def kill(self) -> None:
        """End the whole group at once; the exit is reported as ever."""
        self._signal_group(signal.SIGKILL)

    async def stop(self, waits: StopWaits) -> None:
        """End stdin, then SIGTERM, then SIGKILL to the group; return when it is reaped. Safe to call twice."""
        if self._transport is None or self._is_released:
            return
        self._flush()
        self._is_stopping = True
        self._stdin().close()
        try:
            if not await self._comes_true(self._is_gone, waits.eof_s):
                self._signal_group(signal.SIGTERM)
                if not await self._comes_true(self._is_gone, waits.term_s):
                    self.kill()
                    # Not for an empty group: where init is slow to reap, zombies stay in it.
                    await self._comes_true(lambda: self._has_exited, waits.kill_s)
            await self._comes_true(self._is_silent, LINGER_S)
        finally:
            # Also when the wait is cancelled: nothing may outlive its channel.
            self.kill()
            self._release()

    async def _comes_true(self, condition: Callable[[], bool], within_s: float) -> bool:
        # The end of a group, unlike that of a process, is reported by nobody: it has to be looked at.
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while not condition():
            if loop.time() >= deadline:
                return False
            await asyncio.sleep(POLL_S)
        return True

    def _is_gone(self) -> bool:
        """Whether the leader is reaped and no member is left."""
        if not self._has_exited:
            return False
        self._reap_orphans()
        return not self._signal_group(0)

    def _is_silent(self) -> bool:
        return not self._open_pipes & {STDOUT, STDERR}

    def _signal_group(self, number: int) -> bool:
        """Signal every member; whether there was one that could be signalled."""
        if self._transport is None or self._is_released:
            # The number may be another's by now.
            return False
        try:
            os.killpg(self._transport.get_pid(), number)
        except (ProcessLookupError, PermissionError):
            # None is left; or, on macOS, only zombies are.
            return False
        return True

    def _reap_orphans(self) -> None:
        """As the first process of a container we inherit the orphans of the group, and must wait for them.

        Only after the leader's exit: its own status is for the event loop to collect.
        """
        assert self._transport is not None
        try:
            while os.waitpid(-self._transport.get_pid(), os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return

    def _release(self) -> None:
        """Give up the group's number and every file descriptor."""
        if self._is_released or self._transport is None:
            return
        if self._has_exited:
            self._reap_orphans()
        self._is_released = True
        self._guard.forget(self._transport.get_pid())
        if self._stdin().get_write_buffer_size():
            # close() would wait until somebody reads it.
            self._stdin().abort()
        self._transport.close()
