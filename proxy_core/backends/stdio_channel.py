"""A backend that is a child process: one JSON-RPC message per line on its stdin and stdout.

Knows lines, not what they mean. Whatever the child does ends this channel at worst, never another.
Spec: 2025-11-25 and 2026-07-28 basic/transports, "stdio".
"""

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from typing import Final

from proxy_core.backends.channel import Outgoing, Receiver
from proxy_core.backends.child_env import child_environment, find_program, held_command, unavailable
from proxy_core.backends.child_process import STOP_WAITS, ChildProcess, StdinClosed, StdinFull, StopWaits
from proxy_core.backends.guard import Guard
from proxy_core.backends.stderr_lines import LineBudget, StderrLines
from proxy_core.config.models import StdioTransport
from proxy_core.errors import BackendExited, BackendFault, BackendProtocolError
from proxy_core.protocol.lines import FrameTooLarge, LineFramer

log = logging.getLogger(__name__)

MAX_LINE_BYTES: Final = 16 * 1024 * 1024
SAMPLE_BYTES: Final = 200


class StdioChannel:
    def __init__(
        self,
        backend: str,
        transport: StdioTransport,
        receiver: Receiver,
        guard: Guard,
        on_stderr: Callable[[str], None],
        waits: StopWaits = STOP_WAITS,
    ) -> None:
        self._backend = backend
        self._config = transport
        self._receiver = receiver
        self._guard = guard
        self._waits = waits
        self._framer = LineFramer(MAX_LINE_BYTES)
        self._stderr = StderrLines(on_stderr)
        self._skips = LineBudget()
        self._child = ChildProcess(guard, self._read, self._stderr.feed, self._ended)
        self._is_closed = False

    @property
    def pid(self) -> int | None:
        return self._child.pid

    @property
    def exit_description(self) -> str | None:
        """How the process ended, in words; None while it runs."""
        return self._child.exit_description

    async def open(self) -> None:
        """Start the child. Raises: BackendUnavailable, saying what is missing."""
        env = child_environment(self._config, self._guard.run_id, os.environ)
        program = find_program(self._backend, self._config, env)
        try:
            await self._child.start(held_command(program, self._config.args), self._config.cwd, env)
        except OSError as error:
            raise unavailable(self._backend, f"cannot start {program}: {error.strerror or error}") from error
        # Without its args, which may hold a credential.
        log.info("server %s: started %s as process %s", self._backend, program, self._child.pid)

    def kill(self) -> bool:
        self._child.kill()
        return True

    async def send(self, message: Outgoing) -> None:
        """Queue one message; never waits for the child. Raises: BackendExited, BackendProtocolError."""
        try:
            self._child.write(message.data + b"\n")
        except StdinClosed as error:
            fault = self._exit_fault()
            fault.nothing_sent = True
            raise fault from error
        except StdinFull as error:
            full = BackendProtocolError(self._backend, "The server does not read what it is sent.")
            # Not from here: the caller is not done with this message yet.
            asyncio.get_running_loop().call_soon(self._fail, full)
            raise full from error

    def begin(self, data: bytes, request_id: int, name: str) -> bool:
        try:
            self._child.write(data + b"\n")
        except (StdinClosed, StdinFull):
            # The ordinary way says why.
            return False
        return True

    def abort(self, request_id: int) -> None:
        """Answers come on the shared pipe: there is nothing to end."""

    def start_stream(self, revision: str) -> None:
        """The pipe is open from the start."""

    async def aclose(self) -> None:
        """End the child and all it started: end of stdin, SIGTERM, SIGKILL. Safe to call twice."""
        self._is_closed = True
        await self._child.stop(self._waits)
        self._stderr.end()

    def _read(self, data: bytes) -> None:
        if self._is_closed:
            return
        try:
            lines = self._framer.feed(data)
        except FrameTooLarge:
            limit_mib = MAX_LINE_BYTES // 1024**2
            self._fail(
                BackendProtocolError(self._backend, f"The server wrote a line longer than {limit_mib} MiB.")
            )
            return
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        start = line.lstrip()[:1]
        if start in (b"{", b"["):
            self._receiver.message(line, None)
        elif start and self._skips.take(1):
            self._receiver.skipped("not a JSON-RPC message", line[:SAMPLE_BYTES])

    def _fail(self, fault: BackendFault) -> None:
        """This child is of no use any more: kill it, and only it."""
        if not self._is_closed:
            self._is_closed = True
            self._child.kill()
            self._receiver.closed(fault)

    def _ended(self, description: str) -> None:
        self._stderr.end()
        log.info("server %s: the process %s", self._backend, description)
        if not self._is_closed:
            self._is_closed = True
            self._receiver.closed(self._exit_fault())

    def _exit_fault(self) -> BackendExited:
        return BackendExited(
            self._backend, f"The server's process {self.exit_description or 'is not running'}."
        )


def use_pidfd_child_watcher() -> None:
    """Watch children without a thread for each, which asyncio does by itself from 3.12 on; uvloop always does.

    Call on the running loop, before its first child. Does nothing where the system has no pidfd (macOS, old or
    confined Linux).
    """
    if sys.platform == "linux" and sys.version_info < (3, 12):
        loop, policy = asyncio.get_running_loop(), asyncio.get_event_loop_policy()
        is_asyncio = isinstance(loop, asyncio.SelectorEventLoop)
        if not is_asyncio or not isinstance(policy, asyncio.DefaultEventLoopPolicy):
            return
        try:
            os.close(os.pidfd_open(os.getpid()))
        except OSError:
            return
        watcher = policy.get_child_watcher()
        if not isinstance(watcher, asyncio.PidfdChildWatcher):
            watcher = asyncio.PidfdChildWatcher()
            policy.set_child_watcher(watcher)
        if not watcher.is_active():
            watcher.attach_loop(loop)
