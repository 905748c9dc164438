"""Speed and memory of the gateway, measured: `make bench`, or `make bench QUICK=1` for a short look.

Writes docs/benchmarks.md unless QUICK. The machine may be shared and noisy: trust the ratios inside one run and
the CPU a call, not the wall-clock figures.
"""

import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.benchmarks.balancing import balancer_table
from tests.benchmarks.load import Call, HttpCaller, Measured, StdioPeer, closed_loop
from tests.benchmarks.reloading import reload_table, servers

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "benchmarks.md"
BACKEND = [sys.executable, "-m", "tests.benchmarks.backend"]
QUICK = os.environ.get("QUICK", "") not in ("", "0")
SECONDS = 1.5 if QUICK else 6.0
IDLE_BACKENDS = 100
START_S = 60.0


def cpu_of(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


@asynccontextmanager
async def http_backend() -> AsyncIterator[tuple[int, int]]:
    """(port, pid) of the small backend."""
    process = await asyncio.create_subprocess_exec(*BACKEND, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline()), process.pid
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def gateway(
    servers: list[dict[str, Any]], config: Path | None = None
) -> AsyncIterator[tuple[int, int, float]]:
    """(port, pid, seconds from start to the first answered request) of a headless gateway."""
    with tempfile.TemporaryDirectory() as folder:
        config = config or Path(folder) / "only1mcp.json"
        settings = {"version": 1, "proxy": {"port": 0, "grace_s": 1}, "servers": servers}
        config.write_text(json.dumps(settings))
        begun = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "only1mcp_tui", "--headless", "--config", str(config),
            cwd=ROOT, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stderr is not None
        while b"serving http" not in (line := await asyncio.wait_for(process.stderr.readline(), START_S)):
            if not line:
                raise RuntimeError("the gateway ended before it served")
        port = int(line.split(b"127.0.0.1:")[1].split(b"/")[0])
        await _discover(port)
        started_s = time.perf_counter() - begun
        logging = asyncio.create_task(_swallow(process.stderr))
        try:
            yield port, process.pid, started_s
        finally:
            process.terminate()
            await process.wait()
            await logging


async def _swallow(stream: asyncio.StreamReader) -> None:
    while await stream.readline():
        pass


async def _post(port: int, method: str) -> dict[str, Any]:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": meta}}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST /mcp HTTP/1.1\r\nHost: localhost:%d\r\nContent-Type: application/json\r\nConnection: close\r\n"
        b"Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n"
        b"Mcp-Method: %s\r\nContent-Length: %d\r\n\r\n%s" % (port, method.encode(), len(body), body)
    )
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
    answer: dict[str, Any] = json.loads(await reader.readexactly(length))
    writer.close()
    return answer


async def _discover(port: int) -> None:
    answer = await _post(port, "server/discover")
    assert "result" in answer, answer


async def _tools_ready(port: int, count: int) -> None:
    until = time.perf_counter() + START_S
    while time.perf_counter() < until:
        tools = (await _post(port, "tools/list"))["result"]["tools"]
        if len(tools) >= count:
            return
        await asyncio.sleep(0.1)
    raise RuntimeError(f"{count} tools were not listed within {START_S} s")


async def through_http(port: int, tool: str, callers: int, pid: int) -> Measured:
    connections = [HttpCaller(port, tool) for _ in range(callers)]
    await asyncio.gather(*(connection.open() for connection in connections))
    calls: list[Call] = list(connections)
    measured = await closed_loop(calls, SECONDS, lambda: cpu_of(pid))
    for connection in connections:
        connection.close()
    return measured


async def straight_to_child(callers: int) -> Measured:
    peer = StdioPeer([*BACKEND, "--stdio"])
    await peer.open()
    measured = await closed_loop([peer] * callers, SECONDS, lambda: cpu_of(peer.process.pid))
    await peer.aclose()
    return measured


async def calls_table() -> list[str]:
    rows = [
        "| path | callers | calls/s | p50 ms | p99 ms | CPU µs a call (gateway alone) |",
        "|---|---|---|---|---|---|",
    ]
    async with http_backend() as (backend_port, backend_pid):
        servers: list[dict[str, Any]] = [
            {"id": "web", "transport": {"type": "http", "url": f"http://127.0.0.1:{backend_port}/mcp"}},
            {
                "id": "child",
                "transport": {"type": "stdio", "command": BACKEND[0], "args": [*BACKEND[1:], "--stdio"]},
            },
        ]
        servers[1]["transport"]["cwd"] = str(ROOT)
        async with gateway(servers) as (port, pid, _):
            await _tools_ready(port, 2)
            for callers in (1, 64):
                direct = await through_http(backend_port, "echo", callers, backend_pid)
                rows.append(_row("HTTP backend, directly", callers, direct, cpu="-"))
                rows.append(
                    _row("HTTP backend, gateway", callers, await through_http(port, "web__echo", callers, pid))
                )
                rows.append(_row("stdio child, directly", callers, await straight_to_child(callers), cpu="-"))
                rows.append(
                    _row("stdio child, gateway", callers, await through_http(port, "child__echo", callers, pid))
                )
    return rows


def _row(path: str, callers: int, measured: Measured, cpu: str = "") -> str:
    p50, p99 = measured.percentile_ms(0.5), measured.percentile_ms(0.99)
    cpu = cpu or f"{measured.cpu_us:.0f}"
    return f"| {path} | {callers} | {measured.per_s:,.0f} | {p50:.2f} | {p99:.2f} | {cpu} |"


async def memory_table() -> list[str]:
    rows = ["| what | MB |", "|---|---|"]
    async with gateway([]) as (_, pid, _):
        rows.append(f"| RSS, no backend | {_rss_mb(pid):.0f} |")
    count = 10 if QUICK else IDLE_BACKENDS
    async with http_backend() as (backend_port, _):
        url = f"http://127.0.0.1:{backend_port}/mcp"
        servers = [{"id": f"idle-{n}", "transport": {"type": "http", "url": url}} for n in range(count)]
        async with gateway(servers) as (port, pid, _):
            await _tools_ready(port, count)
            rows.append(f"| RSS, {count} idle HTTP backends | {_rss_mb(pid):.0f} |")
    return rows


def _rss_mb(pid: int) -> float:
    return float(psutil.Process(pid).memory_info().rss) / 1e6


async def cold_start_table() -> list[str]:
    times = []
    for _ in range(3 if QUICK else 7):
        async with gateway([]) as (_, _, started_s):
            times.append(started_s * 1000)
    bare = [_bare_aiohttp_ms() for _ in range(3 if QUICK else 7)]
    return [
        "| what | median ms | best ms |",
        "|---|---|---|",
        f"| `only1mcp --headless`, process start to first reply | {_median(times):.0f} | {min(times):.0f} |",
        f"| bare aiohttp.web import and bind, for scale | {_median(bare):.0f} | {min(bare):.0f} |",
    ]


async def reloads() -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "only1mcp.json"
        async with gateway(servers(BACKEND, str(ROOT), 3), config) as (port, _, _):
            await _tools_ready(port, 3)
            return await reload_table(port, config, 20 if QUICK else 200)


def _bare_aiohttp_ms() -> float:
    code = "from aiohttp import web\nimport asyncio\nasync def main():\n r = web.AppRunner(web.Application())\n"
    code += " await r.setup(); await web.TCPSite(r, '127.0.0.1', 0).start()\nasyncio.run(main())"
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter() - begun) * 1000


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


async def main() -> None:
    machine = (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    )
    page = [
        "# Benchmarks",
        "",
        f"Written by `make bench`{' QUICK=1' if QUICK else ''} on {time.strftime('%Y-%m-%d')}: {machine}.",
        "The load generator is Python and runs on the same cores, so calls/s are of all three together;",
        "the CPU column is of the gateway's process alone.",
        "",
        "## tools/call, modern client, 200 bytes in the answer",
        "",
        *await calls_table(),
        "",
        "## Memory, headless",
        "",
        *await memory_table(),
        "",
        "## Cold start",
        "",
        *await cold_start_table(),
        "",
        "## A new configuration",
        "",
        "From the last write of the file until it is in force, `reload.debounce_ms` at its 100, three servers.",
        "",
        *await reloads(),
        "",
        "## Choosing a replica",
        "",
        *balancer_table(),
    ]
    text = "\n".join(page) + "\n"
    print(text)
    if not QUICK:
        PAGE.write_text(text)


if __name__ == "__main__":
    asyncio.run(main())
