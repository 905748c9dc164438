"""The smallest MCP server that can stand behind the gateway: a tool, a resource, and nothing to wait for.

Run as `python -m tests.benchmarks.backend --stdio | --port P [--tools N] [--slow-ms MS]`. Modern era, or
2025-03-26 with its batches for whoever initializes; answers are built by hand so that the figures are the
gateway's and not its own. Over HTTP it counts what it was asked: GET /asked tells, by method.
"""

import argparse
import asyncio
import sys
from collections import Counter
from typing import Final

import msgspec
from aiohttp import web

INFO: Final = '"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"bench","version":"1"}}'
TEXT: Final = "x" * 200
ECHO: Final = '{"name":"echo","inputSchema":{"type":"object"}}'
MORE: Final = (
    '{"name":"tool_%d","description":"Does what tools of its kind do, with what it is given, and says how that '
    'went.","inputSchema":{"type":"object","properties":{"path":{"type":"string","description":"Where"}},'
    '"required":["path"]}}'
)
"""About 250 bytes, as clients get it."""


def _tools(count: int) -> str:
    """A list of `echo` and `count` - 1 others."""
    listed = ",".join([ECHO, *(MORE % number for number in range(1, count))])
    return f'{{"resultType":"complete","tools":[{listed}],"ttlMs":600000,"cacheScope":"public",{INFO}}}'


RESULTS: Final = {
    "server/discover": '{"resultType":"complete","supportedVersions":["2026-07-28"],'
    f'"capabilities":{{"tools":{{}},"resources":{{}}}},"ttlMs":600000,"cacheScope":"public",{INFO}}}',
    "initialize": '{"protocolVersion":"2025-03-26","capabilities":{"tools":{}},'
    '"serverInfo":{"name":"bench","version":"1"}}',
    "ping": "{}",
    "tools/list": _tools(1),
    "resources/list": '{"resultType":"complete","resources":[{"uri":"bench:///a","name":"a"}],'
    f'"ttlMs":600000,"cacheScope":"public",{INFO}}}',
    "resources/read": f'{{"resultType":"complete","contents":[{{"uri":"bench:///a","text":"{TEXT}"}}],'
    f'"ttlMs":600000,"cacheScope":"public",{INFO}}}',
    "tools/call": f'{{"resultType":"complete","content":[{{"type":"text","text":"{TEXT}"}}],{INFO}}}',
}


class _Head(msgspec.Struct):
    id: msgspec.Raw = msgspec.Raw()
    method: str = ""


asked: Counter[str] = Counter()
"""By method."""
_decode = msgspec.json.Decoder(_Head).decode
_decode_batch = msgspec.json.Decoder(list[_Head]).decode


def answer(body: bytes) -> bytes:
    """Empty for a notification."""
    if body[:1] == b"[":
        return b"[%s]" % b",".join(map(_answer, _decode_batch(body)))
    return _answer(_decode(body))


def _answer(head: _Head) -> bytes:
    asked[head.method] += 1
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


async def serve_http(port: int, slow_s: float) -> None:
    async def handle(request: web.BaseRequest) -> web.Response:
        if request.path == "/asked":
            return web.json_response(asked)
        if request.method != "POST":
            return web.Response(status=405)
        reply = answer(await request.read())
        if slow_s:
            await asyncio.sleep(slow_s)
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
    parser.add_argument("--tools", type=int, default=1)
    parser.add_argument("--slow-ms", type=float, default=0, help="how long each answer over HTTP takes")
    options = parser.parse_args()
    RESULTS["tools/list"] = _tools(options.tools)
    if options.stdio:
        serve_stdio()
        return
    import uvloop

    uvloop.run(serve_http(options.port, options.slow_ms / 1000))


if __name__ == "__main__":
    main()
