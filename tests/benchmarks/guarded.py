"""What it costs that clients have to say who they are: `make bench ARGS=guarded`.

A forwarded tools/call, in turns: let in as it comes, by a token, by a token with a profile, a rate limit and
the audit, by a JWT whose issuer's keys are here instead, and with limits of all four kinds. Then how soon a
token that a reload takes away is worth nothing, to a stream that is open.
"""

import asyncio
import hashlib
import json
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import uvloop
from aiohttp import ClientSession, web
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.benchmarks.cores import FEEDING, MEASURED, feeding, pin
from tests.benchmarks.intervals import median_interval
from tests.benchmarks.limiting import WIDE
from tests.benchmarks.lines import opened
from tests.benchmarks.load import META, Ask, modern_call
from tests.benchmarks.processes import gateway, http_backend, settled, tools_ready
from tests.benchmarks.results import Section
from tests.benchmarks.rounds import Way, cpu_us, in_turns, ratio, warm_up
from tests.benchmarks.standing import CONNECTIONS, OF_300_BYTES

TOKEN: Final = "o1_" + secrets.token_urlsafe(32)
RESOURCE: Final = "https://gateway.example/mcp"
REVIEW: Final[dict[str, Any]] = {"servers": ["web"], "tools": {"allow": ["web__*"]}}
USUAL: Final[dict[str, Any]] = {
    "profiles": {"review": REVIEW},
    "limits": {"calls_per_s": WIDE["calls_per_s"], "burst": WIDE["burst"]},
    "audit": {"file": "audit.jsonl"},
}
LIMITED: Final = {"limits": WIDE, "tools": {"limits": {"*": WIDE}}}
"""Of a server."""
ALL_LIMITS: Final[dict[str, Any]] = USUAL | {"profiles": {"review": {**REVIEW, "limits": WIDE}}}
REVOKED_WITHIN_S: Final = 20.0


async def guarded_section(rounds: int, seconds: float, revocations: int) -> Section:
    """`seconds`: of each way in each round."""
    async with AsyncExitStack() as stack:
        stack.enter_context(feeding())
        backend_port, backend_pid = await stack.enter_async_context(http_backend(*OF_300_BYTES))
        pin(backend_pid, FEEDING)
        issuer, token = await stack.enter_async_context(_issuer())
        by_jwt = {"resource": RESOURCE, "issuers": [issuer | {"grants": [{"profile": "review"}]}]}
        usual_words = "a profile, a rate limit, the audit"
        bound = _tokens("review")
        ways = [
            await _way(stack, "as it comes", backend_port, ""),
            await _way(stack, "a token", backend_port, TOKEN, auth=_tokens(None)),
            await _way(stack, f"a token, {usual_words}", backend_port, TOKEN, auth=bound, **USUAL),
            await _way(stack, f"a JWT, {usual_words}", backend_port, token, auth=by_jwt, **USUAL),
            await _way(
                stack, "a token, a profile, limits of four kinds, the audit", backend_port, TOKEN, LIMITED,
                auth=bound, **ALL_LIMITS,
            ),
        ]  # fmt: skip
        warm_up(ways)
        for way in ways:
            await settled(way.pid)
        in_turns(ways, rounds, lambda way: way.saturated(seconds))
    ends_s = [await _revoked_s(backend) for backend in range(revocations)]
    usual = ways[0]
    rows = [
        f"| tools/call, {CONNECTIONS} connections | CPU µs a call | more, µs | of what it costs as it comes |",
        "|---|---|---|---|",
    ]
    for way in ways:
        more = median_interval(
            [cpu_us(mine) - cpu_us(its) for mine, its in zip(way.turns, usual.turns, strict=True)]
        )
        shown = ("-", "-") if way is usual else (more.shown(".1f"), ratio(way, usual, cpu_us).shown())
        rows.append(f"| {way.name} | {way.interval(cpu_us).shown('.1f')} | {shown[0]} | {shown[1]} |")
    rows += [
        "",
        "| a token that a reload takes away | seconds |",
        "|---|---|",
        f"| until its open listen has ended, the slowest of {revocations} | {max(ends_s):.2f} |",
    ]
    return Section(rows)


def _tokens(profile: str | None) -> dict[str, Any]:
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    return {"tokens": [{"name": "bench", "sha256": digest} | ({"profile": profile} if profile else {})]}


def _with(token: str, ask: Ask) -> Ask:
    line = f"Authorization: Bearer {token}\r\n".encode() if token else b""

    def asked(request_id: int) -> tuple[bytes, bytes]:
        headers, body = ask(request_id)
        return headers + line, body

    return asked


async def _way(
    stack: AsyncExitStack,
    name: str,
    backend_port: int,
    token: str,
    server: Mapping[str, Any] = MappingProxyType({}),
    **sections: Any,
) -> Way:
    """`server`: more of its settings."""
    web_server = {
        "id": "web",
        "transport": {"type": "http", "url": f"http://127.0.0.1:{backend_port}/mcp"},
    }
    port, pid, _ = await stack.enter_async_context(gateway([{**web_server, **server}], token=token, **sections))
    await tools_ready(port, 1, token)
    pin(pid, MEASURED)
    ask = _with(token, modern_call("web__echo"))
    return Way(name, pid, stack.enter_context(opened(port, CONNECTIONS, ask)))


@asynccontextmanager
async def _issuer() -> AsyncIterator[tuple[dict[str, Any], str]]:
    """An authorization server's keys, served on this machine, and a token of its."""
    key = ECKey.generate_key("P-256", {"use": "sig", "kid": "bench", "alg": "ES256"})

    async def keys(request: web.Request) -> web.Response:
        return web.json_response({"keys": [key.as_dict(private=False)]})

    app = web.Application()
    app.router.add_get("/jwks", keys)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        now = int(time.time())
        claims = {"iss": url, "aud": RESOURCE, "sub": "bench", "client_id": "bench", "scope": "mcp:use"}
        header = {"alg": "ES256", "kid": "bench", "typ": "at+jwt"}
        token = jwt.encode(header, claims | {"iat": now, "exp": now + 3600}, key)
        yield {"issuer": url, "jwks_url": f"{url}/jwks"}, token
    finally:
        await runner.cleanup()


async def _revoked_s(turn: int) -> float:
    """From the file that lacks the token to the end of the stream that was opened with it."""
    other = {"tokens": [{"name": "other", "sha256": hashlib.sha256(b"other").hexdigest()}]}
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "only1mcp.json"
        async with (
            gateway([], config, token=TOKEN, auth=_tokens(None)) as (port, _, _),
            ClientSession() as http,
        ):
            wanted = f'{{"notifications":{{"toolsListChanged":true}},{META}}}'
            headers = {
                "Authorization": f"Bearer {TOKEN}",
                "Accept": "application/json, text/event-stream",
                "Content-Type": "application/json",
                "MCP-Protocol-Version": "2026-07-28",
                "Mcp-Method": "subscriptions/listen",
            }
            body = f'{{"jsonrpc":"2.0","id":{turn},"method":"subscriptions/listen","params":{wanted}}}'
            async with http.post(f"http://localhost:{port}/mcp", data=body, headers=headers) as stream:
                await stream.content.readuntil(b"\r\n\r\n")
                config.write_text(json.dumps(json.loads(config.read_text()) | {"auth": other}))
                begun = time.perf_counter()
                async with asyncio.timeout(REVOKED_WITHIN_S):
                    await stream.read()
                return time.perf_counter() - begun


if __name__ == "__main__":
    print("\n".join(uvloop.run(guarded_section(9, 0.4, 3)).rows))
