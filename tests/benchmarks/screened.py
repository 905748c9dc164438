"""A gateway with its screen, as a person starts it, in a terminal of ours."""

import asyncio
import json
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.processes import START_S, tools_ready
from tests.benchmarks.pty_program import PtyProgram, in_pty


@asynccontextmanager
async def screened_gateway(servers: list[dict[str, Any]]) -> AsyncIterator[tuple[int, PtyProgram]]:
    """(port, program) of a gateway as a person starts it, in a terminal; its servers have a tool each."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.close()
        config = Path(folder) / "only1mcp.json"
        config.write_text(json.dumps({"version": 1, "proxy": {"port": port, "grace_s": 1}, "servers": servers}))
        async with in_pty(sys.executable, "-m", "only1mcp_tui", "--config", str(config)) as program:
            await _answers(port, len(servers))
            yield port, program


async def _answers(port: int, tools: int) -> None:
    async with asyncio.timeout(START_S):
        while True:
            try:
                await tools_ready(port, tools)
                return
            except OSError:
                await asyncio.sleep(0.1)
