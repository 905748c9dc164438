"""Servers that are well, on each of the three transports: their configuration and their processes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.faults import stdio_server
from tests.support.faults.http_server import MODERN, SSE, HttpHost
from tests.support.faults.load import RETRIED_TOOLS
from tests.support.processes import MODULE_ENV
from tests.support.wire import Json

LETTERS = "abcdefgh"
TRANSPORTS = ("stdio", "http", "sse")


def instances_of(server: str, replicas: int) -> tuple[str, ...]:
    """Names of its instances: its own, if there is one alone."""
    return (server,) if replicas == 1 else tuple(f"{server}-{letter}" for letter in LETTERS[:replicas])


def entry(server: str, transports: Sequence[Json]) -> Json:
    """A server of the configuration, with as many replicas as it has transports."""
    places: Json = {"transport": transports[0]}
    if len(transports) > 1:
        both = zip(LETTERS, transports, strict=False)
        places = {"replicas": [{"id": letter, "transport": transport} for letter, transport in both]}
    return {"id": server, "tools": {"retry": RETRIED_TOOLS}, **places}


def child(folder: Path, server: str, instance: str) -> Json:
    """The transport of an instance on stdio."""
    program, *arguments = stdio_server.command(folder, server, instance)
    return {"type": "stdio", "command": program, "args": arguments, "env": MODULE_ENV}


def on_stdio(folder: Path, server: str, replicas: int = 1) -> Json:
    return entry(server, [child(folder, server, name) for name in instances_of(server, replicas)])


def on_host(host: HttpHost, kind: str, server: str, replicas: int = 1) -> Json:
    """`kind`: modern, legacy or sse."""
    names = instances_of(server, replicas)
    return entry(server, [at(kind, host.add(kind, server, name)) for name in names])


def at(kind: str, port: int, scheme: str = "http") -> Json:
    """The transport of an instance at a port."""
    if kind == SSE:
        return {"type": "sse", "url": f"{scheme}://127.0.0.1:{port}/sse"}
    return {"type": "http", "url": f"{scheme}://127.0.0.1:{port}/mcp"}


@contextmanager
def on_each_transport(folder: Path, replicas: Sequence[int] = (1,)) -> Iterator[list[Json]]:
    """`<transport>-<replicas>` for each of both; what is not the gateway's child runs inside the block."""
    host = HttpHost(folder, "well")
    servers = []
    for count in replicas:
        servers += [
            on_stdio(folder, f"stdio-{count}", count),
            on_host(host, MODERN, f"http-{count}", count),
            on_host(host, SSE, f"sse-{count}", count),
        ]
    host.start()
    try:
        host.ready()
        yield servers
    finally:
        host.close()
