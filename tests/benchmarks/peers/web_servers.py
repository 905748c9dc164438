"""nginx and haproxy in front of one backend, each one thread with kept connections, as children of ours."""

import asyncio
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tests.benchmarks.processes import ROOT, START_S

_NGINX: Final = """
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream backend {{
    server 127.0.0.1:{backend_port};
    keepalive 256;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      # 100 KB fit into memory.
      proxy_buffers 32 8k;
    }}
  }}
}}
"""
_HAPROXY: Final = """
global
  nbthread 1
  maxconn 1000
defaults
  mode http
  option http-keep-alive
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend front
  bind 127.0.0.1:{port}
  default_backend back
backend back
  server one 127.0.0.1:{backend_port}
"""


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@asynccontextmanager
async def serving(port: int, *command: str) -> AsyncIterator[tuple[int, int]]:
    """(port, pid) of a program that was told its port, once it listens. Raises: RuntimeError if it does not."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        await _listens(port, process)
        yield port, process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@asynccontextmanager
async def nginx(backend_port: int) -> AsyncIterator[tuple[int, int] | None]:
    """(port, pid); None where it is not installed."""
    program = shutil.which("nginx")
    if program is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        port, config = free_port(), Path(folder) / "nginx.conf"
        config.write_text(_NGINX.format(folder=folder, port=port, backend_port=backend_port))
        errors = f"{folder}/error.log"
        async with serving(port, program, "-p", folder, "-e", errors, "-c", str(config)) as found:
            yield found


@asynccontextmanager
async def haproxy(backend_port: int) -> AsyncIterator[tuple[int, int] | None]:
    """(port, pid); None where it is not installed."""
    program = shutil.which("haproxy")
    if program is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        port, config = free_port(), Path(folder) / "haproxy.cfg"
        config.write_text(_HAPROXY.format(port=port, backend_port=backend_port))
        # In the foreground, and its notices of starting kept to itself.
        async with serving(port, program, "-db", "-q", "-f", str(config)) as found:
            yield found


async def _listens(port: int, process: asyncio.subprocess.Process) -> None:
    until = time.perf_counter() + START_S
    while time.perf_counter() < until and process.returncode is None:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        return
    raise RuntimeError(f"nothing listened on port {port} within {START_S} s")
