"""tools/call through the gateway and without it, over HTTP and stdio, by one caller and by many."""

from typing import Any, Final

from tests.benchmarks.load import Measured, StdioPeer, closed_loop, connected, modern_call
from tests.benchmarks.processes import BACKEND, ROOT, cpu_of, gateway, http_backend, tools_ready

CALLERS: Final = (1, 64)


async def calls_table(seconds: float) -> list[str]:
    rows = [
        "| path | callers | calls/s | p50 ms | p99 ms | CPU µs a call (gateway alone) |",
        "|---|---|---|---|---|---|",
    ]
    async with http_backend() as (backend_port, backend_pid):
        child = {"type": "stdio", "command": BACKEND[0], "args": [*BACKEND[1:], "--stdio"], "cwd": str(ROOT)}
        servers: list[dict[str, Any]] = [
            {"id": "web", "transport": {"type": "http", "url": f"http://127.0.0.1:{backend_port}/mcp"}},
            {"id": "child", "transport": child},
        ]
        async with gateway(servers) as (port, pid, _):
            await tools_ready(port, 2)
            for callers in CALLERS:
                direct = await _through_http(backend_port, "echo", callers, backend_pid, seconds)
                rows.append(_row("HTTP backend, directly", callers, direct, cpu="-"))
                by_http = await _through_http(port, "web__echo", callers, pid, seconds)
                rows.append(_row("HTTP backend, gateway", callers, by_http))
                straight = await _straight_to_child(callers, seconds)
                rows.append(_row("stdio child, directly", callers, straight, cpu="-"))
                by_stdio = await _through_http(port, "child__echo", callers, pid, seconds)
                rows.append(_row("stdio child, gateway", callers, by_stdio))
    return rows


def _row(path: str, callers: int, measured: Measured, cpu: str = "") -> str:
    p50, p99 = measured.percentile_ms(0.5), measured.percentile_ms(0.99)
    cpu = cpu or f"{measured.cpu_us:.0f}"
    return f"| {path} | {callers} | {measured.per_s:,.0f} | {p50:.2f} | {p99:.2f} | {cpu} |"


async def _through_http(port: int, tool: str, callers: int, pid: int, seconds: float) -> Measured:
    async with connected(port, callers, modern_call(tool)) as connections:
        return await closed_loop(connections, seconds, lambda: cpu_of(pid, children=False))


async def _straight_to_child(callers: int, seconds: float) -> Measured:
    peer = StdioPeer([*BACKEND, "--stdio"])
    await peer.open()
    measured = await closed_loop([peer] * callers, seconds, lambda: cpu_of(peer.process.pid))
    await peer.aclose()
    return measured
