"""The MCP reference server on Node.js, installed by `make node-servers`; what needs it is marked `node`."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.processes import ROOT, free_port, running

EVERYTHING = ROOT / ".cache/node/node_modules/@modelcontextprotocol/server-everything/dist/index.js"


def _missing() -> str:
    if shutil.which("node") is None:
        return "Node.js is not installed"
    return "" if EVERYTHING.is_file() else "server-everything is not installed: run `make node-servers`"


needs_everything = pytest.mark.skipif(bool(_missing()), reason=_missing())


def everything_command(mode: str = "stdio") -> tuple[str, ...]:
    return ("node", str(EVERYTHING), mode)


@contextmanager
def everything_server(transport: str, log: Path) -> Iterator[str]:
    """The server on `http` or `sse`; gives its URL."""
    port = free_port()
    mode, path = ("streamableHttp", "mcp") if transport == "http" else ("sse", "sse")
    with running(everything_command(mode), port, log, {"PORT": str(port)}):
        yield f"http://127.0.0.1:{port}/{path}"
