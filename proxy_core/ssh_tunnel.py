"""The way to the admin socket of a gateway on another machine: the system's `ssh`, with one forward.

One `ssh` child is the connection, and every question on the way goes through it, so that whoever has to type a
password types it once. What it runs there is one command, which prints the sockets that it finds and then waits
for the end of its input: when we are gone, however that came, so is the child.
"""

import asyncio
import os
import random
import re
import shutil
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process, SubprocessStreamProtocol
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import SplitResult, unquote, urlsplit

from proxy_core.errors import GatewayUnreachable, Only1Error
from proxy_core.tasks import Tasks

SCHEME: Final = "ssh://"
ASK_S: Final = 300.0
"""How long a person may take to type a password, or to compare a host's key."""
CONNECT_S: Final = 20.0
FORWARD_S: Final = 10.0
END_S: Final = 2.0
LAST_WORDS_S: Final = 0.5
"""For what it said before it ended to be read, where something that it started holds its pipes open."""
FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 15.0
"""Between two tries to connect again; each twice as long as the one before."""
MAX_SOCKETS: Final = 50
MAX_LINE: Final = 4096
_WORDS_KEPT: Final = 5
_FOUND: Final = "only1mcp-sockets-end"
"""Ends the list: whatever a login shell prints comes before or is no path."""
_HOST: Final = re.compile(r"[A-Za-z0-9_.:%~-]{1,255}")
_USER: Final = re.compile(r"[A-Za-z0-9_.@\\~+-]{1,255}")
_SOCKET: Final = re.compile(r"/[^\x00-\x1f\x7f:\\]{1,255}")
"""A colon would end it, in the way ssh writes a forward."""
_FOLDERS: Final = (
    '"${XDG_RUNTIME_DIR:-/nonexistent}/only1mcp" "/run/user/$(id -u)/only1mcp" '
    '"/tmp/runtime-$(id -u)/only1mcp" '
    '"$HOME/Library/Caches/TemporaryItems/only1mcp" "${TMPDIR:-/tmp}/only1mcp-$(id -u)"'
)
_SCRIPT: Final = (
    f'for folder in {_FOLDERS}; do for one in "$folder"/*.sock; do if [ -S "$one" ]; then echo "$one"; fi; '
    f"done; done; echo {_FOUND}; exec cat >/dev/null"
)
_REMOTE: Final = f"exec sh -c '{_SCRIPT}'"
"""For the login shell there, whichever it is. Nothing in it comes from outside."""


class SshRefused(Only1Error):
    """The way cannot be made as it was asked for; the message says why."""


@dataclass(frozen=True, slots=True)
class SshTarget:
    host: str
    user: str = ""
    port: int | None = None
    socket: str = ""
    """Its path there; empty: the one that is found."""

    @property
    def destination(self) -> str:
        return f"{self.user}@{self.host}" if self.user else self.host

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        return f"{SCHEME}{user}{host}{f':{self.port}' if self.port else ''}{self.socket}"


def ssh_target(url: str) -> SshTarget:
    """Of `ssh://[user@]host[:port][/path/of/socket]`. Raises: SshRefused, saying what is wrong with it."""
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError as error:
        raise SshRefused(f"{url!r} is not ssh://[user@]host[:port][/path/of/socket]: {error}.") from error
    if split.query or split.fragment or split.password is not None:
        raise SshRefused("ssh:// takes a user, a host, a port and the path of a socket, and nothing else.")
    host, user, socket = _host_of(split), unquote(split.username or ""), unquote(split.path)
    # ssh would take what begins with a dash for one of its options.
    if host.startswith("-") or not _HOST.fullmatch(host):
        raise SshRefused(f"{host!r} is not the name of a host that ssh could be given.")
    if user.startswith("-") or (user and not _USER.fullmatch(user)):
        raise SshRefused(f"{user!r} is not the name of a user that ssh could be given.")
    if socket in ("", "/"):
        return SshTarget(host, user, port)
    return SshTarget(host, user, port, _checked(socket))


def _host_of(split: SplitResult) -> str:
    """As it was written: an alias of the ssh configuration may have capitals, which `hostname` makes small."""
    place = split.netloc.rpartition("@")[2]
    if place.startswith("["):
        return place[1:].partition("]")[0]
    return place.partition(":")[0]


def _checked(socket: str) -> str:
    if not _SOCKET.fullmatch(socket):
        raise SshRefused(f"{socket!r} is not a path of a socket that ssh could forward.")
    return socket


class _Exiting(SubprocessStreamProtocol):
    """Tells of the end of the child itself: what it started may hold its pipes, for which `wait` waits."""

    def __init__(self) -> None:
        super().__init__(MAX_LINE, asyncio.get_running_loop())
        self.has_exited = asyncio.Event()

    def process_exited(self) -> None:
        super().process_exited()
        self.has_exited.set()


@dataclass(frozen=True, slots=True, eq=False)
class _Child:
    process: Process
    transport: asyncio.SubprocessTransport
    has_exited: asyncio.Event


async def _started(command: list[str], *, own_session: bool) -> _Child:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.subprocess_exec(
        _Exiting, *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=own_session
    )
    return _Child(Process(transport, protocol, loop), transport, protocol.has_exited)


class SshTunnel:
    """Use as an async context manager: entering it connects, and asks the person for what ssh wants to know."""

    def __init__(self, target: SshTarget, say: Callable[[str], None]) -> None:
        """`say`: to the person who waits for the first connection, what ssh itself says."""
        self.target = target
        self._say = say
        self._folder = Path()
        self._socket = target.socket
        self._child: _Child | None = None
        self._words: deque[str] = deque(maxlen=_WORDS_KEPT)
        """The last ones of ssh itself."""
        self._tasks = Tasks("ssh tunnel")
        self._listening: asyncio.Task[None] | None = None
        self._fault: str | None = "it is not connected yet"

    @property
    def local(self) -> Path:
        """The near end: a socket of our own."""
        return self._folder / "gateway.sock"

    def fault(self) -> str | None:
        """Why there is no way now; None if there is."""
        return self._fault

    async def __aenter__(self) -> Self:
        """Raises: SshRefused, GatewayUnreachable."""
        if shutil.which("ssh") is None:
            raise SshRefused("There is no ssh on this machine; install OpenSSH's client.")
        # Mode 0700: no other user can put a socket in the place of ours. Its path must be short.
        self._folder = Path(tempfile.mkdtemp(prefix="o1-ssh-"))
        _checked(str(self.local))
        try:
            await self._connect(ASK_S, may_ask=True)
        except BaseException:
            await self.aclose()
            raise
        self._tasks.start(self._keep(), "keep")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the child and what it left. Safe to call twice."""
        await self._tasks.aclose()
        await self._end()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _keep(self) -> None:
        wait_s = FIRST_WAIT_S
        while True:
            assert self._child is not None  # connected
            self._fault = await self._ended(self._child)
            await self._end()
            await asyncio.sleep(wait_s * random.uniform(0.75, 1.25))
            try:
                # The screen has the terminal now: nobody can be asked.
                await self._connect(CONNECT_S, may_ask=False)
                wait_s = FIRST_WAIT_S
            except Only1Error as error:
                self._fault = error.message.rstrip(".")
                wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    async def _connect(self, timeout_s: float, *, may_ask: bool) -> None:
        """Raises: SshRefused, GatewayUnreachable."""
        self._clear()
        self._words.clear()
        command = self._command("-M", *([] if may_ask else ["-o", "BatchMode=yes"]))
        # ssh asks on its controlling terminal; where it may not ask it gets none.
        self._child = child = await _started([*command, _REMOTE], own_session=not may_ask)
        self._listening = self._tasks.start(self._listen(child, aloud=may_ask), "listen")
        try:
            async with asyncio.timeout(timeout_s):
                found = await self._list(child)
            if not self._socket:
                self._socket = self._only(found)
            await self._forward(self._socket)
        except TimeoutError as error:
            await self._end()
            raise GatewayUnreachable(f"ssh to {self.target.destination} did not answer in time.") from error
        except Only1Error:
            await self._end()
            raise
        self._fault = None

    async def _list(self, child: _Child) -> list[str]:
        """The sockets that it finds there. Raises: GatewayUnreachable if it ends before it has said them."""
        assert child.process.stdout is not None  # piped
        found: dict[str, None] = {}
        while len(found) < MAX_SOCKETS:
            try:
                raw = await child.process.stdout.readline()
            except ValueError:
                # A line without an end is no path.
                continue
            line = raw.decode(errors="replace").rstrip("\r\n")
            if line == _FOUND:
                break
            if not raw:
                raise GatewayUnreachable(f"{await self._ended(child)}.")
            if line.endswith(".sock") and _SOCKET.fullmatch(line):
                found[line] = None
        return list(found)

    def _only(self, found: list[str]) -> str:
        """Raises: SshRefused if there is none, or more than one."""
        if len(found) == 1:
            return found[0]
        where = self.target.destination
        if not found:
            raise SshRefused(
                f"No gateway of this user runs at {where}, or its socket is elsewhere: name it, as in "
                f"{self.target}/run/user/1000/only1mcp/8080.sock."
            )
        ways = "\n".join(f"  {self.target}{path}" for path in found)
        raise SshRefused(f"There are several gateways at {where}; say which:\n{ways}")

    async def _forward(self, socket: str) -> None:
        """Raises: GatewayUnreachable."""
        asked = await asyncio.create_subprocess_exec(
            *self._command("-O", "forward", "-L", f"{self.local}:{socket}"),
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=PIPE,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(FORWARD_S):
                _, said = await asked.communicate()
        finally:
            if asked.returncode is None:
                asked.kill()
                await asked.wait()
        if asked.returncode != 0:
            why = _sentence(said.decode(errors="replace").splitlines()[-1:])
            raise GatewayUnreachable(f"ssh could not forward {socket}{why}.")

    def _command(self, *options: str) -> list[str]:
        """The person's own configuration of ssh counts, but for what belongs to this one connection."""
        port = ["-p", str(self.target.port)] if self.target.port else []
        settings = (
            *("ControlPersist=no", "StreamLocalBindMask=0177", "StreamLocalBindUnlink=yes", "LogLevel=ERROR"),
            *("ServerAliveInterval=5", "ServerAliveCountMax=3", "ClearAllForwardings=yes", "ForwardAgent=no"),
            *("PermitLocalCommand=no", "RemoteCommand=none", "RequestTTY=no", "ConnectTimeout=15"),
        )
        chosen = [part for setting in settings for part in ("-o", setting)]
        if "-O" in options:
            # The connection is there: forwards that the configuration has for this host are none of ours.
            chosen = ["-F", "none"]
        return [
            "ssh",
            "-T",
            "-S",
            str(self._folder / "c"),
            *port,
            *chosen,
            *options,
            "--",
            self.target.destination,
        ]

    async def _listen(self, child: _Child, *, aloud: bool) -> None:
        """Keep its last words; say them too while there is a terminal to say them on, and no screen."""
        assert child.process.stderr is not None  # piped
        while True:
            try:
                raw = await child.process.stderr.readline()
            except ValueError:
                continue
            if not raw:
                return
            line = _plain(raw.decode(errors="replace").rstrip())
            if line:
                self._words.append(line)
            if aloud and line and self._fault is not None:
                self._say(line)

    async def _ended(self, child: _Child) -> str:
        """Wait for its end, and say it in its own last words."""
        await child.has_exited.wait()
        if self._listening is not None:
            await asyncio.wait([self._listening], timeout=LAST_WORDS_S)
        code = child.process.returncode
        return f"ssh to {self.target.destination} ended with code {code}{_sentence(list(self._words)[-1:])}"

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        if child.process.stdin is not None:
            child.process.stdin.close()
        for end in (child.process.terminate, child.process.kill):
            if child.has_exited.is_set():
                break
            with suppress(ProcessLookupError):
                end()
            with suppress(TimeoutError):
                async with asyncio.timeout(END_S):
                    await child.has_exited.wait()
        child.transport.close()

    def _clear(self) -> None:
        """What a child that was killed has left would stop the next one."""
        for name in ("c", "gateway.sock"):
            with suppress(OSError):
                os.unlink(self._folder / name)


def _sentence(words: list[str]) -> str:
    return f": {words[0].rstrip('.')}" if words else ""


def _plain(line: str) -> str:
    """What ssh, or the host through it, says: nothing of it may steer a terminal."""
    return "".join(char if char.isprintable() else "?" for char in line[:300])
