"""Servers that can be broken, one for each fault, behind one gateway: processes, proxies, configuration.

One instance of each server is the one that gets broken; the others, if there are any, stay well.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.faults import certificate, stdio_server
from tests.support.faults.breakables import (
    BehindProxy,
    Breakable,
    HostKilled,
    HostStopped,
    Killed,
    Stopped,
    Told,
)
from tests.support.faults.http_server import SSE, HttpHost
from tests.support.faults.plain import at, entry, instances_of, on_stdio
from tests.support.faults.tcp_proxy import FaultProxy, Mode, proxied
from tests.support.wire import Json

STDIO = "stdio"
KILL, STOP, TLS = "kill", "stop", "tls"
STDIO_FAULTS = (KILL, STOP, *(mode.value for mode in stdio_server.Mode if mode.value != "pass"))
HTTP_FAULTS = (
    KILL,
    STOP,
    TLS,
    *(mode.value for mode in Mode if mode not in (Mode.PASS, Mode.PLAIN, Mode.UNTRUSTED)),
)


def faults_of(kind: str) -> tuple[str, ...]:
    return STDIO_FAULTS if kind == STDIO else HTTP_FAULTS


class House:
    def __init__(self, folder: Path, kind: str, replicas: int) -> None:
        """`kind`: stdio, modern, legacy or sse. `replicas`: of each server."""
        self.breakables: list[Breakable] = []
        self.servers: list[Json] = []
        """The section of the configuration."""
        self.env: dict[str, str] = {}
        """What the gateway needs in its environment."""
        self._folder = folder
        self._kind = kind
        self._replicas = replicas
        self._well = HttpHost(folder, "well")
        self._hosts = [self._well]
        self._proxies: list[FaultProxy] = []
        if kind == STDIO:
            for fault in STDIO_FAULTS:
                self._add_stdio(fault)
        else:
            trusted, self._tls = certificate.self_signed(folder, "trusted")
            self._untrusted: ssl.SSLContext = certificate.self_signed(folder, "untrusted")[1]
            self.env = {certificate.TRUSTS: str(trusted)}
            for fault in HTTP_FAULTS:
                self._add_http(fault)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """All that the gateway does not start itself runs inside the block."""
        try:
            for host in self._hosts:
                host.start()
            for host in self._hosts:
                await asyncio.to_thread(host.ready)
            async with proxied(self._proxies):
                yield
        finally:
            for host in self._hosts:
                host.close()

    # --- stdio ------------------------------------------------------------------------------------------------

    def _add_stdio(self, fault: str) -> None:
        names = instances_of(fault, self._replicas)
        if fault == KILL:
            self.breakables.append(Killed(fault, names, self._folder))
        elif fault == STOP:
            self.breakables.append(Stopped(fault, names, self._folder))
        else:
            self.breakables.append(Told(fault, names, self._folder, stdio_server.Mode(fault)))
        self.servers.append(on_stdio(self._folder, fault, self._replicas))

    # --- http and sse -----------------------------------------------------------------------------------------

    def _add_http(self, fault: str) -> None:
        names = instances_of(fault, self._replicas)
        transports = [
            self._breakable(fault, names, name)
            if name == names[len(names) // 2]
            else at(self._kind, self._well.add(self._kind, fault, name))
            for name in names
        ]
        self.servers.append(entry(fault, transports))

    def _breakable(self, fault: str, names: tuple[str, ...], name: str) -> Json:
        """The transport of the instance that will be broken."""
        if fault in (KILL, STOP):
            host = HttpHost(self._folder, f"host-{fault}")
            self._hosts.append(host)
            port = host.add(self._kind, fault, name)
            if fault == KILL:
                self.breakables.append(HostKilled(fault, names, host))
                return at(self._kind, port)
            proxy = FaultProxy(port)
            self._proxies.append(proxy)
            self.breakables.append(HostStopped(fault, names, host, proxy))
            return at(self._kind, proxy.port)
        port = self._well.add(self._kind, fault, name)
        if fault == TLS:
            proxy = FaultProxy(port, self._tls, self._untrusted)
            # By turns, so that both of them are seen.
            mode = Mode.PLAIN if self._kind == SSE else Mode.UNTRUSTED
        else:
            proxy, mode = FaultProxy(port), Mode(fault)
        self._proxies.append(proxy)
        self.breakables.append(BehindProxy(fault, names, proxy, mode))
        return at(self._kind, proxy.port, "https" if fault == TLS else "http")
