"""tools/call through the gateway and without it, over HTTP and stdio, by one caller and by many."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from tests.benchmarks.load import Measured, StdioPeer, closed_loop, connected, modern_call
from tests.benchmarks.processes import BACKEND, ROOT, cpu_of, gateway, http_backend, tools_ready
from tests.benchmarks.results import Figure, Section
from tests.benchmarks.rounds import Turns, cpu_us, pairwise_ratios, per_s

CALLERS: Final = (1, 64)


@dataclass(eq=False)
class Way(Turns):
    """One for a call to go, by so many callers at once."""

    callers: int
    measure: Callable[[], Awaitable[Measured]]
    direct: "Way | None" = None
    """The same backend without the gateway; None: this is without it."""


async def calls_table(rounds: int, seconds: float) -> Section:
    """`seconds`: of each way in each round."""
    async with http_backend() as (backend_port, backend_pid):
        child = {"type": "stdio", "command": BACKEND[0], "args": [*BACKEND[1:], "--stdio"], "cwd": str(ROOT)}
        servers: list[dict[str, Any]] = [
            {"id": "web", "transport": {"type": "http", "url": f"http://127.0.0.1:{backend_port}/mcp"}},
            {"id": "child", "transport": child},
        ]
        async with gateway(servers) as (port, pid, _):
            await tools_ready(port, 2)

            def http(port: int, pid: int, tool: str, callers: int) -> Callable[[], Awaitable[Measured]]:
                return lambda: _through_http(port, tool, callers, pid, seconds)

            def stdio(callers: int) -> Callable[[], Awaitable[Measured]]:
                return lambda: _straight_to_child(callers, seconds)

            ways: list[Way] = []
            for callers in CALLERS:
                direct = Way(
                    "HTTP backend, directly", callers, http(backend_port, backend_pid, "echo", callers)
                )
                ways += [
                    direct,
                    Way("HTTP backend, gateway", callers, http(port, pid, "web__echo", callers), direct),
                ]
                direct = Way("stdio child, directly", callers, stdio(callers))
                ways += [
                    direct,
                    Way("stdio child, gateway", callers, http(port, pid, "child__echo", callers), direct),
                ]
            for _ in range(rounds):
                for way in ways:
                    way.turns.append(await way.measure())
    return section_of(ways)


def section_of(ways: list[Way]) -> Section:
    rows = [
        "| path | callers | calls/s | p50 ms | p99 ms | CPU µs a call (gateway alone) |",
        "|---|---|---|---|---|---|",
    ]
    for way in ways:
        cpu = f"{way.middle(cpu_us):.0f}" if way.direct else "-"
        rows.append(
            f"| {way.name} | {way.callers} | {way.middle(per_s):,.0f} | {way.middle(_p50):.2f} "
            f"| {way.middle(_p99):.2f} | {cpu} |"
        )
    return Section(rows, tuple(figure for way in ways for figure in _figures(way)))


def _figures(way: Way) -> Iterator[Figure]:
    name = f"{way.name}, {way.callers} at once"
    yield Figure(name, "calls/s", "higher", way.samples(per_s))
    yield Figure(f"{name}: p50", "ms", "lower", way.samples(_p50))
    yield Figure(f"{name}: p99", "ms", "lower", way.samples(_p99))
    if way.direct is None:
        return
    yield Figure(f"{name}: CPU", "µs a call", "lower", way.samples(cpu_us))
    if way.callers > 1:
        # One caller leaves the processors idle between its calls, and what a wake-up costs depends on what else
        # the machine does: equal runs differ by two. Many callers leave none idle, and what noise there is, the
        # backend feels as well.
        shares = pairwise_ratios(way, way.direct, cpu_us)
        yield Figure(f"{name}: CPU / the backend's, directly", "times", "lower", shares, is_must=True)


def _p50(measured: Measured) -> float:
    return measured.percentile_ms(0.5)


def _p99(measured: Measured) -> float:
    return measured.percentile_ms(0.99)


async def _through_http(port: int, tool: str, callers: int, pid: int, seconds: float) -> Measured:
    async with connected(port, callers, modern_call(tool)) as connections:
        return await closed_loop(connections, seconds, lambda: cpu_of(pid, children=False))


async def _straight_to_child(callers: int, seconds: float) -> Measured:
    peer = StdioPeer([*BACKEND, "--stdio"])
    await peer.open()
    measured = await closed_loop([peer] * callers, seconds, lambda: cpu_of(peer.process.pid))
    await peer.aclose()
    return measured
