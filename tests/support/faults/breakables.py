"""The ways in which one instance of a server breaks, and is mended again."""

import asyncio
import os
import signal
from abc import ABC, abstractmethod
from pathlib import Path

from tests.support.faults import journal, stdio_server
from tests.support.faults.http_server import HttpHost
from tests.support.faults.tcp_proxy import FaultProxy, Mode


class Breakable(ABC):
    """One server and the way in which one of its instances breaks."""

    def __init__(self, server: str, instances: tuple[str, ...]) -> None:
        self.server = server
        self.instances = instances
        self.broken = instances[len(instances) // 2]

    @property
    def seen(self) -> frozenset[str]:
        """Keys of the calls that reached what stands before the broken instance."""
        return frozenset()

    @abstractmethod
    async def break_it(self) -> None: ...

    @abstractmethod
    async def mend(self) -> None: ...


class Killed(Breakable):
    """kill -9 of a child; the gateway starts another."""

    def __init__(self, server: str, instances: tuple[str, ...], folder: Path) -> None:
        super().__init__(server, instances)
        self._folder = folder

    @property
    def seen(self) -> frozenset[str]:
        return journal.received(self._folder, self.broken)

    async def break_it(self) -> None:
        os.kill(stdio_server.pid_of(self._folder, self.broken), signal.SIGKILL)

    async def mend(self) -> None:
        """The gateway's own affair."""


class Stopped(Killed):
    async def break_it(self) -> None:
        os.kill(stdio_server.pid_of(self._folder, self.broken), signal.SIGSTOP)

    async def mend(self) -> None:
        try:
            os.kill(stdio_server.pid_of(self._folder, self.broken), signal.SIGCONT)
        except ProcessLookupError:
            # The gateway has replaced it.
            return


class Told(Killed):
    """A child that misbehaves as it is told."""

    def __init__(self, server: str, instances: tuple[str, ...], folder: Path, mode: stdio_server.Mode) -> None:
        super().__init__(server, instances, folder)
        self._mode = mode

    async def break_it(self) -> None:
        stdio_server.tell(self._folder, self.broken, self._mode)

    async def mend(self) -> None:
        stdio_server.tell(self._folder, self.broken, stdio_server.Mode.PASS)


class HostKilled(Breakable):
    """kill -9 of a server that somebody else starts again."""

    def __init__(self, server: str, instances: tuple[str, ...], host: HttpHost) -> None:
        super().__init__(server, instances)
        self._host = host

    async def break_it(self) -> None:
        self._host.kill()

    async def mend(self) -> None:
        self._host.start()
        await asyncio.to_thread(self._host.ready)


class HostStopped(HostKilled):
    """SIGSTOP; what comes is taken by the system, and by the proxy that says which calls that was."""

    def __init__(self, server: str, instances: tuple[str, ...], host: HttpHost, proxy: FaultProxy) -> None:
        super().__init__(server, instances, host)
        self._proxy = proxy

    @property
    def seen(self) -> frozenset[str]:
        return frozenset(self._proxy.seen)

    async def break_it(self) -> None:
        self._host.signal(signal.SIGSTOP)

    async def mend(self) -> None:
        self._host.signal(signal.SIGCONT)


class BehindProxy(Breakable):
    """A server that is well; what stands before it breaks."""

    def __init__(self, server: str, instances: tuple[str, ...], proxy: FaultProxy, mode: Mode) -> None:
        super().__init__(server, instances)
        self._proxy = proxy
        self._mode = mode

    @property
    def seen(self) -> frozenset[str]:
        return frozenset(self._proxy.seen)

    async def break_it(self) -> None:
        await self._proxy.switch(self._mode)

    async def mend(self) -> None:
        await self._proxy.switch(Mode.PASS)
