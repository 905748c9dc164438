"""The smallest MCP server that can stand behind the gateway: one tool, both transports, nothing to wait for.

Run as `python -m tests.benchmarks.backend --stdio | --port P`. Modern era, or 2025-03-26 with its batches for
whoever initializes; answers are built by hand so that the figures are the gateway's and not its own.
"""

import argparse
import asyncio
import sys
from typing import Final

import msgspec
from aiohttp import web

INFO: Final = '"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"bench","version":"1"}}'
TEXT: Final = "x" * 200
RESULTS: Final = {
    "server/discover": '{"resultType":"complete","supportedVersions":["2026-07-28"],'
    f'"capabilities":{{"tools":{{}}}},"ttlMs":600000,"cacheScope":"public",{INFO}}}',
    "initialize": '{"protocolVersion":"2025-03-26","capabilities":{"tools":{}},'
    '"serverInfo":{"name":"bench","version":"1"}}',
    "ping": "{}",
    "tools/list": '{"resultType":"complete","tools":[{"name":"echo","inputSchema":{"type":"object"}}],'
    f'"ttlMs":600000,"cacheScope":"public",{INFO}}}',
    "tools/call": f'{{"resultType":"complete","content":[{{"type":"text","text":"{TEXT}"}}],{INFO}}}',
}


class _Head(msgspec.Struct):
    id: msgspec.Raw = msgspec.Raw()
    method: str = ""


_decode = msgspec.json.Decoder(_Head).decode
_decode_batch = msgspec.json.Decoder(list[_Head]).decode


def answer(body: bytes) -> bytes:
    """Empty for a notification."""
    if body[:1] == b"[":
        return b"[%s]" % b",".join(map(_answer, _decode_batch(body)))
    return _answer(_decode(body))


def _answer(head: _Head) -> bytes:
    if not bytes(head.id):
        return b""
    result = RESULTS.get(head.method)
    if result is None:
        error = b'{"code":-32601,"message":"Method not found"}'
        return b'{"jsonrpc":"2.0","id":%s,"error":%s}' % (bytes(head.id), error)
    return b'{"jsonrpc":"2.0","id":%s,"result":%s}' % (bytes(head.id), result.encode())


def serve_stdio() -> None:
    for line in sys.stdin.buffer:
        if reply := answer(line):
            sys.stdout.buffer.write(reply + b"\n")
            sys.stdout.buffer.flush()


async def serve_http(port: int) -> None:
    async def handle(request: web.BaseRequest) -> web.Response:
        if request.method != "POST":
            return web.Response(status=405)
        reply = answer(await request.read())
        return web.Response(body=reply, content_type="application/json", status=200 if reply else 202)

    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    print(site.port, flush=True)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--stdio", action="store_true")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    if options.stdio:
        serve_stdio()
        return
    import uvloop

    uvloop.run(serve_http(options.port))


if __name__ == "__main__":
    main()
