"""The smallest MCP server that can stand behind the gateway: a tool, a resource, and nothing to wait for.

Run as `python -m tests.benchmarks.backend --stdio | --port P [OPTION...]`. Modern era, and 2025-03-26 with its
batches for whoever initializes; or `--legacy`, 2025-11-25 alone. Answers are built by hand so that the figures
are the gateway's and not its own. Over HTTP it counts what it was asked: GET /asked tells, by method.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec

from tests.benchmarks.raw_http import Respond, serve_raw

INFO: Final = '"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"bench","version":"1"}}'
TEXT_BYTES: Final = 200
ECHO: Final = '{"name":"echo","inputSchema":{"type":"object"}}'
MORE: Final = (
    '{"name":"tool_%d","description":"Does what tools of its kind do, with what it is given, and says how that '
    'went.","inputSchema":{"type":"object","properties":{"path":{"type":"string","description":"Where"}},'
    '"required":["path"]}}'
)
"""About 250 bytes, as clients get it."""
ROW: Final = '{"id":1%05d,"name":"Ada","path":"a/b","isOpen":true}'
_CALL: Final = "tools/call"
_PROGRESS: Final = (
    b'{"jsonrpc":"2.0","method":"notifications/progress",'
    b'"params":{"progressToken":%b,"progress":%d,"total":%d}}'
)


class _Meta(msgspec.Struct):
    progressToken: msgspec.Raw = msgspec.Raw()


class _Params(msgspec.Struct):
    arguments: msgspec.Raw = msgspec.Raw(b"{}")
    meta: _Meta = msgspec.field(default_factory=_Meta, name="_meta")


class _Call(msgspec.Struct):
    params: _Params = msgspec.field(default_factory=_Params)


class _Head(msgspec.Struct):
    id: msgspec.Raw = msgspec.Raw()
    method: str = ""


_decode = msgspec.json.Decoder(_Head).decode
_decode_batch = msgspec.json.Decoder(list[_Head]).decode
_decode_call = msgspec.json.Decoder(_Call).decode


class Backend:
    """Answers messages, whatever brought them."""

    def __init__(
        self, *, tools: int = 1, text_bytes: int = TEXT_BYTES, rows: int = 0, is_legacy: bool = False
    ) -> None:
        """`tools`: how many it lists. `text_bytes`: of the text that a call or a read is answered with.

        `rows`: in the structured content of a call, 50 bytes each; none: there is no such content.
        """
        self.asked: Counter[str] = Counter()
        """By method."""
        text = "x" * text_bytes
        content = f'"content":[{{"type":"text","text":"{text}"}}]'
        if rows:
            content += f',"structuredContent":{{"rows":[{",".join(ROW % number for number in range(rows))}]}}'
        listed = ",".join([ECHO, *(MORE % number for number in range(1, tools))])
        kept = f',"ttlMs":600000,"cacheScope":"public",{INFO}}}'
        results = {
            "server/discover": '{"resultType":"complete","supportedVersions":["2026-07-28"],'
            f'"capabilities":{{"tools":{{}},"resources":{{}}}}{kept}',
            "initialize": '{"protocolVersion":"2025-03-26","capabilities":{"tools":{}},'
            '"serverInfo":{"name":"bench","version":"1"}}',
            "ping": "{}",
            "tools/list": f'{{"resultType":"complete","tools":[{listed}]{kept}',
            "resources/list": f'{{"resultType":"complete","resources":[{{"uri":"bench:///a","name":"a"}}]{kept}',
            "resources/read": '{"resultType":"complete","contents":'
            f'[{{"uri":"bench:///a","text":"{text}"}}]{kept}',
            _CALL: f'{{"resultType":"complete",{content},{INFO}}}',
        }
        if is_legacy:
            del results["server/discover"]
            results["initialize"] = results["initialize"].replace("2025-03-26", "2025-11-25")
            results["tools/list"] = f'{{"tools":[{listed}]}}'
            results[_CALL] = f"{{{content}}}"
        self._results = {method: result.encode() for method, result in results.items()}

    def answer(self, body: bytes) -> bytes:
        """Empty for a notification."""
        if body[:1] == b"[":
            return b"[%s]" % b",".join(map(self._answer, _decode_batch(body)))
        return self._answer(_decode(body))

    def echo(self, body: bytes) -> bytes:
        """As `answer`, but a call's text is its arguments."""
        reply = self.answer(body)
        if _decode(body).method != _CALL:
            return reply
        head, _, rest = reply.partition(b'"text":"')
        text = msgspec.json.encode(bytes(_decode_call(body).params.arguments).decode())
        return head + b'"text":' + text + rest[rest.index(b'"') + 1 :]

    def stream(self, body: bytes, progress: int) -> bytes | list[bytes]:
        """As `answer`, but the answer to a call that wants progress comes after so many events of it."""
        reply = self.answer(body)
        if _decode(body).method != _CALL:
            return reply
        token = bytes(_decode_call(body).params.meta.progressToken)
        steps = range(1, progress + 1) if token else ()
        return [*(_PROGRESS % (token, step, progress) for step in steps), reply]

    def _answer(self, head: _Head) -> bytes:
        self.asked[head.method] += 1
        if not bytes(head.id):
            return b""
        result = self._results.get(head.method)
        if result is None:
            error = b'{"code":-32601,"message":"Method not found"}'
            return b'{"jsonrpc":"2.0","id":%s,"error":%s}' % (bytes(head.id), error)
        return b'{"jsonrpc":"2.0","id":%s,"result":%s}' % (bytes(head.id), result)


def serve_stdio(answer: Callable[[bytes], bytes]) -> None:
    for line in sys.stdin.buffer:
        if reply := answer(line):
            sys.stdout.buffer.write(reply + b"\n")
            sys.stdout.buffer.flush()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--stdio", action="store_true")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tools", type=int, default=1)
    parser.add_argument("--text-bytes", type=int, default=TEXT_BYTES, help="in the answer to a call or a read")
    parser.add_argument("--rows", type=int, default=0, help="of 50 bytes each, in the answer to a call")
    parser.add_argument("--legacy", action="store_true", help="2025-11-25, and no other")
    parser.add_argument("--slow-ms", type=float, default=0, help="how long each answer over HTTP takes")
    parser.add_argument("--echo", action="store_true", help="answer a call with its arguments")
    parser.add_argument("--progress", type=int, default=0, help="over HTTP: events before the answer to a call")
    options = parser.parse_args()
    backend = Backend(
        tools=options.tools, text_bytes=options.text_bytes, rows=options.rows, is_legacy=options.legacy
    )
    answer = backend.echo if options.echo else backend.answer
    if options.stdio:
        serve_stdio(answer)
        return
    import uvloop

    respond: Respond = partial(backend.stream, progress=options.progress) if options.progress else answer
    uvloop.run(serve_raw(respond, options.port, options.slow_ms / 1000, backend.asked))


if __name__ == "__main__":
    main()
