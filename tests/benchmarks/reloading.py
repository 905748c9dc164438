"""How long after the last write of the configuration file it is in force."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any, Final

POLL_S: Final = 0.002
GIVE_UP_S: Final = 10.0


async def reload_table(port: int, config: Path, rounds: int) -> list[str]:
    """`rounds` rewrites of the file of a gateway that runs on `port`."""
    settings = json.loads(config.read_text())
    waits_ms = []
    for number in range(rounds):
        host = f"v{number}.example"
        settings["proxy"]["allowed_hosts"] = [host]
        config.write_text(json.dumps(settings))
        written_at = time.perf_counter()
        while not await _answers_to(port, host):
            if time.perf_counter() - written_at > GIVE_UP_S:
                raise RuntimeError("a new configuration was not in force in time")
            await asyncio.sleep(POLL_S)
        waits_ms.append((time.perf_counter() - written_at) * 1000)
    waits_ms.sort()
    return [
        "| rewrites of the file | median ms | p95 ms | longest ms |",
        "|---|---|---|---|",
        f"| {rounds} | {_at(waits_ms, 0.5):.0f} | {_at(waits_ms, 0.95):.0f} | {waits_ms[-1]:.0f} |",
    ]


def _at(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))]


async def _answers_to(port: int, host: str) -> bool:
    """Whether the gateway takes this Host for its own, which the new configuration alone says."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET /mcp HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % host.encode())
        status = await reader.readline()
    finally:
        writer.close()
    return b" 421 " not in status


def servers(command: list[str], folder: str, count: int) -> list[dict[str, Any]]:
    """Children that stay where they are all the while."""
    transport = {"type": "stdio", "command": command[0], "args": [*command[1:], "--stdio"], "cwd": folder}
    return [{"id": f"child-{number}", "transport": transport} for number in range(count)]
