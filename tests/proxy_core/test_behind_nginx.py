"""A server behind nginx: connections that end by its clock and by its count, and one that it drops."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from proxy_core.backends.direct_call import DirectCall
from tests.support.backend_server import Seen, answers, closed_port, json_reply
from tests.support.direct_house import house

# Debian has it where only root looks.
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") or ""
pytestmark = pytest.mark.skipif(not NGINX, reason="needs nginx, which only Linux machines are given")
RESULT = {"resultType": "complete", "content": [{"type": "text", "text": "done " * 2000}]}
WAYS = pytest.mark.parametrize("direct", [True, False], ids=["direct", "ordinary"])
CONFIG = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off; gzip on; gzip_min_length 1; gzip_types application/json;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  keepalive_timeout {keep_s}s; keepalive_requests {requests};
  server {{
    listen 127.0.0.1:{port};
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    location / {{ proxy_pass {behind}; }}
  }}
}}
"""


@asynccontextmanager
async def nginx(folder: Path, behind: str, keep_s: int = 1, requests: int = 1000) -> AsyncIterator[str]:
    """Its URL, in front of the origin of `behind`."""
    port = await closed_port()
    config = folder / "nginx.conf"
    origin = behind.rsplit("/", 1)[0]
    settings = {"folder": folder, "port": port, "behind": origin, "keep_s": keep_s, "requests": requests}
    config.write_text(CONFIG.format(**settings))
    process = subprocess.Popen([NGINX, "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except ConnectionError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    break
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        process.wait()


@WAYS
async def test_connections_that_nginx_closes_by_its_clock_cost_no_call(
    begun: list[DirectCall],
    direct: bool,
    tmp_path: Path,
) -> None:
    async with house(direct, begun, answers(RESULT), lambda url: nginx(tmp_path, url, keep_s=1)) as gateway:
        # After the first long pause it is known how long nginx keeps one.
        for pause_s in (0.0, 1.5, 0.9, 0.95, 1.0, 1.05, 1.1):
            await asyncio.sleep(pause_s)
            replies = await asyncio.gather(*(gateway.call() for _ in range(4)))
            assert [reply.status for reply in replies] == [200] * 4
        assert gateway.row.errors == 0


@WAYS
async def test_connections_that_nginx_closes_by_its_count_cost_no_call(
    begun: list[DirectCall],
    direct: bool,
    tmp_path: Path,
) -> None:
    async with house(direct, begun, answers(RESULT), lambda url: nginx(tmp_path, url, requests=3)) as gateway:
        for _ in range(10):
            replies = await asyncio.gather(*(gateway.call() for _ in range(4)))
            assert [reply.json["result"]["content"] for reply in replies] == [RESULT["content"]] * 4
        assert gateway.row.errors == 0


@WAYS
async def test_a_server_that_leaves_nginx_standing_is_told(
    begun: list[DirectCall],
    direct: bool,
    tmp_path: Path,
) -> None:
    is_cut = False

    async def call(seen: Seen) -> web.StreamResponse:
        if is_cut and seen.request.transport is not None:
            seen.request.transport.abort()
        return json_reply(seen.result(RESULT))

    async with house(direct, begun, call, lambda url: nginx(tmp_path, url)) as gateway:
        assert (await gateway.call()).status == 200
        is_cut = True
        told = await gateway.call()
        # nginx says 502, in words of its own.
        assert told.json["error"]["data"]["dev.only1mcp"]["kind"] == "backend_unavailable"
        is_cut = False
        assert (await gateway.call()).status == 200
